// SPDX-License-Identifier: Apache-2.0
//! The step Fork: the command's process goes on, and the reaper stays behind, or leaves its launcher's memory.
//! Nothing here allocates, logs, looks up or decides.

use super::prove::Progress;
use super::{Line, Memory, Refused};
use crate::plan::model::{Ends, Tree};
use crate::plan::proofs::Station;
use crate::sandbox::hearer::Hearer;
use crate::sandbox::loan::Loan;
use crate::sandbox::reaper::{self, Means};
use crate::sys;
use crate::sys::clone::Side;
use crate::sys::first::{self, Order};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

impl Line<'_> {
    /// Makes the command's process, which goes on; the process that was here stays behind. Where they share their
    /// memory for a while, it is this session's own, and of one user with one set of rights.
    pub(super) fn leave_reaper(&mut self) -> Result<(), Refused> {
        // Blocked before the clone, or a command that ends at once would end unseen.
        sys::signal::set_mask(u64::MAX).map_err(|errno| (0, errno))?;
        let signals = sys::signal::child_signal_descriptor().map_err(|errno| (1, errno))?;
        if self.prepared.tree != Tree::PidNamespace {
            sys::process::control(libc::PR_SET_CHILD_SUBREAPER, 1, 0).map_err(|errno| (4, errno))?;
        }
        let means = self.means().map_err(|errno| (7, errno))?;
        let channel = match self.prepared.told {
            Some(_) => Some(sys::socket::pair().map_err(|errno| (5, errno))?),
            None => None,
        };
        self.channel = channel.map(|(_, theirs)| theirs);
        let command = match self.loan.take().filter(|_| self.suspends()) {
            Some(Loan { stack, left, .. }) => {
                let made = sys::clone::clone_suspended(stack, || self.go_on()).map_err(|errno| (2, errno))?;
                match self.memory {
                    Memory::Lent => return self.leave_memory(made, signals, left),
                    Memory::Own => stack.clear(),
                }
                made
            }
            None => match sys::clone::clone_child().map_err(|errno| (2, errno))? {
                Side::Child => return Ok(()),
                Side::Parent(command) => command,
            },
        };
        channel.iter().for_each(|(_, theirs)| sys::process::close(*theirs));
        sys::lock::install_filter(&self.prepared.reaper_filter).map_err(|errno| (3, errno))?;
        self.prove(Station::Reaper);
        let told = self.prepared.told.as_ref();
        let hearer =
            told.zip(channel).map(|(filter, (ours, _))| Hearer::new(filter, self.prepared.shown.as_ref(), ours));
        let wards = reaper::Wards { command, ends: self.prepared.ends, relay: self.relay };
        reaper::run((self.cord, means), signals, wards, hearer)
    }

    /// By what the reaper ends the others. In a self-test that has not seen the domain's edge it kills nobody: without
    /// one, a signal to all that it may reach would be one to every process of this user.
    fn means(&self) -> Result<Means, Errno> {
        match (self.prepared.tree, self.kill) {
            (Tree::Domain, _) if self.test.as_ref().is_none_or(Progress::is_in_a_domain) => Ok(Means::Domain),
            (Tree::Cgroup, Some(kill)) => Ok(Means::Cgroup(kill)),
            // Its own end would be that of nobody else.
            (Tree::Cgroup, None) => Err(Errno::EBADF),
            (Tree::PidNamespace | Tree::Domain, _) => Ok(Means::Namespace),
        }
    }

    /// Gives the launcher its memory back: the reaper goes on as a program of its own. The command has done so.
    fn leave_memory(&self, command: Pid, signals: RawFd, left: &AtomicBool) -> Result<(), Refused> {
        if signals != first::SIGNALS || self.cord != first::CORD {
            return Err((6, Errno::EBADF));
        }
        for kept in [first::CORD, first::SIGNALS] {
            sys::process::keep_on_exec(kept).map_err(|errno| (6, errno))?;
        }
        let filter = self.prepared.leaving_filter.as_ref().ok_or((3, Errno::ENOENT))?;
        sys::lock::install_filter(filter).map_err(|errno| (3, errno))?;
        let order = match self.prepared.ends {
            Ends::Command => Order::Command(command),
            Ends::Tree => Order::Tree(command),
        };
        // Nothing but exec or the end comes after this, whatever happens.
        left.store(true, Ordering::Release);
        Err((6, first::execute(first::PROGRAM, order)))
    }

    /// Whether the reaper lends the command its memory until that executes its program, and sleeps until then: a copy
    /// costs the client time. It does not see the cord's end meanwhile. The end of the supervisor or of the PID
    /// namespace kills it all the same, also where the command hangs in exec or was stopped; but one that has to kill
    /// its control group must be awake, and so must one that hears of the exec. What a self-test makes has no program
    /// to execute.
    fn suspends(&self) -> bool {
        self.prepared.tree == Tree::PidNamespace && self.prepared.shown.is_none() && self.test.is_none()
    }
}
