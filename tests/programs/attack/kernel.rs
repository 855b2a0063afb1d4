// SPDX-License-Identifier: Apache-2.0
//! Raw system calls, and the few processes that attempts need.

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, fork};
use std::net::Ipv4Addr;

/// A system call with numbers and addresses.
pub(crate) fn call(number: i64, arguments: &[u64]) -> Result<i64, Errno> {
    let mut six = [0; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = six;
    // SAFETY: addresses among the arguments are those of live values of the caller, which says how long they are.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// The address of a value, for [`call`].
pub(crate) fn at<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>() as u64
}

/// The address of a value that the kernel writes.
pub(crate) fn into<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<u8>() as u64
}

/// A child that waits for its end, which comes with that of the attempt at the latest.
pub(crate) struct Child(pub(crate) Pid);

impl Child {
    pub(crate) fn waiting() -> Child {
        Child::new(|| ()).expect("a sandbox leaves an attempt one child")
    }

    /// A child that does something and then waits.
    pub(crate) fn new(act: impl FnOnce()) -> Result<Child, Errno> {
        let parent = nix::unistd::getpid();
        // SAFETY: this program has one thread.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Child(child)),
            ForkResult::Child => {
                // SAFETY: numbers only.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
                if nix::unistd::getppid() != parent {
                    std::process::exit(0);
                }
                act();
                loop {
                    nix::unistd::pause();
                }
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(self.0, None);
    }
}

/// Does something in a child, and says whether that went well; a child that is killed did not.
pub(crate) fn apart(act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = act().map_or_else(|errno| errno as i32, |()| 0);
            // SAFETY: ends this process, and runs nothing of what its parent has registered.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => ended(child),
    }
}

/// Waits for a child whose exit status is an errno.
pub(crate) fn ended(child: Pid) -> Result<(), Errno> {
    use nix::sys::wait::WaitStatus;
    match nix::sys::wait::waitpid(child, None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, code) => Err(Errno::from_raw(code)),
        // As it was with the attempt itself.
        WaitStatus::Signaled(_, signal, _) => {
            let _ = kill(nix::unistd::getpid(), signal);
            Err(Errno::EINTR)
        }
        _ => Err(Errno::EINTR),
    }
}

/// The address family of a socket.
pub(crate) fn family(socket: i32) -> Result<i32, Errno> {
    let mut value = 0_i32;
    let mut length = 4_u32;
    let arguments =
        [socket as u64, libc::SOL_SOCKET as u64, libc::SO_DOMAIN as u64, into(&mut value), into(&mut length)];
    call(libc::SYS_getsockopt, &arguments).map(|_| value)
}

/// `struct sockaddr_in` of a port on 127.0.0.1.
pub(crate) fn loopback(port: u64) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: (port as u16).to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    }
}

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> Result<i32, Errno> {
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::socket(family, kind, protocol) })
}

/// The descriptor of a new pidfd.
pub(crate) fn pidfd(pid: u64) -> Result<u64, Errno> {
    call(libc::SYS_pidfd_open, &[pid, 0]).map(|descriptor| descriptor as u64)
}
