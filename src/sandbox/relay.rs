// SPDX-License-Identifier: Apache-2.0
//! The relay of a session: a process of the command's user in the host's network, which carries bytes between that and
//! the session's own network. It never has a byte in its memory: splice(2) moves them through pipes.
//!
//! Its filter lets it connect to the plan's peers and to nothing else: their addresses lie in memory that it cannot
//! change, and the filter compares the pointer. It holds /dev/null, the channel, listeners of the session's network, and
//! what it has accepted and connected. It ends with the reaper, or, told to finish, when what the command has said has
//! reached its peers, or when they have had time enough. Never allocates, decides nothing, and says nothing to anyone.

mod flow;

use super::prepare;
use crate::plan;
use crate::sys::relay::{self, Family};
use crate::sys::{process, socket};
use flow::{Flow, Outcome};
use nix::errno::Errno;
use nix::libc;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Where a relay keeps its end of the channel.
pub(super) const CHANNEL: RawFd = super::line::CORD + 1;

/// On the channel: a listener, in the order of the peers.
pub(super) const LISTENER: &[u8] = b"l";
/// On the channel: the command's end of a pair, and the connection.
pub(super) const CONNECTION: &[u8] = b"c";
/// On the channel: the command has ended.
pub(super) const FINISH: &[u8] = b"f";

/// How long what the command has said may take to its peers when the command has ended.
const FINISHING: Duration = Duration::from_secs(30);
/// Connections of the session that may wait for each peer.
pub(super) const BACKLOG: i32 = 16;
/// Connections at once, the command's own among them; more wait in the listeners' backlogs. Six descriptors each.
const FLOWS: usize = 64;
/// As many peers as a policy may name.
const PEERS: usize = plan::model::Relay::MOST_PEERS;

/// What a relay holds.
struct Relay<'a> {
    prepared: &'a prepare::Relay,
    listeners: [Option<OwnedFd>; PEERS],
    flows: [Option<Flow>; FLOWS],
    /// The command has ended: what it has said is carried on until then, and nothing else.
    finishing: Option<Instant>,
}

/// Carries bytes until there is nobody left to carry them for.
pub(super) fn run(prepared: &prepare::Relay) -> ! {
    let mut relay =
        Relay { prepared, listeners: [const { None }; PEERS], flows: [const { None }; FLOWS], finishing: None };
    loop {
        if let Some(deadline) = relay.finishing
            && (relay.flows.iter().all(Option::is_none) || Instant::now() >= deadline)
        {
            process::exit(0);
        }
        relay.turn();
    }
}

/// Does nothing until the reaper ends.
pub(super) fn wait() -> ! {
    loop {
        let mut entries = [entry(CHANNEL, 0)];
        match relay::poll(&mut entries, None) {
            Ok(()) | Err(Errno::EINTR) if entries[0].revents == 0 => {}
            Ok(()) | Err(_) => process::exit(0),
        }
    }
}

fn entry(fd: RawFd, events: i16) -> libc::pollfd {
    libc::pollfd { fd: if events == 0 && fd != CHANNEL { -1 } else { fd }, events, revents: 0 }
}

impl Relay<'_> {
    /// Waits for anything, and carries on what is ready.
    fn turn(&mut self) {
        const FIRST_FLOW: usize = 1 + PEERS;
        let mut entries = [entry(-1, 0); FIRST_FLOW + 2 * FLOWS];
        entries[0] = entry(CHANNEL, libc::POLLIN);
        if self.flows.iter().any(Option::is_none) {
            for (place, listener) in entries[1..].iter_mut().zip(&self.listeners) {
                *place = listener.as_ref().map_or(entry(-1, 0), |listener| entry(listener.as_raw_fd(), libc::POLLIN));
            }
        }
        for (places, flow) in entries[FIRST_FLOW..].chunks_exact_mut(2).zip(&self.flows) {
            if let Some(flow) = flow {
                let ([near, far], [for_near, for_far]) = (flow.sockets(), flow.interests());
                places.copy_from_slice(&[entry(near, for_near), entry(far, for_far)]);
            }
        }
        match relay::poll(&mut entries, self.finishing) {
            Ok(()) => {}
            Err(Errno::EINTR) => return,
            Err(errno) => process::exit(errno as i32),
        }
        for (places, flow) in entries[FIRST_FLOW..].chunks_exact(2).zip(&mut self.flows) {
            let ready = places.iter().fold(0, |all, place| all | place.revents);
            if ready != 0 && flow.as_mut().is_some_and(|flow| flow.carry(ready) == Outcome::Over) {
                *flow = None;
            }
        }
        for peer in 0..PEERS {
            if entries[1 + peer].revents != 0 {
                self.accept(peer);
            }
        }
        if entries[0].revents != 0 {
            self.hear();
        }
    }

    /// Takes what comes down the channel. Its end is the reaper's.
    fn hear(&mut self) {
        let mut word = [0];
        match socket::receive_descriptors(process::fixed(CHANNEL), &mut word) {
            Ok((0, _)) => process::exit(0),
            Ok((_, [Some(listener), None, None])) if word == LISTENER => {
                if let Some(place) = self.listeners.iter_mut().find(|place| place.is_none()) {
                    *place = Some(listener);
                }
            }
            Ok((_, [Some(near), Some(far), None])) if word == CONNECTION => self.add(near, far, flow::Far::Connected),
            Ok((_, [None, None, None])) if word == FINISH => self.finish(),
            Err(Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM | Errno::ENOBUFS) => {}
            // Something that no line of ours sends, or no room for a listener: the session ends with its relay.
            Ok(_) | Err(_) => process::exit(1),
        }
    }

    /// Takes one connection of the command's, and makes the one to its peer.
    fn accept(&mut self, peer: usize) -> bool {
        let Some(listener) = &self.listeners[peer] else { return false };
        let Ok(near) = relay::accept(listener.as_fd()) else { return false };
        let address: Option<&SocketAddr> = self.prepared.addresses.get(peer);
        let far = address.map(Family::of).ok_or(Errno::EINVAL).and_then(relay::stream);
        match far.and_then(|far| self.prepared.peers.connect(peer, far.as_fd()).map(|()| far)) {
            Ok(far) => self.add(near, far, flow::Far::Connecting),
            Err(_) => relay::reset_on_close(near.as_fd()),
        }
        true
    }

    fn add(&mut self, near: OwnedFd, far: OwnedFd, state: flow::Far) {
        let place = self.flows.iter_mut().find(|place| place.is_none());
        // Else both ends are closed, which the command sees.
        if let (Some(place), Some(flow)) = (place, Flow::new(near, far, state)) {
            *place = Some(flow);
        }
    }

    /// The command has ended. What it has said, also on connections that wait in a backlog, is carried to its end, if its
    /// peers take it: one that does not read, or a process that the command has left and that goes on, must not keep the
    /// session's place for as long as it likes.
    fn finish(&mut self) {
        for peer in 0..PEERS {
            // As many as listen(2) lets wait.
            for _ in 0..=BACKLOG {
                if !self.flows.iter().any(Option::is_none) || !self.accept(peer) {
                    break;
                }
            }
            self.listeners[peer] = None;
        }
        self.finishing = Some(Instant::now() + FINISHING);
        for flow in &mut self.flows {
            if flow.as_mut().is_some_and(|flow| flow.finish() == Outcome::Over) {
                *flow = None;
            }
        }
    }
}
