// SPDX-License-Identifier: Apache-2.0
//! Attends one run of a command, watched or in a sandbox, until it ends: hears its calls, feeds it, takes what it
//! prints, and ends what it leaves behind.

mod signals;
mod feed;

pub(super) use feed::Feed;
pub(super) use signals::Signals;

use crate::host::HostError;
use crate::observe::{Event, Heard, Hearer, end_all};
use crate::sys::process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Read at once.
const CHUNK: usize = 1 << 16;
/// What is kept of what a sandbox says.
const MOST_SAID: usize = 1 << 20;
/// Calls that are heard of what a command has left, before that is ended.
const LATE: usize = 1024;

/// A run.
pub(super) struct Run<'a> {
    pub(super) pid: Pid,
    pub(super) hearer: Option<Hearer>,
    pub(super) feed: Option<&'a mut Feed>,
    /// What it prints, which we print.
    pub(super) output: Option<OwnedFd>,
    /// What a sandbox and its command say, of which only the command's is said.
    pub(super) said: Option<OwnedFd>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) status: Status,
    /// What was printed: how many bytes, and their digest.
    pub(super) output: Option<(u64, [u8; 32])>,
    /// Lines of the sandbox.
    pub(super) said: Vec<String>,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Exited(i32),
    Signaled(i32),
    /// By whoever wanted to learn no more.
    Interrupted,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Exited(status) => write!(f, "exit status {status}"),
            Status::Signaled(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            Status::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl Run<'_> {
    /// Attends it. Every call that is heard goes to `note`.
    pub(super) fn attend(mut self, signals: &Signals, note: &mut dyn FnMut(Event)) -> Result<End, HostError> {
        let (mut digest, mut length, mut said) = (Sha256::new(), 0, Vec::new());
        let prints = self.output.is_some();
        let status = loop {
            let ready = self.wait(signals)?;
            if ready.signal {
                if signals.enough() {
                    break Status::Interrupted;
                }
                if let Some(status) = self.ended() {
                    break status;
                }
            }
            if ready.call && self.hear(note) == Heard::Silence {
                self.hearer = None;
            }
            if let Some(feed) = self.feed.as_mut() {
                feed.turn(ready.input, ready.room)?;
            }
            self.take(ready.output, ready.said, &mut digest, &mut length, &mut said);
        };
        // A sandbox ends its own, and says so.
        if status == Status::Interrupted && self.said.is_some() {
            let _ = nix::sys::signal::kill(self.pid, Signal::SIGTERM);
            let _ = nix::sys::wait::waitpid(self.pid, None);
        }
        for _ in 0..LATE {
            if !self.hearer.as_ref().is_some_and(|hearer| events(hearer.as_fd()).contains(PollFlags::POLLIN)) {
                break;
            }
            self.hear(note);
        }
        if !end_all() {
            tracing::warn!("processes of the command are left: they start faster than they can be killed");
        }
        while self.output.is_some() || self.said.is_some() {
            let (output, lines) = (self.output.is_some(), self.said.is_some());
            self.take(output, lines, &mut digest, &mut length, &mut said);
        }
        let text = String::from_utf8_lossy(&said).into_owned();
        let mut own = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("spawnbox: ") {
                Some(line) => own.push(line.to_string()),
                None => drop(writeln!(std::io::stderr(), "{line}")),
            }
        }
        Ok(End { status, output: prints.then(|| (length, digest.finalize().into())), said: own })
    }

    fn wait(&self, signals: &Signals) -> Result<Ready, HostError> {
        let mut entries = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let stdin = std::io::stdin();
        let feed = self.feed.as_deref();
        let wanted = [
            (self.hearer.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
            (feed.filter(|feed| !feed.ended).map(|_| stdin.as_fd()), PollFlags::POLLIN),
            (feed.filter(|feed| feed.waits()).and_then(|feed| feed.to.as_ref()).map(AsFd::as_fd), PollFlags::POLLOUT),
            (self.output.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
            (self.said.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
        ];
        let mut places = [None; 5];
        for (index, (descriptor, flags)) in wanted.into_iter().enumerate() {
            if let Some(descriptor) = descriptor {
                places[index] = Some(entries.len());
                entries.push(PollFd::new(descriptor, flags));
            }
        }
        match poll(&mut entries, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(HostError::new("wait for the command", errno)),
        }
        let ready = |index: usize| entries[index].revents().is_some_and(|events| !events.is_empty());
        let at = |place: usize| places[place].is_some_and(ready);
        Ok(Ready { signal: ready(0), call: at(0), input: at(1), room: at(2), output: at(3), said: at(4) })
    }

    /// The command's end, if it has ended; others are reaped.
    fn ended(&self) -> Option<Status> {
        let mut found = None;
        while let Ok(Some((pid, status))) = process::reap_any() {
            if pid == self.pid {
                found = Some(match WaitStatus::from_raw(pid, status) {
                    Ok(WaitStatus::Signaled(_, signal, _)) => Status::Signaled(signal as i32),
                    Ok(WaitStatus::Exited(_, status)) => Status::Exited(status),
                    Ok(_) | Err(_) => Status::Signaled(status & 0x7f),
                });
            }
        }
        found
    }

    fn hear(&mut self, note: &mut dyn FnMut(Event)) -> Heard {
        let Some(hearer) = &self.hearer else { return Heard::Silence };
        let ready = events(hearer.as_fd());
        if !ready.contains(PollFlags::POLLIN) {
            return if ready.is_empty() { Heard::Nothing } else { Heard::Silence };
        }
        match hearer.hear() {
            Heard::Event(event) => {
                note(event);
                Heard::Nothing
            }
            heard => heard,
        }
    }

    fn take(&mut self, output: bool, lines: bool, digest: &mut Sha256, length: &mut u64, said: &mut Vec<u8>) {
        if let (true, Some(pipe)) = (output, &self.output) {
            match read(pipe) {
                Some(bytes) => {
                    digest.update(&bytes);
                    *length += bytes.len() as u64;
                    // Nobody reads it any more: no reason not to learn.
                    let _ = std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush());
                }
                None => self.output = None,
            }
        }
        if let (true, Some(pipe)) = (lines, &self.said) {
            match read(pipe) {
                Some(bytes) if said.len() < MOST_SAID => said.extend(bytes),
                Some(_) => {}
                None => self.said = None,
            }
        }
    }
}

/// What can be done without waiting.
struct Ready {
    signal: bool,
    call: bool,
    input: bool,
    room: bool,
    output: bool,
    said: bool,
}

fn read(pipe: &OwnedFd) -> Option<Vec<u8>> {
    let mut bytes = vec![0; CHUNK];
    loop {
        match nix::unistd::read(pipe, &mut bytes) {
            Ok(0) => return None,
            Ok(length) => {
                bytes.truncate(length);
                return Some(bytes);
            }
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// What poll(2) says at once.
fn events(descriptor: BorrowedFd<'_>) -> PollFlags {
    let mut entry = [PollFd::new(descriptor, PollFlags::POLLIN)];
    let _ = poll(&mut entry, PollTimeout::ZERO);
    entry[0].revents().unwrap_or(PollFlags::empty())
}
