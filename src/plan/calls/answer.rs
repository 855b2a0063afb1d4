// SPDX-License-Identifier: Apache-2.0
//! What a filter makes of one call, and which of its arguments points at a name. Asked by a reaper that may not
//! allocate: looks up, and makes nothing.

use super::paths;
use crate::plan::model::{Denial, Denials, Filter, Verdict};
use nix::libc;

/// What an argument points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointer {
    /// A path with a NUL at its end.
    Path,
    /// The address of a socket, whose length is this argument.
    Address(usize),
}

/// How the filter denies a call with these arguments; `None` where it is made.
pub fn denial(filter: &Filter, call: u32, arguments: [u64; 6]) -> Option<Denial> {
    if call > filter.newest {
        return Some(Denial::Errno(libc::ENOSYS));
    }
    match filter.calls.get(&call) {
        None => Some(filter.default),
        Some(Verdict::Allow) => None,
        Some(Verdict::Deny(denial)) => Some(*denial),
        Some(Verdict::AllowIf(alternatives, denial)) => {
            let met = alternatives.iter().any(|all| all.iter().all(|condition| condition.holds(arguments)));
            if met { None } else { Some(*denial) }
        }
    }
}

/// Whether the reaper hears of what is denied so.
pub fn is_told(denials: Denials, denial: Denial) -> bool {
    match (denials, denial) {
        // A filter that is traced has a program of its own, see [`super::watched`].
        (Denials::Silent | Denials::Traced, _) => false,
        (Denials::Told | Denials::Named, Denial::Errno(libc::ENOSYS)) => false,
        (Denials::Told | Denials::Named, Denial::Errno(_) | Denial::Kill) => true,
    }
}

/// Whether a command lives on after a call that it may not make. What is denied with another error than EPERM is so
/// whatever the policy says of denied calls: libraries try such calls first.
pub fn goes_on(filter: &Filter) -> bool {
    const FAILS: Denial = Denial::Errno(libc::EPERM);
    let fails = |verdict: &Verdict| match verdict {
        Verdict::Allow => false,
        Verdict::AllowIf(_, denial) | Verdict::Deny(denial) => *denial == FAILS,
    };
    filter.default == FAILS || filter.calls.values().any(fails)
}

/// Which argument of a call points at the name of what it is about.
pub fn pointer(call: u32) -> Option<(usize, Pointer)> {
    match libc::c_long::from(call) {
        libc::SYS_connect | libc::SYS_bind => Some((1, Pointer::Address(2))),
        libc::SYS_sendto => Some((4, Pointer::Address(5))),
        _ => paths::path(call).map(|argument| (argument, Pointer::Path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::Condition;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_not_granted_is_denied_as_the_filter_says() {
        let zero = Condition { argument: 0, mask: u64::from(u32::MAX), value: 0, negated: false, wide: false };
        let calls = BTreeMap::from([
            (1, Verdict::Allow),
            (2, Verdict::Deny(Denial::Kill)),
            (3, Verdict::AllowIf(vec![vec![zero]], Denial::Errno(libc::ENOTTY))),
        ]);
        let filter =
            Filter { calls, default: Denial::Errno(libc::EPERM), newest: 5, denials: Denials::Told, ..Filter::NONE };
        for (call, argument, expected) in [
            (6, 0, Some(Denial::Errno(libc::ENOSYS))),
            (4, 0, Some(Denial::Errno(libc::EPERM))),
            (2, 0, Some(Denial::Kill)),
            (3, 1, Some(Denial::Errno(libc::ENOTTY))),
            (3, 0, None),
            (1, 7, None),
        ] {
            assert_eq!(denial(&filter, call, [argument; 6]), expected, "{call}({argument})");
        }
    }

    #[test]
    fn what_libraries_try_first_is_not_told() {
        assert!(!is_told(Denials::Told, Denial::Errno(libc::ENOSYS)));
        assert!(is_told(Denials::Told, Denial::Errno(libc::EPERM)) && is_told(Denials::Told, Denial::Kill));
        assert!(!is_told(Denials::Silent, Denial::Kill));
    }
}
