// SPDX-License-Identifier: Apache-2.0
//! Real commands, and what is told of them.

use super::*;
use crate::plan::calls;
use crate::plan::hosts::strict;
use crate::plan::model::Command;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Every call that was told of while `argv` ran in `directory`, and how it ended.
fn observed(argv: &[&str], directory: &Path) -> (Vec<Event>, WaitStatus) {
    let text = |word: &str| CString::new(word).unwrap();
    let command = Command {
        programs: vec![text(argv[0])],
        argv: argv.iter().map(|word| text(word)).collect(),
        environment: vec![text("PATH=/usr/bin:/bin"), text("LANG=C.UTF-8")],
        client_environment: None,
        directory: text(directory.to_str().unwrap()),
        umask: 0o077,
        ignore_signals: BTreeSet::new(),
    };
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let base = calls::resolve(&strict().syscalls).unwrap();
    let stdio = [null.as_fd(); 3];
    let Started { pid, listener } = start(&Opening { command: &command, ids: None, stdio, base: &base }).unwrap();
    let hearer = Hearer::new(listener);
    let mut events = Vec::new();
    loop {
        let mut entry = [nix::poll::PollFd::new(hearer.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut entry, nix::poll::PollTimeout::NONE).unwrap();
        if !entry[0].revents().unwrap().contains(nix::poll::PollFlags::POLLIN) {
            break;
        }
        match hearer.hear() {
            Heard::Event(event) => events.push(event),
            Heard::Nothing => {}
            Heard::Silence => break,
        }
    }
    (events, waitpid(pid, None).unwrap())
}

fn shell(script: &str, directory: &Path) -> Vec<Event> {
    let (events, end) = observed(&["/bin/sh", "-c", script], directory);
    assert!(matches!(end, WaitStatus::Exited(_, 0)), "{script}: {end:?}");
    events
}

/// What was done with a path.
fn done(events: &[Event], path: &Path) -> Vec<(String, Using, Found)> {
    let about = events.iter().flat_map(|event| event.about.iter().map(move |about| (event.program.clone(), about)));
    let here = about.filter_map(|(program, about)| match about {
        About::Path { written, using, found } if written == path => Some((program, *using, found.clone())),
        _ => None,
    });
    here.collect()
}

fn room(name: &str) -> PathBuf {
    let room = std::env::temp_dir().join(format!("spawnbox-observe-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&room).unwrap();
    std::fs::canonicalize(room).unwrap()
}

#[test]
fn what_is_read_written_made_and_looked_for_is_told_by_whoever_does_it() {
    let room = room("files");
    std::fs::write(room.join("old"), "x\n").unwrap();
    std::os::unix::fs::symlink("old", room.join("link")).unwrap();
    let script =
        "read a <old; cat ./link; echo y >new; rm new; mkdir made; rmdir made; test -e none; cd / && cat /dev/null";
    let events = shell(script, &room);
    let of = |name: &str| done(&events, &room.join(name));
    let file = |name: &str| Found::File { real: room.join(name) };
    assert!(of("old").contains(&("sh".into(), Using::Read, file("old"))), "{:?}", of("old"));
    assert!(of("link").contains(&("cat".into(), Using::Read, file("old"))), "{:?}", of("link"));
    assert!(of("new").contains(&("sh".into(), Using::Change, Found::Missing)), "{:?}", of("new"));
    assert!(of("new").contains(&("rm".into(), Using::Change, file("new"))), "{:?}", of("new"));
    assert!(of("made").contains(&("mkdir".into(), Using::Change, Found::Missing)), "{:?}", of("made"));
    assert!(of("none").iter().all(|(_, _, found)| *found == Found::Missing) && !of("none").is_empty());
    let root = done(&events, Path::new("/"));
    assert!(root.contains(&("sh".into(), Using::Enter, Found::Directory { real: "/".into() })), "{root:?}");
    let cat = done(&events, Path::new("/usr/bin/cat"));
    assert!(cat.iter().any(|(_, using, _)| *using == Using::Execute), "{cat:?}");
    let libc = events.iter().flat_map(|event| &event.about).any(|about| {
        matches!(about, About::Path { using: Using::Map, found: Found::File { real }, .. }
            if real.to_string_lossy().contains("/libc"))
    });
    assert!(libc, "the loader maps libc");
    std::fs::remove_dir_all(room).unwrap();
}

#[test]
fn what_every_process_has_of_its_own_is_told_as_its_own() {
    let events = shell("cat /proc/self/status /proc/meminfo >/dev/null; ls /proc/self/exe", Path::new("/"));
    let of = |path: &str| done(&events, Path::new(path));
    let status = of("/proc/self/status");
    assert_eq!(status[0].2, Found::Proc { process: true, real: None }, "{status:?}");
    assert_eq!(of("/proc/meminfo")[0].2, Found::Proc { process: false, real: None });
    let ls = std::fs::canonicalize("/usr/bin/ls").unwrap();
    let exe = of("/proc/self/exe");
    assert!(exe.iter().all(|(_, _, found)| *found == Found::Proc { process: true, real: Some(ls.clone()) }), "{exe:?}");
}

#[test]
fn a_directory_that_was_deleted_holds_nothing() {
    let room = room("deleted");
    let events = shell("mkdir d && cd d && rmdir ../d && ! cat x", &room);
    assert!(events.iter().any(|event| event.program == "cat"));
    let below = |about: &About| matches!(about, About::Path { written, .. } if written.ends_with("x"));
    assert!(!events.iter().flat_map(|event| &event.about).any(below), "nothing is below it");
    std::fs::remove_dir_all(room).unwrap();
}

#[test]
fn addresses_and_calls_that_no_profile_grants_are_told() {
    let script = "use Socket; socket(my $s, 2, 2, 0); send($s, 'x', 0, pack_sockaddr_in(9, inet_aton('127.0.0.1'))); \
                  socket(my $t, 2, 1, 0); connect($t, pack_sockaddr_in(9, inet_aton('127.0.0.2'))); \
                  socket(my $u, 1, 1, 0); connect($u, pack_sockaddr_un('/none')); chown 1, 1, '/none'";
    let (events, end) = observed(&["/usr/bin/perl", "-e", script], Path::new("/"));
    assert!(matches!(end, WaitStatus::Exited(..)), "{end:?}");
    let about: Vec<&About> = events.iter().flat_map(|event| &event.about).collect();
    let internet = |stream, address: &str| About::Internet { stream, bind: false, address: address.parse().unwrap() };
    for expected in [internet(false, "127.0.0.1:9"), internet(true, "127.0.0.2:9")] {
        assert!(about.contains(&&expected), "{expected:?} is not in {about:?}");
    }
    let missing = |using| About::Path { written: "/none".into(), using, found: Found::Missing };
    assert!(about.contains(&&missing(Using::Connect)) && about.contains(&&missing(Using::Write)), "{about:?}");
    let called = |number: libc::c_long| events.iter().any(|event| event.call == number as u32);
    assert!(called(libc::SYS_socket) && called(libc::SYS_chown));
    // What every profile grants is not slowed down.
    assert!(!called(libc::SYS_read) && !called(libc::SYS_close) && !called(libc::SYS_brk));
}

#[test]
fn threads_and_children_are_heard_and_a_call_of_x32_is_named() {
    let script = "if (fork) { wait } else { syscall(0x40000027); exit } open(my $f, '<', '/etc/hostname')";
    let (events, end) = observed(&["/usr/bin/perl", "-e", script], Path::new("/"));
    assert!(matches!(end, WaitStatus::Exited(..)), "{end:?}");
    assert!(events.iter().any(|event| event.about == [About::Foreign]), "no call of x32");
    let threads: BTreeSet<i32> = events.iter().map(|event| event.thread.as_raw()).collect();
    assert!(threads.len() >= 2, "{threads:?}");
}

#[test]
fn what_cannot_be_executed_says_so_as_env_does() {
    let (events, end) = observed(&["/no/such/program"], Path::new("/"));
    assert!(matches!(end, WaitStatus::Exited(_, 127)), "{end:?}");
    assert_eq!(done(&events, Path::new("/no/such/program"))[0].2, Found::Missing);
    let (_, end) = observed(&["/etc/hostname"], Path::new("/"));
    assert!(matches!(end, WaitStatus::Exited(_, 126)), "{end:?}");
}

#[test]
fn a_directory_that_cannot_be_entered_is_named() {
    let command = Command {
        programs: vec![c"/bin/true".into()],
        argv: vec![c"true".into()],
        environment: Vec::new(),
        client_environment: None,
        directory: c"/no/such".into(),
        umask: 0,
        ignore_signals: BTreeSet::new(),
    };
    let null = File::open("/dev/null").unwrap();
    let base = calls::resolve(&strict().syscalls).unwrap();
    let opening = Opening { command: &command, ids: None, stdio: [null.as_fd(); 3], base: &base };
    let said = start(&opening).unwrap_err().to_string();
    assert_eq!(said, "cannot enter the command's directory: No such file or directory");
}
