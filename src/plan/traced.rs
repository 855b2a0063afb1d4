// SPDX-License-Identifier: Apache-2.0
//! A plan whose command is traced: every layer as it is, and its filter tells of calls as well.

use super::model::{Denials, Plan};
use super::resolve::OPEN_FILES;
use crate::host::facts::{Facts, Resource, Trial};
use nix::libc;

/// The plan, for a command that is traced; or why nobody could hear it.
pub fn traced(plan: Plan, facts: &Facts) -> Result<Plan, String> {
    let Some(filter) = plan.filter.clone() else {
        return Err("isolation.seccomp is off, and a command is heard by its filter: switch it on to trace".into());
    };
    match facts.listener {
        Trial::Refused(libc::EBUSY) => {
            return Err(
                "a filter around spawnbox is listened to already, and there can be one listener: trace outside \
                        of the container, or without the tool that watches this one"
                    .into(),
            );
        }
        trial if !trial.works() => return Err(format!("seccomp user notification: {trial}")),
        _ => {}
    }
    // The command holds the listener for a moment.
    match plan.resources.get(&Resource::OpenFiles) {
        Some(most) if *most < OPEN_FILES => Err(format!("to trace, limits.open-files must be {OPEN_FILES} at least")),
        Some(_) | None => {
            let filter = super::model::Filter { denials: Denials::Traced, ..filter };
            // A spare says something before its listener comes.
            Ok(Plan { filter: Some(filter), spares: 0, ..plan })
        }
    }
}
