// SPDX-License-Identifier: Apache-2.0
//! Ids and capabilities of the calling thread, as raw calls: libc's wrappers signal every other thread, and `caps`
//! allocates. Runs in a child with one thread.

use super::checked;
use nix::errno::Errno;
use nix::libc;

/// `_LINUX_CAPABILITY_VERSION_3`, see capget(2).
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// The three capability sets of a thread, 64 bits each as two words.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// setgroups(2) to this one group.
pub fn set_only_group(gid: u32) -> Result<(), Errno> {
    // SAFETY: one readable word.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, 1, &raw const gid) };
    checked(result).map(drop)
}

/// setresgid(2) of all three.
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    checked(result).map(drop)
}

/// setresuid(2): real and effective id, and another saved one.
pub fn set_uid(uid: u32, saved: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, saved) };
    checked(result).map(drop)
}

/// setfsuid(2). It reports no error; the caller's next file access shows whether it held.
pub fn set_file_uid(uid: u32) {
    // SAFETY: takes a number only.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
}

/// Whether real, effective and saved ids are exactly these.
pub fn has_ids(uid: u32, gid: u32) -> Result<bool, Errno> {
    let (mut u, mut g) = ([0_u32; 3], [0_u32; 3]);
    // SAFETY: three writable words.
    let result = unsafe { libc::syscall(libc::SYS_getresuid, &raw mut u[0], &raw mut u[1], &raw mut u[2]) };
    checked(result)?;
    // SAFETY: three writable words.
    let result = unsafe { libc::syscall(libc::SYS_getresgid, &raw mut g[0], &raw mut g[1], &raw mut g[2]) };
    checked(result)?;
    Ok(u == [uid; 3] && g == [gid; 3])
}

/// Whether this is the only group.
pub fn has_only_group(gid: u32) -> Result<bool, Errno> {
    let mut groups = [0_u32; 2];
    // SAFETY: two writable words.
    let result = unsafe { libc::syscall(libc::SYS_getgroups, 2, groups.as_mut_ptr()) };
    match checked(result) {
        Ok(count) => Ok(count == 1 && groups[0] == gid),
        // EINVAL: there are more than two.
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// capset(2) of all three sets to nothing.
pub fn drop_capabilities() -> Result<(), Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let words = [Words::default(); 2];
    // SAFETY: header and both words are alive; version 3 reads two of them.
    let result = unsafe { libc::syscall(libc::SYS_capset, &header, words.as_ptr()) };
    checked(result).map(drop)
}

/// The capability sets of a process, a bit for each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sets {
    /// What it has now.
    pub effective: u64,
    /// What it can have.
    pub permitted: u64,
    /// What programs that it executes may get.
    pub inheritable: u64,
}

/// capget(2) of the calling thread.
pub fn capabilities() -> Result<Sets, Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Words::default(); 2];
    // SAFETY: header and both words are alive and writable; version 3 writes two of them.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    checked(result)?;
    let whole = |part: fn(&Words) -> u32| u64::from(part(&words[0])) | u64::from(part(&words[1])) << 32;
    Ok(Sets {
        effective: whole(|words| words.effective),
        permitted: whole(|words| words.permitted),
        inheritable: whole(|words| words.inheritable),
    })
}

/// capset(2) of the calling thread.
pub fn set_capabilities(sets: Sets) -> Result<(), Errno> {
    let header = Header { version: VERSION_3, pid: 0 };
    let word = |shift: u32| Words {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let words = [word(0), word(32)];
    // SAFETY: header and both words are alive; version 3 reads two of them.
    let result = unsafe { libc::syscall(libc::SYS_capset, &header, words.as_ptr()) };
    checked(result).map(drop)
}

/// Whether all three capability sets are empty.
pub fn has_no_capabilities() -> Result<bool, Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let full = Words { effective: u32::MAX, permitted: u32::MAX, inheritable: u32::MAX };
    let mut words = [full; 2];
    // SAFETY: header and both words are alive and writable; version 3 writes two of them.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    checked(result)?;
    Ok(words == [Words::default(); 2])
}
