// SPDX-License-Identifier: Apache-2.0
//! What only observing needs: children that no one hears of, and Landlock's questions.
//! Runs in throw-away children too, beside other threads: nothing here may allocate, log or keep state.

use super::checked;
use super::clone::{NO_ARGUMENTS, Side};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// `LANDLOCK_CREATE_RULESET_VERSION` of linux/landlock.h.
const ASK_VERSION: u32 = 1;

/// clone(2) without an exit signal: the end of the child raises no SIGCHLD, and `SIGCHLD` being ignored does not take
/// its status away. It is waited for with `__WALL`.
pub fn clone_quietly() -> Result<Side<Pid>, Errno> {
    // SAFETY: no CLONE_VM and no stack: the child has a copy of this memory, as after fork.
    side(unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) })
}

/// The same into new namespaces: clone(2) takes every flag of theirs, and is there where a filter hides clone3(2).
pub fn clone_into(namespaces: u64) -> Result<Side<Pid>, Errno> {
    // SAFETY: no CLONE_VM and no stack: the child has a copy of this memory, as after fork.
    side(unsafe { libc::syscall(libc::SYS_clone, namespaces, 0, 0, 0, 0, 0) })
}

/// clone3(2) without an exit signal.
pub fn clone3_quietly() -> Result<Side<Pid>, Errno> {
    // SAFETY: no CLONE_VM, so the child has a copy of this memory and its own stack; the structure is alive.
    side(unsafe { libc::syscall(libc::SYS_clone3, &NO_ARGUMENTS, size_of::<libc::clone_args>()) })
}

/// The Landlock ABI, see landlock_create_ruleset(2).
pub fn landlock_abi() -> Result<u32, Errno> {
    // SAFETY: with this flag the kernel takes no structure.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, ASK_VERSION) };
    checked(result).map(|abi| abi as u32)
}

/// A ruleset that handles these rights to files, and grants none. Every ABI has the first thirteen.
pub fn ruleset(handled: u64) -> Result<OwnedFd, Errno> {
    // SAFETY: the attribute is alive; a shorter structure than today's is what older programs pass.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &handled, size_of::<u64>(), 0) };
    let ruleset = checked(result)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(ruleset as RawFd) })
}

/// Kills the calling process by SIGALRM after this many seconds.
pub fn die_after(seconds: u32) {
    // SAFETY: takes a number only.
    unsafe { libc::alarm(seconds) };
}

/// Makes a call by its number with a first argument of -1 and zeroes: for calls that take it for a descriptor, or for
/// an address with a length of zero, and touch nothing then.
pub fn call_with_nonsense(number: libc::c_long) -> Result<(), Errno> {
    // SAFETY: nothing can be read or written through a bad descriptor, or through an address with no length.
    checked(unsafe { libc::syscall(number, -1_i64, 0_i64, 0_i64, 0_i64, 0_i64, 0_i64) }).map(drop)
}

/// mmap(2) of a page that is writable and executable at once.
pub fn map_writable_executable() -> Result<(), Errno> {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous page at an address of the kernel's choice; nothing of ours is there. It is never used.
    checked(unsafe { libc::syscall(libc::SYS_mmap, 0_i64, 4096_i64, protection, flags, -1_i64, 0_i64) }).map(drop)
}

fn side(result: libc::c_long) -> Result<Side<Pid>, Errno> {
    Ok(match checked(result)? {
        0 => Side::Child,
        pid => Side::Parent(Pid::from_raw(pid as i32)),
    })
}
