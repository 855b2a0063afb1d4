// SPDX-License-Identifier: Apache-2.0
//! A filter in two. To install one costs a session more than any other step, and what its launcher is under it inherits
//! for nothing: so the larger part goes there, with every call left open that launcher, line and reaper still make, and
//! the session itself installs a small one that answers those as the policy does.
//!
//! Of each call one of the two says what the whole filter says, and the other lets it pass; the kernel obeys the
//! stricter.

use super::{HostError, Leaf, Program, REAPER, answer, leaf, program, program_of, refused};
use crate::plan::Step;
use crate::plan::model::{Denials, Filter, Verdict};
use nix::libc;
use seccompiler::BackendError;
use std::collections::{BTreeMap, BTreeSet};
use syscalls::Sysno;

/// What a launcher calls to serve, and what the C library and the standard library call for it: memory, an end by a
/// panic.
const LAUNCHER: &[Sysno] = &[
    Sysno::recvmsg,
    Sysno::sendmsg,
    Sysno::clone3,
    Sysno::clone,
    Sysno::close,
    Sysno::fcntl,
    Sysno::openat,
    Sysno::readlinkat,
    Sysno::fstat,
    Sysno::newfstatat,
    Sysno::statx,
    Sysno::read,
    Sysno::pread64,
    Sysno::write,
    Sysno::socketpair,
    Sysno::setns,
    Sysno::unshare,
    Sysno::wait4,
    Sysno::prctl,
    Sysno::seccomp,
    Sysno::nanosleep,
    Sysno::clock_nanosleep,
    Sysno::clock_gettime,
    Sysno::brk,
    Sysno::mmap,
    Sysno::munmap,
    Sysno::mremap,
    Sysno::mprotect,
    Sysno::madvise,
    Sysno::futex,
    Sysno::getpid,
    Sysno::gettid,
    Sysno::tgkill,
    // A reaper's, where no PID namespace ends with it.
    Sysno::kill,
    Sysno::getcwd,
    Sysno::getrandom,
    Sysno::rt_sigaction,
    Sysno::rt_sigprocmask,
    Sysno::sigaltstack,
    Sysno::exit_group,
];

/// Each call that is made under the launcher's part by these steps, by the launcher, or by a reaper.
pub fn open(steps: impl IntoIterator<Item = Step>) -> BTreeSet<u32> {
    let names = steps.into_iter().flat_map(|step| step.calls().split(' '));
    // Names that are no call's on this machine are other machines'.
    let theirs = names.filter_map(|name| name.parse::<Sysno>().ok());
    let ours = theirs.chain(LAUNCHER.iter().copied()).map(|call| call.id() as u32);
    ours.chain(REAPER.iter().map(|call| *call as u32)).collect()
}

/// Compiles the filter with these calls left open, and a second program that answers for them, untold, and lets every
/// other one pass; none where the filter allows them all.
pub fn divide(filter: &Filter, open: impl IntoIterator<Item = u32>) -> Result<Vec<Program>, HostError> {
    let verdict = |call: u32| filter.calls.get(&call).cloned().unwrap_or(Verdict::Deny(filter.default));
    let closed = open.into_iter().filter(|call| *call <= filter.newest).map(|call| (call, verdict(call)));
    let closed: BTreeMap<u32, Verdict> = closed.filter(|(_, verdict)| *verdict != Verdict::Allow).collect();
    if closed.is_empty() {
        return Ok(vec![program(filter)?]);
    }
    let mut outer = filter.clone();
    outer.calls.extend(closed.keys().map(|call| (*call, Verdict::Allow)));
    Ok(vec![program(&outer)?, program_of(&only(&closed).map_err(refused)?)?])
}

/// Leaves that answer for these calls, untold, and let every other one pass.
fn only(calls: &BTreeMap<u32, Verdict>) -> Result<Vec<Leaf>, BackendError> {
    let allow = |first| Leaf { first, code: vec![answer(libc::SECCOMP_RET_ALLOW)] };
    let mut leaves = vec![allow(0)];
    for (&call, verdict) in calls {
        leaves.push(Leaf { first: call, code: leaf(call, verdict, Denials::Silent)? });
        leaves.push(allow(call + 1));
    }
    Ok(leaves)
}
