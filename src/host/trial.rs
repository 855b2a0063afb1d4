// SPDX-License-Identifier: Apache-2.0
//! Trying something in a throw-away child, because a filter may kill the one who tries.
//! The child shares nothing with its parent and may not allocate: the parent may have more threads.

use super::facts::Trial;
use crate::sys::clone::Side;
use crate::sys::process;
use crate::sys::{probe, signal};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Exit status for [`Trial::Killed`]: no errno.
const KILLED: i32 = 255;
/// No trial waits for anything, so one that takes this long never ends. Three seconds were not enough for a mount
/// namespace on an emulated machine under load.
const PATIENCE_S: u32 = 15;

/// Tries `act` in a child.
pub(super) fn attempt(act: impl FnOnce() -> Result<(), Errno>) -> Trial {
    within(probe::clone_quietly, || outcome(act()))
}

/// Tries `act` in the child that `clone` makes. Can be nested: a child may try something in a child of its own.
pub(super) fn within(clone: impl FnOnce() -> Result<Side<Pid>, Errno>, act: impl FnOnce() -> Trial) -> Trial {
    match clone() {
        Err(errno) => Trial::Refused(errno as i32),
        Ok(Side::Parent(child)) => end_of(child),
        Ok(Side::Child) => {
            brace();
            process::exit(match act() {
                Trial::Works => 0,
                Trial::Refused(errno) => errno,
                Trial::Killed => KILLED,
            })
        }
    }
}

pub(super) fn outcome(result: Result<(), Errno>) -> Trial {
    match result {
        Ok(()) => Trial::Works,
        Err(errno) => Trial::Refused(errno as i32),
    }
}

/// Ties the child to its parent and to a time, and lets its death be silent. None of this is tried: where one is
/// refused, the trial is still true.
fn brace() {
    let _ = process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0);
    let _ = signal::set_disposition(libc::SIGALRM, signal::Disposition::Default);
    let _ = signal::set_mask(0);
    probe::die_after(PATIENCE_S);
    // Not 0, which a core_pattern with a pipe does not heed (Linux, fs/coredump.c).
    let _ = process::set_limit(libc::RLIMIT_CORE, 1, 1);
}

fn end_of(child: Pid) -> Trial {
    loop {
        match waitpid(child, Some(WaitPidFlag::__WALL)) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Trial::Refused(errno as i32),
            Ok(WaitStatus::Exited(_, 0)) => return Trial::Works,
            Ok(WaitStatus::Exited(_, KILLED) | WaitStatus::Signaled(_, Signal::SIGSYS, _)) => return Trial::Killed,
            Ok(WaitStatus::Exited(_, errno)) => return Trial::Refused(errno),
            Ok(WaitStatus::Signaled(_, Signal::SIGALRM, _)) => return Trial::Refused(libc::ETIMEDOUT),
            // Killed from outside: nothing is known, so nothing is promised.
            Ok(_) => return Trial::Refused(libc::EINTR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_child_has_its_word() {
        let die = |signal| move || nix::sys::signal::raise(signal).map(|()| std::thread::yield_now());
        assert_eq!(attempt(|| Err(Errno::EPERM)), Trial::Refused(libc::EPERM));
        assert_eq!(attempt(die(Signal::SIGSYS)), Trial::Killed);
        assert_eq!(attempt(die(Signal::SIGALRM)), Trial::Refused(libc::ETIMEDOUT));
        assert_eq!(attempt(die(Signal::SIGKILL)), Trial::Refused(libc::EINTR));
        assert_eq!(attempt(|| Ok(())), Trial::Works);
    }

    #[test]
    fn a_death_two_deep_is_told() {
        let nested = |act: fn() -> Result<(), Errno>| within(probe::clone_quietly, || attempt(act));
        assert_eq!(nested(|| Err(Errno::ENOSPC)), Trial::Refused(libc::ENOSPC));
        assert_eq!(nested(|| nix::sys::signal::raise(Signal::SIGSYS)), Trial::Killed);
        assert_eq!(nested(|| Ok(())), Trial::Works);
    }

    #[test]
    fn a_clone_that_is_refused_is_told() {
        let refused = within(|| Err(Errno::EAGAIN), || Trial::Works);
        assert_eq!(refused, Trial::Refused(libc::EAGAIN));
    }
}
