// SPDX-License-Identifier: Apache-2.0
//! What a daemon and master(8) say to each other: inherited descriptors, and status messages on one of them.
//! Never reads the descriptor: master sends nothing, and end of file means that it is gone or was reloaded.
#![forbid(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsFd, RawFd};

/// The two ends of the flow control pipe, which we do not use.
pub const FLOW_FDS: [RawFd; 2] = [3, 4];
/// The channel for status messages, shared by all processes of a service.
pub const STATUS_FD: RawFd = 5;
/// The first listener.
pub const LISTEN_FD: RawFd = 6;
/// Length of a status message: three native ints.
pub const LENGTH: usize = 12;

/// Whether this process takes clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It serves one: master looks at the listeners itself.
    Taken = 0,
    /// It waits for one, and must accept it.
    Available = 1,
}

/// A status message as it crosses the channel.
pub fn encode(pid: i32, generation: u32, status: Status) -> [u8; LENGTH] {
    let status = status as i32;
    let mut bytes = [0; LENGTH];
    bytes[..4].copy_from_slice(&pid.to_ne_bytes());
    bytes[4..8].copy_from_slice(&generation.to_ne_bytes());
    bytes[8..].copy_from_slice(&status.to_ne_bytes());
    bytes
}

/// Sends a status message. EPIPE means that master is gone or was reloaded.
// Postfix ignores SIGPIPE in every daemon; so must the caller.
pub fn notify(channel: impl AsFd, pid: i32, generation: u32, status: Status) -> Result<(), Errno> {
    // Twelve bytes are written whole or not at all: a stream socket takes them while it has room for them.
    match nix::unistd::write(channel, &encode(pid, generation, status))? {
        LENGTH => Ok(()),
        _ => Err(Errno::EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_three_native_ints() {
        let ints = |values: [i32; 3]| values.map(i32::to_ne_bytes).concat();
        assert_eq!(encode(4711, 15, Status::Taken).to_vec(), ints([4711, 15, 0]));
        assert_eq!(encode(1, u32::MAX, Status::Available).to_vec(), ints([1, -1, 1]));
    }

    #[test]
    fn a_message_to_a_master_that_is_gone_is_epipe() {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        // std ignores SIGPIPE before main, so the write returns.
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
        notify(&ours, 1, 2, Status::Taken).unwrap();
        let mut bytes = [0; 32];
        assert_eq!(nix::unistd::read(&theirs, &mut bytes), Ok(LENGTH));
        drop(theirs);
        assert_eq!(notify(&ours, 1, 2, Status::Available), Err(Errno::EPIPE));
    }
}
