// SPDX-License-Identifier: Apache-2.0
//! A spare: a sandboxed child that has taken every step that needs no connection, and waits for one in
//! [`crate::plan::Step::Handover`]. It is the line's child like any other; what is its own is that it waits, maybe for
//! minutes, under the command's user id, and that it says when it has taken its connection.
//!
//! # Why nobody of its user reaches it
//!
//! *What is there to reach.* Its memory is its session's own, a copy of its launcher's, which is a copy of the
//! supervisor's: the policy, the plan, compiled filters, the environment of the command, and whatever else the
//! supervisor had in its memory when the launcher was made: other services' policies, addresses of clients who were
//! served then. No secret of the host's, since neither ever reads one. It is nobody else's: its reaper lends it, which
//! is of the same session, user and rights, and what is written there changes neither the launcher nor another spare.
//! Its descriptors are the cord and, of a session that has them, the channels to its own reaper and relay. Until a
//! client comes it has no connection.
//!
//! *Who could.* Any process on the host that has the command's user id, where the policy gives an id to many. What asks
//! for the right to trace (ptrace(2), `/proc/PID/mem`, `environ`, `maps`, `fd`, `root`, `cwd` and `ns`,
//! process_vm_readv(2), pidfd_getfd(2), kcmp(2)) is refused by the kernel, see `__ptrace_may_access` in
//! kernel/ptrace.c: the memory is not dumpable. A change of ids makes it so, and the step Rights says so once more, for
//! those whose ids do not change. Nothing before exec makes it dumpable again, and exec gives the command a memory of
//! its own. Then the capability to trace is asked for in the user namespace that made the memory, which is the one that
//! the supervisor was started in: neither root in a sandbox nor who owns another user namespace has it there. Before
//! the change of ids it is root's, or, with a supervisor of an ordinary user, that user's own.
//!
//! *What remains.* A process of that user may signal it, lower its limits (prlimit(2)) and choose its processors, as it
//! may do with the command itself: it may stop or end a spare, and a client is served all the same
//! (`supervise::spares`). It cannot have it take another connection: only the supervisor holds the other end of its
//! cord. The command of another sandbox is no such process: it sees no process outside of its PID namespace, and
//! Landlock keeps its signals in.
//!
//! *What waits is as confined as what runs.* Its filter is the command's, in the same programs, and there before the
//! connection where it allows to receive that and to attach it, as it does by default
//! ([`crate::plan::Plan::spares_wait_filtered`]). Where it does not, the filter comes after these calls, and nobody
//! speaks to a spare meanwhile: its one descriptor is the cord.
//!
//! Its reaper sleeps until exec gives the memory back, and does not see the cord's end. The spare does, and one that is
//! stopped dies with the reaper, whom the end of the supervisor kills.
//!
//! A session whose client is there has its launcher's memory itself until it has executed its programs, `loan.rs`.
//! Those of this purpose have not: a process that waits for minutes under another user's id is no place for it.

use super::report::Record;
use crate::sys::process;
use nix::errno::Errno;
use std::os::fd::RawFd;

/// Says that the connection is taken: until then it is the supervisor's to give to another. Nothing allocates.
pub(super) fn take(cord: RawFd) -> Result<(), Errno> {
    process::write(cord, &Record::Taken.encode()).map(drop)
}
