// SPDX-License-Identifier: Apache-2.0
//! Signal dispositions and masks as raw calls: libc refuses the two signals that it keeps for itself, but an ignored
//! one survives exec all the same.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::RawFd;

/// Length of the kernel's signal set in bytes: 64 signals.
const SET_SIZE: usize = 8;

/// The highest signal number.
const HIGHEST: i32 = 64;

/// The kernel's own `struct sigaction` on x86_64.
#[repr(C)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// What a signal does to a process that has said nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// `SIG_DFL`
    Default,
    /// `SIG_IGN`
    Ignore,
}

/// Every signal whose disposition can be changed: all but two, see signal(7).
pub fn changeable() -> impl Iterator<Item = i32> {
    (1..=HIGHEST).filter(|&signal| signal != libc::SIGKILL && signal != libc::SIGSTOP)
}

/// rt_sigaction(2).
pub fn set_disposition(signal: i32, disposition: Disposition) -> Result<(), Errno> {
    let handler = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    let action = Action { handler, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the structure is alive, and neither SIG_DFL nor SIG_IGN is a function that could be called.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &action, 0, SET_SIZE) };
    checked(result).map(drop)
}

/// rt_sigprocmask(2): exactly these signals are blocked, bit 0 for signal 1.
pub fn set_mask(blocked: u64) -> Result<(), Errno> {
    // SAFETY: eight readable bytes; the old mask is not asked for.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &blocked, 0, SET_SIZE) };
    checked(result).map(drop)
}

/// signalfd4(2) for SIGCHLD, close-on-exec.
pub fn child_signal_descriptor() -> Result<RawFd, Errno> {
    let set: u64 = 1 << (libc::SIGCHLD - 1);
    // SAFETY: eight readable bytes, and -1 asks for a new descriptor.
    let result = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &set, SET_SIZE, libc::SFD_CLOEXEC) };
    checked(result).map(|fd| fd as RawFd)
}
