// SPDX-License-Identifier: Apache-2.0
//! Ends what a command left behind. Orphans are ours, since we are their subreaper, see prctl(2).

use crate::sys::{notify, process};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What forks faster than it is killed is given up after so many rounds that found somebody new; the caller says so.
const ROUNDS: u32 = 2000;

/// Who is killed ends when the kernel comes to it, which a busy machine delays, and a file system that does not answer
/// for ever.
const LONGEST: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);

/// Kills every process below us, and takes what is left of them. False where some are left.
pub fn end_all() -> bool {
    let (mut killed, mut rounds, begun) = (BTreeSet::new(), 0, Instant::now());
    while rounds < ROUNDS && begun.elapsed() < LONGEST {
        let below = below(std::process::id());
        if below.is_empty() {
            // Nobody left to reap either.
            while let Ok(Some(_)) = process::reap_any() {}
            return true;
        }
        let before = killed.len();
        for pid in below {
            killed.insert(pid);
            // One that is dead already is no mistake.
            let _ = notify::kill(pid);
        }
        while let Ok(Some(_)) = process::reap_any() {}
        if killed.len() > before {
            rounds += 1;
        } else {
            std::thread::sleep(PAUSE);
        }
    }
    false
}

/// Every process below this one, see proc_pid_task_children(5).
fn below(top: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut open = vec![top];
    while let Some(pid) = open.pop() {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
            for child in children {
                found.push(Pid::from_raw(child as i32));
                open.push(child);
            }
        }
    }
    found
}
