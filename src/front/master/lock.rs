// SPDX-License-Identifier: Apache-2.0
//! The lock around waiting and accepting: of all processes of a service one waits, so that a client wakes only one.
//! flock(2) waits or refuses, and tells nobody when the lock is free. While nothing is served this process waits
//! itself, as spawn(8) does; while something is, a child waits in its place: a lock belongs to the open file, which
//! both have.

use super::fatal::Fatal;
use super::safely;
use crate::postfix::options::Transport;
use crate::sys::clone::{self, Side};
use crate::sys::errno;
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The lock of a service.
pub(super) enum Lock {
    /// master runs one process at most.
    None,
    /// The file that all processes of the service lock.
    File(File),
}

/// A child that waits for the lock. Dropping it ends the waiting.
pub(super) struct Waiter {
    pid: Pid,
    pidfd: OwnedFd,
    pipe: OwnedFd,
}

/// Whether the lock is ours.
pub(super) enum Taken {
    /// It is.
    Now,
    /// Another process has it; the waiter will say.
    Later(Waiter),
}

impl Lock {
    /// Opens or makes `pid/TRANSPORT.NAME` below the working directory, which master has set to the queue directory.
    pub(super) fn open(transport: Transport, service: &str) -> Result<Lock, Fatal> {
        let path = format!("pid/{}.{service}", transport.name());
        let file = safely::open_or_create(path.as_ref()).map_err(|why| Fatal::LockFile { path, why })?;
        Ok(Lock::File(file))
    }

    /// Waits for the lock.
    pub(super) fn take(&self) -> Result<(), Errno> {
        match self {
            Lock::None => Ok(()),
            Lock::File(file) => lock(file, FlockOperation::LockExclusive),
        }
    }

    /// Takes the lock, or has a child wait for it.
    pub(super) fn seek(&self) -> Result<Taken, Errno> {
        let Lock::File(file) = self else { return Ok(Taken::Now) };
        match lock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Taken::Now),
            Err(Errno::EWOULDBLOCK) => Waiter::start(file).map(Taken::Later),
            Err(errno) => Err(errno),
        }
    }

    /// Leaves it to another process.
    pub(super) fn release(&self) {
        let Lock::File(file) = self else { return };
        // It fails only for a descriptor that cannot be locked; taking it has shown that this one can.
        let _ = lock(file, FlockOperation::Unlock);
    }
}

fn lock(file: impl AsFd, operation: FlockOperation) -> Result<(), Errno> {
    loop {
        match flock(&file, operation) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(errno(error)),
        }
    }
}

impl Waiter {
    fn start(file: &File) -> Result<Waiter, Errno> {
        let (pipe, theirs) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let pid = match clone::fork()? {
            Side::Child => wait(file, &theirs),
            Side::Parent(pid) => pid,
        };
        // Not reaped yet, so the number is its own.
        let number = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH)?;
        let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(errno)?;
        Ok(Waiter { pid, pidfd, pipe })
    }

    /// What can be read as soon as the waiting is over.
    pub(super) fn watched(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// The waiting is over: whether the lock is ours.
    pub(super) fn finish(self) -> Result<(), Errno> {
        match nix::unistd::read(&self.pipe, &mut [0])? {
            0 => Err(Errno::ECHILD),
            _ => Ok(()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            // One that has ended by itself takes the signal too, until it is reaped.
            Ok(()) => drop(nix::sys::wait::waitpid(self.pid, None)),
            // It was reaped as a stray, and its number may be another child's.
            Err(rustix::io::Errno::SRCH) => {}
            // Not waited for, as it may wait itself for as long as others have the lock. It is a stray.
            Err(error) => tracing::warn!("cannot kill process {}, which waits for the lock: {error}", self.pid),
        }
    }
}

/// The child's life. It holds nothing but the lock file and the pipe, so that no client and no other process waits for
/// its end.
fn wait(file: &File, pipe: &OwnedFd) -> ! {
    let waited = process::duplicate_stdio(file.as_raw_fd(), 0)
        .and_then(|()| process::duplicate_stdio(pipe.as_raw_fd(), 1))
        .and_then(|()| process::close_from(2))
        .and_then(|()| process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0))
        .and_then(|()| lock(process::fixed(0), FlockOperation::LockExclusive))
        // A parent that died before it could take us with it is told here that nobody reads.
        .and_then(|()| process::write(1, b"+"));
    process::exit(if waited.is_ok() { 0 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn file(path: &std::path::Path) -> File {
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    #[test]
    fn a_child_waits_while_we_do_not_and_the_lock_is_ours() {
        let path = std::env::temp_dir().join(format!("spawnbox-lock-{}", std::process::id()));
        let (ours, other) = (Lock::File(file(&path)), Lock::File(file(&path)));
        other.take().unwrap();
        let Taken::Later(given_up) = ours.seek().unwrap() else { panic!("two have it") };
        drop(given_up);
        let Taken::Later(waiter) = ours.seek().unwrap() else { panic!("two have it") };
        let watch = |waiter: &Waiter| {
            poll(&mut [PollFd::new(waiter.watched(), PollFlags::POLLIN)], PollTimeout::from(100_u8)).unwrap()
        };
        assert_eq!(watch(&waiter), 0);
        other.release();
        while watch(&waiter) == 0 {}
        waiter.finish().unwrap();
        assert!(matches!(other.seek().unwrap(), Taken::Later(_)), "it went with the child");
        ours.release();
        assert!(matches!(other.seek().unwrap(), Taken::Now));
        std::fs::remove_file(path).unwrap();
    }
}
