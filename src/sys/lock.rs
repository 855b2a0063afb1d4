// SPDX-License-Identifier: Apache-2.0
//! The locks that a process puts on itself: Landlock, seccomp, keyring. None of them can be taken off again.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// `KEYCTL_JOIN_SESSION_KEYRING`, see keyctl(2).
const JOIN_SESSION_KEYRING: i32 = 1;
/// `KEYCTL_GET_KEYRING_ID` and `KEY_SPEC_SESSION_KEYRING`.
const GET_KEYRING_ID: i32 = 0;
const SESSION_KEYRING: i32 = -3;

/// `LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON` of linux/landlock.h (Linux 6.15).
pub const LOG_NEW_EXEC_ON: u32 = 1 << 1;
/// `LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF` of linux/landlock.h (Linux 6.15).
pub const LOG_SUBDOMAINS_OFF: u32 = 1 << 2;

/// landlock_restrict_self(2) with a prepared ruleset.
pub fn restrict_self(ruleset: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), flags) };
    checked(result).map(drop)
}

/// seccomp(2): installs one compiled filter on the calling thread.
pub fn install_filter(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program is alive and as long as we say; the kernel copies it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &filter) };
    checked(result).map(drop)
}

/// The same, with a listener for the calls that the filter hands out: its descriptor, close-on-exec. EBUSY where a
/// filter that is in force has one already, see seccomp(2).
pub fn install_listener(program: &[libc::sock_filter]) -> Result<RawFd, Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the program is alive and as long as we say; the kernel copies it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &filter) };
    checked(result).map(|number| number as RawFd)
}

/// keyctl(2): a new anonymous session keyring instead of the inherited one.
pub fn join_session_keyring() -> Result<(), Errno> {
    // SAFETY: a null name asks for an anonymous keyring.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0, 0, 0, 0) };
    checked(result).map(drop)
}

/// keyctl(2): the number of the session keyring in force; none is made.
pub fn session_keyring() -> Result<i32, Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 0, 0, 0) };
    checked(result).map(|number| number as i32)
}
