// SPDX-License-Identifier: Apache-2.0
//! The calls that a filter hands to a listener, see seccomp_unotify(2), and the memory of whoever made them.
//! A reaper uses these, so nothing here may allocate, log or keep state.

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The ioctls of linux/seccomp.h that are used here.
pub const COMMANDS: [u32; 3] = [
    libc::SECCOMP_IOCTL_NOTIF_RECV as u32,
    libc::SECCOMP_IOCTL_NOTIF_SEND as u32,
    libc::SECCOMP_IOCTL_NOTIF_ID_VALID as u32,
];

/// Room for what a later kernel may add to `struct seccomp_notif` (80 bytes in Linux 5.0 to 6.18).
const SPARE: usize = 48;

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// To be given back with the answer.
    pub id: u64,
    /// The thread that made it, in the caller's PID namespace.
    pub pid: Pid,
    /// Its number.
    pub call: u32,
    /// The architecture whose number that is, as linux/audit.h has them.
    pub architecture: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

#[repr(C, align(8))]
struct Room {
    notice: libc::seccomp_notif,
    spare: [u64; SPARE],
}

/// Takes a call that waits. ENOENT: whoever made it is dead, or was interrupted.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notice, Errno> {
    // SAFETY: every field is an integer, for which zero is a value; the kernel asks for zeroes.
    let mut room: Room = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is alive and writable, and larger than the kernel's.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut room) };
    Errno::result(result)?;
    let libc::seccomp_notif { id, pid, data, .. } = room.notice;
    let (call, architecture) = (data.nr as u32, data.arch);
    Ok(Notice { id, pid: Pid::from_raw(pid as i32), call, architecture, arguments: data.args })
}

/// Whether the call still waits: only then is what was read of its process's memory that of who made it.
pub fn is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the number is alive; the kernel only reads it.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
    result == 0
}

/// Lets the call fail with this errno. ENOENT: nobody waits any more.
pub fn refuse(listener: BorrowedFd<'_>, id: u64, errno: i32) -> Result<(), Errno> {
    answer(listener, libc::seccomp_notif_resp { id, val: 0, error: -errno, flags: 0 })
}

/// Lets the call be made as if nobody had asked. Whoever made it may have changed meanwhile what its arguments point
/// at, so what was seen of it proves nothing. ENOENT: nobody waits any more.
pub fn resume(listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    answer(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
}

fn answer(listener: BorrowedFd<'_>, mut answer: libc::seccomp_notif_resp) -> Result<(), Errno> {
    // SAFETY: the structure is alive, whole, and as large as the kernel's.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    Errno::result(result).map(drop)
}

/// process_vm_readv(2): what can be read of the memory at `address`, up to the length of `bytes`. What lies behind the
/// end of its page is a part of its own, so that a text which ends before a hole is read.
pub fn read_memory(pid: Pid, address: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
    const PAGE: u64 = 4096;
    let first = usize::try_from(PAGE - address % PAGE).unwrap_or(bytes.len()).min(bytes.len());
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let part = |from: u64, length| libc::iovec { iov_base: from as usize as *mut libc::c_void, iov_len: length };
    let remote = [part(address, first), part(address.wrapping_add(first as u64), bytes.len() - first)];
    // SAFETY: the buffer is alive, writable and as long as we say; the remote addresses are not ours to look at.
    let result = unsafe { libc::process_vm_readv(pid.as_raw(), &raw const local, 1, remote.as_ptr(), 2, 0) };
    Errno::result(result).map(|length| length as usize)
}

/// SIGKILL to a process, by kill(2).
pub fn kill(pid: Pid) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_kill, pid.as_raw(), libc::SIGKILL) };
    super::checked(result).map(drop)
}
