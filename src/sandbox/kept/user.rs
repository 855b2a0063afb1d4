// SPDX-License-Identifier: Apache-2.0
//! User namespaces for sessions to come: made by the launcher in a process that has the command's user for that, since
//! the kernel counts what is in one for whoever made it, and that has ended before one is used.

use super::{differ, is_current, open};
use crate::sandbox::line::write_namespace;
use crate::sandbox::loan::ended_well;
use crate::sandbox::prepare::Own;
use crate::sys::clone::{self, Side};
use crate::sys::{self, credentials, errno, process, socket};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{PidfdFlags, pidfd_open};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// This process's own one below /proc.
const USER: &CStr = c"thread-self/ns/user";
/// What the ids do not take away, the kernel would: on some hosts only who has a right makes user namespaces.
const NO_SETUID_FIXUP: u64 = libc::SECBIT_NO_SETUID_FIXUP as u64;

/// Makes one that belongs to the command's user and maps nobody else.
pub(super) fn make(own: &Own, proc: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let kind = SocketType::SEQPACKET;
    let (near, far) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(errno)?;
    match clone::clone_child()? {
        Side::Child => {
            let made = enter_new(own, proc);
            let sent = made.and_then(|made| socket::send_descriptors(far.as_fd(), &[], &[made.as_fd()]));
            process::exit(i32::from(sent.is_err()))
        }
        Side::Parent(child) => {
            drop(far);
            // It is counted in there until it is reaped. Nobody but root may stop it.
            let whole = ended_well(child);
            let (_, [made, ..]) = socket::receive_descriptors(near.as_fd(), &mut [0])?;
            made.filter(|_| whole).ok_or(Errno::ECHILD)
        }
    }
}

/// Of a process that is made for it. The real and the saved id stay root's.
fn enter_new(own: &Own, proc: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let before = open(proc, USER)?;
    process::control(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0)?;
    credentials::set_effective_ids(own.uid, own.gid)?;
    credentials::set_file_uid(0);
    sys::mount::unshare(libc::CLONE_NEWUSER)?;
    write_namespace(proc, own).map_err(|(_, errno)| errno)?;
    let made = open(proc, USER)?;
    // Else a filter around us has answered for the kernel.
    if differ(before.as_fd(), made.as_fd()) { Ok(made) } else { Err(Errno::ENOSYS) }
}

/// Whether a process can enter it, and whether the kernel says of one when it is reaped (Linux 6.9 and later,
/// `pidfd_poll` in fs/pidfs.c): until then it is counted in there.
pub(super) fn is_usable(namespace: BorrowedFd<'_>, proc: BorrowedFd<'_>) -> bool {
    match clone::clone_child() {
        Ok(Side::Child) => {
            let entered = process::enter_user(namespace).is_ok() && is_current(proc, USER, namespace);
            process::exit(i32::from(!entered))
        }
        Ok(Side::Parent(child)) => {
            let number = rustix::process::Pid::from_raw(child.as_raw());
            let pidfd = number.and_then(|number| pidfd_open(number, PidfdFlags::empty()).ok());
            ended_well(child) && pidfd.is_some_and(|pidfd| is_reaped(&pidfd))
        }
        Err(_) => false,
    }
}

fn is_reaped(pidfd: &OwnedFd) -> bool {
    let mut entries = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let polled = poll(&mut entries, PollTimeout::ZERO).is_ok();
    polled && entries[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}
