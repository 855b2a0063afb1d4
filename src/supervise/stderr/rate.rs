// SPDX-License-Identifier: Apache-2.0
//! How many lines may be said: some at once, then so many in a time; and how often pipes are looked at. Pure.

use std::time::{Duration, Instant};

/// What is left of an allowance that fills up again.
#[derive(Debug)]
pub(in crate::supervise) struct Rate {
    left: u32,
    most: u32,
    /// In how much time one more may be said.
    each: Duration,
    /// Up to when that has been counted.
    counted: Instant,
}

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

    /// What a session's reaper may tell: twice what it does by itself. More comes from no reaper of ours.
    pub(in crate::supervise) fn of_messages(now: Instant) -> Rate {
        Rate::new(100, Duration::from_millis(500), now)
    }

    /// A service's, of all its sessions.
    pub(in crate::supervise) fn of_service(now: Instant) -> Rate {
        Rate::new(1000, Duration::from_millis(10), now)
    }

    fn new(most: u32, each: Duration, counted: Instant) -> Rate {
        Rate { left: most, most, each, counted }
    }

    /// Whether one more may be said now; it counts as said.
    pub(in crate::supervise) fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.counted);
        let more = u32::try_from(since.as_nanos() / self.each.as_nanos()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(self.most);
        // What is not a whole one yet stays counted.
        self.counted = if self.left == self.most { now } else { self.counted + self.each * more };
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_so_many_in_a_time() {
        let start = Instant::now();
        let mut rate = Rate::new(3, Duration::from_millis(100), start);
        let mut said =
            |millis: u64, asked: u32| (0..asked).filter(|_| rate.take(start + Duration::from_millis(millis))).count();
        for (at, asked, expected) in [
            (0, 10, 3),
            (99, 10, 0),
            (100, 10, 1),
            (150, 10, 0),
            (250, 10, 1),
            (500, 1, 1),
            (500, 10, 2),
            (3_600_000, 10, 3),
            (u64::from(u32::MAX) * 1000, 10, 3),
        ] {
            assert_eq!(said(at, asked), expected, "at {at} ms");
        }
    }

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
