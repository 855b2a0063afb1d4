// SPDX-License-Identifier: Apache-2.0
//! The directories in which sessions have their cgroups: one for all services, and one for each that has limits of its
//! own. Made once, at the start.

use crate::host::facts;
use crate::plan::Plan;
use crate::sandbox::cgroup::{self, Swept};
use crate::sandbox::{HostError, Slice};

/// How many directories that cannot be swept are named.
const SWEEP_WARNINGS: usize = 5;

/// Removes what dead supervisors left, and makes a directory of our own, where the host has a place for it.
pub(super) fn shared(place: &facts::Cgroup) -> Result<Option<Slice>, HostError> {
    let facts::Cgroup::At { path, controllers, .. } = place else { return Ok(None) };
    // A place that has none to give is none of ours to arrange. Where it cannot be left, it gives none, and a service
    // that needs one is refused.
    if !controllers.is_empty()
        && let Err(error) = cgroup::leave(path)
    {
        tracing::warn!("{error}");
    }
    match cgroup::sweep(path) {
        Ok(Swept { removed, kept }) => {
            if removed > 0 {
                tracing::info!("removed what killed supervisors had left: cgroup directories: {removed}");
            }
            // Nothing of ours depends on those.
            kept.iter().take(SWEEP_WARNINGS).for_each(|error| tracing::warn!("{error}; leaving it to the next start"));
            if let more @ 1.. = kept.len().saturating_sub(SWEEP_WARNINGS) {
                tracing::warn!("cannot remove what killed supervisors had left: further cgroup directories: {more}");
            }
        }
        Err(error) => tracing::warn!("{error}"),
    }
    Slice::make(path).map(Some)
}

/// Makes what a service's limits need, and its own directory where its sessions have limits together.
pub(super) fn of_service(slice: &mut Slice, plan: &Plan) -> Result<Option<Slice>, HostError> {
    let limits = &plan.service_cgroup;
    let controllers = plan.cgroup.controllers().union(&limits.controllers()).copied().collect();
    slice.enable(&controllers)?;
    if limits.controllers().is_empty() {
        return Ok(None);
    }
    let mut own = slice.of_service(&cgroup::service_name(plan), limits)?;
    own.enable(&controllers)?;
    Ok(Some(own))
}
