// SPDX-License-Identifier: Apache-2.0
//! What `resolve` refuses, with the exact line the operator reads, and what it decides.
//! Hosts and policies are literals; nothing here looks at the machine it runs on.

mod command;
mod decided;
mod files;
mod golden;
mod host;
mod identity;
mod landlock;
mod laws;
mod extends;
mod network;
mod shipped;

use super::hosts::{listen, root_on_618, strict};
use super::model::Plan;
use super::request::Request;
use super::resolve;
use crate::host::Facts;
use crate::policy::Policy;

/// A command that every host has.
pub(super) const SH: &[&str] = &["sh", "-c", "id"];

/// The line that the operator reads.
pub(super) fn refused(request: &Request, policy: &Policy, facts: &Facts) -> String {
    match resolve(request, policy, facts) {
        Ok(_) => "not refused".to_string(),
        Err(refusal) => refusal.to_string(),
    }
}

/// The plan, where there is one.
pub(super) fn planned(request: &Request, policy: &Policy, facts: &Facts) -> Plan {
    resolve(request, policy, facts).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Refused with this line, on a host where everything works.
pub(super) fn check(change: impl FnOnce(&mut Policy), expected: &str) {
    check_on(root_on_618(), change, expected);
}

/// Refused with this line on this host.
pub(super) fn check_on(facts: Facts, change: impl FnOnce(&mut Policy), expected: &str) {
    let mut policy = strict();
    change(&mut policy);
    assert_eq!(refused(&listen(SH), &policy, &facts), expected);
}
