// SPDX-License-Identifier: Apache-2.0
//! Whether what an operator reads, where a policy lacks a grant, names that grant: the refusal to start, a line that
//! says that no session can begin, or one on a denied call. What a command itself says does not count.
//!
//! `unnamed.txt` lists the grants that no line of the log names, each with the reason. A grant that is listed and named
//! fails, so the list only shrinks. `trace` has to name each of them, see [`super::traced`].

use std::collections::BTreeSet;
use std::path::PathBuf;
use toml::{Table, Value};

const UNNAMED: &str = include_str!("unnamed.txt");

/// What is said where a grant is missing.
pub(super) enum Said {
    /// Instead of a start.
    Refusal(String),
    /// The log of a server that came up.
    Log(String),
}

impl Said {
    pub(super) fn text(&self) -> &str {
        match self {
            Said::Refusal(text) | Said::Log(text) => text,
        }
    }
}

/// What a grant consists of.
pub(super) struct Parts {
    /// Paths, peers, groups of calls: what a sentence may call it.
    pub(super) words: BTreeSet<String>,
    /// Whether calls are among them.
    calls: bool,
}

/// Those of a grant, which may be a profile's name: then what that profile grants beyond `strict`.
pub(super) fn parts(grant: &str) -> Parts {
    let profile = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("policies/profiles/{grant}.toml"));
    let Ok(text) = std::fs::read_to_string(profile) else {
        // Groups of calls have names, and so have keys; a path begins with a slash, a peer ends with a port.
        let calls = !grant.contains(['/', ':', '.']);
        return Parts { words: BTreeSet::from([grant.to_string()]), calls };
    };
    let table: Table = toml::from_str(&text).expect("it is TOML");
    let lists = |above: &str, keys: &[&str]| -> Vec<String> {
        let above = table.get(above).and_then(Value::as_table);
        let lists = keys.iter().filter_map(|key| above?.get(*key)?.as_array());
        let word = |entry: &Value| Some(entry.as_str().or_else(|| entry.get("path")?.as_str())?.to_string());
        lists.flatten().filter_map(word).collect()
    };
    let (paths, groups) = (lists("files", &["read", "write", "execute"]), lists("syscalls", &["allow"]));
    let calls = !groups.is_empty();
    Parts { words: paths.into_iter().chain(groups).collect(), calls }
}

/// The denied calls of a log, each with the family of its socket, where it has one.
fn denied(log: &str) -> BTreeSet<String> {
    let call = |line: &str| {
        let words: Vec<&str> = line.split(" denied ").nth(1)?.split([' ', ':']).collect();
        let kept = words.into_iter().filter(|word| word.starts_with("call=") || word.starts_with("family="));
        Some(kept.collect::<Vec<_>>().join(" "))
    };
    log.lines().filter_map(call).collect()
}

/// The line that names the grant, if there is one. What is denied with all grants is no answer to one that is missing.
fn naming(grant: &str, said: &Said, whole: &str) -> Option<String> {
    let parts = parts(grant);
    let usual = denied(whole);
    let says = |line: &&str| parts.words.iter().any(|word| line.contains(word.as_str()));
    let line = match said {
        Said::Refusal(text) => text.lines().find(says),
        Said::Log(log) => log.lines().find(|line| {
            let is_new = || denied(line).iter().any(|call| !usual.contains(call));
            let about = line.contains(": no session can begin: ") || line.contains(" denied ");
            about && says(line) || parts.calls && is_new()
        }),
    };
    line.map(str::to_string)
}

/// The grants of a policy that are listed.
fn listed(policy: &str) -> BTreeSet<&'static str> {
    rows().filter(|(of, ..)| *of == policy).map(|(_, grant, _)| grant).collect()
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = UNNAMED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [policy, grant, reason] = parts[..] else { panic!("unnamed.txt: {line}") };
        (policy, grant, reason)
    })
}

/// Every grant is named or listed, and none is both; those that are listed.
pub(super) fn judge(policy: &str, told: &[(String, Said)], whole: &str) -> BTreeSet<&'static str> {
    let mut unnamed = BTreeSet::new();
    for (grant, said) in told {
        match naming(grant, said, whole) {
            Some(line) => println!("{policy}: {grant} is named: {line}"),
            None => drop(unnamed.insert(grant.as_str())),
        }
    }
    let listed = listed(policy);
    let new: Vec<_> = unnamed.difference(&listed).collect();
    let old: Vec<_> = listed.difference(&unnamed).collect();
    assert!(new.is_empty(), "{policy}: nothing names {new:?} where it is missing");
    assert!(old.is_empty(), "{policy}: {old:?} is named, or no grant any more: take it off unnamed.txt");
    listed
}

#[test]
fn what_is_listed_as_unnamed_has_a_reason_and_a_policy() {
    let policies: BTreeSet<&str> = super::table::ALL.iter().map(|service| service().policy).collect();
    for (policy, grant, reason) in rows() {
        assert!(policies.contains(policy), "{policy}");
        assert!(reason.len() > 20, "{policy}, {grant}: {reason:?} is no reason");
    }
}
