// SPDX-License-Identifier: Apache-2.0
//! How a session is ended: killed as a whole, its first process killed, what is left cleared away.
//! Says what was refused; that it is tried again is `turn`'s.

use super::Session;
use crate::host::errno_text;
use crate::supervise::rights;
use crate::supervise::watch::Watch;
use crate::sys::errno;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;

impl Session {
    /// Kills everything in the cgroup; without one, the first process. Where that has to kill the others it is let go
    /// of, and does so.
    pub(in crate::supervise) fn kill_tree(&mut self, watch: &Watch) -> Result<(), Errno> {
        match &self.cgroup {
            Some(cgroup) => cgroup.kill().inspect_err(|errno| self.refused = Some(*errno)),
            None => {
                if self.ends_by_reaper {
                    self.cut_cord(watch);
                }
                self.kill_first()
            }
        }
    }

    /// Kills the first process, but not one without which nobody would end the others.
    pub(in crate::supervise) fn kill_first(&mut self) -> Result<(), Errno> {
        let Some(first) = self.first.as_ref().filter(|_| !self.ends_by_reaper) else { return Ok(()) };
        let kill = || first.pidfd.as_ref().map_or_else(|| kill_child(first.pid), kill);
        let killed = match (kill(), self.runs_as) {
            (Err(Errno::EPERM), Some(user)) => rights::as_user(user, kill),
            (other, _) => other,
        };
        killed.inspect_err(|errno| self.refused = Some(*errno))
    }

    /// What the operator must know about a session that cannot be killed.
    pub(in crate::supervise) fn complaint(&self) -> String {
        let pid = self.pid().map_or_else(|| "gone".to_string(), |pid| pid.to_string());
        let why = self.refused.map_or("it was killed and does not die".to_string(), errno_text);
        format!("cannot end session {} (process {pid}): {why}; trying again", self.id)
    }

    /// Lets go of everything but the cgroup, and of that too if it is empty; where its first process has ended by
    /// itself, another session may have it. False: something is still there.
    pub(in crate::supervise) fn clear(&mut self, watch: &Watch) -> bool {
        self.release();
        self.cut_cord(watch);
        let Some(cgroup) = &self.cgroup else { return true };
        if !cgroup.is_empty().unwrap_or(false) {
            // Refused or not: the caller comes back, and gives up after a while.
            let _ = cgroup.kill();
            return false;
        }
        let counted = cgroup.counted();
        self.usage.processor = counted.processor.unwrap_or(self.usage.processor);
        self.usage.memory = counted.memory_peak.unwrap_or(self.usage.memory);
        self.usage.out_of_memory = counted.out_of_memory;
        let kept = match self.ended {
            Some(0) => self.keeps_cgroup && cgroup.keep(),
            Some(status) if libc::WIFSIGNALED(status) => {
                cgroup.distrust();
                false
            }
            Some(_) | None => false,
        };
        let gone = kept || cgroup.remove().is_ok();
        if gone {
            self.cgroup = None;
        }
        gone
    }

    /// The cgroup that could not be removed, for the operator.
    pub(in crate::supervise) fn left_behind(&self) -> Option<String> {
        self.cgroup.as_ref().map(|cgroup| cgroup.path().display().to_string())
    }
}

/// The same by its number, which is its own until we reap it.
fn kill_child(child: Pid) -> Result<(), Errno> {
    match nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Kills a process. ESRCH: it is dead, and about to be reaped.
fn kill(pidfd: &OwnedFd) -> Result<(), Errno> {
    match rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(errno(error)),
    }
}
