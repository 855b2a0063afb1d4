// SPDX-License-Identifier: Apache-2.0
//! Standard input of a command that runs twice: what comes from ours is passed on and kept, to be given again.

use super::CHUNK;
use crate::host::HostError;
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// What is kept of a standard input that can be read once only.
const MOST_INPUT: usize = 64 << 20;

/// Standard input of a command, as a pipe: what comes from ours, or what came from it the first time.
#[derive(Debug)]
pub(in crate::front::learn) struct Feed {
    /// Closed when all was given.
    pub(in crate::front::learn) to: Option<OwnedFd>,
    pub(in crate::front::learn) bytes: Vec<u8>,
    pub(in crate::front::learn) given: usize,
    /// Nothing more comes.
    pub(in crate::front::learn) ended: bool,
}

impl Feed {
    /// Something is there that was not given yet.
    pub(super) fn waits(&self) -> bool {
        self.given < self.bytes.len()
    }

    /// Takes what comes where there is `input`, and gives what it has where there is `room`.
    pub(super) fn turn(&mut self, input: bool, room: bool) -> Result<(), HostError> {
        if input {
            let mut bytes = [0; CHUNK];
            match nix::unistd::read(std::io::stdin().as_fd(), &mut bytes) {
                Ok(0) => self.ended = true,
                Ok(length) if self.bytes.len() + length > MOST_INPUT => {
                    let why = "it is longer than 64M, and is kept for the second run: give it as a file".to_string();
                    return Err(HostError { doing: "keep standard input".into(), why });
                }
                Ok(length) => self.bytes.extend_from_slice(&bytes[..length]),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(_) => self.ended = true,
            }
        }
        if let (true, Some(to)) = (room, &self.to) {
            match nix::unistd::write(to, &self.bytes[self.given..]) {
                Ok(length) => self.given += length,
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                // It reads no more.
                Err(_) => self.to = None,
            }
        }
        if self.to.is_none() {
            self.given = self.bytes.len();
        }
        if self.ended && !self.waits() {
            self.to = None;
        }
        Ok(())
    }
}
