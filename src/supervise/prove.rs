// SPDX-License-Identifier: Apache-2.0
//! The self-test for whoever wants to know what this host can do, and not to serve.
//! Leaves nothing behind: no process, no control group.

use super::service::{launcher, users};
use super::supervisor::Supervisor;
use super::trial::{self, Proofs};
use crate::plan::Plan;
use crate::sandbox::HostError;

impl Supervisor {
    /// Makes one sandbox of `plan`, looks at every layer, and ends.
    pub fn prove(mut self, plan: &Plan) -> Result<Proofs, HostError> {
        if let Some(slice) = &mut self.slice {
            slice.enable(&plan.cgroup.controllers())?;
        }
        let mut users = users(plan)?;
        let launcher = launcher(plan, &self.files)?;
        let proofs = trial::examine(plan, &launcher, self.slice.as_ref(), users.as_mut(), trial::AT_THE_START);
        launcher.end();
        let removed = self.slice.take().map_or(Ok(()), crate::sandbox::Slice::remove);
        let proofs = proofs?;
        removed.map(|()| proofs)
    }
}
