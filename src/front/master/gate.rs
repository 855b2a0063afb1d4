// SPDX-License-Identifier: Apache-2.0
//! Between the loop and master(8): who is told when, who may accept, when it is enough.
//! A client is always a pair of messages, taken and available: master counts a finished job only on that change.

use super::fatal::Fatal;
use super::lock::Lock;
use super::report::report;
use super::start::Start;
use crate::postfix::protocol::{self, FLOW_FDS, LISTEN_FD, STATUS_FD, Status};
use crate::supervise::{Advice, Door, Ended};
use crate::sys::inherit;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// The most listeners: master makes one for each address of the host.
const MOST_LISTENERS: RawFd = 1000;

/// What master left open.
pub(super) struct Inherited {
    status: Result<OwnedFd, Errno>,
    listeners: Vec<OwnedFd>,
}

/// The door through which master and the loop speak.
pub(super) struct Gate {
    status: OwnedFd,
    generation: u32,
    lock: Lock,
    max_use: u32,
    max_idle: Duration,
    used: u32,
    /// Nothing is accepted any more, so the lock is left to others.
    draining: bool,
}

impl Inherited {
    /// Takes every descriptor that master leaves open, and closes what is not used. Once, before anything is opened.
    pub(super) fn adopt() -> Inherited {
        FLOW_FDS.iter().for_each(|number| drop(inherit::adopt(*number)));
        let status = inherit::adopt(STATUS_FD);
        let numbers = LISTEN_FD..LISTEN_FD + MOST_LISTENERS;
        Inherited { status, listeners: numbers.map_while(|number| inherit::adopt(number).ok()).collect() }
    }
}

impl Gate {
    /// Opens the lock file and enters the queue directory, in Postfix's order. Returns the listeners as well.
    pub(super) fn open(start: &Start, inherited: Inherited) -> Result<(Gate, Vec<OwnedFd>), Fatal> {
        let Inherited { status, mut listeners } = inherited;
        let parameters = &start.parameters;
        let lock = match start.options.alone {
            // There is no other process to take turns with.
            true => Lock::None,
            false => Lock::open(start.transport, &start.service)?,
        };
        let directory = &parameters.queue_directory;
        std::env::set_current_dir(directory)
            .map_err(|error| Fatal::Directory { directory: directory.clone(), errno: super::start::errno(&error) })?;
        let status = status.map_err(|errno| Fatal::Descriptor { number: STATUS_FD, errno })?;
        let wanted = start.options.listeners.unwrap_or(1) as usize;
        if let Some(number) = (LISTEN_FD..).nth(listeners.len()).filter(|_| listeners.len() < wanted) {
            return Err(Fatal::Descriptor { number, errno: Errno::EBADF });
        }
        listeners.truncate(wanted);
        let gate = Gate {
            status,
            generation: start.generation,
            lock,
            max_use: parameters.max_use,
            max_idle: parameters.max_idle,
            used: 0,
            draining: false,
        };
        Ok((gate, listeners))
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
        protocol::notify(&self.status, nix::unistd::getpid().as_raw(), self.generation, status)
    }

    fn drain(&mut self) -> Advice {
        self.draining = true;
        Advice::Drain
    }
}

impl Door for Gate {
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        Some(self.status())
    }

    /// master sends nothing, so this is its end: idle processes exit at once, others when they have served.
    fn ready(&mut self) -> Advice {
        self.drain()
    }

    fn accepted(&mut self, _service: usize, _live: usize) -> Advice {
        self.leave();
        self.used += 1;
        // A client that has been accepted is served, whether or not master is there.
        let _gone = self.notify(Status::Taken);
        if self.used >= self.max_use { self.drain() } else { Advice::Continue }
    }

    fn ended(&mut self, _ended: &Ended<'_>, _live: usize) -> Advice {
        if self.notify(Status::Available).is_err() || self.draining {
            return self.drain();
        }
        match self.enter() {
            Ok(()) => Advice::Continue,
            Err(fatal) => {
                // Without the lock nothing can be accepted, and another process does better.
                tracing::error!("{fatal}");
                self.drain()
            }
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
mod tests {
    use super::*;
    use crate::plan::{hosts, resolve};
    use crate::supervise::{Client, Outcome, Usage};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    /// A gate that lets this many clients in, and master's end of the channel.
    fn gate(max_use: u32) -> (Gate, OwnedFd) {
        let (status, master) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_NONBLOCK).unwrap();
        let max_idle = Duration::from_secs(100);
        let gate = Gate { status, generation: 8, lock: Lock::None, max_use, max_idle, used: 0, draining: false };
        (gate, master)
    }

    fn end(gate: &mut Gate) -> Advice {
        let request = hosts::master("nobody", &["/bin/cat"]);
        let plan = resolve(&request, &hosts::compatible(), &hosts::root_on_618()).unwrap();
        let (outcome, time, usage) = (Outcome::Exited(0), Duration::ZERO, Usage::default());
        let client = Client::Given;
        let ended = Ended { service: 0, session: 1, plan: &plan, client: &client, outcome, trouble: None, time, usage };
        gate.ended(&ended, 0)
    }

    fn told(master: &OwnedFd) -> Vec<u8> {
        let mut bytes = [0; 64];
        let length = nix::unistd::read(master, &mut bytes).unwrap_or(0);
        bytes[..length].to_vec()
    }

    #[test]
    fn master_is_told_of_each_client_twice() {
        let (mut gate, master) = gate(100);
        let message = |status| protocol::encode(nix::unistd::getpid().as_raw(), 8, status).to_vec();
        for _ in 0..2 {
            assert_eq!(gate.accepted(0, 1), Advice::Continue);
            assert_eq!(told(&master), message(Status::Taken));
            assert_eq!(end(&mut gate), Advice::Continue);
            assert_eq!(told(&master), message(Status::Available));
        }
    }

    #[test]
    fn the_last_client_that_max_use_allows_is_served_and_no_other() {
        let (mut gate, master) = gate(2);
        assert_eq!(gate.accepted(0, 1), Advice::Continue);
        assert_eq!(end(&mut gate), Advice::Continue);
        assert_eq!(gate.accepted(0, 1), Advice::Drain);
        assert_eq!(end(&mut gate), Advice::Drain);
        assert_eq!(told(&master).len(), 4 * protocol::LENGTH);
    }

    #[test]
    fn without_master_the_client_is_served_and_no_other() {
        let (mut gate, master) = gate(100);
        assert_eq!(gate.accepted(0, 1), Advice::Continue);
        drop(master);
        assert_eq!(gate.ready(), Advice::Drain);
        assert_eq!(end(&mut gate), Advice::Drain);
    }

    #[test]
    fn a_reload_that_nobody_looked_at_yet_is_seen_when_master_is_told() {
        let (mut gate, master) = gate(100);
        drop(master);
        assert_eq!(gate.accepted(0, 1), Advice::Continue);
        assert_eq!(end(&mut gate), Advice::Drain);
    }
}
