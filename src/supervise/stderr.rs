// SPDX-License-Identifier: Apache-2.0
//! A command's standard error where that is not the connection: nothing, or a pipe whose lines are records of our log.
//! Always read, so that no command waits for whoever reads the log; what is too much is left out and counted. Read at a
//! pace, so that no number of commands keeps the loop busy by writing.

mod lines;
mod rate;

pub(super) use crate::log::Rate;
#[cfg(any(test, fuzzing))]
pub(crate) use lines::law;
pub(super) use lines::quoted;
pub(super) use rate::Pace;

use crate::plan::model::StandardError;
use crate::sys::errno;
use lines::{Line, Lines};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use rustix::fs::Mode;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// What one look at a pipe takes: as much as it holds, unless the command has made it larger, see pipe(7).
const LOOK: usize = 64 << 10;

/// Our end of the pipe.
#[derive(Debug)]
pub(super) struct Stderr {
    pipe: OwnedFd,
    lines: Lines,
    rate: Rate,
    /// Lines that were left out and are not told of yet.
    left_out: u64,
}

/// What a look at the pipe has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// There may be more.
    Open,
    /// No process holds the other end any more.
    Closed,
}

/// Whether a line was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It was.
    Yes,
    /// It was counted.
    TooMuch,
}

/// Who is logged, and how much the service may say in all.
pub(super) struct Voice<'a> {
    pub(super) service: &'a str,
    pub(super) session: u64,
    pub(super) rate: &'a mut Rate,
}

/// What a command gets as its standard error, if not the connection; and our end of it, if there is one.
pub(super) fn open(to: StandardError, now: Instant) -> Result<(Option<OwnedFd>, Option<Stderr>), Errno> {
    match to {
        StandardError::Connection => Ok((None, None)),
        StandardError::None => {
            let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::WRONLY | CLOSE_ON_EXEC, Mode::empty());
            null.map(|null| (Some(null), None)).map_err(errno)
        }
        StandardError::Log => {
            let (pipe, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
            // Ours alone: a command that finds its standard error non-blocking loses what it writes.
            fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            let stderr = Stderr { pipe, lines: Lines::default(), rate: Rate::of_session(now), left_out: 0 };
            Ok((Some(theirs), Some(stderr)))
        }
    }
}

const CLOSE_ON_EXEC: rustix::fs::OFlags = rustix::fs::OFlags::CLOEXEC;

impl Stderr {
    /// Takes what is there, once.
    pub(super) fn hear(&mut self, voice: &mut Voice<'_>, now: Instant) -> Heard {
        match self.read(LOOK, voice, now) {
            Ok(0) => {
                self.end(voice, now);
                Heard::Closed
            }
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Heard::Open,
            // Nothing can be read from it, now or later.
            Err(_) => Heard::Closed,
        }
    }

    /// Takes all that was written up to now: every process of the session is dead. A process elsewhere that was given
    /// the other end may go on writing, for which nobody waits.
    pub(super) fn hear_the_last(mut self, voice: &mut Voice<'_>, now: Instant) {
        let mut left = rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0);
        while left > 0 {
            let most = usize::try_from(left).map_or(LOOK, |left| left.min(LOOK));
            match self.read(most, voice, now) {
                Ok(0) | Err(_) => break,
                Ok(count) => left = left.saturating_sub(count as u64),
            }
        }
        self.end(voice, now);
    }

    fn read(&mut self, most: usize, voice: &mut Voice<'_>, now: Instant) -> Result<usize, Errno> {
        let mut bytes = [0; LOOK];
        let count = nix::unistd::read(&self.pipe, &mut bytes[..most])?;
        let mut rest = &bytes[..count];
        while let Some(line) = self.lines.next(&mut rest) {
            match self.say(&line, voice, now) {
                Said::Yes => {}
                // Nor will another be, at this moment.
                Said::TooMuch => self.left_out += self.lines.skip(&mut rest),
            }
        }
        Ok(count)
    }

    /// What has no end of line, and what was left out.
    fn end(&mut self, voice: &mut Voice<'_>, now: Instant) {
        if let Some(line) = self.lines.last() {
            self.say(&line, voice, now);
        }
        self.tell_left_out(voice);
    }

    fn say(&mut self, line: &Line, voice: &mut Voice<'_>, now: Instant) -> Said {
        // The session's own first: one that says too much takes nothing from the others.
        if !(self.rate.take(now) && voice.rate.take(now)) {
            self.left_out += 1;
            return Said::TooMuch;
        }
        self.tell_left_out(voice);
        tracing::info!("{voice} stderr={line}");
        Said::Yes
    }

    fn tell_left_out(&mut self, voice: &Voice<'_>) {
        match std::mem::take(&mut self.left_out) {
            0 => {}
            count => tracing::warn!("{voice} stderr-lines-left-out={count}"),
        }
    }
}

impl AsFd for Stderr {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl fmt::Display for Voice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: session={}", self.service, self.session)
    }
}
