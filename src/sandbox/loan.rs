// SPDX-License-Identifier: Apache-2.0
//! What a launcher lends its children, and how it is sure to have its memory back.
//!
//! A copy of its memory is what costs a session most: page tables, what each side writes first, and taking it all down.
//! So a session has the launcher's own until it has executed its two programs: the command, and what waits for it as
//! process 1 ([`crate::sys::first`]); the launcher waits until then, so that one process runs in it at a time.
//! Afterwards nobody shares any: where a control group or the host has no memory left, the kernel kills whoever has the
//! same as the one that it has chosen (`__oom_kill_process`, mm/oom_kill.c), and that must not be the other sessions.
//!
//! Who has it long, because it hangs in exec, or because a process of its user has stopped it, keeps it: the launcher
//! goes on as a copy of itself, and ends here. The same where the first process is killed while the command's still
//! runs, which the kernel ends, but not at once.
//!
//! What there is to reach meanwhile, and by whom, is what `spare.rs` says of a spare's memory; of other sessions of its
//! service there are their ids, and the variables that describe their clients.

use super::HostError;
use crate::plan::Plan;
use crate::sys::clone::{self, Side, Stack, Tenure};
use crate::sys::errno;
use crate::sys::first::{self, Order};
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set in Linux 6.3 and later where a file in memory is meant to be executed; unknown before.
const MFD_EXEC: u32 = 0x10;

/// How long a session may have the launcher's memory until the launcher goes on without it: far more than it needs, but
/// on an emulated machine under load. Who comes next waits twice so long at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// What children have of their launcher.
pub(super) struct Loan {
    /// For the command, as long as it shares the memory of its reaper.
    pub(super) stack: Stack,
    /// What a reaper executes that has the launcher's memory; none where it has its own.
    pub(super) program: Option<OwnedFd>,
    /// Whoever had the memory last executes its program or ends, and its command has done so before.
    pub(super) left: AtomicBool,
}

/// What makes children that have this memory.
pub(super) struct Lender {
    pub(super) loan: Loan,
    stack: Stack,
    tenure: Tenure,
}

/// Which process this is after a loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The one that lent its memory, and has it back.
    Same,
    /// A copy that goes on in its place.
    Copy,
}

impl Lender {
    /// Where the program cannot be made or executed here, each session has a copy of the memory.
    pub(super) fn new(plan: &Plan, proc: &OwnedFd) -> Result<Lender, HostError> {
        let stack = || Stack::new().map_err(|errno| HostError::new("make a stack", errno));
        let program = if plan.lends_memory() { make(proc).ok().filter(is_executed) } else { None };
        let loan = Loan { stack: stack()?, program, left: AtomicBool::new(false) };
        Ok(Lender { loan, stack: stack()?, tenure: Tenure::default() })
    }

    /// Makes the first process of a session with this memory, and comes back once nobody else has it.
    pub(super) fn lend(
        &mut self,
        namespaces: u64,
        cgroup: Option<BorrowedFd<'_>>,
        child: impl FnOnce(&mut Loan) -> Infallible,
    ) -> Result<(After, (Pid, OwnedFd)), Errno> {
        let Lender { loan, stack, tenure } = self;
        *loan.left.get_mut() = false;
        let mut child = Some(|| child(loan));
        let made = clone::clone_sibling_sharing(namespaces, cgroup, (stack, tenure), &mut child)?;
        let after = self.await_return(&made.1);
        Ok((after, made))
    }

    fn await_return(&self, first: &OwnedFd) -> After {
        loop {
            let returned = self.tenure.await_end(PATIENCE);
            if returned && (self.loan.left.load(Ordering::Acquire) || has_ended(first)) {
                return After::Same;
            }
            match clone::clone_sibling(0, None) {
                Ok(Side::Child) => return After::Copy,
                // Nothing that the others may still use was given back before.
                Ok(Side::Parent(_)) => process::exit(0),
                // There is no memory for it now.
                Err(_) => {}
            }
        }
    }
}

/// Whether a process is dead, and with it all others of its PID namespace.
fn has_ended(first: &OwnedFd) -> bool {
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO);
    poll(&mut [PollFd::new(first.as_fd(), PollFlags::POLLIN)], patience) == Ok(1)
}

/// The program, in a file that nobody can write or read who is not root.
fn make(proc: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let meant = flags | MemfdFlags::from_bits_retain(MFD_EXEC);
    let file = rustix::fs::memfd_create(c"spawnbox", meant)
        .or_else(|_| rustix::fs::memfd_create(c"spawnbox", flags))
        .map_err(errno)?;
    let program = first::program();
    // What is longer than its maker's files may be ends its maker.
    if process::limit(libc::RLIMIT_FSIZE)?.0 < program.len() as u64 {
        return Err(Errno::EFBIG);
    }
    if rustix::io::write(&file, program).map_err(errno)? != program.len() {
        return Err(Errno::EIO);
    }
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
        .map_err(errno)?;
    // Who has it open to be written keeps it from being executed.
    let path = format!("self/fd/{}", file.as_raw_fd());
    let read = rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o111)).map_err(errno)?;
    Ok(read)
}

/// Whether it is executed here: a security module may not want it.
fn is_executed(program: &OwnedFd) -> bool {
    match clone::clone_child() {
        Ok(Side::Child) => {
            first::execute(program.as_raw_fd(), Order::End);
            process::exit(1)
        }
        Ok(Side::Parent(child)) => ended_well(child),
        Err(_) => false,
    }
}

/// Waits for a child; whether it has ended without failure.
pub(super) fn ended_well(child: Pid) -> bool {
    use nix::sys::wait::{WaitStatus, waitpid};
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            ended => return matches!(ended, Ok(WaitStatus::Exited(_, 0))),
        }
    }
}
