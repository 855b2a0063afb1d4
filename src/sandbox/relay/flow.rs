// SPDX-License-Identifier: Apache-2.0
//! One connection through a relay: two sockets, and for each direction a pipe that the bytes wait in.
//! What one side says is passed on, its end of speaking too; an error on one side is a reset on the other.

use crate::sys::relay::{self, pipe, splice};
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What a pipe holds by default, see pipe(7).
const MOST: usize = 65_536;
/// How often a direction is looked at before the others have their turn.
const ROUNDS: usize = 4;

/// A connection.
pub(super) struct Flow {
    /// The command's side.
    near: OwnedFd,
    /// The host's side.
    far: OwnedFd,
    state: Far,
    out: Half,
    back: Half,
    /// The command's side is one end of a pair, and no TCP socket.
    pair: bool,
    /// The command has ended: when something was last heard of its side.
    heard: Option<Instant>,
}

/// How long nothing may be heard of the command's side when it has ended: then what still holds it is a process that
/// the command has left behind. The kernel's own sockets are quicker.
const SILENCE: Duration = Duration::from_secs(1);

/// How far the host's side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Far {
    /// connect(2) has not ended yet.
    Connecting,
    /// It has.
    Connected,
}

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It does.
    Goes,
    /// Both directions are at their end, or one side has broken off.
    Over,
}

/// One direction.
struct Half {
    pipe: (OwnedFd, OwnedFd),
    /// Bytes in the pipe.
    held: usize,
    speaking: Speaking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaking {
    /// There may be more to read.
    Yes,
    /// What is in the pipe is the last.
    Ended,
    /// The other side has been told so, or does not want it.
    Told,
}

impl Flow {
    /// `None` where no pipe can be made: both sides hear of it by a reset.
    pub(super) fn new(near: OwnedFd, far: OwnedFd, state: Far) -> Option<Flow> {
        let half = |pipe| Half { pipe, held: 0, speaking: Speaking::Yes };
        match (pipe(), pipe()) {
            (Ok(out), Ok(back)) => {
                let pair = state == Far::Connected;
                Some(Flow { near, far, state, out: half(out), back: half(back), pair, heard: None })
            }
            (_, _) => {
                relay::reset_on_close(near.as_fd());
                relay::reset_on_close(far.as_fd());
                None
            }
        }
    }

    /// The command's side and the host's.
    pub(super) fn sockets(&self) -> [RawFd; 2] {
        [self.near.as_raw_fd(), self.far.as_raw_fd()]
    }

    /// What to wait for on either, none of it where nothing is to be done there: a socket that both sides have shut
    /// would be ready for ever.
    pub(super) fn interests(&self) -> [i16; 2] {
        match self.state {
            Far::Connecting => [0, libc::POLLOUT],
            Far::Connected => {
                let ((out_read, out_write), (back_read, back_write)) = (self.out.interests(), self.back.interests());
                [out_read | back_write, back_read | out_write]
            }
        }
    }

    /// Carries what is ready, both ways; `events` is what poll(2) has said of either side.
    pub(super) fn carry(&mut self, events: i16) -> Outcome {
        // Splice(2) stops before an urgent byte and never takes it, while poll(2) says that there is something to read:
        // the byte would keep a processor busy, and what follows it would be lost. No ordinary client sends one.
        if events & libc::POLLPRI != 0 {
            return self.break_off();
        }
        if let Some(heard) = &mut self.heard {
            *heard = Instant::now();
        }
        // Whether it has failed is what the first splice says.
        self.state = Far::Connected;
        let (near, far) = (self.near.as_fd(), self.far.as_fd());
        // First what hears of a connect that failed: the next call on the socket, whichever it is, takes the error
        // away.
        match self.back.carry(far, near).and_then(|()| self.out.carry(near, far)) {
            Err(_) => self.break_off(),
            Ok(()) if self.out.speaking == Speaking::Told && self.back.speaking == Speaking::Told => Outcome::Over,
            Ok(()) => Outcome::Goes,
        }
    }

    /// The command has ended: nobody hears answers any more, and nothing is said behind what is queued.
    pub(super) fn finish(&mut self) -> Outcome {
        if self.pair {
            // All that was written lies in our own queue. On a TCP socket what is on its way would be lost: where the
            // queue is empty for a moment, splice(2) takes it for the end.
            relay::shut(self.near.as_fd(), libc::SHUT_RD);
        }
        self.heard = Some(Instant::now());
        self.back.speaking = Speaking::Told;
        self.back.held = 0;
        match self.state {
            Far::Connecting => Outcome::Goes,
            Far::Connected => self.carry(0),
        }
    }

    /// Until when it waits for what the command may have said, where it does nothing else.
    pub(super) fn patience(&self) -> Option<Instant> {
        let waits = self.state == Far::Connected && self.out.held == 0 && self.out.speaking == Speaking::Yes;
        self.heard.filter(|_| waits).map(|heard| heard + SILENCE)
    }

    /// It has waited for so long.
    pub(super) fn lose_patience(&mut self) -> Outcome {
        self.out.speaking = Speaking::Ended;
        self.carry(0)
    }

    fn break_off(&self) -> Outcome {
        relay::reset_on_close(self.near.as_fd());
        relay::reset_on_close(self.far.as_fd());
        Outcome::Over
    }
}

impl Half {
    /// What to wait for where it reads, and where it writes.
    fn interests(&self) -> (i16, i16) {
        match (self.speaking, self.held) {
            (Speaking::Told, _) => (0, 0),
            (Speaking::Yes, 0) => (libc::POLLIN | libc::POLLPRI, 0),
            (Speaking::Yes | Speaking::Ended, _) => (0, libc::POLLOUT),
        }
    }

    /// Carries what is there. An error is one of reading: that side is gone.
    fn carry(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
        for _ in 0..ROUNDS {
            if self.held == 0 && self.speaking == Speaking::Yes {
                match splice(from, self.pipe.1.as_fd(), MOST) {
                    Ok(0) => self.speaking = Speaking::Ended,
                    Ok(read) => self.held = read,
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
                    Err(errno) => return Err(errno),
                }
            }
            if self.held > 0 && self.speaking != Speaking::Told {
                match splice(self.pipe.0.as_fd(), to, self.held) {
                    Ok(written) => self.held -= written,
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
                    // It does not want any more; what it says itself is still heard.
                    Err(_) => self.speaking = Speaking::Told,
                }
            }
            match (self.speaking, self.held) {
                (Speaking::Ended, 0) => {
                    relay::shut(to, libc::SHUT_WR);
                    self.speaking = Speaking::Told;
                }
                (Speaking::Yes | Speaking::Ended, _) => {}
                (Speaking::Told, _) => return Ok(()),
            }
        }
        Ok(())
    }
}
