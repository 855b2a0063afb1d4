// SPDX-License-Identifier: Apache-2.0
//! What the kernel counts of thousands of sessions is asked for one by one, and none of them waits for the others.
//!
//! For each directory the kernel lists those below that were running since they were last asked. Whoever is asked is
//! taken out of that list, and looked for from its head, with interrupts off: `css_rstat_updated_list`,
//! kernel/cgroup/rstat.c. When 4000 sessions ended together that was two thirds of the supervisor's time. Who asks the
//! directory itself empties its list at once.

use super::directory::Directory;
use std::cell::Cell;

/// As many are looked for in one list.
const OFTEN: u32 = 32;

/// How often sessions of one directory were asked since that was asked itself.
#[derive(Debug, Default)]
pub(super) struct Sums(Cell<u32>);

impl Sums {
    /// One of them is about to be asked.
    pub(super) fn prepare(&self, directory: &Directory) {
        let asked = self.0.get() % OFTEN;
        if asked == 0 {
            // Its sum is of no use.
            let _ = directory.record("cpu.stat", |_| ());
        }
        self.0.set(asked + 1);
    }
}
