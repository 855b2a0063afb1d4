// SPDX-License-Identifier: Apache-2.0
//! One session, as many times as it is wanted: a connection of somebody's, or our own standard input and output.

use super::attend::{End, Feed, Run, Signals};
use super::journal::Journal;
use crate::front::arrange::Failure;
use crate::host::HostError;
use crate::observe::{Hearer, Opening, Started, start};
use crate::plan::model::{Command, Filter, Listen};
use crate::policy::address::Address;
use crate::supervise::Bound;
use crate::sys::errno;
use crate::sys::socket::tcp_traffic;
use nix::unistd::Pid;
use rustix::fs::FileType;
use rustix::net::SocketFlags;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

/// Where sessions come from.
pub(super) enum Source {
    /// Whoever connects.
    Listener(Bound),
    /// Standard input, once: what it is, and what came from it if it cannot be read twice.
    Given { again: Again, feed: Feed },
}

/// How standard input is read a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// From the start.
    Rewind,
    /// By whoever types it.
    Typed,
    /// From what was kept.
    Kept,
}

/// What a session is in.
#[derive(Clone, Copy)]
pub(super) enum Walls<'a> {
    /// Nothing: it is watched.
    Open { command: &'a Command, ids: Option<(u32, u32)>, base: &'a Filter },
    /// The policy in this file.
    Policy(&'a str),
}

/// What a session has for 0, 1 and 2.
struct Ends {
    stdio: [OwnedFd; 3],
    output: Option<OwnedFd>,
    /// A copy, to ask what was sent.
    connection: Option<OwnedFd>,
}

impl Source {
    pub(super) fn of(address: Option<&Address>) -> Result<Source, Failure> {
        let Some(address) = address else { return Ok(Source::given()) };
        address.listen(&Listen::NOWHERE).map(Source::Listener).map_err(Failure::Host)
    }

    fn given() -> Source {
        let stdin = std::io::stdin();
        let kind = rustix::fs::fstat(&stdin).map(|found| FileType::from_raw_mode(found.st_mode));
        let again = match kind {
            _ if std::io::IsTerminal::is_terminal(&stdin) => Again::Typed,
            Ok(FileType::Fifo | FileType::Socket) => Again::Kept,
            // /dev/null is the same each time.
            Ok(_) | Err(_) => Again::Rewind,
        };
        Source::Given { again, feed: Feed { to: None, bytes: Vec::new(), given: 0, ended: false } }
    }

    /// Plays one session; `None` where somebody has said that it is enough before it began.
    pub(super) fn play(
        &mut self,
        walls: Walls<'_>,
        signals: &Signals,
        journal: &mut Journal,
    ) -> Result<Option<End>, HostError> {
        let Some(ends) = self.ends(signals)? else { return Ok(None) };
        let Ends { stdio, output, connection } = ends;
        let base = match walls {
            Walls::Open { base, .. } => base.clone(),
            Walls::Policy(_) => Filter::NONE,
        };
        let (pid, hearer, said) = match walls {
            Walls::Open { command, ids, base } => {
                let stdio = [stdio[0].as_fd(), stdio[1].as_fd(), stdio[2].as_fd()];
                let Started { pid, listener } = start(&Opening { command, ids, stdio, base })?;
                (pid, Some(Hearer::new(listener)), None)
            }
            Walls::Policy(word) => {
                let (pid, said) = sandboxed(word, &stdio)?;
                (pid, None, Some(said))
            }
        };
        drop(stdio);
        let feed = match self {
            Source::Given { again: Again::Kept, feed } => Some(feed),
            Source::Given { .. } | Source::Listener(_) => None,
        };
        let mut end =
            Run { pid, hearer, feed, output, said }.attend(signals, &mut |event| journal.note(event, &base))?;
        // How much, but not what: nobody reads a connection.
        end.output = end
            .output
            .or(connection.as_ref().and_then(|socket| Some((tcp_traffic(socket.as_fd()).ok()?.sent, [0; 32]))));
        Ok(Some(end))
    }

    fn ends(&mut self, signals: &Signals) -> Result<Option<Ends>, HostError> {
        match self {
            Source::Listener(bound) => {
                if !signals.wait_for(bound.listener.as_fd()) {
                    return Ok(None);
                }
                let connection = accept(bound.listener.as_fd())?;
                let stdio = [copy(&connection)?, copy(&connection)?, copy(&connection)?];
                Ok(Some(Ends { stdio, output: None, connection: Some(connection) }))
            }
            Source::Given { again, feed } => {
                let input = match again {
                    Again::Typed => copy(std::io::stdin())?,
                    Again::Rewind => {
                        // A directory has no place in it.
                        let _ = rustix::fs::seek(std::io::stdin(), rustix::fs::SeekFrom::Start(0));
                        copy(std::io::stdin())?
                    }
                    Again::Kept => {
                        let (read, write) = pipe()?;
                        rustix::io::ioctl_fionbio(&write, true).map_err(|error| failed("feed the command", error))?;
                        (feed.to, feed.given) = (Some(write), 0);
                        if feed.ended && feed.bytes.is_empty() {
                            feed.to = None;
                        }
                        read
                    }
                };
                let (output, print) = pipe()?;
                Ok(Some(Ends {
                    stdio: [input, print, copy(std::io::stderr())?],
                    output: Some(output),
                    connection: None,
                }))
            }
        }
    }
}

/// This program once more, as `run`, with the session's ends; and what is said there.
fn sandboxed(word: &str, stdio: &[OwnedFd; 3]) -> Result<(Pid, OwnedFd), HostError> {
    let (said, say) = pipe()?;
    let mut command = std::process::Command::new("/proc/self/exe");
    command.args(["run", "--policy", word, "-s", "syscalls.on-deny=report"]);
    command.stdin(Stdio::from(copy(&stdio[0])?)).stdout(Stdio::from(copy(&stdio[1])?)).stderr(Stdio::from(say));
    match command.spawn() {
        Ok(child) => Ok((Pid::from_raw(child.id() as i32), said)),
        Err(error) => Err(HostError::of_library("run spawnbox itself", &error)),
    }
}

fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd, HostError> {
    loop {
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(connection) => return high(connection),
            // It has gone again.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {
                let mut entry = [nix::poll::PollFd::new(listener, nix::poll::PollFlags::POLLIN)];
                let _ = nix::poll::poll(&mut entry, nix::poll::PollTimeout::from(100_u8));
            }
            Err(error) => return Err(failed("accept a connection", error)),
        }
    }
}

fn copy(descriptor: impl AsFd) -> Result<OwnedFd, HostError> {
    rustix::io::fcntl_dupfd_cloexec(descriptor, 3).map_err(|error| failed("copy a descriptor", error))
}

/// Above the three that it is to become.
fn high(descriptor: OwnedFd) -> Result<OwnedFd, HostError> {
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { copy(descriptor) }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), HostError> {
    let made = std::io::pipe();
    let (read, write) = made.map_err(|error| HostError::of_library("make a pipe", &error))?;
    Ok((high(read.into())?, high(write.into())?))
}

fn failed(doing: &str, error: rustix::io::Errno) -> HostError {
    HostError::new(doing, errno(error))
}
