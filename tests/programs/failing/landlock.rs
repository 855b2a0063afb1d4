// SPDX-License-Identifier: Apache-2.0
//! An older kernel's Landlock: `landlock=3` has the ABI 3 whatever the running kernel has. It says so when it is asked,
//! and what came later it does not know: a ruleset or a flag that uses it is EINVAL, as it is there.

use nix::libc;
use std::os::unix::fs::FileExt;

/// The three calls, each of which is asked about.
pub(crate) const CALLS: [i64; 3] =
    [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];

/// `LANDLOCK_CREATE_RULESET_VERSION` of linux/landlock.h.
const VERSION: u64 = 1;
/// `struct landlock_ruleset_attr`: access rights on files, on ports, scopes, and what is left out of the audit log.
const WORDS: usize = 6;

/// What becomes of a call.
pub(crate) enum Answer {
    /// The running kernel makes it.
    Kernel,
    /// It returns this.
    Value(i64),
    /// It fails with this errno.
    Errno(i32),
}

/// What a kernel of this ABI answers; `None` for a call that is none of Landlock's.
pub(crate) fn answer(abi: u32, pid: u32, call: i64, arguments: &[u64; 6]) -> Option<Answer> {
    let known = match call {
        libc::SYS_landlock_create_ruleset if arguments[2] == VERSION => return Some(Answer::Value(i64::from(abi))),
        libc::SYS_landlock_create_ruleset => knows_ruleset(abi, &attributes(pid, arguments[0], arguments[1])),
        libc::SYS_landlock_add_rule => arguments[3] == 0 || abi >= 10,
        libc::SYS_landlock_restrict_self => arguments[1] & !flags(abi) == 0,
        _ => return None,
    };
    Some(if known { Answer::Kernel } else { Answer::Errno(libc::EINVAL) })
}

/// Rights by the ABI that brought them: landlock(7), and linux/landlock.h of Linux 7.3.
fn knows_ruleset(abi: u32, words: &[u64; WORDS]) -> bool {
    let since =
        |rows: &[(u32, u64)]| rows.iter().filter(|(first, _)| abi >= *first).fold(0, |all, (_, bits)| all | bits);
    let files = since(&[(1, 0x1fff), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15), (9, 1 << 16)]);
    let ports = since(&[(4, 0b11), (10, 0b1100)]);
    let scopes = since(&[(6, 0b11)]);
    let quiet = |bits| if abi >= 10 { bits } else { 0 };
    let known = [files, ports, scopes, quiet(files), quiet(ports), quiet(scopes)];
    words.iter().zip(known).all(|(word, known)| word & !known == 0)
}

fn flags(abi: u32) -> u64 {
    let logs = if abi >= 7 { 0b111 } else { 0 };
    let threads = if abi >= 8 { 1 << 3 } else { 0 };
    let privileges = if abi >= 11 { 1 << 4 } else { 0 };
    logs | threads | privileges
}

/// The caller's structure; what it does not have is zero.
fn attributes(pid: u32, address: u64, length: u64) -> [u64; WORDS] {
    let mut bytes = [0; 8 * WORDS];
    let length = (length as usize).min(bytes.len());
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("root may read it");
    memory.read_exact_at(&mut bytes[..length], address).expect("the structure is there");
    std::array::from_fn(|at| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[8 * at + byte])))
}
