// SPDX-License-Identifier: Apache-2.0
//! Making processes: as copies of the caller, or with its memory, on a stack of their own, for as long as that is lent.
//! Most of these run in a child between clone and exec: nothing here may allocate, log or keep state.

use super::checked;
use super::process::exit;
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
