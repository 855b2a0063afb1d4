// SPDX-License-Identifier: Apache-2.0
//! However a command ends, or does not, what was learnt is written and nothing of it is left.

use super::{is_good, learning, place, text};
use crate::scene::stage::program;
use crate::scene::{arguments, host, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn what_was_left_running_is_ended() {
    let (_room, file) = place();
    let [one, two, three] = [71, 72, 73].map(host::seconds);
    let script = format!(
        "(setsid sleep {one} & setsid sh -c 'setsid sleep {two} & sleep {three}' &) ; cat /etc/hostname; sleep 0.2"
    );
    is_good(&learning(&file, &script).run(), &file);
    assert_eq!(host::processes(&format!("sleep {}", host::seconds(7))), Vec::<u32>::new());
}

#[test]
fn a_command_that_never_ends_is_ended_by_a_signal_and_was_learnt_from() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (room, file) = place();
        let data = room.file("data", "ready\n");
        let asleep = format!("sleep {}", host::seconds(80));
        let script = format!("trap '' INT TERM; cat {}; while :; do {asleep}; done", data.display());
        let mut child = Command::new(program("spawnbox"))
            .args(["learn", "--out"])
            .arg(&file)
            .args(["--", "/bin/sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let begun = Instant::now();
        let outcome = child.wait_with_output().unwrap();
        assert!(begun.elapsed() < patience());
        let said = String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success() && said.contains("not verified"), "{said}");
        assert!(text(&file).contains(&format!("path = \"{}\"", data.display())), "{}", text(&file));
        arguments(&["check", &file.display().to_string()]).run().exits(0);
        assert_eq!(host::processes(&asleep), Vec::<u32>::new());
    }
}

/// The process that learns: the guard's only child.
fn learner(guard: u32) -> u32 {
    let path = format!("/proc/{guard}/task/{guard}/children");
    let children = std::fs::read_to_string(path).expect("it is there");
    children.trim().parse().expect("there is one")
}

#[test]
fn a_command_dies_with_who_learns_however_suddenly() {
    for killed in ["the guard", "the learner"] {
        let (_room, file) = place();
        let [one, two, three, four] = [91, 92, 93, 94].map(host::seconds);
        let script = format!(
            "(setsid sh -c 'setsid sleep {one} & sleep {two}' &); sleep {three} & echo ready; exec sleep {four}"
        );
        let mut child = Command::new(program("spawnbox"))
            .args(["learn", "--out"])
            .arg(&file)
            .args(["--", "/bin/sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let victim = if killed == "the guard" { child.id() } else { learner(child.id()) };
        kill(Pid::from_raw(victim as i32), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        let deadline = Instant::now() + patience();
        let left = || host::processes(&format!("sleep {}", host::seconds(9)));
        while !left().is_empty() {
            assert!(Instant::now() < deadline, "after {killed} was killed: {:?}", left());
            std::thread::yield_now();
        }
    }
}

#[test]
fn how_it_ended_is_compared() {
    let (_room, file) = place();
    learning(&file, "kill -SEGV $$").run().exits(0).says("(killed by SIGSEGV, 0 bytes, no call denied)");
    let (_room, file) = place();
    learning(&file, "exit 7").run().exits(0).says("(exit status 7, 0 bytes, no call denied)");
}
