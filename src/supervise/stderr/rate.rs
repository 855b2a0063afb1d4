// SPDX-License-Identifier: Apache-2.0
//! How many lines may be said, and how often pipes are looked at. Pure.

use crate::log::Rate;
use std::time::{Duration, Instant};

/// How long a pipe is left alone after a look. Its lines come that much later, and whoever fills it waits that long.
const PAUSE: Duration = Duration::from_millis(20);
/// How far apart the looks at all pipes are, so that no number of commands keeps the loop busy by writing.
const APART: Duration = Duration::from_millis(1);

/// When pipes are looked at again.
#[derive(Debug)]
pub(in crate::supervise) struct Pace {
    free: Instant,
}

impl Pace {
    /// No look is due yet.
    pub(in crate::supervise) fn new(now: Instant) -> Pace {
        Pace { free: now }
    }

    /// The moment for the next look at a pipe that has been looked at now.
    pub(in crate::supervise) fn next(&mut self, now: Instant) -> Instant {
        let at = (now + PAUSE).max(self.free);
        self.free = at + APART;
        at
    }
}

impl Rate {
    /// A session's: a traceback comes in whole; from then on ten lines a second.
    pub(super) fn of_session(now: Instant) -> Rate {
        Rate::new(100, Duration::from_millis(100), now)
    }

    /// A session's, of lines about what is denied to it.
    pub(in crate::supervise) fn of_denials(now: Instant) -> Rate {
        Rate::new(20, Duration::from_secs(1), now)
    }

    /// A session's, of lines about calls that end their process.
    pub(in crate::supervise) fn of_deaths(now: Instant) -> Rate {
        Rate::new(10, Duration::from_secs(2), now)
    }

    /// A service's, of all its sessions.
    pub(in crate::supervise) fn of_service(now: Instant) -> Rate {
        Rate::new(1000, Duration::from_millis(10), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_many_pipes_are_apart() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut after = |millis: u64| (pace.next(start + Duration::from_millis(millis)) - start).as_millis();
        assert_eq!([0, 0, 0, 30].map(&mut after), [20, 21, 22, 50]);
        let last = (0..1000).map(|_| after(100)).last();
        assert_eq!(last, Some(120 + 999));
    }
}
