// SPDX-License-Identifier: Apache-2.0
//! A client and its connection on the way to a session: to one that is made for it, to a spare, or away from a spare
//! that did not take it. Wherever it goes, its time began when it was accepted.

use super::Session;
use crate::plan::Plan;
use crate::supervise::client::Client;
use crate::supervise::denials::Denials;
use crate::supervise::idle::Idle;
use crate::supervise::turn::{Event, State};
use crate::supervise::watch::{Timer, Token, Watch};
use nix::errno::Errno;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// A client who is not served yet.
#[derive(Debug)]
pub(in crate::supervise) struct Offer {
    /// One descriptor, or three.
    pub(in crate::supervise) connection: Vec<OwnedFd>,
    pub(in crate::supervise) client: Client,
    /// When it was accepted.
    pub(in crate::supervise) began: Instant,
}

impl Session {
    /// Has this client from here on.
    pub(super) fn take(&mut self, plan: &Plan, Offer { connection, client, began }: Offer) {
        self.connection = connection;
        self.client = Some(client);
        self.began = began;
        self.limit = plan.time_limit.and_then(|limit| began.checked_add(limit));
        self.idle = plan.idle_limit.and_then(|limit| Idle::new(limit, began));
        self.denials = Denials::new(began);
    }

    /// Sets the moments of its limits.
    pub(in crate::supervise) fn set_limits(&self, watch: &mut Watch) {
        if let Some(limit) = self.limit {
            watch.set(Timer::Limit(self.id), None, limit);
        }
        if let Some(idle) = &self.idle {
            watch.set(Timer::Idleness(self.id), None, idle.at);
        }
    }

    /// Gives a spare its client: the connection is in its cord. The offer comes back from one that is of no use.
    pub(in crate::supervise) fn accept(&mut self, plan: &Plan, offer: Offer) -> Option<Offer> {
        if !matches!(self.state, State::Spare(_)) {
            return Some(offer);
        }
        self.take(plan, offer);
        match self.hand_over(plan) {
            Ok(()) => None,
            // Whatever it was: the session that is made instead meets it too, or does not.
            Err(_) => {
                (self.trouble, self.stderr, self.limit, self.idle) = (None, None, None, None);
                self.give_back()
            }
        }
    }

    /// Whether its child has said that it took the connection. From here on it cannot say so any more, and one that
    /// cannot does not execute its command.
    pub(in crate::supervise) fn has_taken(&mut self, watch: &Watch) -> bool {
        if let Some(cord) = &self.cord {
            // ENOTCONN: nobody holds the far end, and nobody will say anything.
            let _ = rustix::net::shutdown(cord, rustix::net::Shutdown::Read);
        }
        self.hear(watch).contains(&Event::Taken)
    }

    /// Takes its client from a spare that did not take the connection.
    pub(in crate::supervise) fn lose_client(&mut self, watch: &mut Watch) -> Option<Offer> {
        watch.cancel(Timer::Limit(self.id), self.limit.take());
        watch.cancel(Timer::Idleness(self.id), self.idle.take().map(|idle| idle.at));
        if let Some(stderr) = self.stderr.take() {
            watch.remove(&stderr);
        }
        self.give_back()
    }

    fn give_back(&mut self) -> Option<Offer> {
        let client = self.client.take()?;
        Some(Offer { connection: std::mem::take(&mut self.connection), client, began: self.began })
    }

    /// Watches the standard error of a spare that has a client now; where its process is not known, with the rest,
    /// later.
    pub(in crate::supervise) fn watch_stderr(&self, watch: &Watch) -> Result<(), Errno> {
        match (&self.stderr, &self.first) {
            (Some(stderr), Some(_)) => watch.add(stderr, Token::Stderr(self.id)),
            (None, _) | (_, None) => Ok(()),
        }
    }
}
