// SPDX-License-Identifier: Apache-2.0
//! The local time, which neither std nor nix tells.

use nix::libc;

/// A moment in local time, as log lines show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Month of the year, from zero.
    pub month: u8,
    /// Day of the month, from one.
    pub day: u8,
    /// Hour.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second; 60 in a leap second.
    pub second: u8,
}

/// The local time now, by the TZ of the environment or the host's own zone.
pub fn local_time() -> LocalTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = libc::time_t::try_from(now.as_secs()).unwrap_or_default();
    // SAFETY: every field of a tm is an integer or a pointer, for which zero is a value.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live objects of this function, and the C library keeps neither.
    let _same = unsafe { libc::localtime_r(&seconds, &mut parts) };
    let small = |number: libc::c_int| u8::try_from(number).unwrap_or_default();
    LocalTime {
        month: small(parts.tm_mon),
        day: small(parts.tm_mday),
        hour: small(parts.tm_hour),
        minute: small(parts.tm_min),
        second: small(parts.tm_sec),
    }
}
