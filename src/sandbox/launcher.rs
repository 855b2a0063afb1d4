// SPDX-License-Identifier: Apache-2.0
//! The launcher, seen from the supervisor: a small process per service that holds the prepared objects and makes
//! the children. It may be stopped or killed; the supervisor never waits for it.

use super::{HostError, SetupError};
use crate::plan::Plan;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A running launcher. Dropping it ends the process: it reads end of file.
#[derive(Debug)]
pub struct Launcher {
    socket: OwnedFd,
    pid: Pid,
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
    /// The process could not be made.
    Failed {
        /// The number that [`Launcher::request`] was given.
        session: u64,
        /// Why; the step is [`crate::plan::Step::Clone`].
        error: SetupError,
    },
    /// The launcher is gone.
    Closed,
}

impl Launcher {
    /// Makes a launcher for `plan` and waits until it has prepared everything.
    /// Must be called while the process has one thread.
    pub fn start(_plan: &Plan) -> Result<Launcher, HostError> {
        Err(HostError::new("start the launcher", Errno::ENOSYS))
    }

    /// Asks for a session. The cord's far end and the cgroup's descriptor are not kept.
    /// EAGAIN means that the launcher is behind: try again when its socket is writable.
    pub fn request(&self, session: u64, cord: BorrowedFd<'_>, cgroup: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let _ = (session, cord, cgroup);
        Err(Errno::ENOSYS)
    }

    /// Takes the next answer; `None` while there is none.
    pub fn reply(&self) -> Result<Option<Reply>, Errno> {
        Ok(None)
    }

    /// The launcher's process id: a child of the supervisor, which reaps it.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

impl AsFd for Launcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
