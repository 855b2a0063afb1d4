// SPDX-License-Identifier: Apache-2.0
//! Each step of the child, made to fail: the connection is closed, and the operator reads which step it was, of what,
//! and why. The kernel really refuses: by a filter that the whole program was started under, or by a real condition.

use crate::scene::{Scene, scene, stage};
use spawnbox::plan::Step;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a step is made to fail.
enum Way {
    /// The session's own call is refused in this scene, and the operator reads this after "cannot ".
    Fails(Box<Scene>, &'static str),
    /// Nothing can make it fail, for this reason.
    Cannot(&'static str),
}

#[test]
fn every_step_that_fails_is_named_with_its_reason() {
    needs!(root);
    needs!(cgroup);
    let failed: Vec<&str> = Step::ALL
        .iter()
        .filter(|step| catch_unwind(AssertUnwindSafe(|| fails(**step))).is_err())
        .map(|step| step.name())
        .collect();
    assert!(failed.is_empty(), "failed without the sentence: {}", failed.join(", "));
}

fn fails(step: Step) {
    if step == Step::WriteExecute {
        needs!(kernel 6, 3);
    }
    if step == Step::Domain {
        needs!(landlock 6);
    }
    match way(step) {
        Way::Fails(scene, sentence) => {
            let outcome = scene.shell("echo never").run();
            assert_eq!(outcome.stdout, "", "the command ran: {outcome}");
            let code = if step == Step::Exec { 126 } else { 125 };
            outcome.says(&format!(": cannot {sentence}\n")).exits(code);
        }
        Way::Cannot(reason) => {
            assert!(!reason.is_empty());
            scene("strict").failing("session:umask=EPERM").shell("echo goes on").run().stdout("goes on\n");
        }
    }
}

/// No wildcard: a new step does not compile without its failure.
fn way(step: Step) -> Way {
    let (refused, sentence) = match step {
        Step::Clone => ("session:clone3=EAGAIN", "make the sandbox's first process: Resource temporarily unavailable"),
        Step::Keyring => ("session:keyctl=EDQUOT", "join an empty session keyring: Disk quota exceeded"),
        Step::Loopback => ("session:ioctl@1:0x8914=EPERM", "bring loopback up: Operation not permitted"),
        Step::Scratch => ("session:mount@3:14=ENOMEM", "mount the scratch file system /tmp: Cannot allocate memory"),
        Step::Proc => ("session:mount@3:15=EPERM", "mount /proc: Operation not permitted"),
        Step::PidLimits => {
            ("session:readlinkat=EACCES", "limit the PID namespace (kernel.ns_last_pid): Permission denied")
        }
        Step::Directory => ("session:chdir=EACCES", "enter the working directory /: Permission denied"),
        Step::Umask => return Way::Cannot("umask(2) always succeeds, so its result is not even looked at"),
        Step::Identity => {
            let sentence = "take on the command's identity (setresgid 65534): Resource temporarily unavailable";
            ("session:setresgid=EAGAIN", sentence)
        }
        Step::UserNamespace => ("session:unshare=ENOSPC", "enter a user namespace (unshare): No space left on device"),
        Step::Relay => ("session:socketpair=EMFILE", "make the relay's process (socketpair): Too many open files"),
        Step::Network => {
            let sentence =
                "enter a network namespace of its own with the forwarded peers (unshare): No space left on device";
            ("session:unshare@0:0x40000000=ENOSPC", sentence)
        }
        Step::Limits => {
            ("session:prlimit64@1:11=EPERM", "set the resource limit pending-signals 64: Operation not permitted")
        }
        Step::BoundingSet => {
            ("session:prctl@0:24=EPERM", "drop a capability for good (CAP_CHOWN): Operation not permitted")
        }
        Step::Securebits => ("session:prctl@0:28@1:239=EPERM", "lock the securebits: Operation not permitted"),
        Step::Rights => ("session:capset=EPERM", "give up every right (capset): Operation not permitted"),
        Step::NoNewPrivileges => ("session:prctl@0:38=EINVAL", "set no_new_privs: Invalid argument"),
        Step::WriteExecute => {
            ("session:prctl@0:65=EPERM", "deny memory that is writable and executable: Operation not permitted")
        }
        Step::Landlock => {
            ("session:landlock_restrict_self=E2BIG", "enforce the Landlock ruleset: Argument list too long")
        }
        Step::CloseFds => {
            ("session:close_range=EMFILE", "close every other descriptor (close_range): Too many open files")
        }
        Step::Fork => ("session:clone=EAGAIN", "make the command's process (clone): Resource temporarily unavailable"),
        Step::Domain => (
            "command:landlock_restrict_self=E2BIG",
            "enter a Landlock domain inside the reaper's: Argument list too long",
        ),
        Step::Session => ("session:setsid=EPERM", "start a new session: Operation not permitted"),
        Step::Signals => {
            ("session:rt_sigaction@0:13=EINVAL", "set the signal dispositions (SIGPIPE): Invalid argument")
        }
        Step::Handover => ("session:recvmsg=ENOMEM", "receive the connection (recvmsg): Cannot allocate memory"),
        Step::Exchange => {
            ("session:getsockopt=ENOBUFS", "give the connection to the relay (domain): No buffer space available")
        }
        Step::Stdio => {
            let sentence =
                "attach the connection to standard input, output and error (descriptor 0): Device or resource busy";
            ("session:dup2=EBUSY", sentence)
        }
        Step::Seccomp => {
            ("command:seccomp=ENOMEM", "enforce the system call filter (filter 1): Cannot allocate memory")
        }
        Step::Exec => ("session:execve=EACCES", "execute the command /bin/sh: Permission denied"),
    };
    let every = scene("strict").set("network.mode=loopback").set("files.proc=subset").set("isolation.unique-pid=true");
    let every = match step {
        Step::Relay | Step::Network | Step::Exchange => {
            // Which excludes the one that is set above.
            let every = every.set("isolation.unique-pid=false").set("network.forward=[\"127.0.0.1:25\"]");
            every.set("syscalls.allow=[\"network-client\"]")
        }
        Step::Domain => scene("strict").set("isolation.level=landlock-only"),
        _ => every,
    };
    Way::Fails(Box::new(every.failing(refused)), sentence)
}

#[test]
fn a_failure_costs_its_own_session_and_is_logged_with_its_step() {
    let room = stage::room();
    let program = room.path("program");
    std::fs::copy("/bin/echo", &program).expect("the stage can be written");
    let shown = format!("files.execute=[\"{}\"]", room.whole().display());
    let server = scene("strict").set(&shown).argv(&[&program.display().to_string(), "hello"]).listen();
    std::fs::rename(&program, room.path("away")).expect("the stage can be changed");
    assert_eq!(server.connect().rest(), "");
    let line = server.logs("outcome=setup-failed step=Exec");
    assert!(
        line.ends_with(&format!("cannot execute the command {}: No such file or directory", program.display())),
        "{line}"
    );
    std::fs::rename(room.path("away"), &program).expect("the stage can be changed");
    assert_eq!(server.connect().rest(), "hello\n");
}

#[test]
fn a_sandbox_that_cannot_be_made_is_refused_at_start() {
    needs!(root);
    let refused = |refusal: &str| scene("strict").failing(refusal).shell("echo never").listen_refused();
    refused("unshare@0:0x10000000=ENOSPC").says("the user namespace cannot be made: No space left on device").exits(2);
    refused("landlock_create_ruleset=ENOSYS").says("this kernel has no Landlock").exits(2);
    refused("seccomp=EINVAL").says("system call filters cannot be used: Invalid argument").exits(2);
    // No other process of ours sets that one.
    refused("rt_sigaction@0:64=EINVAL")
        .says("cannot set signal 64 to its default for sessions: Invalid argument")
        .exits(1);
}

#[test]
fn a_step_that_is_taken_once_for_all_sessions_is_refused_at_start() {
    needs!(root);
    let refused = scene("compatible").failing("prctl@0:24@1:7=EPERM").shell("echo never").listen_refused();
    refused.says("cannot drop a capability for good: Operation not permitted").exits(1);
}

#[test]
fn the_self_test_finds_what_would_fail_every_session() {
    needs!(root);
    needs!(cgroup);
    let refused = scene("strict").failing("session:capset=EPERM").shell("echo never").listen_refused();
    refused.says("cannot give up every right (capset): Operation not permitted").exits(1);
}

#[test]
fn a_cgroup_that_stays_behind_does_not_cost_the_commands_status() {
    needs!(root);
    needs!(cgroup);
    // Only the supervisor's own directory is removed by this call; a later start sweeps it.
    let outcome = scene("strict").failing("rmdir=EBUSY").shell("exit 7").run();
    outcome.says("warning: cannot remove cgroup ").says(": Device or resource busy").exits(7);
}

#[test]
fn a_limit_too_small_for_the_sandbox_itself_is_refused() {
    let small = scene("strict").set("limits.open-files=7").shell("echo never").run().exits(2);
    small.says("impossible value of `open-files`").says("must be at least 8: three for the connection");
    let least = scene("strict").set("limits.open-files=8").probe("descriptors").run();
    assert_eq!(least.exits(0).answer("descriptors"), "0 1 2");
}

#[test]
fn a_working_directory_that_went_away_is_named() {
    let room = stage::room();
    let gone = room.directory("gone");
    let shown = format!("files.read=[\"{}\"]", room.whole().display());
    let inside = format!("command.directory={}", gone.display());
    let server = scene("strict").set(&shown).set(&inside).shell("echo never").listen();
    std::fs::remove_dir(&gone).expect("the stage can be changed");
    assert_eq!(server.connect().rest(), "");
    server.logs(&format!("cannot enter the working directory {}: No such file or directory", gone.display()));
}
