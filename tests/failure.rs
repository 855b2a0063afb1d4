// SPDX-License-Identifier: Apache-2.0
//! Each step of the child, made to fail: the connection is closed, and the operator reads which step it was, of what,
//! and why. The kernel really refuses: by a filter that the whole program was started under, or by a real condition.

use crate::scene::{Scene, scene, stage};
use spawnbox::plan::Step;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a step is made to fail.
enum Way {
    /// This scene does, and the operator reads this.
    Fails(Box<Scene>, &'static str),
    /// It has a test of its own below.
    Apart,
    /// Nothing can make it fail, for this reason.
    Cannot(&'static str),
}

impl Way {
    fn fails(scene: Scene, sentence: &'static str) -> Way {
        Way::Fails(Box::new(scene), sentence)
    }
}

#[test]
fn every_step_that_fails_is_named_with_its_reason() {
    needs!(root);
    let failed: Vec<&str> = Step::ALL
        .iter()
        .filter(|step| catch_unwind(AssertUnwindSafe(|| fails(**step))).is_err())
        .map(|step| step.name())
        .collect();
    assert!(failed.is_empty(), "failed without the sentence: {}", failed.join(", "));
}

fn fails(step: Step) {
    match way(step) {
        Way::Fails(scene, sentence) => {
            let outcome = scene.shell("echo never").run();
            assert_eq!(outcome.stdout, "", "the command ran: {outcome}");
            outcome.says(sentence).exits(125);
        }
        Way::Apart => {}
        Way::Cannot(reason) => assert!(!reason.is_empty()),
    }
}

/// No wildcard: a new step does not compile without its failure.
fn way(step: Step) -> Way {
    let strict = || scene("strict");
    match step {
        Step::Clone => Way::Apart,
        Step::Keyring => {
            Way::fails(strict().failing("keyctl=EDQUOT"), "cannot join an empty session keyring: Disk quota exceeded")
        }
        Step::Loopback => Way::fails(
            strict().set("network.mode=loopback").failing("ioctl@1:0x8914=EPERM"),
            "cannot bring loopback up: Operation not permitted",
        ),
        Step::Scratch => Way::fails(
            strict().failing("mount@3:14=ENOMEM"),
            "cannot mount the scratch file system /tmp: Cannot allocate memory",
        ),
        Step::Proc => Way::fails(
            strict().set("files.proc=subset").failing("mount@3:15=EPERM"),
            "cannot mount /proc: Operation not permitted",
        ),
        Step::PidLimits => Way::fails(
            strict().set("isolation.unique-pid=true").failing("readlinkat=EACCES"),
            "cannot limit the PID namespace (kernel.ns_last_pid): Permission denied",
        ),
        Step::Directory => Way::Apart,
        Step::Umask => Way::Cannot("umask(2) always succeeds, whatever its argument is"),
        Step::Identity => Way::fails(
            strict().failing("setresgid=EAGAIN"),
            "cannot take on the command's identity (setresgid 65534): Resource temporarily unavailable",
        ),
        Step::UserNamespace => Way::Apart,
        Step::Limits => Way::fails(
            strict().failing("prlimit64@1:11=EPERM"),
            "cannot set the resource limit pending-signals 64: Operation not permitted",
        ),
        Step::BoundingSet => Way::fails(
            strict().failing("prctl@0:24=EPERM"),
            "cannot drop a capability for good (CAP_CHOWN): Operation not permitted",
        ),
        Step::Securebits => Way::fails(
            strict().failing("prctl@0:28@1:239=EPERM"),
            "cannot lock the securebits: Operation not permitted",
        ),
        Step::Rights => Way::fails(
            strict().failing("setresuid@2:65534=EAGAIN"),
            "cannot give up every right (setresuid): Resource temporarily unavailable",
        ),
        Step::NoNewPrivileges => {
            Way::fails(strict().failing("prctl@0:38=EINVAL"), "cannot set no_new_privs: Invalid argument")
        }
        Step::WriteExecute => Way::fails(
            strict().failing("prctl@0:65=EPERM"),
            "cannot deny memory that is writable and executable: Operation not permitted",
        ),
        Step::Landlock => Way::fails(
            strict().failing("landlock_restrict_self=E2BIG"),
            "cannot enforce the Landlock ruleset: Argument list too long",
        ),
        // The limit is set before, and the cord's own number is past it.
        Step::CloseFds => Way::fails(
            strict().set("limits.open-files=3"),
            "cannot close every other descriptor (cord): Bad file descriptor",
        ),
        Step::Fork => Way::fails(
            strict().failing("clone@0:17=EAGAIN"),
            "cannot make the command's process (clone): Resource temporarily unavailable",
        ),
        Step::Session => {
            Way::Cannot("setsid(2) refuses the leader of a process group only, and a process just made leads none")
        }
        Step::Signals => Way::fails(
            strict().failing("rt_sigaction@0:64=EINVAL"),
            "cannot set the signal dispositions (signal 64): Invalid argument",
        ),
        Step::Handover => Way::Apart,
        // The connection finds no free number, so it does not arrive; see unix(7) on MSG_CTRUNC.
        Step::Stdio => Way::fails(
            strict().set("limits.open-files=4"),
            "cannot attach the connection to standard input, output and error (descriptor 0): Bad file descriptor",
        ),
        Step::Seccomp => Way::fails(
            strict().failing("seccomp@0:1=ENOMEM"),
            "cannot enforce the system call filter (filter 1): Cannot allocate memory",
        ),
        Step::Exec => Way::Apart,
    }
}

#[test]
fn a_sandbox_that_cannot_be_made_is_refused_at_start() {
    needs!(root);
    scene("strict")
        .failing("clone3=EPERM")
        .shell("echo never")
        .listen_refused()
        .says("Operation not permitted")
        .exits(1);
}

#[test]
fn a_user_namespace_that_cannot_be_made_is_refused_at_start() {
    needs!(root);
    let refused = scene("strict").failing("unshare@0:0x10000000=ENOSPC").shell("echo never").listen_refused();
    refused.says("user namespace").says("No space left on device");
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

#[test]
fn a_command_that_went_away_is_named() {
    let room = stage::room();
    let program = room.path("program");
    std::fs::copy("/bin/true", &program).expect("the stage can be written");
    let shown = format!("files.execute=[\"{}\"]", room.whole().display());
    let server = scene("strict").set(&shown).argv(&[&program.display().to_string()]).listen();
    std::fs::remove_file(&program).expect("the stage can be changed");
    assert_eq!(server.connect().rest(), "");
    server.logs(&format!("cannot execute the command {}: No such file or directory", program.display()));
}

#[test]
fn a_launcher_that_cannot_receive_is_named_and_the_service_goes_on() {
    needs!(root);
    // Launcher and child receive by the same call on the same number, so the launcher is the first to fail.
    let refused = scene("strict").failing("recvmsg=ENOMEM").shell("echo never").listen_refused();
    refused.says("launcher").never_says("panicked");
}
