// SPDX-License-Identifier: Apache-2.0
//! Corners of calls that every sandbox must leave to its commands, where they reach further than they seem to.

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socketpair};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd;

/// Tries what `name` says; `None` where this file knows no such attempt.
pub(crate) fn attempt(name: &str, arguments: &[&str]) -> Option<Result<String, Errno>> {
    let first = arguments.first().copied().unwrap_or_default();
    let result = match name {
        "datagram" => datagram(first),
        // DN_ACCESS | DN_MULTISHOT, see fcntl(2).
        "watch-directory" => control(first, libc::F_NOTIFY, 0x8000_0001_u32 as i32),
        "read-lease" => control(first, libc::F_SETLEASE, libc::F_RDLCK),
        "device-ioctl" => device_ioctl(first),
        "touch" => touch(first),
        "loose" => loose(),
        _ => return None,
    };
    Some(result.map(|()| String::new()))
}

/// From one half of a socket pair to a socket of this name, which needs neither socket(2) nor connect(2).
fn datagram(path: &str) -> Result<(), Errno> {
    let (ours, _) = socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::empty())?;
    let name = UnixAddr::new(path)?;
    sendmsg(ours.as_raw_fd(), &[IoSlice::new(b"reached")], &[], MsgFlags::empty(), Some(&name)).map(drop)
}

fn control(path: &str, command: i32, argument: i32) -> Result<(), Errno> {
    let file = open(path)?;
    // SAFETY: three numbers.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }).map(drop)
}

/// Asks a device whether it is a terminal: one of the words for which Landlock has a right, see landlock(7).
fn device_ioctl(path: &str) -> Result<(), Errno> {
    let device = open(path)?;
    let mut room = [0_u64; 8];
    // SAFETY: the room is larger than `struct termios`.
    Errno::result(unsafe { libc::ioctl(device.as_raw_fd(), libc::TCGETS, room.as_mut_ptr()) }).map(drop)
}

fn touch(path: &str) -> Result<(), Errno> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    use nix::sys::time::TimeSpec;
    let now = TimeSpec::UTIME_NOW;
    utimensat(nix::fcntl::AT_FDCWD, path, &now, &now, UtimensatFlags::FollowSymlink)
}

/// Takes off the signal that comes with the parent's death.
fn loose() -> Result<(), Errno> {
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0, 0, 0, 0) }).map(drop)
}

fn open(path: &str) -> Result<File, Errno> {
    File::open(path).map_err(|error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
}
