// SPDX-License-Identifier: Apache-2.0
//! What whoever starts the program leaves it with: descriptors, signals, limits, environment, directory. None of it
//! reaches a session, and none of it keeps the program from serving.

use crate::scene::{Client, Scene, host, patience, scene, stage};
use nix::sys::signal::Signal;

/// Through a shell that does this first.
fn after(script: &str, scene: Scene) -> Scene {
    scene.through(&["sh", "-c", &format!("{script}; exec \"$@\""), "sh"])
}

/// Through a Python that does this first.
fn after_python(script: &str, scene: Scene) -> Scene {
    let script = format!("import os, resource, signal, sys\n{script}\nos.execvp(sys.argv[1], sys.argv[1:])");
    scene.through(&["python3", "-c", &script])
}

fn facts() -> Scene {
    scene("strict").probe("descriptors , ignored , blocked , umask , directory , environment , limits")
}

/// What a session of an ordinary start finds.
fn ordinary() -> String {
    facts().listen().connect().rest()
}

#[test]
fn closed_standard_descriptors_become_no_clients() {
    let server = after("exec <&- 2>&-", facts()).listen();
    let expected = ordinary();
    // One after the other, so that whoever writes to a wrong descriptor writes to a client.
    for _ in 0..5 {
        assert_eq!(server.connect().rest(), expected);
    }
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_thousand_leaked_descriptors_reach_no_session_and_leave_room_for_many() {
    needs!(program "python3");
    let leak = "resource.setrlimit(resource.RLIMIT_NOFILE, (1150, 1150))\n\
                for _ in range(1000): os.set_inheritable(os.open('/dev/null', os.O_RDONLY), True)";
    let server = after_python(leak, scene("strict").probe("line , descriptors")).listen();
    let waiting: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    for client in waiting {
        assert_eq!(client.send(b"x\n").rest(), "line: x\ndescriptors: 0 1 2\n");
    }
    let log = server.log();
    assert!(!log.contains("Too many open files"), "more were accepted than there is room for:\n{log}");
}

#[test]
fn signals_that_are_blocked_and_ignored_stop_neither_the_program_nor_reach_a_session() {
    needs!(program "python3");
    let deaf = "every = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}\n\
                for one in every:\n  signal.signal(one, signal.SIG_IGN)\n\
                signal.pthread_sigmask(signal.SIG_BLOCK, every)";
    let server = after_python(deaf, facts()).listen();
    assert_eq!(server.connect().rest(), ordinary());
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let halted = after_python(deaf, scene("strict").set("limits.time=\"1s\"").probe("ignore , wait")).listen();
    assert_eq!(halted.connect().rest(), "");
    halted.logs("outcome=time-limit");
}

#[test]
fn an_open_umask_and_a_lost_directory_change_nothing() {
    let room = stage::room();
    let lost = format!("umask 0; mkdir {0}; cd {0}; rmdir {0}", room.path("lost").display());
    assert_eq!(after(&lost, facts()).listen().connect().rest(), ordinary());
    let socket = format!("unix:{}", room.path("socket").display());
    let server = after("umask 0", facts()).listen_on(&socket);
    assert_eq!(server.connect().rest(), ordinary());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(room.path("socket")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_dynamic_loaders_variables_reach_no_session() {
    let strange = [
        ("LD_PRELOAD", "/nowhere/evil.so"),
        ("LD_LIBRARY_PATH", "/tmp"),
        ("LD_AUDIT", "/nowhere/audit.so"),
        ("GLIBC_TUNABLES", "glibc.malloc.perturb=1"),
        ("MALLOC_PERTURB_", "1"),
        ("TZ", "../../etc/passwd"),
        ("RUST_LOG", "trace"),
        ("PATH", "/nowhere"),
    ];
    let scene = strange.iter().fold(facts(), |scene, (name, value)| scene.variable(name, value));
    assert_eq!(scene.listen().connect().rest(), ordinary());
}

#[test]
fn a_log_that_may_not_grow_costs_lines_and_no_session() {
    needs!(program "prlimit");
    let room = stage::room();
    let log = room.file("log", "");
    let limited = format!("exec 2>>{}; ulimit -f 0", log.display());
    let server = after(&limited, scene("strict").set("limits.file-size=0").probe("say hello")).listen();
    for _ in 0..3 {
        assert_eq!(server.connect().rest(), "hello\n");
    }
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0), "ended by a signal for what it could not write");
    assert_eq!(std::fs::metadata(log).expect("it is there").len(), 0);
}

#[test]
fn a_log_that_takes_nothing_costs_no_session() {
    let server = after("exec 2>/dev/full", scene("strict").probe("say hello")).listen();
    assert_eq!(server.connect().rest(), "hello\n");
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_mistake_that_nobody_can_be_told_of_is_a_status() {
    let mistaken = after("exec 2>/dev/full", scene("strict").set("nonsense=1").probe("say hello"));
    assert_eq!(mistaken.listen_refused().status.code(), Some(2));
}

#[test]
fn a_supervisor_that_was_stopped_goes_on_where_it_was() {
    let server = scene("strict").set("limits.time=\"2s\"").probe("say ready , line").listen();
    let mut slow = server.connect();
    assert_eq!(slow.line(), "ready");
    server.signal(Signal::SIGSTOP);
    let early = server.connect();
    let stopped = std::time::Instant::now();
    host::eventually("the first one is past its limit", patience(), || {
        stopped.elapsed() > std::time::Duration::from_millis(2100)
    });
    server.signal(Signal::SIGCONT);
    assert_eq!(early.send(b"x\n").rest(), "ready\nline: x\n");
    assert_eq!(slow.rest(), "");
    server.logs("outcome=time-limit");
}

#[test]
fn a_launcher_that_was_stopped_for_a_while_costs_no_session() {
    needs!(root);
    let server = scene("strict").probe("say hello").listen();
    let launcher = nix::unistd::Pid::from_raw(host::children(server.pid())[0] as i32);
    nix::sys::signal::kill(launcher, Signal::SIGSTOP).expect("root may");
    let waiting: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    nix::sys::signal::kill(launcher, Signal::SIGCONT).expect("root may");
    for client in waiting {
        assert_eq!(client.rest(), "hello\n");
    }
    assert!(host::children(server.pid()).contains(&(launcher.as_raw() as u32)), "another launcher took its place");
}

#[test]
fn numbers_of_processes_that_come_round_kill_nobody_else() {
    needs!(root);
    needs!(kernel 6, 14);
    let small = "echo 320 >/proc/sys/kernel/pid_max";
    let apart = scene("strict").through(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    let server = after(small, apart.probe("line , pid")).listen();
    let mut held: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    // Three processes each, so that the numbers come round many times.
    for _ in 0..200 {
        assert_eq!(server.connect().send(b"x\n").rest(), "line: x\npid: 2 parent 1\n");
    }
    for client in held.drain(..) {
        assert_eq!(client.send(b"held\n").rest(), "line: held\npid: 2 parent 1\n");
    }
    let log = server.log();
    assert!(!log.contains("error: ") && !log.contains("panic: "), "{log}");
}
