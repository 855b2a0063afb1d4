// SPDX-License-Identifier: Apache-2.0
//! What the line reads and writes below the host's /proc, by the launcher's descriptor: the sandbox need not show one.
//! Nothing here allocates.

use crate::sys;
use crate::sys::errno;
use nix::errno::Errno;
use rustix::fs::{Mode, OFlags};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Writes a file below the host's /proc in one call, as the kernel demands of maps and sysctls.
pub(super) fn write_file(proc: impl AsFd, path: &CStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = rustix::fs::openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
    match sys::process::write(file.as_raw_fd(), bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// This process's number on the host, less one, as text: the host's /proc knows it as the target of `self`.
pub(super) fn own_number_before<'a>(proc: &OwnedFd, digits: &'a mut [u8; 20]) -> Result<&'a [u8], Errno> {
    let mut buffer = [0; 20];
    let length = rustix::fs::readlinkat_raw(proc, c"self", &mut buffer).map_err(errno)?;
    let mut number =
        buffer[..length].iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit.wrapping_sub(b'0'))) - 1;
    let mut position = digits.len();
    loop {
        position -= 1;
        digits[position] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return Ok(&digits[position..]);
        }
    }
}
