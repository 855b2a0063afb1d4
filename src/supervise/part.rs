// SPDX-License-Identifier: Apache-2.0
//! What the front door of a server asks of the loop as a whole: how much it takes, whose rights it has, and to part.
//! Parting: this process ends for whoever started it, and a copy of it goes on with the sessions.
//! The copy has every descriptor and every moment that this one has, but is nobody's parent.

use super::rights::Rights;
use super::supervisor::Supervisor;
use crate::host::{HostError, errno_text};
use crate::sys::clone::{self, Side};
use crate::sys::process;

impl Supervisor {
    /// How many sessions of a service there can be at once.
    pub fn most_sessions(&self, service: usize) -> usize {
        self.services.get(service).map_or(0, |service| service.admission.limit())
    }

    /// Works as this account from here on, but for what needs root. Where a command is process 1 of its sandbox nothing
    /// changes: the kernel ends it with this process, which must have the right to kill it when it dies.
    pub fn lower(&mut self, (uid, gid): (u32, u32)) -> Result<(), HostError> {
        match self.services.iter().find(|service| !service.plan.init) {
            None => self.rights = Rights::lower(uid, gid)?,
            Some(service) => {
                let name = &service.plan.service;
                tracing::info!(
                    "{name}: isolation.init = false, so this daemon works as root and not as the mail owner"
                );
            }
        }
        Ok(())
    }

    /// Where the door wants this process to end: makes the copy, as soon as no session waits for a launcher's answer,
    /// and ends. Returns in the copy, or where there is nothing to do.
    pub(super) fn leave_to_a_copy(&mut self) {
        // First: this is asked at every turn, and what comes below looks at every session.
        if !self.leaving {
            return;
        }
        // A command that is process 1 itself dies with its parent, and only a parent hears how it ended.
        let alone = self.services.iter().any(|service| !service.plan.init);
        let waiting = self.sessions.values().any(|session| session.may_need_launcher());
        if alone || waiting || !self.serves_anyone() || !self.passing.is_empty() || !self.heralds.is_empty() {
            return;
        }
        self.leaving = false;
        for service in self.services.iter_mut() {
            service.lose_launcher(&self.watch);
        }
        match clone::fork() {
            // At once: what destructors would remove is the copy's now.
            Ok(Side::Parent(_)) => process::exit(0),
            Ok(Side::Child) => self.sessions.values_mut().for_each(|session| session.orphan()),
            // Then the process stays until its last session is over.
            Err(errno) => tracing::warn!("cannot leave the sessions to a copy of this process: {}", errno_text(errno)),
        }
    }
}
