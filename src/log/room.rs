// SPDX-License-Identifier: Apache-2.0
//! Whether whoever reads the log takes a line now. The loop that keeps the time limits writes it: a reader that has
//! stopped (a pager, a syslogd that hangs) must not stop the loop, so a line for which there is no room is lost and
//! counted.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long the first line waits for a reader that is only slow, in milliseconds; those that follow do not wait.
const GRACE_MS: u8 = 100;

/// Lines that this process has lost, of all its logs.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines this process has lost for want of a reader.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// What is known about one reader.
#[derive(Debug, Default)]
pub struct Room {
    lost: u64,
}

impl Room {
    /// Nothing is lost yet.
    pub const fn new() -> Room {
        Room { lost: 0 }
    }

    /// Whether a line can be written to `fd` without waiting; if not, it is counted as lost.
    pub fn allows(&mut self, fd: BorrowedFd<'_>) -> bool {
        let grace = PollTimeout::from(if self.lost == 0 { GRACE_MS } else { 0 });
        // A failed poll says nothing about the reader. One that is gone is an event too, and the write will say so.
        let full = matches!(poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], grace), Ok(0));
        if full {
            self.lose();
        }
        !full
    }

    /// A line was lost.
    pub fn lose(&mut self) {
        self.lost += 1;
        LOST.fetch_add(1, Ordering::Relaxed);
    }

    /// What to say about lines that were lost before there was room again; once.
    pub fn take_lost(&mut self) -> Option<String> {
        match std::mem::take(&mut self.lost) {
            0 => None,
            lost => Some(format!("{lost} lines of the log were lost here: nobody read it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};

    #[test]
    fn a_reader_that_has_stopped_is_waited_for_once() {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let mut room = Room::new();
        assert!(room.allows(write.as_fd()));
        while nix::unistd::write(&write, &[b'x'; 4096]).is_ok() {}
        let began = Instant::now();
        for _ in 0..20 {
            assert!(!room.allows(write.as_fd()));
        }
        assert!(began.elapsed() < Duration::from_secs(1));
        while nix::unistd::read(&read, &mut [0; 4096]).is_ok() {}
        assert!(room.allows(write.as_fd()));
        assert_eq!(room.take_lost().as_deref(), Some("20 lines of the log were lost here: nobody read it"));
        assert_eq!(room.take_lost(), None);
        drop(read);
        assert!(room.allows(write.as_fd()), "a reader that is gone holds nothing up");
    }
}
