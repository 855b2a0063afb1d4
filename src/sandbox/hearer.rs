// SPDX-License-Identifier: Apache-2.0
//! The reaper's part in naming what is denied: it takes each call that the command's filter hands out, tells of it up
//! the cord, and answers as the policy does. Here and not in the supervisor: to read a command's memory may take as
//! long as the command likes, and here it keeps its own session waiting alone, by a process without any right.
//! What the plan's filter denies it refuses, by the numbers of the call alone, so nothing that changes meanwhile can
//! let such a call pass; where it hears of what granted calls look up and reach as well, it lets those be made,
//! whatever it saw there: mounts and Landlock hold them. It answers every call as long as there is a process that makes
//! some: a call that ends a command ends it after any number of others. What that takes is time of the session's, in
//! its control group and under its limits. Nothing here allocates.

use super::denied::{self, Denied};
use crate::log::Rate;
use crate::plan::calls::{self, Name, Pointer, Using};
use crate::plan::model::{Denial, Filter};
use crate::plan::sought::Shown;
use crate::sys::notify::{self, Notice};
use crate::sys::{process, socket};
use nix::errno::Errno;
use nix::libc;
use std::ffi::OsStr;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What hears for one session.
pub(super) struct Hearer<'a> {
    filter: &'a Filter,
    state: State,
    /// Of calls that fail, and of those that end their process.
    reports: Rate,
    deaths: Rate,
    untold: u32,
    sought: Option<Sought<'a>>,
}

/// What granted calls look up and reach.
struct Sought<'a> {
    shown: &'a Shown,
    reports: Rate,
    /// Marks of what was told last. Two things with one mark are told as one.
    told: [u64; REMEMBERED],
    /// Those of the hidden directories that it lies below.
    below: [u64; REMEMBERED],
    next: usize,
}

/// A program looks for the same file again and again.
const REMEMBERED: usize = 128;
/// How many files are told of one hidden directory. Interpreters look for each of their modules in places that most
/// hosts do not have either.
const MOST_BELOW: usize = 4;

#[derive(Clone, Copy)]
enum State {
    /// The command is to send its listener over this.
    Awaiting(RawFd),
    /// This is it.
    Listening(RawFd),
    /// Nothing more is to be heard.
    Deaf,
}

impl<'a> Hearer<'a> {
    /// For the command of `filter`, which sends its listener over `channel`, and hears of granted calls as well where
    /// it is known what is shown.
    pub(super) fn new(filter: &'a Filter, shown: Option<&'a Shown>, channel: RawFd) -> Hearer<'a> {
        let now = Instant::now();
        let reports = Rate::new(100, Duration::from_secs(1), now);
        Hearer {
            filter,
            state: State::Awaiting(channel),
            // The supervisor takes no more than twice of both together. Who fails a thousand times and then dies of a
            // call is told of with it.
            reports: Rate::new(50, Duration::from_secs(1), now),
            deaths: Rate::new(10, Duration::from_secs(2), now),
            untold: 0,
            sought: shown.map(|shown| Sought {
                shown,
                reports,
                told: [0; REMEMBERED],
                below: [0; REMEMBERED],
                next: 0,
            }),
        }
    }

    /// What is to be polled: -1 if nothing is.
    pub(super) fn descriptor(&self) -> RawFd {
        match self.state {
            State::Awaiting(number) | State::Listening(number) => number,
            State::Deaf => -1,
        }
    }

    /// No process is left that could be heard.
    pub(super) fn end(&mut self) {
        process::close(self.descriptor());
        self.state = State::Deaf;
    }

    /// Takes what is there. An error: some call cannot be answered as the policy says, and nothing may go on that can
    /// make one.
    pub(super) fn hear(&mut self, cord: RawFd) -> Result<(), Errno> {
        match self.state {
            State::Awaiting(channel) => match socket::receive_descriptors(process::fixed(channel), &mut [0]) {
                Ok((_, [Some(listener), ..])) => {
                    process::close(channel);
                    self.state = State::Listening(listener.into_raw_fd());
                    Ok(())
                }
                // Whoever should have sent it has ended before.
                Ok(_) => {
                    self.end();
                    Ok(())
                }
                Err(Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM | Errno::ENOBUFS) => Ok(()),
                // Without a listener the kernel answers, with ENOSYS, what should end a command too.
                Err(errno) => Err(errno),
            },
            State::Listening(listener) => match notify::receive(process::fixed(listener)) {
                Ok(notice) => self.answer(cord, listener, &notice),
                // Whoever made the call is dead, or was interrupted.
                Err(Errno::ENOENT | Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM) => Ok(()),
                Err(errno) => Err(errno),
            },
            State::Deaf => Ok(()),
        }
    }

    fn answer(&mut self, cord: RawFd, listener: RawFd, notice: &Notice) -> Result<(), Errno> {
        // The program and the plan say the same; nothing that was handed out for being denied may pass.
        let denial = match (calls::denial(self.filter, notice.call, notice.arguments), &mut self.sought) {
            (Some(denial), _) => denial,
            (None, None) => Denial::Errno(libc::EPERM),
            (None, Some(sought)) => {
                let seen = named(Denied::new(notice.call, notice.arguments, self.untold), listener, notice);
                match sought.look(&seen, Instant::now()) {
                    Look::Told => {
                        self.untold = 0;
                        let _ = process::write(cord, seen.encode(&mut [0; denied::LONGEST]));
                    }
                    Look::Untold => self.untold = self.untold.saturating_add(1),
                    Look::Nothing => {}
                }
                return answered(notify::resume(process::fixed(listener), notice.id));
            }
        };
        let rate = match denial {
            Denial::Errno(_) => &mut self.reports,
            Denial::Kill => &mut self.deaths,
        };
        if rate.take(Instant::now()) {
            let denied = Denied::new(notice.call, notice.arguments, self.untold);
            self.untold = 0;
            let mut room = [0; denied::LONGEST];
            // A supervisor that is gone ends this process soon.
            let _ = process::write(cord, named(denied, listener, notice).encode(&mut room));
        } else {
            self.untold = self.untold.saturating_add(1);
        }
        let errno = match denial {
            Denial::Errno(errno) => errno,
            // It waits for the answer, and dies of this before it has one: SIGKILL, for a process of its own can catch
            // SIGSYS when it does not come from the kernel.
            Denial::Kill => match notify::kill(notice.pid) {
                Ok(()) | Err(Errno::ESRCH) => libc::EPERM,
                Err(errno) => return Err(errno),
            },
        };
        answered(notify::refuse(process::fixed(listener), notice.id, errno))
    }
}

fn answered(answered: Result<(), Errno>) -> Result<(), Errno> {
    match answered {
        // ENOENT: nobody waits for it any more.
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What becomes of a call that is made.
enum Look {
    /// It is told.
    Told,
    /// It would be, but for how many are.
    Untold,
    /// It comes to nothing that a policy could allow, or was told already.
    Nothing,
}

impl Sought<'_> {
    fn look(&mut self, seen: &Denied, now: Instant) -> Look {
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        let (using, hidden) = match calls::pointer(seen.call) {
            _ if seen.name().is_empty() => return Look::Nothing,
            None => return Look::Nothing,
            Some((_, Pointer::Path)) => match calls::wanted(seen.call, seen.arguments) {
                None => return Look::Nothing,
                // Where a relative one begins is not known here.
                Some(using) if !path(seen.name()).is_absolute() || self.shown.holds(path(seen.name()), using) => {
                    return Look::Nothing;
                }
                Some(using) => (using, self.shown.hidden(path(seen.name()))),
            },
            Some((_, Pointer::Address(_))) => match calls::name(seen.name()) {
                None | Some(Name::Abstract(_) | Name::Other(_)) => return Look::Nothing,
                Some(Name::File(file)) if self.shown.holds(path(file), Using::Connect) => return Look::Nothing,
                Some(Name::File(file)) => (Using::Connect, self.shown.hidden(path(file))),
                // Each peer is one of its own.
                Some(Name::Internet(_)) => (Using::Connect, path(seen.name())),
            },
        };
        let (mark, below) = (mark(seen.name(), using), mark(hidden.as_os_str().as_bytes(), Using::Look));
        if self.told.contains(&mark) {
            return Look::Nothing;
        }
        if self.below.iter().filter(|known| **known == below).count() >= MOST_BELOW || !self.reports.take(now) {
            return Look::Untold;
        }
        (self.told[self.next], self.below[self.next]) = (mark, below);
        self.next = (self.next + 1) % REMEMBERED;
        Look::Told
    }
}

/// FNV-1a, which needs no room. A command that makes two names of one mark hides one of them from its own log.
fn mark(name: &[u8], using: Using) -> u64 {
    let step = |mark: u64, byte: u8| (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    step(name.iter().fold(0xcbf2_9ce4_8422_2325, |mark, byte| step(mark, *byte)), using as u8)
}

/// With the name of what the call is about, if that can be read and is still this call's.
fn named(denied: Denied, listener: RawFd, notice: &Notice) -> Denied {
    let Some((argument, kind)) = calls::pointer(notice.call) else { return denied };
    let mut bytes = [0; denied::NAME];
    let most = match kind {
        Pointer::Path => bytes.len(),
        // A length beyond any address's is refused by the kernel too.
        Pointer::Address(length) => usize::try_from(notice.arguments[length] as u32).map_or(0, |most| most.min(128)),
    };
    match notify::read_memory(notice.pid, notice.arguments[argument], &mut bytes[..most]) {
        Ok(length) if notify::is_valid(process::fixed(listener), notice.id) => denied.named(&bytes[..length]),
        Ok(_) | Err(_) => denied,
    }
}
