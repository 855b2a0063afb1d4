// SPDX-License-Identifier: Apache-2.0
//! The supervisor's own limit on open files: raised as far as the host allows, for many sessions at once.
//! A launcher gets the old one back, since its children inherit it: nothing of ours may leak into a session.

use super::admit::BEHIND;
use super::farewell;
use crate::plan::Plan;
use crate::plan::model::{Ids, StandardError};
use crate::sandbox::HostError;
use nix::sys::resource::{RLIM_INFINITY, Resource as Number, getrlimit};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors that are not a session's.
const OWN: u64 = 64;
/// Descriptors of a session: its cord and the pidfd of its first process.
const SESSION: u64 = 2;
/// And of one that waits for its launcher: the connection, and what the launcher is to have, far end and cgroup.
const BEGINNING: u64 = 3;

/// The limit as it was and as it is.
#[derive(Debug, Clone)]
pub(super) struct OpenFiles {
    before: Rlimit,
    now: Option<u64>,
    /// Descriptors that are open already: ours so far, and what whoever started us has left open.
    taken: u64,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one.
    pub(super) fn raise() -> Result<OpenFiles, HostError> {
        // rustix takes a filter's refusal of this for a bug.
        let (soft, hard) = getrlimit(Number::RLIMIT_NOFILE)
            .map_err(|errno| HostError::new("read the own limit on open files", errno))?;
        let value = |limit| (limit != RLIM_INFINITY).then_some(limit);
        let before = Rlimit { current: value(soft), maximum: value(hard) };
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        // Refused only by a filter; then fewer sessions fit.
        let now = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => before.maximum,
            Err(_) => before.current,
        };
        // Without /proc nothing is known of them, and accept(2) says when there is no more room.
        let taken = std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64);
        Ok(OpenFiles { before, now, taken })
    }

    /// The limit that we were started with, and a launcher gets.
    pub(super) fn before(&self) -> Rlimit {
        self.before
    }

    /// Keeps so many for others than sessions.
    pub(super) fn keep(&mut self, count: usize) {
        self.taken += count as u64;
    }

    /// How many sessions fit.
    pub(super) fn sessions(&self, plan: &Plan) -> usize {
        let refused = if plan.clients.busy.is_empty() { 0 } else { farewell::MOST as u64 };
        let fit = self.now.map_or(u64::MAX, |files| fit(files.saturating_sub(OWN + refused + self.taken), each(plan)));
        usize::try_from(fit).unwrap_or(usize::MAX).max(1)
    }
}

/// Descriptors of a session that has begun.
fn each(plan: &Plan) -> u64 {
    let connection = u64::from(plan.hold);
    let claim = match plan.identity.ids {
        Ids::One { .. } => 0,
        Ids::Each { .. } => 1,
    };
    let stderr = match plan.stderr {
        StandardError::Connection | StandardError::None => 0,
        StandardError::Log => 1,
    };
    SESSION + connection + claim + stderr
}

/// How many sessions have room in so many descriptors. All may be beginning at once where they are few; of many, no
/// more than an admission allows.
fn fit(room: u64, each: u64) -> u64 {
    let few = room / (each + BEGINNING);
    few.min(BEHIND as u64).max(room.saturating_sub(BEHIND as u64 * BEGINNING) / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sessions_may_all_begin_at_once_and_of_many_a_part() {
        for (room, expected) in [(0, 0), (4, 0), (10, 2), (320, 64), (330, 69), (20_000, 9904)] {
            assert_eq!(fit(room, SESSION), expected, "{room}");
        }
    }
}
