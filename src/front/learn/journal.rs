// SPDX-License-Identifier: Apache-2.0
//! What a command was seen to use, each thing once, with who did so first, by which call, and how often.

use crate::observe::{About, Event, Found, Using};
use crate::plan::calls::denial;
use crate::plan::model::Filter;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use syscalls::x86_64::Sysno;

/// The most things that are kept; a policy with so many would be none.
const MOST: usize = 50_000;
/// The most arguments that are kept of one call: they differ in what a filter looks at a few times only.
const MOST_ARGUMENTS: usize = 64;

/// Who used a thing, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The first program that did.
    pub(super) program: String,
    /// Its call.
    pub(super) call: u32,
    pub(super) times: u64,
}

/// What was used.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) about: BTreeMap<About, Seen>,
    /// Calls that `strict` does not grant, with their arguments.
    pub(super) calls: BTreeMap<(u32, [u64; 6]), Seen>,
    /// Paths that were not there at least once.
    pub(super) missing: BTreeSet<PathBuf>,
    /// Paths that the command made itself.
    pub(super) made: BTreeSet<PathBuf>,
    /// Things that were too many.
    pub(super) left_out: u64,
}

impl Seen {
    /// The reason for a line of a policy.
    pub(super) fn why(&self) -> String {
        let call = Sysno::new(self.call as usize).map_or("a call", |call| call.name());
        let times = match self.times {
            1 => "once".to_string(),
            2 => "twice".to_string(),
            times => format!("{times} times"),
        };
        format!("{}: {call}, {times}", self.program)
    }

    /// Both.
    pub(super) fn and(mut self, other: &Seen) -> Seen {
        self.times += other.times;
        self
    }
}

impl Journal {
    /// Notes one call. `strict` is what every policy of ours grants.
    pub(super) fn note(&mut self, event: Event, strict: &Filter) {
        let Event { program, call, arguments, about, .. } = event;
        let seen = Seen { program, call, times: 1 };
        let foreign = about.contains(&About::Foreign);
        if !foreign && denial(strict, call, arguments).is_some() && self.is_of_use(&about) {
            let known = self.calls.range((call, [0; 6])..=(call, [u64::MAX; 6])).count();
            let key = (call, arguments);
            match known < MOST_ARGUMENTS || self.calls.contains_key(&key) {
                true => add(&mut self.calls, key, &seen),
                false => self.left_out += 1,
            }
        }
        for about in about {
            if let About::Path { written, using, found: Found::Missing } = &about {
                let place = if *using == Using::Change { &mut self.made } else { &mut self.missing };
                if place.len() < MOST {
                    place.insert(written.clone());
                }
            }
            match self.about.len() < MOST || self.about.contains_key(&about) {
                true => add(&mut self.about, about, &seen),
                false => self.left_out += 1,
            }
        }
    }

    /// A call about a peer that is not there fails with and without a policy.
    fn is_of_use(&self, about: &[About]) -> bool {
        let in_vain = |about: &About| {
            matches!(about, About::Path { using: Using::Connect, found: Found::Missing | Found::Refused, .. })
        };
        about.is_empty() || !about.iter().all(in_vain)
    }
}

fn add<K: Ord>(map: &mut BTreeMap<K, Seen>, key: K, seen: &Seen) {
    map.entry(key).and_modify(|known| known.times += 1).or_insert_with(|| seen.clone());
}
