// SPDX-License-Identifier: Apache-2.0
//! PID 1 of a sandbox: waits for the command, reaps orphans, and ends when the supervisor lets go of the cord.
//! Where it lends the command its memory, it sleeps until the command has executed its program: `line/leave.rs`.
//! Where it has its launcher's, it goes on as a program that does the same, `sys/first.rs`, and not here.
//! Its end is the end of every process in its PID namespace; where there is none, it kills its cgroup, or whatever is
//! in its Landlock domain.
//! Where there is a relay, it is told to finish when the command has ended, and waited for: the command's last words
//! may still be in its hands. It holds 0-2 (/dev/null), the cord, a signalfd, the relay's channel and, where denied
//! calls are told, their listener. It has the command's user and no rights, and runs under a filter of its own.

use super::hearer::Hearer;
use super::relay::FINISH;
use super::report::Record;
use crate::plan::model::Ends;
use crate::sys::process;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::RawFd;

/// Length of a `struct signalfd_siginfo`.
const SIGNAL_LENGTH: usize = 128;

/// Whom a reaper waits for.
pub(super) struct Wards {
    /// The command.
    pub(super) command: Pid,
    /// When it is over.
    pub(super) ends: Ends,
    /// The relay, and the channel to it.
    pub(super) relay: Option<(Pid, RawFd)>,
}

/// By what it ends every other process of the session.
#[derive(Clone, Copy)]
pub(super) enum Means {
    /// Its own end.
    Namespace,
    /// What is written to `cgroup.kill`.
    Cgroup(RawFd),
    /// A signal to all that it may reach: those of its Landlock domain and of the command's, which is inside.
    Domain,
}

/// How far a session is.
struct Session {
    cord: RawFd,
    means: Means,
    command: Option<Pid>,
    ends: Ends,
    relay: Option<(Pid, RawFd)>,
    /// The command's, while the relay finishes.
    status: Option<i32>,
}

/// Stays until the session is over. `hearer` is there where denied calls are told.
pub(super) fn run((cord, means): (RawFd, Means), signals: RawFd, wards: Wards, mut hearer: Option<Hearer<'_>>) -> ! {
    let Wards { command, ends, relay } = wards;
    let mut session = Session { cord, means, command: Some(command), ends, relay, status: None };
    loop {
        let third = hearer.as_ref().map_or(-1, Hearer::descriptor);
        match process::poll_for_end(cord, signals, third) {
            // The command reads the cord, so its end alone is of interest here.
            Ok(polled) if polled.hung_up => end(means, 0),
            Ok(polled) if polled.readable => {
                let mut signal = [0; SIGNAL_LENGTH];
                // One SIGCHLD may stand for many; what matters is that the descriptor is empty again.
                let _ = process::read(signals, &mut signal);
                session.reap();
            }
            Ok(polled) => match &mut hearer {
                Some(hearer) if polled.heard => {
                    if let Err(errno) = hearer.hear(cord) {
                        end(means, errno as i32);
                    }
                }
                Some(hearer) if polled.silent => hearer.end(),
                Some(_) | None => {}
            },
            Err(Errno::EINTR) => {}
            Err(errno) => end(means, errno as i32),
        }
    }
}

impl Session {
    /// Reaps whatever has ended. Ends the sandbox with the command, or with the last process.
    fn reap(&mut self) {
        loop {
            match process::reap_any() {
                Ok(Some((pid, status))) => self.reaped(pid, status),
                Ok(None) => return,
                // ECHILD: no process is left.
                Err(_) => end(self.means, 0),
            }
        }
    }

    /// A process that was reaped is forgotten: its number may be another's, whose status is nobody's concern.
    fn reaped(&mut self, pid: Pid, status: i32) {
        if Some(pid) == self.command {
            self.command = None;
            match self.relay {
                Some((_, channel)) => {
                    // Where it is gone already, its end is about to be reaped.
                    let _ = process::write(channel, FINISH);
                    self.status = Some(status);
                }
                None => self.tell(status),
            }
        } else if self.relay.is_some_and(|(relay, _)| relay == pid) {
            self.relay = None;
            let finished = self.status.take();
            if status != 0 || finished.is_none() {
                let _ = process::write(self.cord, &Record::Relay(status).encode());
            }
            if let Some(status) = finished {
                self.tell(status);
            }
        }
    }

    fn tell(&self, status: i32) {
        // A supervisor that is gone needs no record.
        let _ = process::write(self.cord, &Record::Status(status).encode());
        match self.ends {
            Ends::Command => end(self.means, 0),
            Ends::Tree => {}
        }
    }
}

/// Ends the sandbox: this process, and by it or before it every other.
fn end(means: Means, status: i32) -> ! {
    match means {
        Means::Namespace => {}
        Means::Cgroup(kill) => {
            // This process is in that cgroup too. A refusal is the supervisor's to notice, if there is one.
            let _ = process::write(kill, b"1");
        }
        Means::Domain => {
            // That it reached everyone is seen by there being no child any more.
            let _ = process::kill_all_in_reach();
            while process::await_any() != Err(Errno::ECHILD) {}
        }
    }
    process::exit(status)
}
