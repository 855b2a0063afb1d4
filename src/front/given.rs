// SPDX-License-Identifier: Apache-2.0
//! A connection that is there already: standard input, as inetd, a shell or whoever works by hand gives it.
//! Takes copies; what they are copies of stays open, and nothing is read.

use crate::host::HostError;
use crate::plan::request::Transport;
use crate::supervise::Client;
use crate::supervise::connection::lock;
use crate::sys::errno;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The connection and what it is.
pub(super) struct Given {
    /// One descriptor, or three.
    pub(super) connection: Vec<OwnedFd>,
    pub(super) client: Client,
    pub(super) transport: Transport,
}

impl Given {
    /// Standard input alone where it and standard output are sockets, as inetd gives them; else all three.
    pub(super) fn take() -> Result<Given, HostError> {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        if family(stdout.as_fd()).is_some() && family(std::io::stdin().as_fd()).is_some() {
            return Given::input();
        }
        let Given { mut connection, .. } = Given::input()?;
        connection.push(copy(stdout.as_fd(), "standard output")?);
        connection.push(copy(stderr.as_fd(), "standard error")?);
        Ok(Given { connection, client: Client::Given, transport: Transport::Stdio })
    }

    /// Standard input alone, which must be a socket.
    pub(super) fn connection() -> Result<Given, HostError> {
        if family(std::io::stdin().as_fd()).is_none() {
            let why = "it is no socket; inetd(8) gives one, and so does a unit with StandardInput=socket";
            return Err(HostError { doing: "take standard input for the connection".into(), why: why.into() });
        }
        Given::input()
    }

    /// Standard input alone, whatever it is: what cannot be written to is still all that there is.
    pub(super) fn input() -> Result<Given, HostError> {
        let stdin = std::io::stdin();
        let connection = copy(stdin.as_fd(), "standard input")?;
        let client = Client::of(connection.as_fd(), None);
        let transport = match family(stdin.as_fd()) {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => Transport::Tcp,
            // What has another family is no concern of a network namespace.
            Some(_) => Transport::Unix,
            None => Transport::Stdio,
        };
        Ok(Given { connection: vec![connection], client, transport })
    }
}

fn family(fd: BorrowedFd<'_>) -> Option<AddressFamily> {
    getsockname::<SockaddrStorage>(fd.as_raw_fd()).ok().and_then(|address| address.family())
}

fn copy(fd: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, HostError> {
    let failed = |error: rustix::io::Errno| HostError::new(format!("take over {name}"), errno(error));
    let copied = rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(failed)?;
    lock(copied.as_fd(), name)?;
    Ok(copied)
}
