// SPDX-License-Identifier: Apache-2.0
//! Memory that is never both writable and executable, by the arguments of calls: for kernels before 6.3, which have no
//! PR_SET_MDWE. Narrows what a filter grants; never widens it.
//!
//! Stricter than PR_SET_MDWE in one case: mprotect(2) of what is executable already is refused, since a filter does
//! not see what it was. No loader needs that but for relocations in program text.

use super::rules::{Rule, bits, clear, is};
use super::{named, number};
use crate::plan::model::{Condition, Denial, Filter, Verdict};
use nix::libc;

/// `READ_IMPLIES_EXEC` of linux/personality.h: after it, every mapping that can be read can be executed.
const READ_IMPLIES_EXEC: u32 = 0x0040_0000;
const EXECUTE: u32 = libc::PROT_EXEC as u32;
const BOTH: u32 = (libc::PROT_WRITE | libc::PROT_EXEC) as u32;

const RULES: &[(&str, Rule)] = &[
    ("mmap", &[&[Condition { negated: true, ..bits(2, BOTH, BOTH) }]]),
    ("mprotect", &[&[clear(2, EXECUTE)]]),
    ("pkey_mprotect", &[&[clear(2, EXECUTE)]]),
    ("shmat", &[&[clear(2, libc::SHM_EXEC as u32)]]),
    ("personality", &[&[clear(0, READ_IMPLIES_EXEC)], &[is(0, u32::MAX)]]),
];

/// Takes from `filter` every way to memory that was written and can be executed.
pub fn deny_write_execute(filter: &mut Filter) {
    for (name, rule) in RULES {
        for call in named(name) {
            if let Some(verdict) = filter.calls.get_mut(&number(call)) {
                // As PR_SET_MDWE answers.
                narrow(verdict, rule, Denial::Errno(libc::EACCES));
            }
        }
    }
}

/// Both what `verdict` asks and what `rule` asks; where it asked for nothing, the others meet `denial`.
pub(super) fn narrow(verdict: &mut Verdict, rule: Rule, denial: Denial) {
    *verdict = match verdict {
        Verdict::Allow => Verdict::AllowIf(both(&[Vec::new()], rule), denial),
        Verdict::AllowIf(alternatives, denial) => Verdict::AllowIf(both(alternatives, rule), *denial),
        Verdict::Deny(denial) => Verdict::Deny(*denial),
    };
}

fn both(alternatives: &[Vec<Condition>], rule: Rule) -> Vec<Vec<Condition>> {
    let with = |old: &Vec<Condition>| rule.iter().map(|new| [old.as_slice(), new].concat()).collect::<Vec<_>>();
    let all: Vec<Vec<Condition>> = alternatives.iter().flat_map(with).collect();
    let possible: Vec<_> = all.iter().filter_map(|conditions| reduced(conditions)).collect();
    // A list without alternatives must not come to be: somebody could take it for one without conditions.
    if possible.is_empty() { all } else { possible }
}

/// The conditions without those that another one decides; `None` where one of them cannot hold beside another.
fn reduced(conditions: &[Condition]) -> Option<Vec<Condition>> {
    let mut kept = Vec::new();
    for condition in conditions {
        let others = conditions.iter().filter(|other| *other != condition);
        match others.filter_map(|other| decided(other, condition)).min() {
            Some(false) => return None,
            Some(true) => {}
            None => kept.push(condition.clone()),
        }
    }
    Some(kept)
}

/// Whether `condition` holds where `known` does, if that says what the argument is.
fn decided(known: &Condition, condition: &Condition) -> Option<bool> {
    let whole = if known.wide { u64::MAX } else { u64::from(u32::MAX) };
    let says = !known.negated && known.mask == whole && known.argument == condition.argument;
    let reaches = known.wide || !condition.wide;
    (says && reaches).then_some(((known.value & condition.mask) == condition.value) != condition.negated)
}

/// What [`deny_write_execute`] leaves of a grant of `call`, if it takes anything from it: a group is still the group.
pub(super) fn narrowed(call: &str, grant: Rule) -> Option<Vec<Vec<Condition>>> {
    RULES.iter().find(|(name, _)| *name == call).map(|(_, rule)| both_of(grant, rule))
}

/// Both what a grant asks and what `rule` asks.
pub(super) fn both_of(grant: Rule, rule: Rule) -> Vec<Vec<Condition>> {
    let alternatives = match grant {
        [] => vec![Vec::new()],
        some => some.iter().map(|one| one.to_vec()).collect(),
    };
    both(&alternatives, rule)
}

/// Whether the filter lets no one have memory that is both.
pub fn denies_write_execute(filter: &Filter) -> bool {
    let (write, execute) = (libc::PROT_WRITE as u64, libc::PROT_EXEC as u64);
    let ways = [
        (libc::SYS_mmap, write | execute),
        (libc::SYS_mprotect, execute),
        (libc::SYS_mprotect, write | execute),
        (libc::SYS_pkey_mprotect, execute),
    ];
    ways.into_iter().all(|(call, protection)| !filter.permits(call, [0, 0, protection, 0, 0, 0]))
}

#[cfg(test)]
mod tests {
    use super::super::rules::is_not;
    use super::*;

    #[test]
    fn what_another_condition_decides_is_not_asked_again() {
        let wide = |condition: Condition| Condition { wide: true, mask: u64::MAX, ..condition };
        let negated = |condition: Condition| Condition { negated: !condition.negated, ..condition };
        let high = Condition { value: 1 << 32 | 2, ..wide(is(0, 2)) };
        for (conditions, expected) in [
            (vec![is(0, 2), is_not(0, 1)], Some(vec![is(0, 2)])),
            (vec![is_not(0, 1), is(0, 2)], Some(vec![is(0, 2)])),
            (vec![is(0, 1), is_not(0, 1)], None),
            (vec![is(0, 1), is(0, 2)], None),
            (vec![is(0, 6), bits(0, 4, 4)], Some(vec![is(0, 6)])),
            (vec![is(0, 6), clear(0, 4)], None),
            // Of another argument, or of fewer bits than the other asks about, nothing is known.
            (vec![is(0, 2), is_not(1, 2)], Some(vec![is(0, 2), is_not(1, 2)])),
            (vec![is(0, 2), wide(is_not(0, 2))], Some(vec![is(0, 2), wide(is_not(0, 2))])),
            (vec![bits(0, 4, 4), clear(0, 2)], Some(vec![bits(0, 4, 4), clear(0, 2)])),
            (vec![is_not(0, 1), is_not(0, 2)], Some(vec![is_not(0, 1), is_not(0, 2)])),
            // All bits are known, and the other asks about the low ones.
            (vec![high.clone(), is(0, 2)], Some(vec![high.clone()])),
            (vec![high.clone(), negated(is(0, 2))], None),
        ] {
            assert_eq!(reduced(&conditions), expected, "{conditions:?}");
        }
    }

    #[test]
    fn a_list_without_alternatives_never_comes_to_be() {
        const RULE: Rule = &[&[is_not(0, 1)]];
        assert_eq!(both(&[vec![is(0, 1)]], RULE), [vec![is(0, 1), is_not(0, 1)]]);
    }
}
