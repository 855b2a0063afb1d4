// SPDX-License-Identifier: Apache-2.0
//! A [`Filter`] in words, for `explain`; and the nearest word to a mistaken one.
//! Reads a finished filter; never changes one.

use super::super::model::{Denial, Filter, Verdict};
use super::rules::{self, Rule};
use super::{death, everything, groups, held, memory, number, systemd};
use nix::libc;
use std::collections::BTreeSet;
use syscalls::x86_64::Sysno;

/// Whether a call with this name can be made, with at least some arguments.
pub fn allows(filter: &Filter, name: &str) -> bool {
    let verdict = name.parse().ok().and_then(|call: Sysno| filter.calls.get(&number(call)));
    matches!(verdict, Some(Verdict::Allow | Verdict::AllowIf(..)))
}

/// Whether every call with this name can be made, whatever its arguments.
pub fn allows_all(filter: &Filter, name: &str) -> bool {
    let verdict = name.parse().ok().and_then(|call: Sysno| filter.calls.get(&number(call)));
    matches!(verdict, Some(Verdict::Allow))
}

/// The filter on one line: how many calls, and the fewest words for them.
pub fn describe(filter: &Filter) -> String {
    let allowed: Vec<&str> = Sysno::iter().map(|call| call.name()).filter(|name| allows(filter, name)).collect();
    let count = allowed.len();
    // Only `all` answers an unknown number as the kernel would.
    if filter.default == Denial::Errno(libc::ENOSYS) {
        let all: BTreeSet<&str> = everything().map(|call| call.name()).collect();
        let more: Vec<&str> = allowed.iter().filter(|name| !all.contains(**name)).copied().collect();
        let missing: Vec<&str> = all.into_iter().filter(|name| !allows(filter, name)).collect();
        return format!("{count} calls: all{}{}", unless_empty(" and ", &more), unless_empty(" but ", &missing));
    }
    let (groups, covered) = groups_within(filter);
    let single: Vec<&str> = allowed.into_iter().filter(|name| !covered.contains(name)).collect();
    let groups = groups.join(", ");
    let between = if groups.is_empty() || single.is_empty() { "" } else { ", " };
    format!("{count} calls: {groups}{between}{}", first_few(&single))
}

fn unless_empty(before: &str, names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("{before}{}", first_few(names)) }
}

fn first_few(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

/// The nearest group or call, if one is near; of our own groups those that begin so, which are what is meant by `net`.
pub(super) fn nearest(word: &str) -> Option<String> {
    const NEAR: f64 = 0.8;
    const SHORTEST: usize = 3;
    let begins = groups::GROUPS.iter().map(|group| group.name).filter(|name| name.starts_with(word));
    let begins: Vec<&str> = begins.filter(|_| word.len() >= SHORTEST).collect();
    if !begins.is_empty() {
        return Some(begins.join(" or "));
    }
    let groups = groups::GROUPS.iter().chain(systemd::SETS).map(|group| group.name);
    let names = groups.chain(["all"]).chain(Sysno::iter().map(|call| call.name()));
    let scored = names.map(|name| (strsim::jaro_winkler(word, name), name)).filter(|(score, _)| *score > NEAR);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name.to_string())
}

/// Our own groups that the filter grants as a whole and that add something to those before them; and their calls.
fn groups_within(filter: &Filter) -> (Vec<&'static str>, BTreeSet<&'static str>) {
    let mut words = Vec::new();
    let mut calls = BTreeSet::new();
    let mut covered: Vec<(Sysno, Rule)> = Vec::new();
    for group in groups::GROUPS {
        let grants = group.grants();
        let whole = grants.iter().all(|(call, rule)| within(filter, *call, rule));
        if whole && grants.iter().any(|grant| !covered.iter().any(|wider| is_part(grant, wider))) {
            words.push(group.name);
            calls.extend(grants.iter().map(|(call, _)| call.name()));
            covered.extend(grants);
        }
    }
    (words, calls)
}

/// Whether everything that one rule permits of a call the other permits too.
fn is_part((call, rule): &(Sysno, Rule), (other, wider): &(Sysno, Rule)) -> bool {
    call == other && (wider.is_empty() || !rule.is_empty() && rule.iter().all(|one| wider.contains(one)))
}

/// Whether the filter lets a call through wherever this rule does.
fn within(filter: &Filter, call: Sysno, rule: Rule) -> bool {
    match filter.calls.get(&number(call)) {
        Some(Verdict::Allow) => true,
        Some(Verdict::AllowIf(alternatives, _)) => {
            let has = |rule: Rule| !rule.is_empty() && rule.iter().all(|one| alternatives.iter().any(|a| a == one));
            let narrowed = memory::narrowed(call.name(), rule)
                .or_else(|| death::narrowed(call.name(), rule))
                .or_else(|| held::narrowed(call.name(), rule));
            has(rule)
                || has(rules::widest(call.name()))
                || narrowed.is_some_and(|all| all.iter().all(|one| alternatives.contains(one)))
        }
        Some(Verdict::Deny(_)) | None => false,
    }
}
