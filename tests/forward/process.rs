// SPDX-License-Identifier: Apache-2.0
//! The relay as a process: it ends with its session, is held to its limits, and can neither be used nor hurt by the
//! command.

use super::{forwarding, relay_of, session_of};
use crate::scene::{a_second, host, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::net::TcpListener;

#[test]
fn a_relay_ends_with_its_supervisor() {
    needs!(root);
    let server = forwarding(&["127.0.0.1:1"]).probe("say ready , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let session = host::watch(&session_of(server.pid()));
    // Reaper, relay, command.
    assert_eq!(session.count(), 3);
    kill(Pid::from_raw(server.pid() as i32), Signal::SIGKILL).expect("the server is ours");
    assert!(session.end_within(patience()), "a process of the session lives on");
}

#[test]
fn a_relay_that_is_stopped_holds_a_session_no_longer_than_its_limit() {
    needs!(root);
    let server = forwarding(&["127.0.0.1:1"]).set("limits.time=2s").probe("say ready , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    for pid in session_of(server.pid()) {
        // The command as well: which is which does not matter.
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGSTOP);
    }
    server.logs("outcome=time-limit");
    drop(client);
}

#[test]
fn a_relay_that_ends_before_its_session_is_said() {
    needs!(root);
    for signal in [Signal::SIGKILL, Signal::SIGXCPU] {
        let server = forwarding(&["127.0.0.1:1"]).probe("say ready , line").listen();
        let mut client = server.connect();
        assert_eq!(client.line(), "ready");
        kill(Pid::from_raw(relay_of(server.pid()) as i32), signal).expect("the relay lives");
        let line = server.logs(" relay=signaled ");
        assert!(
            line.contains(&format!("session=1 relay=signaled signal={signal}: what the policy forwards")),
            "{line}"
        );
        assert_eq!(client.rest(), "", "the connection is cut off");
        server.logs("outcome=exited");
    }
}

#[test]
fn a_command_can_neither_end_its_relay_nor_look_into_it() {
    needs!(root);
    needs!(landlock 6);
    // They are of one user, and the filter lets the command try.
    let scene = forwarding(&["127.0.0.1:1"]).set("syscalls.allow=[\"trace\"]").set("files.proc=subset");
    let asked = "pid , kill 2 0 , kill 2 9 , ptrace 2 , open /proc/2/mem , list /proc/2/fd , read /proc/2/environ";
    let outcome = scene.probe(asked).run().exits(0);
    assert_eq!(outcome.answer("pid"), "3 parent 1", "the relay is the first that the reaper has made");
    for (question, answer) in [
        ("kill 2 0", "EPERM"),
        ("kill 2 9", "EPERM"),
        ("ptrace 2", "EPERM"),
        ("open /proc/2/mem", "EACCES"),
        ("list /proc/2/fd", "EACCES"),
        ("read /proc/2/environ", "EACCES"),
    ] {
        assert_eq!(outcome.answer(question), answer, "{question}");
    }
}

#[test]
fn a_relay_is_held_to_the_limits_of_each_process() {
    needs!(root);
    let limits = ["processor-time=7s", "address-space=300M", "open-files=20", "file-size=3M"];
    let scene = limits.iter().fold(forwarding(&["127.0.0.1:1"]), |scene, limit| scene.set(&format!("limits.{limit}")));
    let server = scene.probe("say ready , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let relay = relay_of(server.pid());
    let text = std::fs::read_to_string(format!("/proc/{relay}/limits")).expect("the relay lives");
    let limit = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("the kernel lists it");
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max cpu time"), "7 8");
    assert_eq!(limit("Max address space"), format!("{0} {0}", 300 << 20));
    assert_eq!(limit("Max file size"), format!("{0} {0}", 3 << 20));
    // Not the command's: what sixty-four connections take, and as many sockets with datagrams.
    assert_eq!(limit("Max open files"), "476 476");
}

/// A peer that greets whoever comes, and ends.
fn greeter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let _ = writeln!(client, "hello");
        }
    });
    port
}

/// Lets a process of the session have this many descriptors: its own user may, where root has no CAP_SYS_RESOURCE.
fn limit_files(process: u32, most: u64) {
    let words = ["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--pid", &process.to_string()];
    let mut command = std::process::Command::new("setpriv");
    let status = command.args(words).arg(format!("--nofile={most}:476")).status().expect("setpriv is there");
    assert!(status.success(), "{status}");
}

#[test]
fn a_relay_without_a_descriptor_ends_who_comes_and_keeps_no_processor_busy() {
    needs!(root);
    needs!(program "bash");
    let port = greeter();
    let hear = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && read -r line <&3 && echo $line");
    let ask = format!("read -r _; ({hear}) 2>/dev/null || echo ended");
    let server = forwarding(&[&format!("127.0.0.1:{port}")])
        .argv(&["/bin/bash", "-c", &format!("exec 2>&1; echo ready; {ask}; {ask}; {ask}")])
        .listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let relay = relay_of(server.pid());
    let open = host::descriptors(relay) as u64;

    // With the one that it has kept for this.
    limit_files(relay, open);
    client = client.send(b"\n");
    assert_eq!(client.line(), "ended");
    limit_files(relay, 476);
    client = client.send(b"\n");
    assert_eq!(client.line(), "hello");

    // With none but up to its channel's: whoever comes waits until there is one.
    limit_files(relay, 5);
    client = client.send(b"\n");
    let before = host::ticks(relay);
    std::thread::sleep(a_second());
    assert!(host::ticks(relay) < before + 20, "it turns round and round");
    limit_files(relay, 476);
    assert_eq!(client.line(), "hello");
}

#[test]
fn a_session_does_not_begin_beside_a_relay_that_is_not_confined() {
    needs!(root);
    needs!(cgroup);
    // The relay is the first to make each of these calls, or alone in making them.
    for (refusal, says) in [
        ("session:seccomp=ENOMEM", "cannot make the relay's process (filter): Cannot allocate memory"),
        ("session:landlock_restrict_self=E2BIG", "cannot make the relay's process (Landlock): Argument list too long"),
        ("session:prlimit64@1:11=EPERM", "cannot set the resource limit pending-signals 64: Operation not permitted"),
        ("session:prctl@0:24=EPERM", "cannot drop a capability for good (CAP_CHOWN): Operation not permitted"),
        ("session:prctl@0:1=EPERM", "cannot give up every right (parent-death signal): Operation not permitted"),
        ("session:dup3=EBUSY", "cannot make the relay's process (channel): Device or resource busy"),
    ] {
        let outcome = forwarding(&["127.0.0.1:1"]).failing(refusal).shell("echo never").run();
        assert_eq!(outcome.stdout, "", "the command ran: {outcome}");
        outcome.says(says).exits(125);
    }
}
