// SPDX-License-Identifier: Apache-2.0
//! What a relay waits for, without a gap: poll(2) counts every entry against the limit on open files, also one that
//! stands for nothing.

use super::{FLOWS, PEERS, datagrams};
use crate::sys::relay;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::RawFd;
use std::time::Instant;

/// Whose a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The reaper's word comes there.
    Channel,
    /// The listener of this peer.
    Listener(usize),
    /// A side of this connection.
    Flow(usize),
    /// Where datagrams of the host's come for this exchange.
    Answer(usize),
}

/// As many as there can be.
const MOST: usize = 1 + PEERS + 2 * FLOWS + datagrams::MOST;

/// The descriptors of one wait.
pub(super) struct Watch {
    entries: [libc::pollfd; MOST],
    whose: [Whose; MOST],
    count: usize,
}

impl Watch {
    pub(super) fn new() -> Watch {
        let entry = libc::pollfd { fd: -1, events: 0, revents: 0 };
        Watch { entries: [entry; MOST], whose: [Whose::Channel; MOST], count: 0 }
    }

    /// Nothing, where there are no events to wait for.
    pub(super) fn add(&mut self, whose: Whose, fd: RawFd, events: i16) {
        if events == 0 {
            return;
        }
        if let (Some(entry), Some(place)) = (self.entries.get_mut(self.count), self.whose.get_mut(self.count)) {
            *entry = libc::pollfd { fd, events, revents: 0 };
            *place = whose;
            self.count += 1;
        }
    }

    /// Waits until something is ready, or the deadline has come.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Result<(), Errno> {
        relay::poll(&mut self.entries[..self.count], deadline)
    }

    /// What poll(2) has said of it.
    pub(super) fn ready(&self, whose: Whose) -> i16 {
        let all = self.entries[..self.count].iter().zip(&self.whose);
        all.filter(|(_, other)| **other == whose).fold(0, |ready, (entry, _)| ready | entry.revents)
    }
}
