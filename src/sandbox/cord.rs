// SPDX-License-Identifier: Apache-2.0
//! The cord: the socket pair that ties a session to its supervisor.
//! The connection goes down, records come up, end of file ends the session. Nothing is ever sent twice on a cord.

use super::denied::{self, Denied};
use super::report::Record;
use crate::sys::socket::{self, Peeked};
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What comes up the cord with the listener of a command that is traced. No record and no denial is so short.
pub(super) const LISTENER: &[u8] = b"L";

/// The supervisor's end.
#[derive(Debug)]
pub struct Cord(OwnedFd);

/// What came up the cord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A record.
    Record(Record),
    /// A call that was denied.
    Denied(Box<Denied>),
    /// Bytes that no child of ours writes: a bug, or a hostile process.
    Foreign,
    /// Every process that held the other end is gone.
    Closed,
}

impl Cord {
    /// Makes a cord; the second descriptor is the child's end. Both are close-on-exec. The child's waits; nothing here
    /// does, and says so in each call: to set it for one end of a pair is a call more.
    pub fn pair() -> Result<(Cord, OwnedFd), Errno> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Cord(ours), theirs))
    }

    /// Hands the connection over: one descriptor for all three of standard input, output and error, or three.
    /// `environment` are NUL-terminated `NAME=value` strings that the command gets in addition, at most
    /// [`super::ENVIRONMENT_SLOTS`] of them and [`super::ENVIRONMENT_BYTES`] in all.
    pub fn hand_over(&self, stdio: &[BorrowedFd<'_>], environment: &[u8]) -> Result<(), Errno> {
        assert!(matches!(stdio.len(), 1 | 3), "one connection, or three descriptors");
        socket::send_descriptors_if_ready(self.0.as_fd(), environment, stdio)
    }

    /// Takes the listener of a traced command, which comes before all other messages; `None` where the next one is
    /// another. A cord that is not traced takes no descriptor.
    pub fn receive_listener(&self) -> Result<Option<OwnedFd>, Errno> {
        let mut next = [0; LISTENER.len() + 1];
        match socket::peek(self.0.as_fd(), &mut next) {
            Ok(Peeked::Control) => {}
            Ok(Peeked::Bytes | Peeked::Nothing) | Err(Errno::EINTR) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        match socket::receive_descriptors(self.0.as_fd(), &mut next)? {
            (length, [listener @ Some(_), None, None]) if &next[..length] == LISTENER => Ok(listener),
            _ => Err(Errno::EPROTO),
        }
    }

    /// Takes the next message; `None` while there is none.
    pub fn receive(&self) -> Result<Option<Message>, Errno> {
        let mut bytes = [0; denied::LONGEST + 1];
        let mut received = socket::receive_if_ready(self.0.as_fd(), &mut bytes);
        if received == Err(Errno::ECONNRESET) {
            // The far end was closed with a connection unread in it. The kernel says so once, and before it gives out
            // what was sent up the cord earlier: `sock_error` in `__skb_try_recv_datagram`, net/core/datagram.c.
            received = socket::receive_if_ready(self.0.as_fd(), &mut bytes);
        }
        match received {
            Ok(0) => Ok(Some(Message::Closed)),
            Ok(length) => Ok(Some(message(&bytes[..length]))),
            // What is there stays there until there is memory for it.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOMEM | Errno::ENOBUFS) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

fn message(bytes: &[u8]) -> Message {
    match (Record::decode(bytes), Denied::decode(bytes)) {
        (Some(record), _) => Message::Record(record),
        (None, Some(denied)) => Message::Denied(Box::new(denied)),
        (None, None) => Message::Foreign,
    }
}

impl AsFd for Cord {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Step;
    use crate::sandbox::SetupError;

    #[test]
    fn a_record_is_heard_though_the_connection_was_never_taken() {
        let (cord, far) = Cord::pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        cord.hand_over(&[null.as_fd()], b"").unwrap();
        let record = Record::Setup(SetupError { step: Step::Scratch, index: 0, errno: Errno::ENOSPC });
        nix::unistd::write(&far, &record.encode()).unwrap();
        drop(far);
        let heard: Vec<_> = (0..2).map(|_| cord.receive().unwrap()).collect();
        assert_eq!(heard, [Some(Message::Record(record)), Some(Message::Closed)]);
    }
}
