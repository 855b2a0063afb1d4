// SPDX-License-Identifier: Apache-2.0
//! The part of the mount interface that rustix lacks.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// mount_setattr(2) on the mount behind a descriptor and all mounts below it: sets `attributes`, makes them private.
pub fn set_attributes(mount: BorrowedFd<'_>, attributes: u64) -> Result<(), Errno> {
    set_mount_attributes(mount, attributes, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE)
}

/// The same on that one mount.
pub fn set_own_attributes(mount: BorrowedFd<'_>, attributes: u64) -> Result<(), Errno> {
    set_mount_attributes(mount, attributes, libc::AT_EMPTY_PATH)
}

fn set_mount_attributes(mount: BorrowedFd<'_>, attributes: u64, flags: i32) -> Result<(), Errno> {
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let (fd, path, length) = (mount.as_raw_fd(), c"".as_ptr(), size_of::<libc::mount_attr>());
    // SAFETY: an empty path and a whole mount_attr, both alive.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, fd, path, flags, &attr, length) };
    checked(result).map(drop)
}

/// mount(2) of a new file system of type `kind`; `options` are its own.
pub fn mount_new(kind: &CStr, target: &CStr, flags: u64, options: &CStr) -> Result<(), Errno> {
    // SAFETY: four C strings, alive here; the kernel copies them.
    let result = unsafe {
        libc::syscall(libc::SYS_mount, kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr())
    };
    checked(result).map(drop)
}

/// pivot_root(2) of the working directory onto itself: the old root then lies on top of it, see pivot_root(2), NOTES.
pub fn pivot_here() -> Result<(), Errno> {
    // SAFETY: two C strings, alive.
    let result = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    checked(result).map(drop)
}

/// chdir(2).
pub fn enter_directory(path: &CStr) -> Result<(), Errno> {
    // SAFETY: a C string, alive.
    let result = unsafe { libc::chdir(path.as_ptr()) };
    Errno::result(result).map(drop)
}

/// unshare(2).
pub fn unshare(flags: i32) -> Result<(), Errno> {
    // SAFETY: takes a number only.
    let result = unsafe { libc::unshare(flags) };
    Errno::result(result).map(drop)
}
