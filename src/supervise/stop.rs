// SPDX-License-Identifier: Apache-2.0
//! All sessions are to end: a few at a time, the oldest first, each of the others as soon as one of them is over. The
//! kernel takes namespaces down one after the other. Thousands that it was given at once would all seem not to die,
//! and nobody who asks the supervisor something would be answered while it kills them.

use super::supervisor::{Phase, Supervisor};
use super::turn::Event;
use super::watch::Timer;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many are killed at once.
const AT_ONCE: usize = 16;
/// How long none of them may end before the loop is left all the same.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    /// The last one that was told to end; so was every one before it.
    last: u64,
    /// Those that were, and are neither over nor known not to die.
    ending: BTreeSet<u64>,
    /// When the loop is left.
    until: Option<Instant>,
}

impl Supervisor {
    /// Ends every session.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.be_patient();
        self.stop_more();
    }

    /// Tells as many to end as there is room for.
    pub(super) fn stop_more(&mut self) {
        let Stopping { last, ending, .. } = &mut self.stopping;
        let room = AT_ONCE.saturating_sub(ending.len());
        for (id, _) in self.sessions.range(last.saturating_add(1)..).take(room) {
            (*last, _) = (*id, ending.insert(*id));
            self.events.push_back((*id, Event::Stop));
        }
    }

    /// A session is over: where all are to end, the next one is told.
    pub(super) fn has_stopped(&mut self, id: u64) {
        if self.phase == Phase::Stopping {
            self.be_patient();
            self.stop_without(id);
        }
    }

    /// The others do not wait for this one.
    pub(super) fn stop_without(&mut self, id: u64) {
        if self.phase == Phase::Stopping {
            self.stopping.ending.remove(&id);
            self.stop_more();
        }
    }

    fn be_patient(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.watch.set(Timer::Patience, self.stopping.until.replace(until), until);
    }
}
