// SPDX-License-Identifier: Apache-2.0
//! Whether a name of another program can be a word of `[syscalls]`, and how two of them meet.

use super::{CallError, Word, denied, deny_meaning, granted, groups};
use crate::policy::import::Shared;
use crate::policy::{Origin, Sourced};
use std::collections::BTreeSet;

/// Why a name of another program cannot be a word of `syscalls.allow`, if it cannot.
pub fn refused(name: &str) -> Option<String> {
    foreign(name, |word| granted(&word).err())
}

/// Why a name of another program cannot be a word of `syscalls.deny`, if it cannot.
pub fn undeniable(name: &str) -> Option<String> {
    foreign(name, |word| denied(&[word]).err())
}

/// How much of what `one` means is in `other`, too; nothing where either is no word for `syscalls.deny`.
pub fn shared(one: &str, other: &str) -> Shared {
    let calls = |name: &str| match deny_meaning(&Sourced::new(name.to_string(), Origin::Default)) {
        Ok(Word::Group(group)) => group.members(),
        Ok(Word::Call(call)) => BTreeSet::from([call]),
        Ok(Word::All) | Err(_) => BTreeSet::new(),
    };
    let (one, other) = (calls(one), calls(other));
    match one.intersection(&other).count() {
        0 => Shared::Nothing,
        all if all == one.len() => Shared::Whole,
        _ => Shared::Part,
    }
}

/// Our own words mean nothing there, least of all `all`.
fn foreign(name: &str, error: impl FnOnce(Sourced<String>) -> Option<CallError>) -> Option<String> {
    if name == "all" || groups::GROUPS.iter().any(|group| group.name == name) {
        return Some("it is a word of policies alone, and no call".to_string());
    }
    let error = error(Sourced::new(name.to_string(), Origin::Default))?;
    Some(error.reason.unwrap_or("no call or group has this name").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_our_own_are_no_calls_of_others() {
        for name in groups::GROUPS.iter().map(|group| group.name).chain(["all", "breakfast"]) {
            assert!(refused(name).is_some() && undeniable(name).is_some(), "{name}");
        }
        assert_eq!(undeniable("@aio"), None);
        assert_eq!(shared("adjtimex", "@clock"), Shared::Whole);
        assert_eq!(shared("@clock", "adjtimex"), Shared::Part);
        assert_eq!(shared("@chown", "@system-service"), Shared::Whole);
        assert_eq!(shared("@chown", "read"), Shared::Nothing);
        assert_eq!(shared("breakfast", "breakfast"), Shared::Nothing);
        assert!(undeniable("execve").is_some_and(|why| why.contains("cannot be denied")));
    }
}
