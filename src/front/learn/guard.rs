// SPDX-License-Identifier: Apache-2.0
//! A process that outlives whoever learns, however suddenly that ends, and ends what it has left. It does nothing else.
//! Only the sudden end of both at once leaves a command that has left its parent.

use crate::host::HostError;
use crate::observe::end_all;
use crate::sys::clone::{self, Side};
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::process::ExitCode;

/// Splits this process in two: `None` in the one that learns, and its exit status in the one that guards.
pub(super) fn split() -> Result<Option<ExitCode>, HostError> {
    // Before the first child, so that orphans are ours.
    process::control(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
        .map_err(|errno| HostError::new("take care of orphans", errno))?;
    let signals = signals();
    let failed = |errno| HostError::new("make a process that guards this one", errno);
    signals.thread_block().map_err(failed)?;
    let learner = match clone::fork().map_err(failed)? {
        Side::Child => {
            signals.thread_unblock().map_err(failed)?;
            // It is not inherited.
            process::control(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
                .map_err(|errno| HostError::new("take care of orphans", errno))?;
            return Ok(None);
        }
        Side::Parent(learner) => learner,
    };
    let status = loop {
        match waitpid(learner, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => break u8::try_from(status).unwrap_or(1),
            Ok(WaitStatus::Signaled(_, signal, _)) => break 128 | signal as u8,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(HostError::new("wait for this process's other half", errno)),
        }
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(_) => {}
            // It may have come to both of us.
            Ok(signal) => drop(kill(learner, signal)),
        }
    };
    end_all();
    Ok(Some(ExitCode::from(status)))
}

/// Whoever learns ends with its guard, as by a signal. Again after each change of ids, which clears it.
pub(super) fn bind() -> Result<(), HostError> {
    process::control(libc::PR_SET_PDEATHSIG, libc::SIGTERM as u64, 0)
        .map_err(|errno| HostError::new("end with the guard", errno))
}

fn signals() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
        set.add(signal);
    }
    set
}
