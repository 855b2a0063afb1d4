// SPDX-License-Identifier: Apache-2.0
//! A user namespace for sessions that come after one another: it maps the command's user and group and nobody else, as
//! the one that a session makes for itself does (`line.rs`), but belongs to the launcher's user, so that no process of
//! the command's user outside has a right in it.
//!
//! What it holds besides its maps, which are written once: names of keyrings, which nothing makes without a call of
//! keys; counts of what its users have, which end with what is counted; and the limits of these, which take
//! CAP_SYS_RESOURCE in it. No command has a capability there: see the step Rights. What is counted and can outlive its
//! process for a moment (queues of messages, locked segments, marks on files) no call makes, or it is not kept.

use crate::sys::process::{self, Side};
use crate::sys::{errno, socket};
use nix::errno::Errno;
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Makes one through the host's /proc.
pub(super) fn make(proc: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> Result<OwnedFd, Errno> {
    let (near, far) = socket::pair()?;
    let made = process::clone_into_user_namespace().inspect_err(|_| [near, far].into_iter().for_each(process::close));
    match made? {
        // Stays until the launcher has the namespace, or is gone.
        Side::Child => {
            process::close(near);
            let _ = process::read(far, &mut [0]);
            process::exit(0)
        }
        Side::Parent(child) => {
            process::close(far);
            let made = map(proc, child, (uid, gid));
            process::close(near);
            // It ends by that.
            while nix::sys::wait::waitpid(child, None) == Err(Errno::EINTR) {}
            made
        }
    }
}

/// Writes its maps and opens it.
fn map(proc: BorrowedFd<'_>, child: Pid, (uid, gid): (u32, u32)) -> Result<OwnedFd, Errno> {
    let open = |path: &str, access| {
        let flags = access | OFlags::CLOEXEC;
        rustix::fs::openat(proc, path, flags, Mode::empty()).map_err(errno)
    };
    // Another PID namespace's /proc would show another process under that number.
    let own = rustix::fs::readlinkat(proc, c"self", Vec::new()).map_err(errno)?;
    if own.to_bytes() != std::process::id().to_string().as_bytes() {
        return Err(Errno::ENOTSUP);
    }
    let namespace = open(&format!("{child}/ns/user"), OFlags::RDONLY)?;
    let before = open("thread-self/ns/user", OFlags::RDONLY)?;
    if !super::differ(namespace.as_fd(), before.as_fd()) {
        // A filter around us has answered for the kernel.
        return Err(Errno::ENOSYS);
    }
    let files = [
        ("setgroups", "deny".to_string()),
        ("uid_map", format!("{uid} {uid} 1")),
        ("gid_map", format!("{gid} {gid} 1")),
    ];
    for (file, text) in files {
        let file = open(&format!("{child}/{file}"), OFlags::WRONLY)?;
        match process::write(file.as_raw_fd(), text.as_bytes())? {
            written if written == text.len() => {}
            _ => return Err(Errno::EIO),
        }
    }
    Ok(namespace)
}
