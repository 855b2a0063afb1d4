// SPDX-License-Identifier: Apache-2.0
//! Datagrams through a relay: for each socket of the command's that asks a peer, a socket of the host's network that is
//! connected to that peer, so that nobody else's datagrams are answers. splice(2) takes none and sockmap would need
//! CAP_BPF, so these bytes pass through the relay's memory; nothing there looks at them.
//!
//! The table is bounded, and whoever has been silent for longest gives way: a command that asks from ever new ports
//! disturbs itself. What fails is lost, as datagrams may be.

use crate::sandbox::prepare;
use crate::sys::relay::{self, Family, Source};
use nix::errno::Errno;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Sockets of the command's that are answered at once.
pub(super) const MOST: usize = 64;
/// How long one may be silent before its place is free.
const IDLE: Duration = Duration::from_secs(30);
/// How many are carried before the others have their turn.
const ROUNDS: usize = 16;
/// Room for the longest datagram there is, and one byte.
pub(in crate::sandbox) const LONGEST: usize = 65_536;

/// One socket of the command's, and the one that speaks for it.
struct Exchange {
    peer: usize,
    source: Source,
    far: OwnedFd,
    heard: Instant,
}

/// All of them.
pub(super) struct Datagrams {
    exchanges: [Option<Exchange>; MOST],
    /// Made before the clone: a policy's limit on the stack may leave no room.
    buffer: Vec<u8>,
}

impl Datagrams {
    pub(super) fn new(buffer: Vec<u8>) -> Datagrams {
        Datagrams { exchanges: [const { None }; MOST], buffer }
    }

    /// The sockets that answers come to, each with its place.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (usize, RawFd)> {
        let places = self.exchanges.iter().enumerate();
        places.filter_map(|(place, exchange)| Some((place, exchange.as_ref()?.far.as_raw_fd())))
    }

    /// Carries what the command says to this peer.
    pub(super) fn ask(&mut self, prepared: &prepare::Relay, near: BorrowedFd<'_>, peer: usize) {
        for _ in 0..ROUNDS {
            let (source, length) = match relay::receive_from(near, &mut self.buffer) {
                Ok(received) => received,
                Err(_) => return,
            };
            let Some(place) = self.place(prepared, peer, source) else { continue };
            let Some(exchange) = &mut self.exchanges[place] else { continue };
            exchange.heard = Instant::now();
            // Refused where an earlier one was: the next one goes.
            let _ = relay::send(exchange.far.as_fd(), &self.buffer[..length]);
        }
    }

    /// Carries what a peer answers, to the socket that asked; `near` is where that peer is for the command.
    pub(super) fn answer<'a>(&mut self, place: usize, near: impl Fn(usize) -> Option<BorrowedFd<'a>>) {
        let Some(exchange) = self.exchanges.get_mut(place).and_then(Option::as_mut) else { return };
        let Some(near) = near(exchange.peer) else { return };
        for _ in 0..ROUNDS {
            match relay::receive(exchange.far.as_fd(), &mut self.buffer) {
                Ok(length) => {
                    exchange.heard = Instant::now();
                    let _ = relay::send_to(near, &self.buffer[..length], &exchange.source);
                }
                // Nothing more; or the peer is not there, which the kernel says once.
                Err(_) => return,
            }
        }
    }

    /// When the next place is free.
    pub(super) fn patience(&self) -> Option<Instant> {
        self.exchanges.iter().flatten().map(|exchange| exchange.heard + IDLE).min()
    }

    /// Frees the places of those that have been silent for so long.
    pub(super) fn forget(&mut self, now: Instant) {
        for place in &mut self.exchanges {
            if place.as_ref().is_some_and(|exchange| exchange.heard + IDLE <= now) {
                *place = None;
            }
        }
    }

    /// The place of this source, a new one if it has none.
    fn place(&mut self, prepared: &prepare::Relay, peer: usize, source: Source) -> Option<usize> {
        let known =
            |place: &Option<Exchange>| place.as_ref().is_some_and(|one| one.peer == peer && one.source == source);
        if let Some(place) = self.exchanges.iter().position(known) {
            return Some(place);
        }
        let place = self.exchanges.iter().position(Option::is_none).or_else(|| self.silent_for_longest())?;
        self.exchanges[place] = None;
        let family = prepared.addresses.get(peer).map(|peer: &SocketAddr| Family::of(peer))?;
        let far = match relay::datagram(family) {
            Err(Errno::EMFILE) => {
                let other = self.silent_for_longest()?;
                self.exchanges[other] = None;
                relay::datagram(family).ok()?
            }
            far => far.ok()?,
        };
        prepared.peers.connect(peer, far.as_fd()).ok()?;
        self.exchanges[place] = Some(Exchange { peer, source, far, heard: Instant::now() });
        Some(place)
    }

    fn silent_for_longest(&self) -> Option<usize> {
        let taken = self.exchanges.iter().enumerate().filter_map(|(place, one)| Some((one.as_ref()?.heard, place)));
        taken.min().map(|(_, place)| place)
    }
}
