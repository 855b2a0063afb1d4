// SPDX-License-Identifier: Apache-2.0
//! Between the loop and master(8): who is told when, who may accept, when it is enough.
//! A client is always a pair of messages, taken and available: master counts a finished job only on that change. With
//! room for more the pair is sent at once, since a process that is available must accept, and one that is taken need
//! not.

use super::fatal::Fatal;
use super::inherited::Inherited;
use super::lock::{Lock, Taken, Waiter};
use super::report::report;
use super::start::Start;
use super::watchdog::Watchdog;
use crate::host::errno_text;
use crate::postfix::options::Transport;
use crate::postfix::protocol::{self, LISTEN_FD, STATUS_FD, Status};
use crate::supervise::{Advice, Door, Ended, NotAccepted, Tell};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How many errors a Postfix daemon survives: see util/msg.c, msg_error_bound.
const MOST_ERRORS: u32 = 13;

/// The door through which master and the loop speak.
pub(super) struct Gate {
    status: OwnedFd,
    generation: u32,
    lock: Lock,
    /// Waits for the lock in our place.
    waiter: Option<Waiter>,
    watchdog: Watchdog,
    /// The status channel and the waiter as one descriptor.
    watch: Epoll,
    phase: Phase,
    on_end: OnEnd,
    max_use: u32,
    max_idle: Duration,
    used: u32,
    /// How often nobody could be accepted.
    errors: u32,
    /// Clients that are served at once.
    concurrency: usize,
}

/// Whether this process takes clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has room: master was told so.
    Room,
    /// It has none: master was told that it is taken.
    Full,
    /// Never again.
    Closed,
}

/// What the end of the status channel means. master closes it at a reload, when it dies, and where a service that has
/// the parameter `stress` has reached its process limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnEnd {
    /// Give up the place among master's processes: a long command must not keep new clients waiting.
    Leave,
    /// Keep it while something is served: under stress, the limit is there to be kept.
    Stay,
}

impl Gate {
    /// Opens the lock file and enters the queue directory, in Postfix's order. Returns the listeners as well.
    pub(super) fn open(
        start: &Start,
        transport: Transport,
        inherited: Inherited,
    ) -> Result<(Gate, Vec<OwnedFd>), Fatal> {
        let Inherited { status, mut listeners } = inherited;
        let parameters = &start.parameters;
        let lock = match start.options.alone {
            // There is no other process to take turns with.
            true => Lock::None,
            false => Lock::open(transport, &start.service)?,
        };
        start.enter_queue()?;
        let status = status.map_err(|errno| Fatal::Descriptor { number: STATUS_FD, errno })?;
        let wanted = start.options.listeners.unwrap_or(1) as usize;
        if let Some(number) = (LISTEN_FD..).nth(listeners.len()).filter(|_| listeners.len() < wanted) {
            return Err(Fatal::Descriptor { number, errno: Errno::EBADF });
        }
        listeners.truncate(wanted);
        let under_stress = start.options.overrides.iter().any(|(name, _)| name == "stress");
        let on_end = if under_stress { OnEnd::Stay } else { OnEnd::Leave };
        let limits = (parameters.max_use, parameters.max_idle);
        let watchdog = Watchdog::create(parameters.daemon_timeout)?;
        Ok((Gate::new((status, start.generation), lock, on_end, limits, watchdog)?, listeners))
    }

    fn new(
        (status, generation): (OwnedFd, u32),
        lock: Lock,
        on_end: OnEnd,
        (max_use, max_idle): (u32, Duration),
        watchdog: Watchdog,
    ) -> Result<Gate, Fatal> {
        let watch = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Fatal::Wait)?;
        watch.add(&status, EpollEvent::new(EpollFlags::EPOLLIN, STATUS)).map_err(Fatal::Wait)?;
        let (waiter, phase, used, errors, concurrency) = (None, Phase::Room, 0, 0, 1);
        Ok(Gate {
            status,
            generation,
            lock,
            waiter,
            watchdog,
            watch,
            phase,
            on_end,
            max_use,
            max_idle,
            used,
            errors,
            concurrency,
        })
    }

    /// So many clients are served at once.
    pub(super) fn serve(&mut self, concurrency: usize) {
        self.concurrency = concurrency;
    }

    /// Why this process had to end, where that was not as it should be.
    pub(super) fn verdict(&self) -> Result<(), Fatal> {
        if self.errors >= MOST_ERRORS { Err(Fatal::TooManyErrors) } else { Ok(()) }
    }

    /// Says that nobody could be accepted. Where that is said too often, it is enough.
    pub(super) fn refuse(&mut self, why: &NotAccepted) -> Result<(), Fatal> {
        let reason = match why {
            // As little as of a client that has left again.
            NotAccepted::Errno(Errno::ENOBUFS) | NotAccepted::TurnedAway => return Ok(()),
            NotAccepted::Errno(errno) => errno_text(*errno),
            NotAccepted::Passed(error) => {
                tracing::warn!("pass_accept_attr: {error}");
                error.why.clone()
            }
            // A client brought it about, so it does not end this process.
            NotAccepted::Locked(error) => {
                tracing::warn!("accept connection: {error}");
                return Ok(());
            }
        };
        tracing::error!("accept connection: {reason}");
        self.errors += 1;
        self.verdict()
    }

    /// Waits until this process is the one that may accept.
    pub(super) fn enter(&self) -> Result<(), Fatal> {
        self.lock.take().map_err(Fatal::Lock)
    }

    /// Another process may accept.
    pub(super) fn leave(&self) {
        self.lock.release();
    }

    /// The channel on which master is told, and on which its end is seen.
    pub(super) fn status(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }

    /// How long this process waits for a client.
    pub(super) fn max_idle(&self) -> Duration {
        self.max_idle
    }

    /// Tells master. EPIPE: it is gone, or was reloaded.
    pub(super) fn notify(&self, status: Status) -> Result<(), Errno> {
        let told = protocol::notify(&self.status, nix::unistd::getpid().as_raw(), self.generation, status);
        tracing::debug!("master_notify: status {}", status as i32);
        told
    }

    /// Becomes the one that may accept, now or later.
    fn seek(&mut self) -> Advice {
        // Nothing else is to be done meanwhile, and spawn(8) waits like that too.
        let taken = match self.concurrency {
            1 => {
                self.watchdog.stop();
                self.lock.take().map(|()| Taken::Now)
            }
            _ => self.lock.seek(),
        };
        match taken {
            Ok(Taken::Now) => Advice::Accept,
            Ok(Taken::Later(waiter)) => {
                let added = self.watch.add(waiter.watched(), EpollEvent::new(EpollFlags::EPOLLIN, WAITER));
                self.waiter = Some(waiter);
                added.map_or_else(|errno| self.cannot_lock(errno), |()| Advice::Hold)
            }
            Err(errno) => self.cannot_lock(errno),
        }
    }

    /// Somebody has given up a place, and `live` have one.
    fn room(&mut self, live: usize) -> Advice {
        let was_full = self.phase == Phase::Full;
        if self.phase == Phase::Closed {
            return Advice::Continue;
        }
        self.phase = Phase::Room;
        if was_full && self.notify(Status::Available).is_err() {
            return self.end();
        }
        // With several at once it goes when nobody is served, and turns no client away until then: a process that
        // waited for its last client would keep the places of all the others.
        match (self.used >= self.max_use, was_full) {
            (true, _) if live == 0 => self.close(Advice::Drain),
            (_, true) => self.seek(),
            (_, false) => Advice::Continue,
        }
    }

    /// Without the lock nothing can be accepted, and another process does better.
    fn cannot_lock(&mut self, errno: Errno) -> Advice {
        tracing::error!("{}", Fatal::Lock(errno));
        self.close(Advice::Drain)
    }

    fn close(&mut self, advice: Advice) -> Advice {
        self.phase = Phase::Closed;
        self.waiter = None;
        self.lock.release();
        advice
    }

    /// master is gone, or was reloaded.
    fn end(&mut self) -> Advice {
        match self.on_end {
            OnEnd::Leave => self.close(Advice::Leave),
            OnEnd::Stay => self.close(Advice::Drain),
        }
    }
}

/// What in a gate's watch is ready.
const STATUS: u64 = 0;
const WAITER: u64 = 1;

impl Door for Gate {
    fn opens(&mut self) -> Advice {
        self.seek()
    }

    fn turns(&mut self) {
        self.watchdog.start();
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        Some(self.watch.0.as_fd())
    }

    /// master sends nothing, so what is to be read there is its end.
    fn ready(&mut self) -> Advice {
        let mut events = [EpollEvent::empty(); 2];
        let count = self.watch.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let ready = |what| events[..count].iter().any(|event| event.data() == what);
        match self.waiter.take_if(|_| ready(WAITER)) {
            _ if ready(STATUS) => self.end(),
            Some(waiter) => match waiter.finish() {
                Ok(()) => Advice::Accept,
                Err(errno) => self.cannot_lock(errno),
            },
            None => Advice::Continue,
        }
    }

    fn accepted(&mut self, _service: usize, live: usize) -> Advice {
        self.used = self.used.saturating_add(1);
        tracing::debug!("connection established");
        let full = live >= self.concurrency;
        if full {
            self.phase = Phase::Full;
            self.lock.release();
        }
        // A client that has been accepted is served, whether or not master is there.
        let told = self.notify(Status::Taken);
        match full {
            true => Advice::Hold,
            false if told.and_then(|()| self.notify(Status::Available)).is_err() => self.end(),
            false => Advice::Continue,
        }
    }

    fn ended(&mut self, _ended: &Ended<'_>, live: usize) -> Advice {
        tracing::debug!("connection closed");
        self.room(live)
    }

    fn not_accepted(&mut self, _service: &str, live: usize, why: &NotAccepted, _tell: Tell) -> Advice {
        match self.refuse(why) {
            // Who fails to hand a client over had a place, and may have had the last one.
            Ok(()) => self.room(live),
            Err(_) => self.close(Advice::Leave),
        }
    }

    fn log(&mut self, ended: &Ended<'_>) {
        report(ended);
    }

    fn idle_limit(&self) -> Option<Duration> {
        Some(self.max_idle)
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
