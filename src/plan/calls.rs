// SPDX-License-Identifier: Apache-2.0
//! From the words of `[syscalls]` to a [`Filter`]: which calls, with which arguments, and what the others meet.
//! Knows names and numbers of this architecture; never how a filter is compiled or put in force.
//!
//! `deny` wins over `allow`, whatever the order. What is not allowed fails with EPERM, or ENOSYS where software
//! falls back on that; what only an attack calls kills. Under `all` it is refused instead: that word is for
//! commands that were never looked at.

mod answer;
mod paths;
mod address;
mod death;
mod held;
mod foreign;
mod groups;
mod list;
mod memory;
mod remedy;
mod rules;
mod systemd;
mod watched;
mod grant;
#[cfg(test)]
mod tests;
mod words;

pub use address::{Name, family, is_mostly_a_stream, name};
pub use answer::{Pointer, denial, goes_on, is_told, pointer};
pub use death::keep_death_signal;
pub use foreign::{refused, shared, undeniable};
pub use grant::{Grant, Value};
pub use held::hold_to_itself;
pub use list::{Allowed, allowed, list};
pub use memory::{denies_write_execute, deny_write_execute};
pub use paths::{Argument, Using, Way, is_of_process, opened, paths, wanted, with_paths};
pub use remedy::{Aim, missing, said, ways, word};
pub use watched::{sought, watched};
pub use words::{allows, allows_all, describe};

use super::model::{Condition, Denial, Filter, Verdict};
use crate::policy::model::{OnDeny, Syscalls};
use crate::policy::{Origin, Sourced};
use groups::{BLIND, FLOOR, Group, NEVER, PROBED, Reach};
use nix::libc;
use rules::Rule;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use syscalls::x86_64::Sysno;

/// A word of `[syscalls]` that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The word.
    pub name: String,
    /// Why, if it is known at all.
    pub reason: Option<&'static str>,
    /// The nearest word that there is, if it is not.
    pub suggestion: Option<String>,
    /// Where it was written.
    pub origin: Origin,
}

/// Our own groups, for tests of what is written about them.
#[cfg(test)]
pub(crate) fn group_names() -> impl Iterator<Item = &'static str> {
    groups::GROUPS.iter().map(|group| group.name)
}

/// What one word stands for.
enum Word {
    All,
    Group(&'static Group),
    Call(Sysno),
}

/// Which calls are granted with which arguments; an empty list means with all.
type Grants = BTreeMap<Sysno, Vec<Vec<Condition>>>;

/// Turns the words into a filter. The first wrong word is the error.
pub fn resolve(syscalls: &Syscalls) -> Result<Filter, CallError> {
    let mut grants = Grants::new();
    let mut all = false;
    let mut withheld = BTreeSet::new();
    for word in &syscalls.allow {
        let meaning = granted(word)?;
        match &meaning {
            Word::All => all = true,
            Word::Group(group) => withheld.extend(group.members()),
            Word::Call(_) => {}
        }
        grant(&meaning, &mut grants);
    }
    let denied = denied(&syscalls.deny)?;
    grants.retain(|call, _| !denied.contains(call));
    for call in named(FLOOR) {
        grants.insert(call, Vec::new());
    }
    let soft = match syscalls.on_deny.as_ref().map(|on_deny| on_deny.value) {
        None | Some(OnDeny::Errno | OnDeny::Report | OnDeny::ReportAll) => Denial::Errno(libc::EPERM),
        Some(OnDeny::Kill) => Denial::Kill,
    };
    let filter = if all { open(grants, soft) } else { closed(grants, &withheld, soft) };
    Ok(Filter { withheld: denied.into_iter().map(number).collect(), ..filter })
}

/// Where `jit` is granted, which also asks for memory that is writable and executable.
pub fn asks_for_jit(syscalls: &Syscalls) -> Option<&Origin> {
    let denied = syscalls.deny.iter().any(|word| word.value == "jit");
    syscalls.allow.iter().find(|word| word.value == "jit" && !denied).map(|word| &word.origin)
}

/// Adds what one word grants. The wider of two grants of a call wins.
fn grant(word: &Word, grants: &mut Grants) {
    let calls: Vec<(Sysno, Rule)> = match word {
        Word::All => everything().map(|call| (call, rules::widest(call.name()))).collect(),
        Word::Call(call) => vec![(*call, rules::widest(call.name()))],
        Word::Group(group) => group.grants(),
    };
    for (call, rule) in calls {
        let old = grants.remove(&call);
        let new = rule.iter().map(|conditions| conditions.to_vec());
        let both = match old {
            None => new.collect(),
            Some(old) if old.is_empty() || rule.is_empty() => Vec::new(),
            Some(mut old) => {
                let more: Vec<_> = new.filter(|conditions| !old.contains(conditions)).collect();
                old.extend(more);
                old
            }
        };
        grants.insert(call, both);
    }
}

/// What `all` stands for.
fn everything() -> impl Iterator<Item = Sysno> {
    let never = named(NEVER);
    Sysno::iter().filter(move |call| !never.contains(call) && *call != Sysno::clone3)
}

/// A list of what is allowed: the rest is refused, and what only an attack calls ends it. What an allowed set names
/// and does not get (`@process`, `@system-service`) is refused without that: the policy's author expects such calls.
fn closed(grants: Grants, named_by_sets: &BTreeSet<Sysno>, soft: Denial) -> Filter {
    let mut calls = verdicts(grants, soft);
    let (never, probed) = (named(NEVER), named(PROBED));
    for call in never.union(&probed) {
        let denial = match never.contains(call) && !named_by_sets.contains(call) {
            true => Denial::Kill,
            false => refusal(*call, &probed, soft),
        };
        calls.entry(number(*call)).or_insert(Verdict::Deny(denial));
    }
    Filter { calls, default: soft, newest: number(Sysno::last()), ..Filter::NONE }
}

/// A list of what is denied: for a command that nobody has looked at, so nothing is answered harder than needed,
/// and a number without a call is answered as the kernel would.
fn open(grants: Grants, soft: Denial) -> Filter {
    let probed = named(PROBED);
    let mut calls = verdicts(grants, soft);
    for call in Sysno::iter() {
        calls.entry(number(call)).or_insert(Verdict::Deny(refusal(call, &probed, soft)));
    }
    Filter { calls, default: Denial::Errno(libc::ENOSYS), newest: number(Sysno::last()), ..Filter::NONE }
}

/// What a call meets that is not allowed and kills nobody.
fn refusal(call: Sysno, probed: &BTreeSet<Sysno>, soft: Denial) -> Denial {
    if probed.contains(&call) || groups::IO_URING_CALLS.names(call) { Denial::Errno(libc::ENOSYS) } else { soft }
}

fn verdicts(grants: Grants, soft: Denial) -> BTreeMap<u32, Verdict> {
    let verdict = |call: Sysno, alternatives: Vec<Vec<Condition>>| match rules::refusal(call.name()) {
        _ if alternatives.is_empty() => Verdict::Allow,
        libc::EPERM => Verdict::AllowIf(alternatives, soft),
        errno => Verdict::AllowIf(alternatives, Denial::Errno(errno)),
    };
    grants.into_iter().map(|(call, alternatives)| (number(call), verdict(call, alternatives))).collect()
}

fn number(call: Sysno) -> u32 {
    call.id() as u32
}

fn granted(word: &Sourced<String>) -> Result<Word, CallError> {
    if let Some((_, reason)) = groups::REFUSED.iter().find(|(name, _)| *name == word.value) {
        return Err(CallError::refused(word, reason));
    }
    let meaning = meaning(word)?;
    if let Word::Group(group) = &meaning
        && group.grants().is_empty()
    {
        return Err(CallError::refused(word, "all its calls are on the never list: name the one that is needed"));
    }
    Ok(meaning)
}

fn denied(words: &[Sourced<String>]) -> Result<BTreeSet<Sysno>, CallError> {
    let floor = named(FLOOR);
    let mut denied = BTreeSet::new();
    for word in words {
        let calls = match deny_meaning(word)? {
            Word::All => Sysno::iter().collect(),
            Word::Group(group) => group.members(),
            Word::Call(call) => BTreeSet::from([call]),
        };
        if calls.iter().any(|call| floor.contains(call)) {
            let reason = "execve, exit_group and write cannot be denied: the command could not be started";
            return Err(CallError::refused(word, reason));
        }
        denied.extend(calls);
    }
    Ok(denied)
}

/// `io-uring` is no group that could be allowed, but it may be denied again.
fn deny_meaning(word: &Sourced<String>) -> Result<Word, CallError> {
    match word.value.as_str() {
        "io-uring" => Ok(Word::Group(&groups::IO_URING_CALLS)),
        _ => meaning(word),
    }
}

fn meaning(word: &Sourced<String>) -> Result<Word, CallError> {
    let name = word.value.as_str();
    if name == "all" {
        return Ok(Word::All);
    }
    if let Some(group) = find(name) {
        return Ok(Word::Group(group));
    }
    name.parse().map(Word::Call).map_err(|_| CallError::unknown(word))
}

fn find(name: &str) -> Option<&'static Group> {
    groups::GROUPS.iter().chain(systemd::SETS).find(|group| group.name == name)
}

/// The calls that a constant of ours names.
fn named(names: &str) -> BTreeSet<Sysno> {
    names.split_whitespace().map(|name| name.parse().expect("a name of the table, as a test shows")).collect()
}

impl Group {
    /// Every call of the group and of the groups in it.
    fn members(&self) -> BTreeSet<Sysno> {
        let inner = self.groups.split_whitespace().filter_map(find);
        inner.flat_map(Group::members).chain(named(self.calls)).collect()
    }

    fn names(&self, call: Sysno) -> bool {
        self.members().contains(&call)
    }

    /// What the group grants: less than it names, where that is on the never list or cannot be looked into.
    fn grants(&self) -> Vec<(Sysno, Rule)> {
        let inner = self.groups.split_whitespace().filter_map(find).flat_map(Group::grants);
        let own = self.calls.split_whitespace().flat_map(|name| self.rules_for(name));
        let mut taken = named(BLIND);
        taken.insert(Sysno::clone3);
        if self.reach == Reach::Ordinary {
            taken.extend(named(NEVER));
        }
        inner.chain(own).filter(|(call, _)| !taken.contains(call)).collect()
    }

    fn rules_for(&self, name: &'static str) -> Vec<(Sysno, Rule)> {
        let call = name.parse().expect("a name of the table, as a test shows");
        let own: Vec<_> =
            self.rules.iter().filter(|(ruled, _)| *ruled == name).map(|(_, rule)| (call, *rule)).collect();
        if own.is_empty() { vec![(call, rules::common(name))] } else { own }
    }
}

impl CallError {
    fn refused(word: &Sourced<String>, reason: &'static str) -> Self {
        let (name, origin) = (word.value.clone(), word.origin.clone());
        CallError { name, reason: Some(reason), suggestion: None, origin }
    }

    fn unknown(word: &Sourced<String>) -> Self {
        let (name, origin) = (word.value.clone(), word.origin.clone());
        let suggestion = words::nearest(&name);
        CallError { name, reason: None, suggestion, origin }
    }
}

/// Without the place: whoever prints it shows the line.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (self.reason, &self.suggestion) {
            (Some(reason), _) => write!(f, "{name} is refused: {reason}"),
            (None, Some(near)) => write!(f, "no system call or group is called {name}; did you mean {near}?"),
            (None, None) => write!(f, "no system call or group is called {name}"),
        }
    }
}

impl std::error::Error for CallError {}
