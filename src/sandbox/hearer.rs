// SPDX-License-Identifier: Apache-2.0
//! The reaper's part in naming what is denied: it takes each call that the command's filter hands out, tells of it up the
//! cord, and answers as the policy does. Here and not in the supervisor: to read a command's memory may take as long
//! as the command likes, and here it keeps its own session waiting alone, by a process without any right.
//! It only ever refuses, so nothing that changes meanwhile can let a call pass. Nothing here allocates.

use super::denied::{self, Denied};
use crate::log::Rate;
use crate::plan::calls::{self, Pointer};
use crate::plan::model::{Denial, Filter};
use crate::sys::notify::{self, Notice};
use crate::sys::{process, socket};
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{IntoRawFd, RawFd};
use std::time::{Duration, Instant};

/// What hears for one session.
pub(super) struct Hearer<'a> {
    filter: &'a Filter,
    state: State,
    answers: Rate,
    reports: Rate,
    untold: u32,
}

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
    /// For the command of `filter`, which sends its listener over `channel`.
    pub(super) fn new(filter: &'a Filter, channel: RawFd) -> Hearer<'a> {
        let now = Instant::now();
        Hearer {
            filter,
            state: State::Awaiting(channel),
            // A program that makes a call in vain for each of its files is slow, and goes on as it would unheard. One that
            // does nothing else must not keep this process, and the supervisor behind it, busy.
            answers: Rate::new(1000, Duration::from_millis(100), now),
            reports: Rate::new(50, Duration::from_secs(1), now),
            untold: 0,
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

    /// Takes what is there.
    pub(super) fn hear(&mut self, cord: RawFd) {
        match self.state {
            State::Awaiting(channel) => match socket::receive_descriptors(process::fixed(channel), &mut [0]) {
                Ok((_, [Some(listener), ..])) => {
                    process::close(channel);
                    self.state = State::Listening(listener.into_raw_fd());
                }
                Err(Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM | Errno::ENOBUFS) => {}
                // Without a listener the kernel answers, with ENOSYS.
                Ok(_) | Err(_) => self.end(),
            },
            State::Listening(listener) => match notify::receive(process::fixed(listener)) {
                Ok(notice) => self.answer(cord, listener, &notice),
                // Whoever made the call is dead, or was interrupted.
                Err(Errno::ENOENT | Errno::EINTR | Errno::EAGAIN | Errno::ENOMEM) => {}
                Err(_) => self.end(),
            },
            State::Deaf => {}
        }
    }

    fn answer(&mut self, cord: RawFd, listener: RawFd, notice: &Notice) {
        let now = Instant::now();
        let last = !self.answers.take(now);
        if last || self.reports.take(now) {
            let denied = Denied::new(notice.call, notice.arguments, self.untold, last);
            self.untold = 0;
            let mut room = [0; denied::LONGEST];
            // A supervisor that is gone ends this process soon.
            let _ = process::write(cord, named(denied, listener, notice).encode(&mut room));
        } else {
            self.untold = self.untold.saturating_add(1);
        }
        let errno = match calls::denial(self.filter, notice.call, notice.arguments) {
            Some(Denial::Errno(errno)) => errno,
            // It waits for the answer, and dies of this before it has one: SIGKILL, for a process of its own can catch
            // SIGSYS when it does not come from the kernel. Where that is refused it lives, and has its errno.
            Some(Denial::Kill) => {
                let _ = notify::kill(notice.pid);
                libc::EPERM
            }
            // The program and the plan say the same; nothing that was handed out may pass.
            None => libc::EPERM,
        };
        // ENOENT: nobody waits for it any more.
        let _ = notify::refuse(process::fixed(listener), notice.id, errno);
        if last {
            self.end();
        }
    }
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
