// SPDX-License-Identifier: Apache-2.0
//! What the loop waits for: descriptors, each with a token, and moments, each with a name.
//! Knows neither sessions nor services; a token may be stale by the time it is seen.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How many events one look at the kernel takes.
const BATCH: usize = 64;

/// Whose descriptor is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Signals for the program.
    Signals,
    /// The front door's own descriptor.
    Door,
    /// A service's launcher.
    Launcher(usize),
    /// A service's next launcher.
    Coming(usize),
    /// A service's second launcher.
    Twin(usize),
    /// A listener of a service.
    Listener(usize, usize),
    /// A session's cord.
    Cord(u64),
    /// The pidfd of a session's first process.
    First(u64),
    /// What a session's command says on its standard error.
    Stderr(u64),
    /// A daemon that hands a client over.
    Passer(u64),
    /// A proxy that is to say who its client is.
    Header(u64),
    /// A client that was refused and told so.
    Farewell(u64),
    /// Where those come in who ask the supervisor something.
    Desk(usize),
    /// One of them.
    Visit(u64),
    /// The program that is to take this one's place.
    Upgrade,
    /// The program whose place this one takes.
    Predecessor,
    /// The kernel's audit log.
    Audit,
}

/// What a moment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A session's time limit.
    Limit(u64),
    /// A session's connection may have carried nothing for too long.
    Idleness(u64),
    /// A session's alarm.
    Alarm(u64),
    /// A session's standard error is looked at again.
    Stderr(u64),
    /// A service's launcher should have answered by now.
    Launcher(usize),
    /// A service may need its second launcher no longer.
    Twin(usize),
    /// A service may accept again, or have a launcher again.
    Resume(usize),
    /// A service may want another spare, or one less.
    Spares(usize),
    /// The front door's idle limit.
    Idle,
    /// Somebody who hands a client over should have done so.
    Passer(u64),
    /// A proxy should have said who its client is.
    Header(u64),
    /// A client that was refused should have gone.
    Farewell(u64),
    /// A desk may open again.
    Desk(usize),
    /// Who asks has had its time.
    Visit(u64),
    /// A service's rate allows it to accept again.
    Rate(usize),
    /// The service manager may have to hear something.
    Systemd,
    /// Look for children that nobody told us of.
    Strays,
    /// The program that is to take this one's place should serve.
    Upgrade,
    /// It has accepted for long enough after it was told to end.
    Leave,
    /// Draining takes too long.
    Drain,
    /// Stopping takes too long.
    Patience,
}

/// The descriptors and moments of the loop.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Epoll,
    moments: BTreeSet<(Instant, Timer)>,
}

impl Watch {
    pub(super) fn new() -> Result<Watch, Errno> {
        Ok(Watch { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, moments: BTreeSet::new() })
    }

    /// Watches a descriptor for input and hang-up.
    pub(super) fn add(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token.encode()))
    }

    /// Watches a descriptor for one event; then not before [`Watch::go_on`].
    pub(super) fn add_once(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, token.encode()))
    }

    /// Watches it for another one.
    pub(super) fn go_on(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT;
        self.epoll.modify(fd, &mut EpollEvent::new(flags, token.encode()))
    }

    /// Watches a descriptor for room to write as well, or no longer.
    pub(super) fn set_output(&self, fd: impl AsFd, token: Token, wanted: Output) -> Result<(), Errno> {
        let flags = match wanted {
            Output::Wanted => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
            Output::Unwanted => EpollFlags::EPOLLIN,
        };
        self.epoll.modify(fd, &mut EpollEvent::new(flags, token.encode()))
    }

    /// Watches a descriptor for room to write alone: what comes meanwhile is not looked at, and keeps nobody busy.
    pub(super) fn await_output(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.epoll.modify(fd, &mut EpollEvent::new(EpollFlags::EPOLLOUT, token.encode()))
    }

    /// Watches a descriptor for input again.
    pub(super) fn await_input(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.epoll.modify(fd, &mut EpollEvent::new(EpollFlags::EPOLLIN, token.encode()))
    }

    /// Watches a descriptor no longer. Said even before it is closed: a process that was forked meanwhile may hold it.
    pub(super) fn remove(&self, fd: impl AsFd) {
        // ENOENT where it was not watched: as wanted.
        let _ = self.epoll.delete(fd);
    }

    /// Sets a moment, in place of the one at `before`.
    pub(super) fn set(&mut self, timer: Timer, before: Option<Instant>, at: Instant) {
        self.cancel(timer, before);
        self.moments.insert((at, timer));
    }

    /// Forgets a moment.
    pub(super) fn cancel(&mut self, timer: Timer, at: Option<Instant>) {
        if let Some(at) = at {
            self.moments.remove(&(at, timer));
        }
    }

    /// Takes a moment that has come, the oldest first.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        let first = *self.moments.first()?;
        (first.0 <= now).then(|| {
            self.moments.remove(&first);
            first
        })
    }

    /// Waits for descriptors, at most until the next moment.
    pub(super) fn wait(&self, now: Instant) -> Result<Vec<Token>, Errno> {
        let timeout = match self.moments.first() {
            Some((at, _)) => timeout(at.saturating_duration_since(now)),
            None => EpollTimeout::NONE,
        };
        let mut events = [EpollEvent::empty(); BATCH];
        match self.epoll.wait(&mut events, timeout) {
            Ok(count) => Ok(events[..count].iter().filter_map(|event| Token::decode(event.data())).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }
}

/// Whether a descriptor is watched for room to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// It is.
    Wanted,
    /// It is not.
    Unwanted,
}

/// Rounded up, so that the moment has come when the wait is over; cut at a minute, after which the loop looks again.
fn timeout(left: Duration) -> EpollTimeout {
    let millis = left.as_nanos().div_ceil(1_000_000).min(60_000);
    EpollTimeout::from(u16::try_from(millis).unwrap_or(60_000))
}

impl Token {
    /// The kind in the highest byte, the rest below.
    fn encode(self) -> u64 {
        let (kind, rest) = match self {
            Token::Signals => (0, 0),
            Token::Door => (1, 0),
            Token::Launcher(service) => (2, service as u64),
            Token::Listener(service, listener) => (3, (service as u64) << 24 | listener as u64),
            Token::Cord(session) => (4, session),
            Token::First(session) => (5, session),
            Token::Coming(service) => (6, service as u64),
            Token::Stderr(session) => (7, session),
            Token::Passer(passer) => (8, passer),
            Token::Farewell(client) => (9, client),
            Token::Header(proxy) => (10, proxy),
            Token::Desk(desk) => (11, desk as u64),
            Token::Visit(visit) => (12, visit),
            Token::Upgrade => (13, 0),
            Token::Predecessor => (14, 0),
            Token::Audit => (15, 0),
            Token::Twin(service) => (16, service as u64),
        };
        kind << 56 | rest
    }

    fn decode(bits: u64) -> Option<Token> {
        let rest = bits & ((1 << 56) - 1);
        match bits >> 56 {
            0 => Some(Token::Signals),
            1 => Some(Token::Door),
            2 => Some(Token::Launcher(rest as usize)),
            3 => Some(Token::Listener((rest >> 24) as usize, (rest & 0xff_ffff) as usize)),
            4 => Some(Token::Cord(rest)),
            5 => Some(Token::First(rest)),
            6 => Some(Token::Coming(rest as usize)),
            7 => Some(Token::Stderr(rest)),
            8 => Some(Token::Passer(rest)),
            9 => Some(Token::Farewell(rest)),
            10 => Some(Token::Header(rest)),
            11 => Some(Token::Desk(rest as usize)),
            12 => Some(Token::Visit(rest)),
            13 => Some(Token::Upgrade),
            14 => Some(Token::Predecessor),
            15 => Some(Token::Audit),
            16 => Some(Token::Twin(rest as usize)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel() {
        let tokens = [
            Token::Signals,
            Token::Door,
            Token::Launcher(3),
            Token::Coming(4),
            Token::Listener(65535, 0xff_ffff),
            Token::Cord(1 << 50),
            Token::First(0),
            Token::Stderr(5),
            Token::Passer(9),
            Token::Farewell(10),
            Token::Header(11),
            Token::Desk(12),
            Token::Visit(13),
            Token::Upgrade,
            Token::Predecessor,
            Token::Audit,
            Token::Twin(14),
        ];
        for token in tokens {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        assert_eq!(Token::decode(u64::MAX), None);
    }

    #[test]
    fn moments_come_in_order_and_a_new_one_replaces_the_old() {
        let mut watch = Watch::new().unwrap();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        watch.set(Timer::Alarm(1), None, at(30));
        watch.set(Timer::Limit(1), None, at(20));
        watch.set(Timer::Alarm(1), Some(at(30)), at(10));
        assert_eq!(watch.due(at(9)), None);
        assert_eq!(watch.due(at(30)), Some((at(10), Timer::Alarm(1))));
        watch.cancel(Timer::Limit(1), Some(at(20)));
        assert_eq!(watch.due(at(30)), None);
    }

    #[test]
    fn a_wait_is_never_too_short() {
        assert_eq!(timeout(Duration::from_micros(1)), EpollTimeout::from(1_u16));
        assert_eq!(timeout(Duration::from_millis(7)), EpollTimeout::from(7_u16));
        assert_eq!(timeout(Duration::from_secs(1000)), EpollTimeout::from(60_000_u16));
    }
}
