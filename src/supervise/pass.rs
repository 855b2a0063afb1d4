// SPDX-License-Identifier: Apache-2.0
//! Clients that others hand over: each daemon that does so has a session's place from its first byte on, so that there
//! is one when its client comes.

use super::client::Client;
use super::door::{Door, NotAccepted};
use super::passer::{PassError, Passer};
use super::supervisor::Supervisor;
use super::watch::{Timer, Token};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// Those who are handing a client over.
#[derive(Debug, Default)]
pub(super) struct Passing {
    passers: BTreeMap<u64, Guest>,
    next: u64,
}

/// One of them.
#[derive(Debug)]
struct Guest {
    service: usize,
    passer: Passer,
    /// When it is looked at, whatever it does.
    at: Instant,
}

impl Passing {
    /// Whether nobody is.
    pub(super) fn is_empty(&self) -> bool {
        self.passers.is_empty()
    }
}

impl Supervisor {
    /// Somebody has come who will hand a client over. An id of the session's own is claimed when the client comes, not
    /// here: daemons of which none ever hands over would keep a range that is shared from everybody. The plan sees to
    /// it that a range has an id for each of a service's sessions, so only where other services or supervisors have the
    /// rest can a client come for whom none is left: it is refused with a line that says so.
    pub(super) fn expect_client(&mut self, number: usize, passer: Passer, door: &mut dyn Door) {
        let id = self.passing.next;
        if let Err(errno) = self.watch.add(&passer, Token::Passer(id)) {
            return self.not_accepted(number, &NotAccepted::Errno(errno), door);
        }
        let Some(service) = self.services.get_mut(number) else { return };
        service.admission.begin();
        self.passing.next += 1;
        let at = passer.deadline();
        self.watch.set(Timer::Passer(id), None, at);
        self.watch.cancel(Timer::Idle, self.idle_at.take());
        self.passing.passers.insert(id, Guest { service: number, passer, at });
    }

    /// Something has come of one of them.
    pub(super) fn hear_passer(&mut self, id: u64, door: &mut dyn Door) {
        let Some(guest) = self.passing.passers.get_mut(&id) else { return };
        match guest.passer.hear() {
            Ok(None) => {
                let at = guest.passer.deadline();
                self.watch.set(Timer::Passer(id), Some(guest.at), at);
                guest.at = at;
            }
            Ok(Some(client)) => self.passed(id, Ok(client), door),
            Err(why) => self.passed(id, Err(why), door),
        }
    }

    /// One of them has taken too long.
    pub(super) fn lose_passer(&mut self, id: u64, door: &mut dyn Door) {
        if let Some(guest) = self.passing.passers.get(&id) {
            let why = guest.passer.is_late();
            self.passed(id, Err(why), door);
        }
    }

    /// Its place is its client's, or another's.
    fn passed(&mut self, id: u64, came: Result<OwnedFd, PassError>, door: &mut dyn Door) {
        let Some(Guest { service: number, passer, at }) = self.passing.passers.remove(&id) else { return };
        self.watch.remove(&passer);
        self.watch.cancel(Timer::Passer(id), Some(at));
        if let Some(service) = self.services.get_mut(number) {
            service.admission.end();
        }
        match came {
            Ok(connection) => {
                let client = Client::of(connection.as_fd(), None);
                self.arrived(number, connection, client, door);
            }
            Err(why) => self.not_accepted(number, &NotAccepted::Passed(why), door),
        }
        self.set_listening(number);
        self.retire(number);
    }
}
