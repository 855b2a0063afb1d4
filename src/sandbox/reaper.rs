// SPDX-License-Identifier: Apache-2.0
//! PID 1 of a sandbox: waits for the command, reaps orphans, and ends when the supervisor lets go of the cord.
//! Its end is the end of every process in its PID namespace; where there is none, it kills its cgroup.
//! It holds 0-2 (/dev/null), the cord, a signalfd and, where denied calls are told, their listener. It has the command's user and no rights, and runs under a filter
//! of its own.

use super::hearer::Hearer;
use super::report::Record;
use crate::plan::model::Ends;
use crate::sys::process;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::RawFd;

/// Length of a `struct signalfd_siginfo`.
const SIGNAL_LENGTH: usize = 128;

/// Stays until the session is over. `kill` is `cgroup.kill` of a session without a PID namespace.
/// `hearer` is there where denied calls are told.
pub(super) fn run(
    (cord, kill): (RawFd, Option<RawFd>),
    signals: RawFd,
    (command, ends): (Pid, Ends),
    mut hearer: Option<Hearer<'_>>,
) -> ! {
    let mut command = Some(command);
    loop {
        let third = hearer.as_ref().map_or(-1, Hearer::descriptor);
        match process::poll_for_end(cord, signals, third) {
            // The command reads the cord, so its end alone is of interest here.
            Ok(polled) if polled.hung_up => end(kill, 0),
            Ok(polled) if polled.readable => {
                let mut signal = [0; SIGNAL_LENGTH];
                // One SIGCHLD may stand for many; what matters is that the descriptor is empty again.
                let _ = process::read(signals, &mut signal);
                reap(cord, kill, &mut command, ends);
            }
            Ok(polled) => match &mut hearer {
                Some(hearer) if polled.heard => hearer.hear(cord),
                Some(hearer) if polled.silent => hearer.end(),
                Some(_) | None => {}
            },
            Err(Errno::EINTR) => {}
            Err(errno) => end(kill, errno as i32),
        }
    }
}

/// Reaps whatever has ended. Ends the sandbox with the command, or with the last process.
/// A command that was reaped is forgotten: its number may be another's, whose status is nobody's concern.
fn reap(cord: RawFd, kill: Option<RawFd>, command: &mut Option<Pid>, ends: Ends) {
    loop {
        match process::reap_any() {
            Ok(Some((pid, status))) if Some(pid) == *command => {
                *command = None;
                // A supervisor that is gone needs no record.
                let _ = process::write(cord, &Record::Status(status).encode());
                match ends {
                    Ends::Command => end(kill, 0),
                    Ends::Tree => {}
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            // ECHILD: no process is left.
            Err(_) => end(kill, 0),
        }
    }
}

/// Ends the sandbox: this process, and by it or before it every other.
fn end(kill: Option<RawFd>, status: i32) -> ! {
    if let Some(kill) = kill {
        // This process is in that cgroup too. A refusal is the supervisor's to notice, if there is one.
        let _ = process::write(kill, b"1");
    }
    process::exit(status)
}
