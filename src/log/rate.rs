// SPDX-License-Identifier: Apache-2.0
//! How often something may be done: so many times at once, then once in so much time. Pure, and allocates nothing.

use std::time::{Duration, Instant};

/// What is left of an allowance that fills up again.
#[derive(Debug)]
pub struct Rate {
    left: u32,
    most: u32,
    /// In how much time there is one more.
    each: Duration,
    /// Up to when that has been counted.
    counted: Instant,
}

impl Rate {
    /// `most` at once, and one more in `each`.
    pub fn new(most: u32, each: Duration, counted: Instant) -> Rate {
        Rate { left: most, most, each, counted }
    }

    /// Whether it may be done once more now; it counts as done.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    /// When it may be done again, where that is not now.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        (self.left == 0).then(|| self.counted + self.each)
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.counted);
        let more = u32::try_from(since.as_nanos() / self.each.as_nanos()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(self.most);
        // What is not a whole one yet stays counted.
        self.counted = if self.left == self.most { now } else { self.counted + self.each * more };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_of_the_next_one_is_neither_early_nor_late() {
        let (start, each) = (Instant::now(), Duration::from_millis(100));
        let mut rate = Rate::new(2, each, start);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(rate.next(start), None);
        assert!(rate.take(at(50)) && rate.take(at(60)));
        let next = rate.next(at(70)).unwrap();
        assert!(next <= at(50) + each && rate.next(next - Duration::from_nanos(1)).is_some(), "{:?}", next - start);
        assert!(rate.next(next).is_none() && rate.take(next) && !rate.take(next));
    }

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
}
