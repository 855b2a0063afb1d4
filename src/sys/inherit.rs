// SPDX-License-Identifier: Apache-2.0
//! Descriptors that whoever started this program left open for it.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Makes an inherited descriptor ours, and close-on-exec; EBADF where it is not open.
///
/// Once for each number, and before this program opens anything: whatever has the number then is what was inherited.
pub fn adopt(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes any number and touches no memory.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the descriptor is open, and nothing in this program has it, since nothing was opened yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_open_is_ebadf() {
        assert_eq!(adopt(1_000_000).map(drop), Err(Errno::EBADF));
    }
}
