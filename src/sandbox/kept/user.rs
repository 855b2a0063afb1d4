// SPDX-License-Identifier: Apache-2.0
//! User namespaces for sessions to come: made by the launcher in a process that has the command's user for that, since
//! the kernel counts what is in one for whoever made it, and that has ended before one is used.
//!
//! Who has this user's id, or is in a namespace of its, can be stopped, slowed and killed by every process of the host
//! that has the same (`kill_ok_by_cred`, kernel/signal.c). So a process that goes there on an errand is waited for no
//! longer than it may take, holds no descriptor but what it needs, and ends with its launcher. Its memory, a copy of
//! the launcher's, refuses to be looked into.

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
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// This process's own one below /proc.
const USER: &CStr = c"thread-self/ns/user";
/// What the ids do not take away, the kernel would: on some hosts only who has a right makes user namespaces.
const NO_SETUID_FIXUP: u64 = libc::SECBIT_NO_SETUID_FIXUP as u64;

/// How long an errand may take: far more than it needs, also on an emulated machine. The session makes its own then,
/// and whoever comes next has waited.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes one that belongs to the command's user and maps nobody else.
pub(super) fn make(own: &Own, proc: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let kind = SocketType::SEQPACKET;
    let (near, far) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(errno)?;
    send(own, [proc, far.as_fd()], PATIENCE, |[proc, far]| {
        let made = enter_new(own, proc)?;
        socket::send_descriptors(far, &[], &[made.as_fd()])
    })?;
    drop(far);
    let (_, [made, ..]) = socket::receive_descriptors(near.as_fd(), &mut [0])?;
    made.ok_or(Errno::ECHILD)
}

/// On an errand.
pub(super) fn enter_new(own: &Own, proc: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let before = open(proc, USER)?;
    sys::mount::unshare(libc::CLONE_NEWUSER)?;
    write_namespace(proc, own).map_err(|(_, errno)| errno)?;
    let made = open(proc, USER)?;
    // Else a filter around us has answered for the kernel.
    if differ(before.as_fd(), made.as_fd()) { Ok(made) } else { Err(Errno::ENOSYS) }
}

/// Whether a process can enter it, and whether the kernel says of one when it is reaped (Linux 6.9 and later,
/// `pidfd_poll` in fs/pidfs.c): until then it is counted in there.
pub(super) fn is_usable(namespace: BorrowedFd<'_>, own: &Own, proc: BorrowedFd<'_>) -> bool {
    let sent = send(own, [proc, namespace], PATIENCE, |[proc, namespace]| {
        process::enter_user(namespace)?;
        if is_current(proc, USER, namespace) { Ok(()) } else { Err(Errno::ENOSYS) }
    });
    sent.is_ok_and(|pidfd| is_reaped(&pidfd))
}

/// Sends a process there with these descriptors, and reaps it; that was it, where it has done all.
pub(super) fn send<const COUNT: usize>(
    own: &Own,
    descriptors: [BorrowedFd<'_>; COUNT],
    patience: Duration,
    act: impl FnOnce([BorrowedFd<'_>; COUNT]) -> Result<(), Errno>,
) -> Result<OwnedFd, Errno> {
    let launcher = nix::unistd::getpid();
    match clone::clone_child()? {
        Side::Child => {
            let ready = hold_only(descriptors).and_then(|held| become_owner(own, launcher).map(|()| held));
            process::exit(i32::from(ready.and_then(act).is_err()))
        }
        Side::Parent(child) => {
            let number = Pid::from_raw(child.as_raw()).ok_or(Errno::ESRCH)?;
            let pidfd = pidfd_open(number, PidfdFlags::empty()).map_err(errno);
            if !pidfd.as_ref().is_ok_and(|pidfd| ends_within(patience, pidfd)) {
                // It is not reaped, so the number is its own.
                kill_process(number, Signal::KILL).map_err(errno)?;
            }
            if ended_well(child) { pidfd } else { Err(Errno::ECHILD) }
        }
    }
}

/// Puts them at the first numbers and closes all others: none of them is among the first three, which every launcher
/// has for /dev/null.
fn hold_only<const COUNT: usize>(descriptors: [BorrowedFd<'_>; COUNT]) -> Result<[BorrowedFd<'static>; COUNT], Errno> {
    for (number, descriptor) in descriptors.iter().enumerate() {
        process::duplicate_onto(descriptor.as_raw_fd(), number as RawFd, 0)?;
    }
    process::close_from(COUNT as RawFd)?;
    Ok(std::array::from_fn(|number| process::fixed(number as RawFd)))
}

/// Has the calling process make and enter namespaces as the command's user. By the effective id it owns them; with the
/// real one, what RLIMIT_NPROC lets that user have on the host holds in them too (`enforced_nproc_rlimit`,
/// kernel/user_namespace.c). The saved one stays root's, so that its launcher may signal it.
fn become_owner(own: &Own, launcher: nix::unistd::Pid) -> Result<(), Errno> {
    process::control(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0)?;
    credentials::set_gid(own.gid)?;
    credentials::set_uid(own.uid, 0)?;
    credentials::set_file_uid(0);
    // After the ids: their change forgets the signal, and opens the memory where `fs.suid_dumpable` is 1. To go where
    // the effective id owns everything does neither (`cred_cap_issubset`, kernel/cred.c). Who is stopped between these
    // lines may stay, with what it holds.
    process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0)?;
    process::control(libc::PR_SET_DUMPABLE, 0, 0)?;
    // A launcher that has died before this sends no signal any more.
    if nix::unistd::getppid() == launcher { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Where the kernel does not say, it does not.
fn ends_within(patience: Duration, pidfd: &OwnedFd) -> bool {
    let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], patience) == Ok(1)
}

fn is_reaped(pidfd: &OwnedFd) -> bool {
    let mut entries = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let polled = poll(&mut entries, PollTimeout::ZERO).is_ok();
    polled && entries[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}
