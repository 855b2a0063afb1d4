// SPDX-License-Identifier: Apache-2.0
//! Every account that the host lists: getpwent(3) and getgrent(3), which nobody wraps.
//! To be called while the process has one thread: the C library keeps one cursor for all.

use nix::libc;
use std::ffi::CStr;

/// The name and the id of every user that is listed.
pub fn users() -> Vec<(String, u32)> {
    let mut found = Vec::new();
    // SAFETY: takes nothing, and no other thread uses the cursor.
    unsafe { libc::setpwent() };
    loop {
        // SAFETY: as above.
        let next = unsafe { libc::getpwent() };
        // SAFETY: null, or an entry that stands until the next call.
        let Some(entry) = (unsafe { next.as_ref() }) else { break };
        // SAFETY: the C library ends every name with a NUL.
        let name = unsafe { CStr::from_ptr(entry.pw_name) };
        found.push((name.to_string_lossy().into_owned(), entry.pw_uid));
    }
    // SAFETY: takes nothing, and no entry is held any more.
    unsafe { libc::endpwent() };
    found
}

/// The name and the id of every group that is listed.
pub fn groups() -> Vec<(String, u32)> {
    let mut found = Vec::new();
    // SAFETY: takes nothing, and no other thread uses the cursor.
    unsafe { libc::setgrent() };
    loop {
        // SAFETY: as above.
        let next = unsafe { libc::getgrent() };
        // SAFETY: null, or an entry that stands until the next call.
        let Some(entry) = (unsafe { next.as_ref() }) else { break };
        // SAFETY: the C library ends every name with a NUL.
        let name = unsafe { CStr::from_ptr(entry.gr_name) };
        found.push((name.to_string_lossy().into_owned(), entry.gr_gid));
    }
    // SAFETY: takes nothing, and no entry is held any more.
    unsafe { libc::endgrent() };
    found
}
