// SPDX-License-Identifier: Apache-2.0
//! Whether whoever reads the log takes a line now. The loop that keeps the time limits writes it: a reader that has
//! stopped (a pager, a syslogd that hangs) must not stop the loop, so a line for which there is no room, there or on a
//! disk, is lost and counted.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Write};
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
    /// The last line was not written to its end.
    cut: bool,
}

impl Room {
    /// Nothing is lost yet.
    pub const fn new() -> Room {
        Room { lost: 0, cut: false }
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

    /// Writes a line, after the end of one that was cut; false where it is not taken to its end. One write, where that
    /// takes it, so that lines of several processes do not mix.
    pub fn write(&mut self, mut to: impl Write, line: &str) -> bool {
        let text = format!("{}{line}\n", if self.cut { "\n" } else { "" });
        let mut left = text.as_bytes();
        while !left.is_empty() {
            match to.write(left) {
                Ok(taken) if taken > 0 => left = left.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        // Nothing of it was taken: what was cut before is so still.
        if left.len() < text.len() {
            self.cut = !left.is_empty();
        }
        left.is_empty()
    }

    /// What to say about lines that were lost before there was room again, until that was told.
    pub fn note(&self) -> Option<String> {
        (self.lost > 0).then(|| format!("{} lines of the log were lost here: there was no room for them", self.lost))
    }

    /// That note was told.
    pub fn told(&mut self) {
        self.lost = 0;
    }

    /// The same at once, for whoever does not hear whether a line was taken.
    pub fn take_lost(&mut self) -> Option<String> {
        let note = self.note();
        self.told();
        note
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
        assert_eq!(room.take_lost().as_deref(), Some("20 lines of the log were lost here: there was no room for them"));
        assert_eq!(room.take_lost(), None);
        drop(read);
        assert!(room.allows(write.as_fd()), "a reader that is gone holds nothing up");
    }

    /// A disk with this much room.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match bytes.len().min(self.1 - self.0.len()) {
                0 => Err(ErrorKind::StorageFull.into()),
                fits => {
                    self.0.extend_from_slice(&bytes[..fits]);
                    Ok(fits)
                }
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_a_full_disk_has_cut_is_ended_before_the_next_one() {
        let (mut room, mut disk) = (Room::new(), Disk(Vec::new(), 8));
        assert!(room.write(&mut disk, "one"));
        assert!(!room.write(&mut disk, "second") && !room.write(&mut disk, "third"));
        disk.1 = 100;
        assert!(room.write(&mut disk, "fourth") && room.write(&mut disk, "fifth"));
        assert_eq!(String::from_utf8_lossy(&disk.0), "one\nseco\nfourth\nfifth\n");
    }
}
