// SPDX-License-Identifier: Apache-2.0
//! What a check supposes where a policy says `${service}` or `${user}` and nobody says who that is. What does not hold
//! for a supposed name may hold for the real one: it is told, and is no mistake.

use crate::plan::Refusal;
use crate::policy::{Filled, Known, Origin, Policy};

/// The user that is supposed.
const USER: &str = "nobody";

/// A service for whoever only looks.
pub(in crate::front) fn looked_at(service: &str) -> Known<'_> {
    Known { service, user: None, stand_in: Some(USER) }
}

/// The texts of a policy that depend on what is supposed.
pub(super) struct Supposed<'a> {
    texts: Vec<(&'a Filled, String)>,
}

impl<'a> Supposed<'a> {
    /// Of a policy that was filled in for `service`, which somebody named or nobody.
    pub(super) fn of(policy: &'a Policy, service: &str, named: bool) -> Supposed<'a> {
        let texts = policy.filled.iter().filter_map(|filled| {
            let service = (filled.names_service() && !named).then(|| format!("`${{service}}` for `{service}`"));
            let user = filled.names_user() && policy.command.user.is_none();
            let user = user.then(|| format!("`${{user}}` for `{USER}`"));
            let supposed: Vec<String> = service.into_iter().chain(user).collect();
            (!supposed.is_empty()).then(|| (filled, supposed.join(" and ")))
        });
        Supposed { texts: texts.collect() }
    }

    /// Whether what is written at `origin` depends on it.
    pub(super) fn holds(&self, origin: &Origin) -> bool {
        self.texts.iter().any(|(filled, _)| filled.origin == *origin)
    }

    /// What does not hold for a supposed name.
    pub(super) fn doubt(&self, refusal: &Refusal) -> String {
        let written = self.texts.iter().find(|(filled, _)| filled.origin == refusal.origin);
        let written = written.map_or(String::new(), |(filled, _)| format!(" ({}, {})", filled.written, filled.origin));
        format!("perhaps: {}{written}", refusal.message())
    }

    /// What is supposed; nothing where nothing is.
    pub(super) fn told(&self) -> Option<String> {
        let mut all: Vec<&str> = self.texts.iter().map(|(_, supposed)| supposed.as_str()).collect();
        // The longest says both.
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let first = all.first()?;
        Some(format!("taken here: {first}; --service and command.user say another"))
    }
}
