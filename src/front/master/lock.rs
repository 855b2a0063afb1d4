// SPDX-License-Identifier: Apache-2.0
//! The lock around waiting and accepting: of all processes of a service one waits, so that a client wakes only one.
//! Taken while nothing is served, since taking it blocks; a serving process does not hold it.

use super::fatal::Fatal;
use crate::postfix::options::Transport;
use nix::errno::Errno;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// The lock of a service.
pub(super) enum Lock {
    /// master runs one process at most.
    None,
    /// The file that all processes of the service lock.
    File(File),
}

impl Lock {
    /// Opens or makes `pid/TRANSPORT.NAME` below the working directory, which master has set to the queue directory.
    pub(super) fn open(transport: Transport, service: &str) -> Result<Lock, Fatal> {
        let path = format!("pid/{}.{service}", transport.name());
        let refuse = |why: String| Fatal::LockFile { path: path.clone(), why };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(nix::libc::O_NOFOLLOW).open(&path).map_err(|error| {
            let errno = super::start::errno(&error);
            refuse(if errno == Errno::ELOOP { "file is a symbolic link".into() } else { errno.desc().into() })
        })?;
        // Nobody must be able to lure us into locking a file that is somebody else's.
        let links = file.metadata().map_err(|error| refuse(super::start::errno(&error).desc().into()))?.nlink();
        if links != 1 {
            return Err(refuse(format!("file has {links} hard links")));
        }
        Ok(Lock::File(file))
    }

    /// Waits for the lock.
    pub(super) fn take(&self) -> Result<(), Errno> {
        let Lock::File(file) = self else { return Ok(()) };
        loop {
            match flock(file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Errno::from_raw(error.raw_os_error())),
            }
        }
    }

    /// Leaves it to another process.
    pub(super) fn release(&self) {
        let Lock::File(file) = self else { return };
        // It fails only for a descriptor that cannot be locked; taking it has shown that this one can.
        let _ = flock(file, FlockOperation::Unlock);
    }
}
