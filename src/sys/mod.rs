// SPDX-License-Identifier: Apache-2.0
//! The only unsafe code: one system call a function, errno out, no decisions.
//! What `rustix` wraps is not wrapped here again.
#![allow(unsafe_code)]

pub mod accounts;
pub mod alarm;
pub mod clock;
pub mod clone;
pub mod credentials;
pub mod exec;
pub mod first;
pub mod inherit;
pub mod lock;
pub mod mount;
pub mod notify;
pub mod probe;
pub mod relay;
pub mod process;
pub mod signal;
pub mod socket;
pub mod wait;

use nix::errno::Errno;
use nix::libc::c_long;

/// An errno of rustix's as nix has it, in which the rest of the program speaks.
pub fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// The result of a raw system call: errno if it is -1.
fn checked(result: c_long) -> Result<c_long, Errno> {
    Errno::result(result)
}
