// SPDX-License-Identifier: Apache-2.0
//! One connection over which the supervisor itself is asked something: what comes is bounded, and neither coming nor
//! going is waited for. Knows no words; whoever asks slowly, too much, or never reads costs a moment's memory and no
//! time.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// How much is taken at one look.
const LOOK: usize = 4096;

/// The connection.
#[derive(Debug)]
pub(super) struct Exchange {
    connection: OwnedFd,
    came: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
    /// Until when more must have come, or gone.
    pub(super) until: Instant,
}

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// Something.
    Bytes,
    /// The end, or an error.
    End,
}

/// How far the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it has gone.
    Whole,
    /// Its reader has not taken what went before.
    Part,
    /// Nobody reads it.
    Nobody,
}

impl Exchange {
    /// Over this connection, which may block: it is never asked to.
    pub(super) fn new(connection: OwnedFd, until: Instant) -> Exchange {
        Exchange { connection, came: Vec::new(), answer: Vec::new(), sent: 0, until }
    }

    /// Takes a bounded part of what has come.
    pub(super) fn hear(&mut self) -> Heard {
        let mut room = [0; LOOK];
        match recv(&self.connection, &mut room[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Heard::End,
            Ok((_, count)) => {
                self.came.extend_from_slice(&room[..count]);
                Heard::Bytes
            }
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }

    /// What has come and was not forgotten.
    pub(super) fn came(&self) -> &[u8] {
        &self.came
    }

    /// Whether an answer is under way: what comes meanwhile stays with the kernel.
    pub(super) fn is_answering(&self) -> bool {
        self.sent < self.answer.len()
    }

    /// Answers what has come, and forgets it.
    pub(super) fn answer(&mut self, answer: Vec<u8>) -> Sent {
        self.came = Vec::new();
        (self.answer, self.sent) = (answer, 0);
        self.send()
    }

    /// Sends what there is room for.
    pub(super) fn send(&mut self) -> Sent {
        while self.is_answering() {
            match send(&self.connection, &self.answer[self.sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Sent::Part,
                Err(_) => return Sent::Nobody,
            }
        }
        (self.answer, self.sent) = (Vec::new(), 0);
        Sent::Whole
    }

    /// Nothing more will be sent. Where bytes wait that nobody has read, closing alone would make a TCP peer lose the
    /// end of its answer.
    pub(super) fn finish(&self) {
        // ENOTCONN: its reader is gone, with or without the answer.
        let _ = shutdown(&self.connection, Shutdown::Write);
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Exchange, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Exchange::new(ours.into(), Instant::now()), theirs)
    }

    #[test]
    fn an_answer_that_nobody_reads_is_left_off_and_gone_on_with() {
        let (mut exchange, mut reader) = pair();
        let answer = vec![b'x'; 4 << 20];
        assert_eq!(exchange.answer(answer.clone()), Sent::Part);
        assert!(exchange.is_answering());
        let mut read = Vec::new();
        while exchange.is_answering() {
            let mut room = vec![0; 1 << 16];
            let count = reader.read(&mut room).unwrap();
            read.extend_from_slice(&room[..count]);
            assert_ne!(exchange.send(), Sent::Nobody);
        }
        exchange.finish();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), answer.len());
    }

    #[test]
    fn what_comes_is_taken_in_parts_and_its_end_is_seen() {
        let (mut exchange, mut writer) = pair();
        assert_eq!(exchange.hear(), Heard::Nothing);
        writer.write_all(&[b'x'; LOOK + 1]).unwrap();
        assert_eq!((exchange.hear(), exchange.came().len()), (Heard::Bytes, LOOK));
        assert_eq!((exchange.hear(), exchange.came().len()), (Heard::Bytes, LOOK + 1));
        drop(writer);
        assert_eq!(exchange.hear(), Heard::End);
        assert_eq!(exchange.answer(b"y".to_vec()), Sent::Nobody);
    }
}
