// SPDX-License-Identifier: Apache-2.0
//! What is counted of a service: numbers that only grow, for whoever looks. Nothing depends on them, and to count is an
//! addition: no lock, no allocation, no name that a client could choose.

use super::door::NotAccepted;
use super::gate::Turned;
use super::outcome::Outcome;
use super::sources::TooMany;
use std::time::Duration;

/// The numbers of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Clients who were let in.
    pub(super) accepted: u64,
    outcomes: [u64; Outcome::KINDS.len()],
    /// Sessions that did not end as an operator expects of a healthy service.
    pub(super) abnormal: u64,
    refused: [u64; REASONS.len()],
    /// From the request to the launcher until a first process is there.
    pub(super) setup: Histogram,
    /// From a client's arrival until the process that serves it is there, or has its connection.
    pub(super) handover: Histogram,
    /// Calls of commands that the filter has denied, where it tells of them.
    pub(super) denied: u64,
    /// Clients who got a sandbox that waited.
    pub(super) spares_used: u64,
    /// Clients who found none, where there may be some.
    pub(super) spares_missed: u64,
}

/// Why somebody who came was not served.
const REASONS: [&str; 8] = [
    "denied",
    "per-source",
    "rate-per-source",
    "untrusted-proxy",
    "proxy-header",
    "accept-failed",
    "not-handed-over",
    "unfit-connection",
];

impl Counts {
    /// A session is over.
    pub(super) fn ended(&mut self, outcome: Outcome) {
        self.outcomes[outcome.kind()] += 1;
        self.abnormal += u64::from(!outcome.is_normal());
    }

    /// A client was turned away.
    pub(super) fn turned_away(&mut self, turned: Turned) {
        self.refused[match turned {
            Turned::Denied => 0,
            Turned::TooMany(TooMany::AtOnce) => 1,
            Turned::TooMany(TooMany::Lately) => 2,
            Turned::Untrusted => 3,
            Turned::Header(_) => 4,
        }] += 1;
    }

    /// Nobody was accepted although somebody was there.
    pub(super) fn not_accepted(&mut self, why: &NotAccepted) {
        match why {
            NotAccepted::Errno(_) => self.refused[5] += 1,
            NotAccepted::Passed(_) => self.refused[6] += 1,
            NotAccepted::Locked(_) => self.refused[7] += 1,
            // Counted where it was turned away.
            NotAccepted::TurnedAway => {}
        }
    }

    /// How sessions ended, each kind by the word that the log has for it.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::KINDS.into_iter().zip(self.outcomes)
    }

    /// Why clients were not served.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.refused)
    }

    /// Adds what was counted of another service, which this one has succeeded or shares its name with.
    pub(super) fn add(&mut self, other: &Counts) {
        let Counts { accepted, outcomes, abnormal, refused, setup, handover, denied, spares_used, spares_missed } =
            other;
        self.accepted += accepted;
        self.outcomes.iter_mut().zip(outcomes).for_each(|(own, more)| *own += more);
        self.abnormal += abnormal;
        self.refused.iter_mut().zip(refused).for_each(|(own, more)| *own += more);
        self.setup.add(setup);
        self.handover.add(handover);
        self.denied += denied;
        self.spares_used += spares_used;
        self.spares_missed += spares_missed;
    }
}

/// How long something took, in classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// How many lie in each class and in none below it; the last has no bound.
    classes: [u64; BOUNDS_US.len() + 1],
    sum: Duration,
}

/// The upper bounds of the classes in microseconds. A sandbox takes milliseconds.
const BOUNDS_US: [u64; 12] =
    [250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

impl Histogram {
    /// Counts one.
    pub(super) fn observe(&mut self, took: Duration) {
        let class = BOUNDS_US.iter().position(|bound| took <= Duration::from_micros(*bound));
        self.classes[class.unwrap_or(BOUNDS_US.len())] += 1;
        self.sum += took;
    }

    /// The classes by their upper bounds, of which the last has none, and how many lie in each.
    pub(super) fn classes(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_US.iter().map(|bound| Some(Duration::from_micros(*bound)));
        bounds.chain([None]).zip(self.classes)
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// How long they took together.
    pub(super) fn sum(&self) -> Duration {
        self.sum
    }

    /// How long they took on average, where there were any.
    pub(super) fn mean(&self) -> Option<Duration> {
        let count = u32::try_from(self.count()).unwrap_or(u32::MAX);
        self.sum.checked_div(count)
    }

    /// No more than this many of a hundred took longer; without a bound where those lie in the last class.
    pub(super) fn most(&self, of_a_hundred: u64) -> Option<Duration> {
        let allowed = u128::from(self.count()) * u128::from(100 - of_a_hundred) / 100;
        let mut longer = u128::from(self.count());
        let mut bounds = BOUNDS_US.iter().zip(self.classes);
        let bound = bounds.find(|(_, count)| {
            longer -= u128::from(*count);
            longer <= allowed
        });
        bound.filter(|_| self.count() > 0).map(|(bound, _)| Duration::from_micros(*bound))
    }

    fn add(&mut self, other: &Histogram) {
        self.classes.iter_mut().zip(other.classes).for_each(|(own, more)| *own += more);
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_lies_in_one_class_and_the_sum_is_exact() {
        let mut histogram = Histogram::default();
        for micros in [0, 250, 251, 3000, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!(histogram.classes, [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum()), (6, Duration::from_micros(20_003_502)));
        assert_eq!(histogram.mean(), Some(Duration::from_nanos(3_333_917_000)));
    }

    #[test]
    fn the_bound_of_most_is_that_of_their_class() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.mean(), histogram.most(99)), (None, None));
        (0..99).for_each(|_| histogram.observe(Duration::from_millis(2)));
        histogram.observe(Duration::from_secs(60));
        assert_eq!(histogram.most(50), Some(Duration::from_micros(2500)));
        assert_eq!(histogram.most(99), Some(Duration::from_micros(2500)));
        assert_eq!(histogram.most(100), None);
    }

    #[test]
    fn what_another_has_counted_is_added() {
        let mut one = Counts { accepted: 2, ..Counts::default() };
        one.ended(Outcome::Exited(3));
        one.turned_away(Turned::Untrusted);
        one.setup.observe(Duration::from_millis(1));
        let mut both = one.clone();
        both.add(&one);
        assert_eq!((both.accepted, both.abnormal, both.setup.count()), (4, 2, 2));
        assert_eq!(both.outcomes().find(|(kind, _)| *kind == "exited"), Some(("exited", 2)));
        assert_eq!(both.refused().find(|(reason, _)| *reason == "untrusted-proxy"), Some(("untrusted-proxy", 2)));
    }
}
