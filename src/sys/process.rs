// SPDX-License-Identifier: Apache-2.0
//! What a process asks for itself, awaits and ends, with what nix and rustix lack or allocate for.
//! Most of these run in a child between clone and exec: nothing here may allocate, log or keep state.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// kill(2) of every process that the caller may signal, but itself: which those are is its user's and its Landlock
/// domain's to say. ESRCH where there is none.
pub fn kill_all_in_reach() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    checked(unsafe { libc::syscall(libc::SYS_kill, -1, libc::SIGKILL) }).map(drop)
}

/// Whether the parent could be signalled; it is not.
pub fn may_signal_parent() -> Result<(), Errno> {
    let parent = nix::unistd::getppid();
    // SAFETY: takes numbers only; signal 0 is none.
    checked(unsafe { libc::syscall(libc::SYS_kill, parent.as_raw(), 0) }).map(drop)
}

/// Waits until a child has ended: ECHILD where there is none. As a subreaper's, every descendant is one in the end.
pub fn await_any() -> Result<(), Errno> {
    let none = std::ptr::null_mut::<i32>();
    // SAFETY: null pointers ask for no status and no usage.
    checked(unsafe { libc::syscall(libc::SYS_wait4, -1, none, libc::__WALL, none) }).map(drop)
}

/// Waits for any child without blocking: its id and wait status, or `None` while all of them run.
pub fn reap_any() -> Result<Option<(Pid, i32)>, Errno> {
    let mut status = 0;
    // SAFETY: the status is alive and writable; no usage is asked for.
    let result = unsafe { libc::syscall(libc::SYS_wait4, -1, &raw mut status, libc::WNOHANG, 0) };
    let pid = checked(result)?;
    Ok((pid != 0).then_some((Pid::from_raw(pid as i32), status)))
}

/// Ends the process at once: no destructor, no exit handler.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit does not return and touches nothing of ours.
    unsafe { libc::_exit(status) }
}

/// close_range(2) from `first` to the end of the table.
pub fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: the caller owns no descriptor from `first` on that it will use or close again.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    checked(result).map(drop)
}

/// close_range(2) with `CLOSE_RANGE_CLOEXEC`: what is open from `first` on stays so until execve(2).
pub fn close_on_exec_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers only; nothing is closed here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    checked(result).map(drop)
}

/// close(2), whose errors say nothing about the descriptor: it is closed.
pub fn close(descriptor: RawFd) {
    // SAFETY: a number only; the caller owns what it stands for and will not use it again.
    unsafe { libc::close(descriptor) };
}

/// fcntl(2): what is open as this number stays so when a program is executed.
pub fn keep_on_exec(descriptor: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) };
    Errno::result(result).map(drop)
}

/// dup3(2) onto a fixed number, with or without `O_CLOEXEC`.
pub fn duplicate_onto(descriptor: RawFd, number: RawFd, flags: i32) -> Result<(), Errno> {
    // SAFETY: numbers only; the caller owns what `number` was.
    let result = unsafe { libc::syscall(libc::SYS_dup3, descriptor, number, flags) };
    checked(result).map(drop)
}

/// dup2(2), which clears close-on-exec on the copy.
pub fn duplicate_stdio(descriptor: RawFd, number: RawFd) -> Result<(), Errno> {
    // SAFETY: numbers only; the caller owns what `number` was.
    let result = unsafe { libc::syscall(libc::SYS_dup2, descriptor, number) };
    checked(result).map(drop)
}

/// A descriptor by its fixed number, for a process that has put it there itself.
pub fn fixed(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the callers use this for numbers that they have just filled and close by ending only.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// write(2) of a whole small buffer.
pub fn write(descriptor: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is alive and as long as we say.
    let result = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    Errno::result(result).map(|length| length as usize)
}

/// read(2) into a small buffer.
pub fn read(descriptor: RawFd, bytes: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is alive, writable and as long as we say.
    let result = unsafe { libc::read(descriptor, bytes.as_mut_ptr().cast(), bytes.len()) };
    Errno::result(result).map(|length| length as usize)
}

/// What [`poll_for_end`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polled {
    /// The peer of the first descriptor is gone.
    pub hung_up: bool,
    /// The second descriptor has something to read.
    pub readable: bool,
    /// The third one has something to read.
    pub heard: bool,
    /// There is nothing more to come from it.
    pub silent: bool,
}

/// poll(2) without a time-out: for hang-up alone on the first descriptor, for input on the others. The third may be -1,
/// which the kernel passes over.
pub fn poll_for_end(first: RawFd, second: RawFd, third: RawFd) -> Result<Polled, Errno> {
    let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let mut entries = [entry(first, 0), entry(second, libc::POLLIN), entry(third, libc::POLLIN)];
    // SAFETY: three entries, alive and writable.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), 3, -1) };
    Errno::result(result)?;
    let heard = entries[2].revents & libc::POLLIN != 0;
    Ok(Polled {
        hung_up: entries[0].revents != 0,
        readable: entries[1].revents != 0,
        heard,
        silent: entries[2].revents != 0 && !heard,
    })
}

/// setns(2) into a network namespace by its descriptor.
pub fn enter_network(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    enter(namespace.as_raw_fd(), libc::CLONE_NEWNET)
}

/// The same into one of IPC.
pub fn enter_ipc(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    enter(namespace.as_raw_fd(), libc::CLONE_NEWIPC)
}

/// The same into one of users: with every capability there, and none of its own elsewhere.
pub fn enter_user(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    enter(namespace.as_raw_fd(), libc::CLONE_NEWUSER)
}

fn enter(namespace: RawFd, kind: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::setns(namespace, kind) };
    Errno::result(result).map(drop)
}

/// Whether the peer of a socket is gone, by poll(2) without waiting.
pub fn hung_up(socket: RawFd) -> Result<bool, Errno> {
    let mut entry = libc::pollfd { fd: socket, events: 0, revents: 0 };
    // SAFETY: one entry, alive and writable.
    let result = unsafe { libc::poll(&raw mut entry, 1, 0) };
    Errno::result(result).map(|_| entry.revents & libc::POLLHUP != 0)
}

/// setsid(2).
pub fn new_session() -> Result<(), Errno> {
    // SAFETY: takes nothing.
    let result = unsafe { libc::syscall(libc::SYS_setsid) };
    checked(result).map(drop)
}

/// Whether the calling process leads its session, by getsid(2): it is 0 for one that lies in an outer PID namespace.
pub fn leads_session() -> Result<bool, Errno> {
    // SAFETY: takes a number only.
    let session = checked(unsafe { libc::syscall(libc::SYS_getsid, 0) })?;
    Ok(session == libc::c_long::from(std::process::id() as i32))
}

/// umask(2), which cannot fail.
pub fn set_umask(mask: u32) {
    // SAFETY: takes a number only.
    unsafe { libc::umask(mask) };
}

/// prlimit64(2) of the calling process.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure is alive; the old limit is not asked for.
    let result = unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &limit, 0) };
    checked(result).map(drop)
}

/// prlimit64(2) of the calling process: soft and hard limit in force.
pub fn limit(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is alive and writable; no new limit is given.
    let result =
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<libc::rlimit64>(), &raw mut limit) };
    checked(result).map(|_| (limit.rlim_cur, limit.rlim_max))
}

/// prctl(2) with up to two numbers, and what it answers.
pub fn ask(option: i32, first: u64, second: u64) -> Result<i64, Errno> {
    // SAFETY: the options that the callers use take numbers only.
    let result = unsafe { libc::syscall(libc::SYS_prctl, option, first, second, 0, 0) };
    checked(result)
}

/// prctl(2) with up to two numbers.
pub fn control(option: i32, first: u64, second: u64) -> Result<(), Errno> {
    ask(option, first, second).map(drop)
}

/// Brings the loopback interface of the current network namespace up, through any datagram socket of it.
pub fn raise_loopback(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: (libc::IFF_UP | libc::IFF_RUNNING) as i16 },
    };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // SAFETY: the request is a whole ifreq, alive here; the kernel only reads it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    Errno::result(result).map(drop)
}
