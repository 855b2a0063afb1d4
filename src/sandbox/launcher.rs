// SPDX-License-Identifier: Apache-2.0
//! The launcher, seen from the supervisor: a small process of one service that holds the prepared objects and makes
//! the children. It may be stopped or killed; the supervisor never waits for it once it is ready.

use super::launch;
use super::line::Purpose;
use super::report::SetupError;
use super::{HostError, wire};
use crate::host::errno_text;
use crate::plan::Plan;
use crate::sys::clone::{self, Side};
use crate::sys::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use rustix::process::Rlimit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How long a launcher may take to prepare its objects, in milliseconds.
const PREPARATION_MS: u16 = 20_000;

/// The number that a self-test has in the place of a session's: no client's, and never will be.
pub const SELF_TEST: u64 = 0;

/// A running launcher. Dropping it ends the process: it reads end of file.
#[derive(Debug)]
pub struct Launcher {
    socket: OwnedFd,
    /// Not known of a twin that has not yet said it.
    pid: Option<Pid>,
}

/// What a launcher answers, in the order of the requests.
#[derive(Debug)]
pub enum Reply {
    /// The first process of the sandbox is there. It is a child of the supervisor, which waits for it.
    Launched {
        /// The number that [`Launcher::request`] was given.
        session: u64,
        /// Its process id, in the supervisor's PID namespace.
        pid: Pid,
        /// Its pidfd.
        pidfd: OwnedFd,
    },
    /// The first process is there, but there was no room for its pidfd: EMFILE. It is of no use and is to be killed.
    OutOfReach {
        /// The number that [`Launcher::request`] was given.
        session: u64,
        /// Its process id, which is its own until it is reaped.
        pid: Pid,
    },
    /// The process could not be made.
    Failed {
        /// The number that [`Launcher::request`] was given.
        session: u64,
        /// Why; the step is [`crate::plan::Step::Clone`].
        error: SetupError,
    },
    /// The launcher is this process, a child of the supervisor: a twin that is there now, or one that has left its
    /// memory to a session that did not give it back, and goes on as another process. What it was has ended.
    Moved {
        /// Its process id.
        pid: Pid,
    },
    /// The launcher is gone.
    Closed,
}

impl Launcher {
    /// Makes a launcher for `plan`, with this limit on open files, and waits until it has prepared everything.
    /// Must be called while the process has one thread.
    pub fn start(plan: &Plan, open_files: Rlimit) -> Result<Launcher, HostError> {
        let launcher = Launcher::begin(plan, open_files)?;
        match launcher.await_ready() {
            Ok(()) => Ok(launcher),
            Err(error) => {
                launcher.end();
                Err(error)
            }
        }
    }

    /// Makes a launcher for `plan` and waits for nothing: [`Launcher::prepared`] says when it can be asked.
    /// Must be called while the process has one thread.
    pub fn begin(plan: &Plan, open_files: Rlimit) -> Result<Launcher, HostError> {
        let (ours, theirs) = pair().map_err(|e| HostError::new("make a socket pair for the launcher", e))?;
        match clone::fork().map_err(|e| HostError::new("make the launcher", e))? {
            Side::Child => launch::run(plan, theirs, open_files),
            Side::Parent(pid) => Ok(Launcher { socket: ours, pid: Some(pid) }),
        }
    }

    /// Asks for a twin: a copy of this launcher with all that it has prepared. It can be asked once it has said
    /// [`Reply::Moved`]; where it cannot be made it is [`Reply::Closed`]. EAGAIN as for [`Launcher::request`].
    pub fn twin(&self) -> Result<Launcher, Errno> {
        let (ours, theirs) = pair()?;
        socket::send_descriptors(self.socket.as_fd(), &wire::TWIN, &[theirs.as_fd()])?;
        Ok(Launcher { socket: ours, pid: None })
    }

    /// Whether everything is prepared, or why it never will be; `None` while it is still being prepared.
    /// To be heard once, before the first request.
    pub fn prepared(&self) -> Option<Result<(), HostError>> {
        let mut bytes = [0; wire::READY_LENGTH];
        match socket::receive(self.socket.as_fd(), &mut bytes) {
            Ok(length) => Some(wire::decode_ready(&bytes[..length])),
            Err(Errno::EAGAIN) => None,
            Err(errno) => Some(Err(HostError::new("hear from the launcher", errno))),
        }
    }

    fn await_ready(&self) -> Result<(), HostError> {
        let told = |e| HostError::new("hear from the launcher", e);
        let mut entries = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut entries, PollTimeout::from(PREPARATION_MS)).map_err(told)? == 0 {
            return Err(told(Errno::ETIMEDOUT));
        }
        self.prepared().unwrap_or(Err(told(Errno::EAGAIN)))
    }

    /// Kills a launcher that is of no use and reaps it. One that cannot be killed is not waited for: it reads end of
    /// file, and is a stray.
    pub fn end(self) {
        let Some(pid) = self.pid else { return };
        // It is our own child and not yet reaped, so the number is still its own, and it dies of this.
        match nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL) {
            Ok(()) => drop(nix::sys::wait::waitpid(pid, None)),
            Err(errno) => tracing::warn!("cannot kill launcher {pid}: {}", errno_text(errno)),
        }
    }

    /// Asks for a session, or for what shall be one, with this user id where the plan has a range of them. The cord's
    /// far end and the cgroup's descriptor are not kept. EAGAIN means that the launcher is behind: try again when its
    /// socket is writable.
    pub fn request(
        &self,
        (session, user, purpose): (u64, Option<u32>, Purpose),
        cord: BorrowedFd<'_>,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> Result<(), Errno> {
        let bytes = wire::encode_request(session, user, purpose);
        match cgroup {
            Some(cgroup) => socket::send_descriptors(self.socket.as_fd(), &bytes, &[cord, cgroup]),
            None => socket::send_descriptors(self.socket.as_fd(), &bytes, &[cord]),
        }
    }

    /// Takes the next answer; `None` while there is none.
    pub fn reply(&self) -> Result<Option<Reply>, Errno> {
        let mut bytes = [0; wire::REPLY_LENGTH];
        match socket::receive_descriptors(self.socket.as_fd(), &mut bytes) {
            Ok((0, _)) | Err(Errno::ECONNRESET) => Ok(Some(Reply::Closed)),
            Ok((length, [pidfd, ..])) => wire::decode_reply(&bytes[..length], pidfd).map(Some).ok_or(Errno::EPROTO),
            Err(Errno::EMFILE) => wire::decode_truncated(&bytes).map(Some).ok_or(Errno::EPROTO),
            // It stays in the socket until there is memory for it.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOMEM | Errno::ENOBUFS) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// It goes on as this process. The one that it was comes back: it ends, and is still to be reaped.
    pub fn moved(&mut self, pid: Pid) -> Option<Pid> {
        self.pid.replace(pid)
    }

    /// The launcher's process id: a child of the supervisor, which reaps it. None of a twin that is not there yet.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }
}

/// A socket for requests, the first one ours, which does not wait.
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok((ours, theirs))
}

impl AsFd for Launcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
