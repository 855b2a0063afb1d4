// SPDX-License-Identifier: Apache-2.0
//! Making, joining and ending processes, with what nix and rustix lack or allocate for.
//! Most of these run in a child between clone and exec: nothing here may allocate, log or keep state.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::convert::Infallible;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// `CLONE_INTO_CGROUP` as the kernel defines it. libc's constant is a C int, in which bit 33 is lost: it is zero.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Of clone3(2): a copy of the caller, in its namespaces, which raises no signal when it ends.
pub(super) const NO_ARGUMENTS: libc::clone_args = libc::clone_args {
    flags: 0,
    pidfd: 0,
    child_tid: 0,
    parent_tid: 0,
    exit_signal: 0,
    stack: 0,
    stack_size: 0,
    tls: 0,
    set_tid: 0,
    set_tid_size: 0,
    cgroup: 0,
};

/// Which side of a clone the caller is on.
#[derive(Debug)]
pub enum Side<T> {
    /// The new process.
    Child,
    /// The process that asked, with what it learned of the child.
    Parent(T),
}

/// Makes a process with memory of its own. The caller must have one thread: another thread's locks stay locked.
pub fn fork() -> Result<Side<Pid>, Errno> {
    // SAFETY: the caller has one thread, so no lock is held in the child by a thread that is not there.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(Side::Child),
        nix::unistd::ForkResult::Parent { child } => Ok(Side::Parent(child)),
    }
}

/// clone3(2) with memory of its own for the child, `CLONE_PARENT` and `CLONE_PIDFD`: the new process is a sibling of
/// the caller and dies with the caller's exit signal (an `exit_signal` of its own is EINVAL with `CLONE_PARENT`).
pub fn clone_sibling(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side<(Pid, OwnedFd)>, Errno> {
    let mut pidfd: RawFd = -1;
    let arguments = of_sibling(namespaces, cgroup, &raw mut pidfd);
    // SAFETY: no CLONE_VM, so the child has a copy of this memory and its own stack; the structure is alive.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &arguments, size_of::<libc::clone_args>()) };
    match checked(result)? {
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel has just put this descriptor there for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent((Pid::from_raw(pid as i32), pidfd)))
        }
    }
}

/// The same by clone(2), for whoever has no clone3(2): into no cgroup.
pub fn clone_sibling_as_before(namespaces: u64) -> Result<Side<(Pid, OwnedFd)>, Errno> {
    let mut pidfd: RawFd = -1;
    let flags = namespaces | libc::CLONE_PARENT as u64 | libc::CLONE_PIDFD as u64;
    // SAFETY: no CLONE_VM and no stack: the child has a copy of this memory, as after fork. The pidfd goes where
    // clone(2) of this architecture has its third argument.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0, 0) };
    match checked(result)? {
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel has just put this descriptor there for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent((Pid::from_raw(pid as i32), pidfd)))
        }
    }
}

/// A word that is 1 as long as a process has the memory of whoever made it, and 0 once it has executed a program or
/// ended.
#[derive(Debug, Default)]
pub struct Tenure(AtomicU32);

impl Tenure {
    /// Waits until it is over, by futex(2); whether it is.
    pub fn await_end(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        while self.0.load(Ordering::Acquire) != 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let time = libc::timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            // SAFETY: the word and the time are alive. What it answers does not matter: the word is looked at again.
            unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, 1, &raw const time) };
        }
        true
    }
}

/// The same with the caller's memory, on a stack of its own. What `child` does to memory is done to the caller's, until
/// `tenure` is over: the caller must leave alone until then what the child uses.
pub fn clone_sibling_sharing<F: FnOnce() -> Infallible>(
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
    (stack, tenure): (&mut Stack, &Tenure),
    child: &mut Option<F>,
) -> Result<(Pid, OwnedFd), Errno> {
    extern "C" fn begin<F: FnOnce() -> Infallible>(child: *mut Option<F>) -> ! {
        // SAFETY: the caller's, who leaves it alone, and there is no other child.
        match unsafe { child.as_mut() }.and_then(Option::take) {
            Some(child) => match child() {},
            None => exit(libc::EXIT_FAILURE),
        }
    }
    let mut pidfd: RawFd = -1;
    let shared = (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
    let arguments = libc::clone_args {
        child_tid: tenure.0.as_ptr() as u64,
        stack: stack.lowest as u64,
        stack_size: (Stack::GUARD + Stack::LENGTH) as u64,
        ..of_sibling(namespaces | shared, cgroup, &raw mut pidfd)
    };
    tenure.0.store(1, Ordering::Release);
    let result: libc::c_long;
    // SAFETY: the child begins on its own stack, whose end is aligned, and never comes back from `begin`. All that the
    // kernel is pointed to is alive, and the word lies in memory that is never given back.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, rdx",
            "call {begin}",
            "ud2",
            "2:",
            begin = sym begin::<F>,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<libc::clone_args>(),
            in("rdx") &raw mut *child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if result < 0 {
        tenure.0.store(0, Ordering::Release);
        return Err(Errno::from_raw(-result as i32));
    }
    // SAFETY: the kernel has put this descriptor there for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((Pid::from_raw(result as i32), pidfd))
}

fn of_sibling(flags: u64, cgroup: Option<BorrowedFd<'_>>, pidfd: *mut RawFd) -> libc::clone_args {
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    libc::clone_args {
        flags: flags | into | libc::CLONE_PARENT as u64 | libc::CLONE_PIDFD as u64,
        pidfd: pidfd as u64,
        cgroup: cgroup.map_or(0, |directory| directory.as_raw_fd() as u64),
        ..NO_ARGUMENTS
    }
}

/// clone(2) as fork does it, but without libc's handlers, which take locks and may allocate.
pub fn clone_child() -> Result<Side<Pid>, Errno> {
    clone_as_fork(libc::SIGCHLD)
}

/// The same into a user namespace of its own.
pub fn clone_into_user_namespace() -> Result<Side<Pid>, Errno> {
    clone_as_fork(libc::SIGCHLD | libc::CLONE_NEWUSER)
}

fn clone_as_fork(flags: i32) -> Result<Side<Pid>, Errno> {
    // SAFETY: no CLONE_VM and no stack: the child has a copy of this memory, as after fork.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    Ok(match checked(result)? {
        0 => Side::Child,
        pid => Side::Parent(Pid::from_raw(pid as i32)),
    })
}

/// A stack for a process that has its maker's memory: [`clone_suspended`]. Nothing can be written below it.
#[derive(Debug)]
pub struct Stack {
    lowest: *mut libc::c_void,
    top: *mut u8,
}

impl Stack {
    const LENGTH: usize = 64 * 1024;
    const GUARD: usize = 4096;

    /// Children without CLONE_VM have a copy of it at the same place.
    pub fn new() -> Result<Stack, Errno> {
        let (length, none) = (Stack::GUARD + Stack::LENGTH, std::ptr::null_mut());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: new anonymous memory at an address of the kernel's choice; nothing of ours is there.
        let lowest = unsafe { libc::mmap(none, length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if lowest == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: the first page of what is ours alone.
        Errno::result(unsafe { libc::mprotect(lowest, Stack::GUARD, libc::PROT_NONE) })?;
        // SAFETY: the end of that memory.
        let top = unsafe { lowest.cast::<u8>().add(length) };
        Ok(Stack { lowest, top })
    }

    /// Gives what was written to it back to the kernel.
    pub fn clear(&mut self) {
        // SAFETY: whoever was on it has memory of its own now, or has ended. It stays mapped, with zeros.
        unsafe { libc::madvise(self.lowest, Stack::GUARD + Stack::LENGTH, libc::MADV_DONTNEED) };
    }
}

/// clone(2) as vfork(2) does it, on a stack of its own: the caller sleeps until `child` has executed a program or
/// ended, and what that does to memory until then is done to the caller's. Where it returns, it ends with that status.
/// A signal that kills the caller ends its sleep. libc's wrapper runs no handler and takes no lock.
pub fn clone_suspended<F: FnOnce() -> i32>(stack: &mut Stack, child: F) -> Result<Pid, Errno> {
    extern "C" fn begin<F: FnOnce() -> i32>(child: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the closure below, which is there as long as the caller sleeps, and which nobody else takes.
        let child = unsafe { child.cast::<Option<F>>().as_mut() }.and_then(Option::take);
        match child {
            Some(child) => child(),
            None => libc::EXIT_FAILURE,
        }
    }
    let (mut child, flags) = (Some(child), libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD);
    // SAFETY: nobody else is on the stack, which is lent to this call until the child has left it. The closure outlives
    // the caller's sleep, and runs alone in this memory: the caller has one thread, which sleeps.
    let made = unsafe { libc::clone(begin::<F>, stack.top.cast(), flags, (&raw mut child).cast()) };
    Errno::result(made).map(Pid::from_raw)
}

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
