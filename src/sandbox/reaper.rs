// SPDX-License-Identifier: Apache-2.0
//! PID 1 of a sandbox: waits for the command, reaps orphans, and ends when the supervisor lets go of the cord.
//! Its end is the end of every process in its PID namespace. It holds 0-2 (/dev/null), the cord and a signalfd,
//! has the command's user and no rights, and runs under a filter of its own.

use super::report::Record;
use crate::plan::model::Ends;
use crate::sys::process;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::RawFd;

/// Length of a `struct signalfd_siginfo`.
const SIGNAL_LENGTH: usize = 128;

/// Stays until the session is over.
pub(super) fn run(cord: RawFd, signals: RawFd, command: Pid, ends: Ends) -> ! {
    let mut command = Some(command);
    loop {
        match process::poll_for_end(cord, signals) {
            // The command reads the cord, so its end alone is of interest here.
            Ok(polled) if polled.hung_up => process::exit(0),
            Ok(polled) if polled.readable => {
                let mut signal = [0; SIGNAL_LENGTH];
                // One SIGCHLD may stand for many; what matters is that the descriptor is empty again.
                let _ = process::read(signals, &mut signal);
                reap(cord, &mut command, ends);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => process::exit(errno as i32),
        }
    }
}

/// Reaps whatever has ended. Ends the sandbox with the command, or with the last process.
/// A command that was reaped is forgotten: its number may be another's, whose status is nobody's concern.
fn reap(cord: RawFd, command: &mut Option<Pid>, ends: Ends) {
    loop {
        match process::reap_any() {
            Ok(Some((pid, status))) if Some(pid) == *command => {
                *command = None;
                // A supervisor that is gone needs no record.
                let _ = process::write(cord, &Record::Status(status).encode());
                match ends {
                    Ends::Command => process::exit(0),
                    Ends::Tree => {}
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            // ECHILD: no process is left.
            Err(_) => process::exit(0),
        }
    }
}
