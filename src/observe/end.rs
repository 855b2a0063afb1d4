// SPDX-License-Identifier: Apache-2.0
//! Ends what a command left behind. Orphans are ours, since we are their subreaper, see prctl(2).

use crate::sys::{notify, process};
use nix::unistd::Pid;

/// What forks faster than it is killed is given up after so many rounds; the caller says so.
const ROUNDS: u32 = 2000;

/// Kills every process below us, and takes what is left of them. False where some are left.
pub fn end_all() -> bool {
    for _ in 0..ROUNDS {
        let below = below(std::process::id());
        if below.is_empty() {
            // Nobody left to reap either.
            while let Ok(Some(_)) = process::reap_any() {}
            return true;
        }
        for pid in below {
            // One that is dead already is no mistake.
            let _ = notify::kill(pid);
        }
        while let Ok(Some(_)) = process::reap_any() {}
        std::thread::yield_now();
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
