// SPDX-License-Identifier: Apache-2.0
//! Parting: this process ends for whoever started it, and a copy of it goes on with the sessions.
//! The copy has every descriptor and every moment that this one has, but is nobody's parent.

use super::supervisor::Supervisor;
use crate::host::errno_text;
use crate::sys::process::{self, Side};

impl Supervisor {
    /// Where the door wants this process to end: makes the copy, as soon as no session waits for a launcher's answer,
    /// and ends. Returns in the copy, or where there is nothing to do.
    pub(super) fn leave_to_a_copy(&mut self) {
        // A command that is process 1 itself dies with its parent, and only a parent hears how it ended.
        let alone = self.services.iter().any(|service| !service.plan.init);
        let waiting = self.sessions.values().any(|session| session.awaits_launcher());
        if !self.leaving || alone || waiting || self.sessions.is_empty() {
            return;
        }
        self.leaving = false;
        for service in &mut self.services {
            service.lose_launcher(&self.watch);
        }
        match process::fork() {
            // At once: what destructors would remove is the copy's now.
            Ok(Side::Parent(_)) => process::exit(0),
            Ok(Side::Child) => self.sessions.values_mut().for_each(|session| session.orphan()),
            // Then the process stays until its last session is over.
            Err(errno) => tracing::warn!("cannot leave the sessions to a copy of this process: {}", errno_text(errno)),
        }
    }
}
