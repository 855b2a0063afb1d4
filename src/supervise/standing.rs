// SPDX-License-Identifier: Apache-2.0
//! How the supervisor stands: whether what it is to serve was looked at, and what it does, in a sentence.

use super::service::Service;
use super::supervisor::{Phase, Supervisor};
use std::collections::{BTreeMap, BTreeSet};

/// How many services are named.
const NAMED: usize = 10;

impl Supervisor {
    /// Whether every service was looked at, its sandbox proven or not to be had, and one of them can be served. Later
    /// trouble is no reason to be less ready.
    pub(super) fn is_ready(&self) -> bool {
        let is_served = |service: &Service| !service.admission.is_closed() && !service.admission.is_unproven();
        !self.services.iter().any(is_pending) && self.services.iter().any(is_served)
    }

    /// What it does.
    pub(super) fn sentence(&self) -> String {
        match self.phase {
            Phase::Serving => self.what_is_served(),
            Phase::Leaving => format!("leaving, {}", self.what_is_served()),
            Phase::Draining => format!("draining: {}", self.what_is_left()),
            Phase::Stopping | Phase::GivenUp => format!("ending sessions: {}", self.what_is_left()),
        }
    }

    fn what_is_served(&self) -> String {
        let open = || self.services.iter().filter(|service| !service.admission.is_closed());
        let names = |chosen: &dyn Fn(&Service) -> bool| -> BTreeSet<&str> {
            open().filter(|service| chosen(service)).map(|service| service.plan.service.as_str()).collect()
        };
        let served = names(&|service| !service.admission.is_unproven());
        let sessions: usize = self.services.iter().map(|service| service.admission.live()).sum();
        let mut sentence = format!("serving {}, {}", count(served.len(), "service"), count(sessions, "session"));
        let pending = names(&|service| is_pending(service));
        if !pending.is_empty() {
            sentence.push_str(&format!("; testing the sandbox of {}", listed(pending)));
        }
        let mut refused = names(&|service| service.admission.is_unproven() && !is_pending(service));
        refused.extend(self.refused.keys().map(String::as_str));
        refused.retain(|name| !served.contains(name));
        if !refused.is_empty() {
            sentence.push_str(&format!("; not served: {}, see the log", listed(refused)));
        }
        sentence
    }

    /// What draining waits for.
    pub(super) fn what_is_left(&self) -> String {
        let mut of: BTreeMap<&str, usize> = BTreeMap::new();
        for service in self.services.iter().filter(|service| service.admission.live() > 0) {
            *of.entry(&service.plan.service).or_default() += service.admission.live();
        }
        let left = format!("sessions left: {}", of.values().sum::<usize>());
        match of.is_empty() {
            true => left,
            false => format!("{left} ({})", listed(of.iter().map(|(name, count)| format!("{name} {count}")))),
        }
    }
}

/// Whether its first sandbox is being made.
fn is_pending(service: &Service) -> bool {
    service.admission.is_unproven() && service.coming.is_some()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The first of them.
fn listed(all: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let all: Vec<_> = all.into_iter().collect();
    let mut named: Vec<&str> = all.iter().take(NAMED).map(AsRef::as_ref).collect();
    if all.len() > NAMED {
        named.push("...");
    }
    named.join(", ")
}
