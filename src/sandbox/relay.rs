// SPDX-License-Identifier: Apache-2.0
//! The relay of a session: a process of the command's user in the host's network, which carries bytes between that and
//! the session's own network. Of a connection it never has a byte in its memory: splice(2) moves them through pipes.
//!
//! Its filter lets it connect to the plan's peers and to nothing else: their addresses lie in memory that it cannot
//! change, and the filter compares the pointer. (Not the kind of socket: it could speak TCP to the address and port of
//! a UDP peer.) It holds /dev/null, the channel, listeners of the session's network, and what it has accepted and
//! connected. It ends with the reaper, or, told to finish, when what the command has said has
//! reached its peers, or when they have had time enough. Never allocates, decides nothing, and says nothing to anyone.

mod flow;
mod datagrams;
mod watch;

use super::prepare;
use crate::plan;
use crate::sys::relay::{self, Family};
use crate::sys::{process, socket};
use datagrams::Datagrams;
use flow::{Flow, Outcome};
use nix::errno::Errno;
use nix::libc;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use watch::{Watch, Whose};

/// Where a relay keeps its end of the channel.
pub(super) const CHANNEL: RawFd = super::line::CORD + 1;

/// On the channel, and the only word that a relay says: it is confined. [`Record::Setup`] instead where it could not
/// be.
///
/// [`Record::Setup`]: super::report::Record::Setup
pub(super) const READY: &[u8] = b"r";
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
/// Connections at once, the command's own among them; more wait in the listeners' backlogs.
const FLOWS: usize = 64;
/// As many peers as a policy may name.
const PEERS: usize = plan::model::Relay::MOST_PEERS;
/// The descriptors that it ever has open: up to the channel's, the reserve, a listener for each peer, six for each
/// connection and for the next one, and one for each socket whose datagrams it carries.
pub(super) const DESCRIPTORS: u64 = (CHANNEL as usize + 2 + PEERS + 6 * (FLOWS + 1) + datagrams::MOST) as u64;
/// Its status where it had not delivered all that it was to when its time was over.
pub const UNDELIVERED: i32 = 75;
/// What a buffer for datagrams has to hold.
pub(super) const LONGEST_DATAGRAM: usize = datagrams::LONGEST;
/// How often each peer's datagrams are looked for when the command has ended: more than a socket's buffer holds.
const LAST: usize = 64;
/// How long it accepts nobody where it can give nobody an end.
const PAUSE: Duration = Duration::from_millis(100);

/// What a relay holds.
struct Relay<'a> {
    prepared: &'a prepare::Relay,
    /// Those of UDP come first, at the lowest numbers, and are never closed.
    listeners: Listeners,
    flows: [Option<Flow>; FLOWS],
    datagrams: Datagrams,
    /// The command has ended: what it has said is carried on until then, and nothing else.
    finishing: Option<Instant>,
    /// Given up for a moment where the limit on descriptors is reached, so that whoever waits gets an end.
    reserve: Option<OwnedFd>,
    /// Nobody is accepted until then.
    paused: Option<Instant>,
}

/// What came of accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepted {
    /// Whoever waited has a connection, or an end.
    One,
    /// Nobody waits, or whoever does waits on.
    None,
}

/// The listeners of the session's network, in the order of the peers.
pub(super) type Listeners = [Option<OwnedFd>; PEERS];

/// Takes the listeners, before anything else has a number: the filter knows those of UDP by theirs.
pub(super) fn take_listeners(prepared: &prepare::Relay) -> Result<Listeners, Errno> {
    let mut listeners = [const { None }; PEERS];
    for (place, number) in listeners.iter_mut().zip(CHANNEL + 1..).take(prepared.addresses.len()) {
        let mut word = [0];
        let taken = socket::receive_descriptors(process::fixed(CHANNEL), &mut word);
        match taken {
            Ok((_, [Some(listener), None, None])) if word == LISTENER && listener.as_raw_fd() == number => {
                *place = Some(listener);
            }
            // The process ends with this. Closing one of them would end it before it has said why.
            taken => {
                let errno = taken.as_ref().err().copied().unwrap_or(Errno::EBADMSG);
                std::mem::forget((taken, listeners));
                return Err(errno);
            }
        }
    }
    Ok(listeners)
}

/// Carries bytes until there is nobody left to carry them for.
pub(super) fn run(prepared: &mut prepare::Relay, listeners: Listeners) -> ! {
    // Nothing is freed: there is no end but the process's.
    let datagrams = Datagrams::new(std::mem::take(&mut prepared.buffer));
    let flows = [const { None }; FLOWS];
    let mut relay = Relay { prepared, listeners, flows, datagrams, finishing: None, reserve: None, paused: None };
    relay.reserve = relay::stream(Family::V4).ok();
    loop {
        if let Some(deadline) = relay.finishing {
            match relay.flows.iter().all(Option::is_none) {
                true => process::exit(0),
                false if Instant::now() >= deadline => process::exit(UNDELIVERED),
                false => {}
            }
        }
        relay.turn();
    }
}

/// Does nothing until the reaper ends.
pub(super) fn wait() -> ! {
    loop {
        let mut entries = [libc::pollfd { fd: CHANNEL, events: 0, revents: 0 }];
        match relay::poll(&mut entries, None) {
            Ok(()) | Err(Errno::EINTR) if entries[0].revents == 0 => {}
            Ok(()) | Err(_) => process::exit(0),
        }
    }
}

impl Relay<'_> {
    /// Waits for anything, and carries on what is ready.
    fn turn(&mut self) {
        if self.paused.is_some_and(|end| Instant::now() >= end) {
            self.paused = None;
        }
        let mut watch = self.watch();
        let patience = self.flows.iter().flatten().filter_map(Flow::patience);
        let patience = patience.chain(self.datagrams.patience());
        let deadline = [self.finishing, self.paused].into_iter().flatten().chain(patience).min();
        match watch.wait(deadline) {
            Ok(()) => {}
            Err(Errno::EINTR) => return,
            Err(errno) => process::exit(errno as i32),
        }
        for (index, place) in self.flows.iter_mut().enumerate() {
            let carry = |flow: &mut Flow| match (watch.ready(Whose::Flow(index)), flow.patience()) {
                (0, Some(end)) if Instant::now() >= end => flow.lose_patience(),
                (0, _) => Outcome::Goes,
                (ready, _) => flow.carry(ready),
            };
            if place.as_mut().is_some_and(|flow| carry(flow) == Outcome::Over) {
                *place = None;
            }
        }
        self.datagrams.forget(Instant::now());
        let listeners = &self.listeners;
        for place in 0..datagrams::MOST {
            if watch.ready(Whose::Answer(place)) != 0 {
                self.datagrams.answer(place, |peer| listeners.get(peer)?.as_ref().map(AsFd::as_fd));
            }
        }
        for peer in 0..PEERS {
            if watch.ready(Whose::Listener(peer)) != 0 {
                self.serve(peer);
            }
        }
        if watch.ready(Whose::Channel) != 0 {
            self.hear();
        }
    }

    fn watch(&self) -> Watch {
        let mut watch = Watch::new();
        watch.add(Whose::Channel, CHANNEL, libc::POLLIN);
        let accepts = self.paused.is_none() && self.flows.iter().any(Option::is_none);
        for (peer, listener) in self.listeners.iter().enumerate() {
            if let Some(listener) = listener
                && (accepts || self.is_datagrams(peer))
            {
                watch.add(Whose::Listener(peer), listener.as_raw_fd(), libc::POLLIN);
            }
        }
        for (place, socket) in self.datagrams.sockets() {
            watch.add(Whose::Answer(place), socket, libc::POLLIN);
        }
        for (index, flow) in self.flows.iter().enumerate() {
            if let Some(flow) = flow {
                let ([near, far], [for_near, for_far]) = (flow.sockets(), flow.interests());
                watch.add(Whose::Flow(index), near, for_near);
                watch.add(Whose::Flow(index), far, for_far);
            }
        }
        watch
    }

    /// Takes what comes down the channel. Its end is the reaper's.
    fn hear(&mut self) {
        let mut word = [0];
        match socket::receive_descriptors(process::fixed(CHANNEL), &mut word) {
            Ok((0, _)) => process::exit(0),
            Ok((_, [Some(near), Some(far), None])) if word == CONNECTION => self.add(near, far, flow::Far::Connected),
            Ok((_, [None, None, None])) if word == FINISH => self.finish(),
            Err(Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM | Errno::ENOBUFS) => {}
            // Something that no line of ours sends, or no room for the connection.
            Ok(_) | Err(_) => process::exit(1),
        }
    }

    fn is_datagrams(&self, peer: usize) -> bool {
        peer < self.prepared.datagrams
    }

    /// Takes what waits for this peer.
    fn serve(&mut self, peer: usize) {
        match (self.is_datagrams(peer), &self.listeners[peer]) {
            (true, Some(near)) => self.datagrams.ask(self.prepared, near.as_fd(), peer),
            (true, None) => {}
            (false, _) => drop(self.accept(peer)),
        }
    }

    /// Takes one connection of the command's, and makes the one to its peer.
    fn accept(&mut self, peer: usize) -> Accepted {
        if self.flows.iter().all(Option::is_some) {
            return Accepted::None;
        }
        let Some(listener) = &self.listeners[peer] else { return Accepted::None };
        let near = match relay::accept(listener.as_fd()) {
            Ok(near) => near,
            // Whoever was there has gone.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return Accepted::None,
            // One more stays in the backlog, and the listener stays ready.
            Err(_) => return self.turn_away(peer),
        };
        let address: Option<&SocketAddr> = self.prepared.addresses.get(peer);
        let far = address.map(Family::of).ok_or(Errno::EINVAL).and_then(relay::stream);
        match far.and_then(|far| self.prepared.peers.connect(peer, far.as_fd()).map(|()| far)) {
            Ok(far) => self.add(near, far, flow::Far::Connecting),
            Err(_) => relay::reset_on_close(near.as_fd()),
        }
        Accepted::One
    }

    /// There is no descriptor for another connection: it is accepted by that of the reserve, and reset. Where the
    /// kernel refuses even that, nobody is accepted for a while, so that a listener which stays ready keeps no
    /// processor busy.
    fn turn_away(&mut self, peer: usize) -> Accepted {
        let Some(listener) = &self.listeners[peer] else { return Accepted::None };
        self.reserve = None;
        let accepted = relay::accept(listener.as_fd());
        if let Ok(near) = &accepted {
            relay::reset_on_close(near.as_fd());
        }
        let turned_away = accepted.is_ok();
        drop(accepted);
        self.reserve = relay::stream(Family::V4).ok();
        match turned_away {
            true => Accepted::One,
            false => {
                self.paused = Some(Instant::now() + PAUSE);
                Accepted::None
            }
        }
    }

    fn add(&mut self, near: OwnedFd, far: OwnedFd, state: flow::Far) {
        // There is a place: nobody is accepted without one, and the command's own connection comes first.
        if let Some(place) = self.flows.iter_mut().find(|place| place.is_none()) {
            *place = Flow::new(near, far, state);
        }
    }

    /// The command has ended. What it has said, also on connections that wait in a backlog, is carried to its end, if
    /// its peers take it: one that does not read, or a process that the command has left and that goes on, must not
    /// keep the session's place for as long as it likes.
    fn finish(&mut self) {
        for peer in (0..self.prepared.datagrams).cycle().take(self.prepared.datagrams * LAST) {
            self.serve(peer);
        }
        for peer in self.prepared.datagrams..PEERS {
            // As many as listen(2) lets wait.
            for _ in 0..=BACKLOG {
                if self.accept(peer) == Accepted::None {
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
