// SPDX-License-Identifier: Apache-2.0
//! Dead children that nobody told us of: a launcher that died between making one and saying so leaves one, and dead
//! launchers are children too. They are reaped, or they would stay as zombies as long as we live.
//! Never kills: a child may be somebody's who became this program by exec. What a launcher made ends by its cut cord.

use crate::sys::wait;
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often strays are looked for after a launcher is gone, each time after twice the pause.
const LOOKS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The looking for strays.
#[derive(Debug, Default)]
pub(super) struct Strays {
    looks_left: u32,
    /// What launchers were before they moved: not reaped yet, so the numbers are their own.
    former: BTreeSet<Pid>,
}

impl Strays {
    /// After which pause to try again to look.
    pub(super) const POSTPONED: Duration = FIRST_PAUSE;

    /// A launcher is gone: look for a while, first after this pause.
    pub(super) fn expect(&mut self) -> Duration {
        self.looks_left = LOOKS;
        FIRST_PAUSE
    }

    /// A launcher has moved, and was this process.
    pub(super) fn leave(&mut self, former: Pid) {
        self.former.insert(former);
    }

    /// Reaps what launchers were. At any time: nobody is told of their end, and however busy a service is, who stops
    /// its sessions does not fill the host with zombies.
    pub(super) fn reap_former(&mut self) {
        self.former.retain(|pid| matches!(wait::reap(*pid), Ok(None)));
    }

    /// Reaps every dead child that is not in `known`; says after which pause to look again.
    pub(super) fn look(&mut self, known: &BTreeSet<Pid>) -> Option<Duration> {
        for pid in children().into_iter().filter(|pid| !known.contains(pid) && !self.former.contains(pid)) {
            // A living one stays as it is.
            let _ = wait::reap(pid);
        }
        self.looks_left = self.looks_left.checked_sub(1)?;
        Some(FIRST_PAUSE * 2_u32.pow(LOOKS - self.looks_left))
    }
}

/// The children of this process's one thread: see proc_pid_task_tid_children(5). Without that file
/// (CONFIG_PROC_CHILDREN) there is nothing to be done, and only a zombie to be lost.
fn children() -> BTreeSet<Pid> {
    let text = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect()
}
