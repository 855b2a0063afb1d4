// SPDX-License-Identifier: Apache-2.0
//! What people complain of most often where a sandbox will not let something be, one test for each complaint: the
//! sentence that answers it, word by word, wherever an operator meets it first. What else each may be about is tested
//! where it belongs: in `denials`, `check`, `doctor`, `refusals`, `limits` and `hostile::exhausted`.

use crate::scene::{arguments, scene, stage};
use std::path::Path;

#[test]
fn which_system_call_was_it() {
    let killed = scene("strict").set("syscalls.on-deny=kill").perl("chown 1, 1, '/etc'").run().exits(128 + 31);
    killed.says("signal=SIGSYS").says(
        ": so ends a process that makes a call which the policy denies; syscalls.on-deny = \"report\" has the log name it\n",
    );
    let named = scene("strict").set("syscalls.on-deny=report").perl("chown 1, 1, '/etc'").run().exits(0);
    named
        .says(" denied call=chown path=\"/etc\": Operation not permitted; to allow it: syscalls.allow = [\"chown\"]\n");
}

#[test]
fn which_path_was_it() {
    // One that a policy names and this host does not have.
    let missing = scene("strict").set("files.read=[\"/no/such\"]").shell("echo never").run().exits(2);
    missing
        .says("command line: /no/such: No such file or directory; correct it, or say { path = ..., optional = true }");
    // One that a denied call is about.
    let named = scene("strict").set("syscalls.on-deny=report").set("syscalls.deny=[\"mkdir\"]");
    named.perl("mkdir '/tmp/spool'").run().says(" denied call=mkdir path=\"/tmp/spool\": Operation not permitted; ");
    // The program itself.
    let hidden = scene("strict").argv(&["/opt/program"]).run().exits(2);
    hidden.says(
        "command line: the program /opt/program is under no path that the policy lets it execute; \
         add it: files.execute = [\"/opt/program\"]\n",
    );
}

/// A copy of a program that is there, and can be executed.
fn copy(of: &str, to: &Path) -> String {
    std::fs::copy(of, to).expect("the stage can be written");
    to.display().to_string()
}

#[test]
fn it_says_that_the_program_is_not_there_and_means_its_loader_or_its_interpreter() {
    let room = stage::room();
    let shell = copy("/bin/sh", &room.path("shell"));
    let script = room.file("script", &format!("#!{shell}\necho never\n"));
    stage::mode(&script, 0o755);
    let script = script.display().to_string();
    let shown = format!("files.execute=[\"{script}\"]");
    // From the kernel, 127 and the name of a file that is there. So it is said before.
    scene("strict").set(&shown).argv(&[&script]).run().exits(127).says(&format!(
        "warning: script: no session can begin: {script} needs {shell}, which the policy does not let it execute \
         (add it: files.execute = [\"{shell}\"])\n"
    ));
    let server = scene("strict").set(&shown).argv(&[&script]).listen();
    server.logs(&format!("no session can begin: {script} needs {shell}, "));
    let text = format!("version = 1\n[files]\nroot = \"empty\"\nexecute = [\"{shell}\"]\n");
    let bare = room.file("bare.toml", &text);
    let needs = format!("{shell} needs /lib64/ld-linux-x86-64.so.2, which the policy does not show");
    scene("default").policy_file(&bare).argv(&[&shell]).run().exits(127).says(&format!(
        "warning: shell: no session can begin: {needs} (add its directory: files.execute = [\"/lib64\"])\n"
    ));
    let text = format!("{text}[command]\nuser = \"nobody\"\nargv = [\"{shell}\"]\n");
    let bare = room.file("bare.toml", &text).display().to_string();
    arguments(&["check", &bare]).run().exits(2).says(&format!("error: {needs}\n"));
    // Where all is shown, nothing is said.
    let whole = format!("files.execute=[\"{}\"]", room.whole().display());
    let whole = scene("strict").set(&whole).argv(&[&script]).run().stdout("never\n");
    assert_eq!(whole.stderr.matches("no session can begin").count(), 0, "{whole}");
}

#[test]
fn user_namespaces_are_refused_with_a_bare_eperm() {
    needs!(root);
    let refused = || "unshare@0:0x10000000=EPERM";
    let ways = "see sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and \
                user.max_user_namespaces, or switch it off by name: isolation.namespaces without \"user\"; `spawnbox \
                doctor` names the isolation.level that there is";
    let run = scene("strict").failing(refused()).shell("echo never").run().exits(2);
    run.says("error: the user namespace cannot be made: Operation not permitted\n  --> built-in strict.toml:")
        .says(ways);
    let doctor = arguments(&["doctor"]).failing(refused()).run().exits(1);
    doctor.prints(&format!("the user namespace cannot be made: Operation not permitted\n{:23}-> {ways}\n", ""));
}

#[test]
fn a_cgroup_is_not_delegated() {
    needs!(root);
    let refused = scene("strict").unprivileged().set("limits.memory=64M").shell("echo never").run().exits(2);
    let sentence = refused.stderr.split("command line: limits.memory cannot be enforced: ").nth(1).unwrap_or_default();
    let (why, way_out) = sentence.trim_end().split_once("; ").unwrap_or_default();
    // Who runs the tests decides which of them it is.
    let whose =
        ["there is no control group for the memory controller (", "the memory controller is not delegated to us"];
    assert!(whose.iter().any(|start| why.starts_with(start)), "{refused}");
    assert_eq!(way_out, "start spawnbox in a unit with Delegate=yes, or leave the limit out", "{refused}");
    let doctor = arguments(&["doctor"]).unprivileged().run();
    let way_out = "-> start it in a unit of its own: systemd-run --user -p Delegate=yes spawnbox ...\n";
    doctor.prints("control groups  less   ").prints(way_out);
}

#[test]
fn a_limit_has_disabled_the_service_for_good() {
    // systemd takes a socket away for good where 200 connections come within two seconds (TriggerLimitBurst=).
    let server = scene("strict")
        .set("connection.concurrency=4")
        .set("limits.file-size=4K")
        .shell("read how; [ \"$how\" = good ] && echo good; exec head -c 8192 /dev/zero >/tmp/file")
        .listen();
    let clients: Vec<_> = (0..220).map(|_| server.connect().send(b"bad\n")).collect();
    for client in clients {
        assert_eq!(client.rest(), "");
    }
    server.logs_times("outcome=signaled signal=SIGXFSZ limit=file-size:4K ", 220);
    assert_eq!(server.connect().send(b"good\n").rest(), "good\n");
    // And one that nobody can be served under is refused before anybody waits.
    let refused = scene("strict").set("limits.open-files=2").shell("echo never").listen_refused().exits(2);
    refused.says("impossible value of `open-files`").says("must be at least 8: three for the connection");
}
