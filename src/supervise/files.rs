// SPDX-License-Identifier: Apache-2.0
//! The supervisor's own limit on open files: raised as far as the host allows, for many sessions at once.
//! A launcher gets the old one back, since its children inherit it: nothing of ours may leak into a session.

use super::farewell;
use crate::plan::Plan;
use crate::plan::model::StandardError;
use crate::sandbox::HostError;
use nix::sys::resource::{RLIM_INFINITY, Resource as Number, getrlimit};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors that are not a session's.
const OWN: u64 = 64;
/// Descriptors of a session at most: connection, cord, far end, pidfd, cgroup, claim of a user id.
const SESSION: u64 = 6;
/// And the pipe of its standard error, where that goes to the log.
const STDERR: u64 = 1;

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

    /// How many sessions fit.
    pub(super) fn sessions(&self, plan: &Plan) -> usize {
        let refused = if plan.clients.busy.is_empty() { 0 } else { farewell::MOST as u64 };
        let each = match plan.stderr {
            StandardError::Connection | StandardError::None => SESSION,
            StandardError::Log => SESSION + STDERR,
        };
        let fit = self.now.map_or(u64::MAX, |files| files.saturating_sub(OWN + refused + self.taken) / each);
        usize::try_from(fit).unwrap_or(usize::MAX).max(1)
    }
}
