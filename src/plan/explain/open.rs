// SPDX-License-Identifier: Apache-2.0
//! The rows about what every layer leaves open although it stands: what a reader of the other rows might take for held.
//! What is off or weaker than it could be has rows of its own.

use super::super::calls;
use super::super::model::{Access, Ids, NetworkMode, Plan};
use super::super::reach;
use super::page::Page;
use super::written;
use crate::policy::Origin;

/// One row for each.
pub(super) fn open(plan: &Plan, page: &mut Page) {
    let mut pairs: Vec<(String, String, Option<&Origin>)> = Vec::new();
    let mut row = |name: &str, text: String| pairs.push((name.to_string(), text, None));
    row("client", "gets whatever the command can read and sends to it".to_string());
    if let Some(binds) = plan.root.binds() {
        let held = plan.landlock.as_ref().is_some_and(|landlock| landlock.holds_paths());
        if reach::connects_by_path(plan.filter.as_ref()) && !held {
            row(
                "sockets",
                "a UNIX socket in what is shown can be connected to, as the user's rights allow".to_string(),
            );
        }
        let writes = binds.iter().any(|bind| bind.access == Access::Write);
        if writes && matches!(plan.identity.ids, Ids::One { .. }) {
            row("sessions", "are one user on the host, and meet in the files that they may write".to_string());
        }
    }
    let ports = ["network.connect", "network.bind", "network.udp"].iter().any(|key| written(plan, key).is_some());
    if plan.network == NetworkMode::Host && ports {
        row("addresses", "a port is granted for every address: no layer here knows addresses".to_string());
    }
    if plan.is_audited() {
        row(
            "audit log",
            "the host's one, and a command fills it that asks much for what Landlock denies: records are lost, others' \
             too, who writes there waits, and under auditctl -f 2 the kernel panics"
                .to_string(),
        );
    }
    if let Some(filter) = &plan.filter {
        let count = calls::allowed(filter).count();
        let text = format!("{count} can be made, with whatever is behind their pointers");
        row("calls", text);
    }
    row("kernel", "one for all: a fault of its own is held by no layer".to_string());
    page.pairs("open", &pairs);
}
