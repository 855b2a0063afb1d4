// SPDX-License-Identifier: Apache-2.0
//! Which calls whoever traces a command hears of, beside those that are denied. All of them would make a command many
//! times slower, so what has no path or address among its arguments is made unseen: a notice costs two switches of
//! process.

use super::answer::pointer;
use super::memory::narrow;
use super::rules::{Rule, clear};
use crate::plan::model::{Condition, Denial, Denials, Filter, Verdict};
use nix::libc;

/// Answers nothing: what is denied so is handed over, and made if the plan's own filter makes it.
const HAND_OVER: Denial = Denial::Errno(libc::EPERM);

/// A file that is mapped to be executed: a library. Anonymous memory has the descriptor -1.
const NO_LIBRARY: Rule = &[
    &[clear(2, libc::PROT_EXEC as u32)],
    &[Condition { argument: 4, mask: u32::MAX as u64, value: u32::MAX as u64, negated: false, wide: false }],
];
/// Without an address it is what send(2) is.
const NO_ADDRESS: Rule = &[&[Condition { argument: 4, mask: u64::MAX, value: 0, negated: false, wide: true }]];

/// The filter that hands over what is denied, each granted call whose argument points at a path or an address, and the
/// end of a process. Grants nothing that `filter` does not: whoever hears of a call asks that one.
pub fn watched(filter: &Filter) -> Filter {
    let mut watched = Filter { denials: Denials::Told, ..filter.clone() };
    for (call, verdict) in &mut watched.calls {
        match libc::c_long::from(*call) {
            libc::SYS_mmap => narrow(verdict, NO_LIBRARY, HAND_OVER),
            libc::SYS_sendto => narrow(verdict, NO_ADDRESS, HAND_OVER),
            // The last look at what it leaves behind.
            libc::SYS_exit_group => *verdict = Verdict::Deny(HAND_OVER),
            _ if pointer(*call).is_some() && !matches!(verdict, Verdict::Deny(_)) => {
                *verdict = Verdict::Deny(HAND_OVER)
            }
            _ => {}
        }
    }
    watched
}

/// The same for a reaper, which has no /proc to find a library or a directory by, and no end to look at.
pub fn sought(filter: &Filter) -> Filter {
    let mut sought = watched(filter);
    for call in [libc::SYS_mmap, libc::SYS_exit_group].map(|call| call as u32) {
        sought.calls.remove(&call);
        sought.calls.extend(filter.calls.get_key_value(&call).map(|(call, verdict)| (*call, verdict.clone())));
    }
    sought
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::calls::{denial, is_told, resolve};
    use crate::plan::hosts::{compatible, strict};

    #[test]
    fn what_is_not_handed_over_is_answered_as_the_filter_answers_it() {
        for (policy, hand_over) in [strict(), compatible()]
            .into_iter()
            .flat_map(|policy| [(policy.clone(), watched as fn(&Filter) -> Filter), (policy, sought)])
        {
            let filter = resolve(&policy.syscalls).unwrap();
            let watched = hand_over(&filter);
            let interesting = [0, 1, 2, 4, 7, 0x800, u64::from(u32::MAX), u64::MAX];
            for call in 0..500 {
                for value in interesting {
                    for arguments in [[value; 6], [1, 0, value, 2, u64::MAX, 0], [2, 1, 0, 0, value, 0]] {
                        let seen = denial(&watched, call, arguments);
                        if seen.is_none_or(|seen| !is_told(Denials::Told, seen)) {
                            assert_eq!(seen, denial(&filter, call, arguments), "{call} {arguments:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn paths_addresses_and_libraries_are_handed_over_and_reading_is_not() {
        let watched = watched(&resolve(&strict().syscalls).unwrap());
        let heard = |call: libc::c_long, arguments| denial(&watched, call as u32, arguments) == Some(HAND_OVER);
        let map = |protection: i32, file: u64| [0, 4096, protection as u64, 2, file, 0];
        for (call, arguments) in [
            (libc::SYS_openat, [0; 6]),
            (libc::SYS_execve, [0; 6]),
            (libc::SYS_rename, [0; 6]),
            (libc::SYS_mmap, map(libc::PROT_READ | libc::PROT_EXEC, 3)),
            (libc::SYS_chown, [0; 6]),
            (libc::SYS_exit_group, [0; 6]),
        ] {
            assert!(heard(call, arguments), "{call}");
        }
        for (call, arguments) in [
            (libc::SYS_read, [0; 6]),
            (libc::SYS_mmap, map(libc::PROT_READ, 3)),
            (libc::SYS_mmap, map(libc::PROT_READ | libc::PROT_EXEC, u64::MAX)),
            (libc::SYS_fstat, [0; 6]),
        ] {
            assert!(!heard(call, arguments), "{call}");
        }
        let sought = sought(&resolve(&strict().syscalls).unwrap());
        let heard = |call: libc::c_long, arguments| denial(&sought, call as u32, arguments) == Some(HAND_OVER);
        assert!(heard(libc::SYS_openat, [0; 6]) && heard(libc::SYS_chown, [0; 6]));
        assert!(!heard(libc::SYS_exit_group, [0; 6]) && !heard(libc::SYS_mmap, map(libc::PROT_EXEC, 3)));
    }
}
