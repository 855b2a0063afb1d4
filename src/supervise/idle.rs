// SPDX-License-Identifier: Apache-2.0
//! Whether a connection has carried nothing for too long, by what the kernel counts of it. Pure: figures and time are
//! handed in. Looks when the limit can be reached at the earliest, and no sooner.

use crate::sys::socket::Traffic;
use std::time::{Duration, Instant};

/// The idle limit of one session.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    /// How many bytes had been carried at the last look.
    carried: (u64, u64),
    /// None were since then.
    since: Instant,
    /// When it is looked at next.
    pub(super) at: Instant,
}

/// What a look has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The limit is reached.
    Over,
    /// It can be reached at this moment at the earliest.
    Again(Instant),
}

impl Idle {
    /// `None` where the limit is beyond what the clock can say.
    pub(super) fn new(limit: Duration, began: Instant) -> Option<Idle> {
        Some(Idle { limit, carried: (0, 0), since: began, at: began.checked_add(limit)? })
    }

    /// Looks at what the connection has carried. A byte that is sent again counts once: a client that is gone, to whom
    /// the kernel sends the same again and again, is idle.
    pub(super) fn look(&mut self, traffic: Traffic, now: Instant) -> Look {
        let carried = (traffic.sent, traffic.received);
        if carried != self.carried {
            self.carried = carried;
            let last = now.checked_sub(traffic.last).unwrap_or(self.since);
            self.since = self.since.max(last);
        }
        self.at = self.since + self.limit;
        if self.at <= now { Look::Over } else { Look::Again(self.at) }
    }

    /// The kernel did not say: a moment later it is asked again.
    pub(super) fn postpone(&mut self, now: Instant) -> Instant {
        self.at = now + Duration::from_secs(1);
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_says_nothing_at_all_is_idle_after_the_limit() {
        let start = Instant::now();
        let mut idle = Idle::new(LIMIT, start).unwrap();
        assert_eq!(idle.at, start + LIMIT);
        let nothing = Traffic { sent: 0, received: 0, last: seconds(60) };
        assert_eq!(idle.look(nothing, start + LIMIT), Look::Over);
    }

    #[test]
    fn the_next_look_is_when_the_limit_can_be_reached() {
        let start = Instant::now();
        let mut idle = Idle::new(LIMIT, start).unwrap();
        let look = idle.look(Traffic { sent: 5, received: 7, last: seconds(20) }, start + LIMIT);
        assert_eq!(look, Look::Again(start + seconds(100)));
        let look = idle.look(Traffic { sent: 5, received: 7, last: seconds(60) }, start + seconds(100));
        assert_eq!(look, Look::Over);
    }

    #[test]
    fn what_is_only_sent_again_does_not_count() {
        let start = Instant::now();
        let mut idle = Idle::new(LIMIT, start).unwrap();
        let sent_again = |last| Traffic { sent: 9, received: 0, last: seconds(last) };
        assert_eq!(idle.look(sent_again(10), start + LIMIT), Look::Again(start + seconds(110)));
        assert_eq!(idle.look(sent_again(1), start + seconds(110)), Look::Over);
    }

    proptest! {
        /// Bytes at these moments, of which each is at least one in the one way or in the other.
        #[test]
        fn it_ends_when_nothing_was_carried_for_the_limit_and_not_before(gaps in vec((1..200_000u64, any::<bool>()), 0..20)) {
            let start = Instant::now();
            let mut moments = vec![start];
            gaps.iter().for_each(|(gap, _)| moments.push(moments[moments.len() - 1] + Duration::from_millis(*gap)));
            let quiet = |pair: &[Instant]| pair[1] > pair[0] + LIMIT;
            let last = moments.windows(2).find(|pair| quiet(pair)).map_or(moments[moments.len() - 1], |pair| pair[0]);
            let mut idle = Idle::new(LIMIT, start).unwrap();
            let mut looks = 0;
            let ended = loop {
                looks += 1;
                let now = idle.at;
                let until = moments.iter().skip(1).take_while(|moment| **moment <= now).count();
                let sent = gaps[..until].iter().filter(|(_, out)| *out).count() as u64;
                let traffic = Traffic { sent, received: until as u64 - sent, last: now - moments[until] };
                if idle.look(traffic, now) == Look::Over {
                    break now;
                }
            };
            prop_assert_eq!(ended, last + LIMIT);
            prop_assert!(looks <= gaps.len() + 1);
        }
    }
}
