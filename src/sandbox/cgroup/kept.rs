// SPDX-License-Identifier: Apache-2.0
//! Control groups of sessions that are over, kept for later ones: to make one and to remove it costs calls on kernfs
//! for each session. One is kept only where all of these are so:
//!
//! * Its plan says that nothing can be left in it ([`crate::plan::Plan::keeps_cgroups`]): no limit was written, the
//!   session has ended with its PID namespace, and its user may write nothing here.
//! * The first process was ours to reap and has ended by itself. One that was killed may have been killed with the
//!   group.
//! * The kernel counts no process in it and has not frozen it, and nobody has asked for it to be killed: whatever is
//!   cloned into one that was, is killed at birth (Linux 6.14 and later, `cgroup_post_fork` in kernel/cgroup/cgroup.c).
//! * No controller counts in it, which would have what an earlier session charged.
//!
//! Then there is nothing that could remember, but the processor time of all who were in it, which is told for each
//! session by itself. A name is the number of the session that it was made for.

use super::directory::Directory;
use rustix::fs::AtFlags;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

/// The most that are kept.
const MOST: usize = 32;
/// One that has not been needed for so many sessions is removed.
const LATELY: u64 = 1024;

/// One that nobody is in.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) name: String,
    /// The processor time of all who were in it.
    pub(super) used: Duration,
}

/// Those of one directory, each with the number of sessions that there had been when it was put here; the one last used
/// is last.
#[derive(Debug, Default)]
pub(super) struct Store(RefCell<Within>);

#[derive(Debug, Default)]
struct Within {
    kept: VecDeque<(u64, Kept)>,
    sessions: u64,
}

impl Store {
    /// Takes the one last used. A session is beginning, so one that has not been needed for long is removed.
    pub(super) fn take(&self, directory: &Directory) -> Option<Kept> {
        let mut within = self.0.borrow_mut();
        within.sessions += 1;
        let sessions = within.sessions;
        if within.kept.front().is_some_and(|(last, _)| sessions - last > LATELY) {
            within.kept.pop_front().into_iter().for_each(|(_, kept)| kept.remove(directory));
        }
        within.kept.pop_back().map(|(_, kept)| kept)
    }

    /// Keeps one, if there is room.
    pub(super) fn keep(&self, kept: Kept) -> bool {
        let mut within = self.0.borrow_mut();
        let room = within.kept.len() < MOST;
        if room {
            let sessions = within.sessions;
            within.kept.push_back((sessions, kept));
        }
        room
    }

    /// Removes all.
    pub(super) fn clear(&self, directory: &Directory) {
        let kept = std::mem::take(&mut self.0.borrow_mut().kept);
        kept.into_iter().for_each(|(_, kept)| kept.remove(directory));
    }
}

impl Kept {
    fn remove(self, directory: &Directory) {
        // What stays is swept by the next start.
        let _ = rustix::fs::unlinkat(&directory.fd, &self.name, AtFlags::REMOVEDIR);
    }
}
