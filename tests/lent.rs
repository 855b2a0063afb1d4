// SPDX-License-Identifier: Apache-2.0
//! A session has its launcher's memory until it has executed its programs, and nobody else has: `sandbox/loan.rs`.

use crate::death::{Hanging, serving};
use crate::scene::{Client, Server, host, patience, scene};
use crate::spares::nobody_looks_into;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// The first process of the one session that there is.
fn first(server: &Server) -> u32 {
    let found = || host::children(server.pid()).into_iter().find(|pid| !host::children(*pid).is_empty());
    host::eventually("a session's first process has a child", patience(), || found().is_some());
    found().expect("it stays")
}

#[test]
fn what_waits_for_a_command_has_nothing_of_its_launcher() {
    needs!(root);
    let server = scene("strict").shell("echo ready; read line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let first = first(&server);
    let program = || fs::read_link(format!("/proc/{first}/exe")).expect("it lives");
    let is_its_own = || program().display().to_string().starts_with("/memfd:spawnbox");
    host::eventually("it executes its own program", patience(), is_its_own);
    let memory = host::status_of(first, "VmRSS").and_then(|text| text.split(' ').next()?.parse().ok());
    let memory: u64 = memory.expect("a number of kilobytes");
    // A stack, a page of code, what the kernel maps into all.
    assert!(memory <= 64, "{memory} KiB");
    let open: Vec<_> = fs::read_dir(format!("/proc/{first}/fd")).expect("it lives").flatten().collect();
    assert_eq!(open.len(), 5, "0 to 2, the cord, the signals: {open:?}");
    nobody_looks_into(&[first]);
}

#[test]
fn what_waits_long_for_a_command_gives_its_stack_back_and_still_says_how_that_ended() {
    needs!(root);
    let server = scene("strict").shell("echo ready; read line; exit 7").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let first = first(&server);
    let maps = || fs::read_to_string(format!("/proc/{first}/maps")).expect("it lives");
    let has_gone_on = || maps().contains("memfd:spawnbox") && !maps().contains("[stack]");
    host::eventually("it has no stack that is far from its code", patience(), has_gone_on);
    let both = |line: &&str| line.split(' ').nth(1).is_some_and(|may| may.contains('w') && may.contains('x'));
    assert_eq!(maps().lines().find(both), None, "nothing is written to and executed");
    let tables = host::status_of(first, "VmPTE").and_then(|text| text.split(' ').next()?.parse().ok());
    let tables: u64 = tables.expect("a number of kilobytes");
    assert!(tables <= 12, "a page of each level: {tables} KiB");
    assert_eq!(client.send(b"\n").rest(), "");
    server.logs("outcome=exited status=7");
}

/// A client whose session has the launcher's memory and hangs in exec.
fn held() -> (Hanging, Server, Client) {
    let mut hanging = Hanging::new();
    let server = serving(&hanging);
    hanging.hold();
    let stuck = server.connect();
    hanging.wait_for_victim();
    (hanging, server, stuck)
}

#[test]
fn nobody_of_its_user_looks_into_a_launcher_that_has_lent_its_memory() {
    needs!(root);
    let (_hanging, server, stuck) = held();
    let first = first(&server);
    nobody_looks_into(&[&[first], &host::children(first)[..]].concat());
    server.logs("outcome=time-limit");
    assert_eq!(stuck.rest(), "");
}

#[test]
fn a_session_that_is_killed_in_its_launchers_memory_harms_no_other() {
    needs!(root);
    let (hanging, server, stuck) = held();
    let first = first(&server);
    kill(Pid::from_raw(first as i32), Signal::SIGKILL).expect("root may");
    assert_eq!(stuck.rest(), "");
    hanging.install();
    for _ in 0..3 {
        assert_eq!(server.connect().rest(), "hello\n");
    }
    server.logs("outcome=lost signal=SIGKILL");
}

#[test]
fn what_a_launcher_was_is_no_zombie_though_somebody_waits_for_what_it_is_now() {
    needs!(root);
    let mut hanging = Hanging::new();
    let server = serving(&hanging);
    let was = host::children(server.pid())[0];
    hanging.hold();
    let stuck = server.connect();
    hanging.wait_for_victim();
    server.signal(Signal::SIGSTOP);
    let state = |pid: u32| host::status_of(pid, "State").map(|text| text.chars().next());
    let is_left = || state(was).is_none_or(|state| state == Some('Z'));
    host::eventually("the launcher has moved", patience(), is_left);
    let others = host::children(server.pid()).into_iter().filter(|pid| *pid != was && host::children(*pid).is_empty());
    let [launcher] = others.collect::<Vec<_>>()[..] else { panic!("one launcher, and a reaper with its command") };
    kill(Pid::from_raw(launcher as i32), Signal::SIGSTOP).expect("root may");
    hanging.install();
    let waiting = server.connect();
    server.signal(Signal::SIGCONT);
    host::eventually("it is reaped", patience(), || state(was).is_none());
    assert_eq!(state(launcher), Some(Some('T')), "nobody was answered meanwhile");
    kill(Pid::from_raw(launcher as i32), Signal::SIGCONT).expect("root may");
    drop((stuck, waiting));
    assert_eq!(server.connect().rest(), "hello\n");
}
