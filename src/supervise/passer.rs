// SPDX-License-Identifier: Apache-2.0
//! A daemon in front of us that hands its client over, as postscreen(8) does: a byte with the client's descriptor, then
//! attributes, which are dropped. Its words are Postfix's; how long it may take is limited, and nobody waits for it.

use super::connection;
use crate::host::errno_text;
use crate::postfix::passing::{Attributes, Progress};
use crate::sys::errno;
use crate::sys::socket::{receive, receive_descriptors};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the descriptor may take, and then the attributes. See util/pass_accept.c, PASS_ACCEPT_TMOUT.
const PATIENCE: Duration = Duration::from_secs(100);

/// A daemon that is handing a client over.
#[derive(Debug)]
pub struct Passer {
    /// Does not block.
    stream: OwnedFd,
    client: Option<OwnedFd>,
    attributes: Attributes,
    deadline: Instant,
}

/// Why no client came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct PassError {
    /// What could not be done, as Postfix says it.
    pub what: &'static str,
    /// Why.
    pub why: String,
}

const DESCRIPTOR: &str = "cannot receive file descriptor";
const LATE_DESCRIPTOR: &str = "timeout receiving file descriptor";
const ATTRIBUTES: &str = "cannot receive connection attributes";

fn failed<T>(what: &'static str, why: impl Into<String>) -> Result<T, PassError> {
    Err(PassError { what, why: why.into() })
}

impl Passer {
    /// A connection to a listener of the transport `pass`, which must not block.
    pub(super) fn new(stream: OwnedFd) -> Passer {
        let (attributes, deadline) = (Attributes::default(), Instant::now() + PATIENCE);
        Passer { stream, client: None, attributes, deadline }
    }

    /// Until when more must have come.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes what has come. None: more must come.
    pub fn hear(&mut self) -> Result<Option<OwnedFd>, PassError> {
        if self.client.is_none() {
            match receive_descriptors(self.stream.as_fd(), &mut [0]) {
                Ok((1, [client @ Some(_), None, None])) => self.client = client,
                Ok((0, _)) => return failed(DESCRIPTOR, "end of file"),
                Ok(_) => return failed(DESCRIPTOR, "it comes alone, with one byte"),
                Err(errno) => return again(errno, DESCRIPTOR),
            }
            self.deadline = Instant::now() + PATIENCE;
        }
        let mut bytes = [0; 4096];
        loop {
            match receive(self.stream.as_fd(), &mut bytes) {
                Ok(0) => return failed(ATTRIBUTES, "end of file"),
                Ok(length) => match self.attributes.take(&bytes[..length]) {
                    Progress::More => {}
                    Progress::Complete => return self.take_client(),
                    Progress::TooLong => return failed(ATTRIBUTES, "they are too long"),
                },
                Err(errno) => return again(errno, ATTRIBUTES),
            }
        }
    }

    /// What is to be said where the deadline has come.
    pub(super) fn is_late(&self) -> PassError {
        let what = if self.client.is_some() { ATTRIBUTES } else { LATE_DESCRIPTOR };
        PassError { what, why: errno_text(Errno::ETIMEDOUT) }
    }

    /// Waits for the client, for who has nothing else to do.
    pub fn wait(mut self) -> Result<OwnedFd, PassError> {
        loop {
            if let Some(client) = self.hear()? {
                return Ok(client);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.is_late());
            }
            let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            // An error is one of the next look at the stream, too.
            let _ = poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)], wait);
        }
    }

    /// The client as a command can have it: blocking, and a connection if it is a socket.
    fn take_client(&mut self) -> Result<Option<OwnedFd>, PassError> {
        let Some(client) = self.client.take() else { return Ok(None) };
        if let Err(error) = rustix::io::ioctl_fionbio(&client, false) {
            return failed(DESCRIPTOR, errno_text(errno(error)));
        }
        match connection::lock(client.as_fd(), "the client") {
            Ok(()) => Ok(Some(client)),
            Err(error) => failed(DESCRIPTOR, error.to_string()),
        }
    }
}

fn again(errno: Errno, what: &'static str) -> Result<Option<OwnedFd>, PassError> {
    match errno {
        Errno::EAGAIN | Errno::EINTR => Ok(None),
        errno => failed(what, errno_text(errno)),
    }
}

impl AsFd for Passer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket::send_descriptors;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn stream() -> (Passer, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        (Passer::new(ours), theirs)
    }

    fn say(stream: &OwnedFd, bytes: &[u8]) {
        send_descriptors(stream.as_fd(), bytes, &[]).unwrap();
    }

    #[test]
    fn what_is_no_client_is_refused_in_postfix_words() {
        let (mut passer, front) = stream();
        say(&front, b"x");
        assert_eq!(passer.hear().unwrap_err().what, DESCRIPTOR);
        let (mut passer, front) = stream();
        send_descriptors(front.as_fd(), &[], &[front.as_fd(); 2]).unwrap();
        assert_eq!(passer.hear().unwrap_err().what, DESCRIPTOR);
        let (mut passer, front) = stream();
        let (client, _other) = stream();
        send_descriptors(front.as_fd(), &[], &[client.as_fd()]).unwrap();
        say(&front, b"name\0");
        assert!(passer.hear().unwrap().is_none());
        drop(front);
        assert_eq!(passer.hear().unwrap_err().to_string(), "cannot receive connection attributes: end of file");
    }

    #[test]
    fn what_listens_is_no_client() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut passer, front) = stream();
        send_descriptors(front.as_fd(), &[], &[listener.as_fd()]).unwrap();
        say(&front, b"\0");
        let error = passer.hear().unwrap_err().to_string();
        assert!(error.contains("it is a socket but no connection"), "{error}");
    }

    #[test]
    fn a_client_comes_when_its_attributes_have_and_blocks() {
        let (mut passer, front) = stream();
        let (client, _other) = stream();
        assert!(passer.hear().unwrap().is_none());
        assert_eq!(passer.is_late().what, LATE_DESCRIPTOR);
        send_descriptors(front.as_fd(), &[], &[client.as_fd()]).unwrap();
        assert!(passer.hear().unwrap().is_none());
        assert_eq!(passer.is_late().what, ATTRIBUTES);
        say(&front, b"name\0value\0\0");
        let client = passer.hear().unwrap().unwrap();
        assert!(!rustix::fs::fcntl_getfl(&client).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    }
}
