// SPDX-License-Identifier: Apache-2.0
//! Single commands, and what stands in the policy afterwards.

use super::{is_good, learning, place, text};
use crate::scene::arguments;
use crate::scene::stage::mode;
use std::os::unix::fs::PermissionsExt;

#[test]
fn what_is_read_is_granted_with_its_reason_and_nothing_else() {
    let (room, file) = place();
    let data = room.file("data", "hello\n");
    let other = room.file("other", "secret\n");
    let outcome = learning(&file, &format!("cat {}; test -e {}/none", data.display(), room.whole().display()));
    // The shell ends with what its last command says.
    let outcome = outcome.run();
    let learnt = text(&file);
    assert!(outcome.stderr.contains("exit status 1"), "{outcome}");
    let line = format!("    {{ path = \"{}\", why = \"cat: openat, once\" }},\n", data.display());
    assert!(learnt.contains(&line), "{learnt}");
    assert!(!learnt.contains(&other.display().to_string()) && !learnt.contains("none\","), "{learnt}");
    // Once openly, and once under the policy.
    assert_eq!(outcome.stdout, "hello\nhello\n", "{outcome}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    arguments(&["check", &file.display().to_string()]).run().exits(0);
}

#[test]
fn a_verified_policy_serves_what_it_was_learnt_from_and_no_more() {
    let (room, file) = place();
    let data = room.file("data", "hello\n");
    let script = format!("cat {0} {1}", data.display(), "$1");
    let outcome = learning(&file, &script).run();
    is_good(&outcome, &file);
    let policy = format!("--policy={}", file.display());
    arguments(&["run", &policy]).run().stdout("hello\n").exits(0);
    let other = room.file("other", "secret\n").display().to_string();
    arguments(&["run", &policy, "--", "/bin/cat", &other]).run().stdout("").says("No such file").exits(1);
}

#[test]
fn an_ordinary_user_learns_too() {
    let (room, _) = place();
    let directory = room.directory("own");
    if nix::unistd::geteuid().is_root() {
        nix::unistd::chown(&directory, Some(65534.into()), Some(65534.into())).unwrap();
    }
    let file = directory.join("learnt.toml");
    let outcome = learning(&file, "cat /etc/hostname").unprivileged().run();
    outcome.exits(0).says("verified: under the policy it does the same");
    let learnt = text(&file);
    assert!(learnt.contains("\"/etc/hostname\", why = \"cat: openat, once\""), "{learnt}");
}

#[test]
fn names_are_made_where_a_directory_is_granted() {
    needs!(root);
    let (room, file) = place();
    let spool = room.directory("spool");
    mode(&spool, 0o777);
    let script = format!("cd {} && echo x >a.$$ && mv a.$$ b && cat b && rm b", spool.display());
    let learnt = is_good(&learning(&file, &script).run(), &file);
    assert!(learnt.contains(&format!("write = [\n    {{ path = \"{}\", why = ", spool.display())), "{learnt}");
}

#[test]
fn a_temporary_file_needs_no_grant() {
    let (_room, file) = place();
    let learnt = is_good(&learning(&file, "x=$(mktemp) && echo x >$x && cat $x && rm $x").run(), &file);
    assert!(!learnt.contains("/tmp"), "{learnt}");
}

#[test]
fn a_call_that_no_profile_grants_is_named_with_its_word() {
    let (room, file) = place();
    let path = room.path("fifo").display().to_string();
    let perl = format!("exec perl -e 'chown -1, -1, \"{path}\"; print \"done\\n\"'");
    let learnt = is_good(&learning(&file, &perl).run(), &file);
    assert!(learnt.contains("allow = [\n    # perl: chown, once\n    \"chown\",\n]"), "{learnt}");
    assert!(learnt.contains("extends = [\"perl\"]"), "{learnt}");
}

#[test]
fn what_attacks_call_is_not_granted_but_said() {
    let (_room, file) = place();
    let outcome = learning(&file, "exec perl -e 'syscall(101, 0, 0, 0, 0); print \"done\\n\"'").run().exits(3);
    let learnt = text(&file);
    assert!(learnt.contains("#  perl: ptrace, once: what attacks call; syscalls.allow = [\"trace\"]"), "{learnt}");
    assert!(!learnt.contains("[syscalls]"), "{learnt}");
    assert!(outcome.stderr.contains("denied call=ptrace"), "{outcome}");
    assert!(outcome.stderr.contains("killed by SIG"), "{outcome}");
}

#[test]
fn what_comes_through_a_pipe_is_kept_for_the_second_run() {
    let (_room, file) = place();
    let input = "line\n".repeat(100_000);
    let outcome = learning(&file, "wc -c; wc -c").input(input.as_bytes()).run();
    is_good(&outcome, &file);
    assert_eq!(outcome.stdout, "500000\n0\n500000\n0\n", "{outcome}");
}

#[test]
fn another_output_is_a_difference() {
    let (_room, file) = place();
    // What differs between two runs, wherever they are.
    let outcome = learning(&file, "echo $$; cat /proc/sys/kernel/random/uuid /proc/meminfo | wc -c").run();
    outcome
        .exits(3)
        .says("of output")
        .says("under the policy it does not do the same; the file is written all the same");
}

#[test]
fn what_a_policy_never_grants_stands_in_a_comment() {
    let (_room, file) = place();
    learning(&file, "ls /etc >/dev/null; ls /var/lib >/dev/null").run().exits(3);
    let learnt = text(&file);
    assert!(learnt.contains("#  ls lists /etc, which is never granted whole\n"), "{learnt}");
    assert!(!learnt.contains("path = \"/etc\""), "{learnt}");
}

#[test]
fn threads_and_programs_that_run_at_once_are_all_heard() {
    needs!(program "python3");
    let (room, file) = place();
    let names: Vec<String> = (0..8).map(|number| room.file(&number.to_string(), "x").display().to_string()).collect();
    let script = "import sys, threading, subprocess\n\
                  def read(name):\n for _ in range(20): open(name).close()\n subprocess.run(['/bin/cat', name])\n\
                  all = [threading.Thread(target=read, args=[name]) for name in sys.argv[1:]]\n\
                  [one.start() for one in all]; [one.join() for one in all]";
    let path = file.display().to_string();
    let mut words = vec!["learn", "--out", &path, "--", "/usr/bin/python3", "-c", script];
    words.extend(names.iter().map(String::as_str));
    let outcome = arguments(&words).run();
    let learnt = is_good(&outcome, &file);
    assert_eq!(outcome.stdout, "x".repeat(16), "{outcome}");
    for name in &names {
        let line = learnt.lines().find(|line| line.contains(&format!("path = \"{name}\""))).unwrap_or_default();
        assert!(line.ends_with("openat, 21 times\" },"), "{line}\n{learnt}");
    }
}

#[test]
fn a_link_is_granted_as_it_is_written() {
    let (room, file) = place();
    room.file("real", "x\n");
    std::os::unix::fs::symlink("real", room.path("link")).unwrap();
    let script = format!("cat {}", room.path("link").display());
    let learnt = is_good(&learning(&file, &script).run(), &file);
    assert!(learnt.contains(&format!("path = \"{}\"", room.path("link").display())), "{learnt}");
}

#[test]
fn a_file_that_is_there_is_added_to_and_never_overwritten() {
    let (room, file) = place();
    let data = room.file("data", "x\n");
    let mine =
        format!("# Mine.\nversion = 1\nextends = [\"shell\"]\ncommand.argv = [\"/bin/cat\", \"{}\"]\n", data.display());
    std::fs::write(&file, &mine).unwrap();
    mode(&file, 0o640);
    learning(&file, "true").run().exits(2).says("this file is there already");
    assert_eq!(text(&file), mine);
    let merging = || arguments(&["learn", "--merge", &file.display().to_string()]);
    let first = is_good(&merging().run(), &file);
    assert!(first.starts_with("# Mine.\n") && first.contains("# learnt\n"), "{first}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    // What is there is not added again.
    assert_eq!(is_good(&merging().run(), &file), first);
}

#[test]
fn what_cannot_be_run_leaves_no_file() {
    let (_room, file) = place();
    let path = file.display().to_string();
    arguments(&["learn", "--out", &path]).run().exits(2);
    arguments(&["learn", "--out", &path, "--user", "nosuch", "--", "/bin/true"]).run().exits(2);
    arguments(&["learn", "--out", &path, "--", "./true"]).run().exits(2);
    arguments(&["learn", "--out", "/nonexistent/x.toml", "--", "/bin/true"])
        .run()
        .exits(1)
        .says("cannot make /nonexistent/x.toml");
    arguments(&["learn", "--", "/bin/true"]).run().exits(2);
    assert!(!file.exists());
    let open = std::env::temp_dir().join(format!("spawnbox-learnt-{}.toml", std::process::id()));
    arguments(&["learn", "--out", &open.display().to_string(), "--", "/bin/true"]).run().exits(2);
    assert!(!open.exists());
}

#[test]
fn where_somebody_listens_already_that_is_said() {
    needs!(root);
    let (_room, file) = place();
    learning(&file, "true")
        .failing("seccomp@1:8=EBUSY")
        .run()
        .exits(1)
        .says("cannot listen to the command's calls: a filter around spawnbox is listened to already");
    assert!(!file.exists());
}
