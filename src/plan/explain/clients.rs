// SPDX-License-Identifier: Apache-2.0
//! The rows about who is let in, and how often: none where everybody is.

use super::super::clients::{Clients, Who};
use super::super::model::Plan;
use super::origin;
use super::page::Page;
use std::collections::BTreeSet;

/// A row for each key that is written.
pub(super) fn clients(plan: &Plan, page: &mut Page) {
    let words = words(&plan.clients);
    let pairs: Vec<_> =
        words.into_iter().map(|(name, text, key)| (name.to_string(), text, origin(plan, key))).collect();
    page.pairs("lets in", &pairs);
}

/// Name, what it says, and the key.
pub(in crate::plan) fn words(clients: &Clients) -> Vec<(&'static str, String, &'static str)> {
    let Clients { allow, deny, per_source, prefixes, rate, rate_per_source, proxies, busy } = clients;
    let mut rows = Vec::new();
    if !proxies.is_empty() {
        let text = format!("{}, which say first who their clients are; nobody else", list(proxies));
        rows.push(("proxies", text, "clients.proxy-protocol.from"));
    }
    if !allow.is_empty() {
        rows.push(("allow", format!("{}, and nobody else", list(allow)), "clients.allow"));
    }
    if !deny.is_empty() {
        rows.push(("deny", format!("{}, whatever is allowed", list(deny)), "clients.deny"));
    }
    if let Some(most) = per_source {
        rows.push(("per source", format!("{most} at once, more are refused"), "clients.per-source"));
    }
    if let Some(rate) = rate_per_source {
        rows.push(("", format!("{rate}, more are refused"), "clients.rate-per-source"));
    }
    if per_source.is_some() || rate_per_source.is_some() {
        let source = format!("a source: an IPv4 /{}, an IPv6 /{}, a user over a UNIX socket", prefixes.v4, prefixes.v6);
        rows.push(("", source, "clients.ipv6-prefix-length"));
    }
    if let Some(rate) = rate {
        rows.push(("rate", format!("{rate} for all together, more wait"), "clients.rate"));
    }
    if !busy.is_empty() {
        rows.push(("busy", format!("\"{}\" to who is refused for that", busy.escape_debug()), "clients.busy"));
    }
    rows
}

fn list(all: &BTreeSet<Who>) -> String {
    all.iter().map(Who::to_string).collect::<Vec<_>>().join(" ")
}
