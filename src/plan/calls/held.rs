// SPDX-License-Identifier: Apache-2.0
//! Where no mount and no PID namespace hides anything, Landlock holds what is opened, made and removed, and signals:
//! not the mode, times and attributes of a file that belongs to the command's user, and not how another process of
//! that user is scheduled or limited. Narrows what a filter grants; never widens it.

use super::memory::{both_of, narrow};
use super::rules::{Rule, is};
use super::{named, number};
use crate::plan::model::{Denial, Filter, Verdict};
use nix::libc;

/// Calls that change a file by its name, or tell of others' doings with it.
const BY_NAME: &str = "chmod fchmodat fchmodat2 chown lchown fchownat utime utimes futimesat utimensat setxattr \
                       lsetxattr removexattr lremovexattr setxattrat removexattrat file_setattr inotify_add_watch \
                       fanotify_mark";

/// Calls that change a process: the caller's own, by the number zero.
const OF_ITSELF: [(&str, Rule); 7] = [
    ("prlimit64", &[&[is(0, 0)]]),
    ("sched_setaffinity", &[&[is(0, 0)]]),
    ("sched_setscheduler", &[&[is(0, 0)]]),
    ("sched_setparam", &[&[is(0, 0)]]),
    ("sched_setattr", &[&[is(0, 0)]]),
    ("setpriority", &[&[is(0, libc::PRIO_PROCESS), is(1, 0)]]),
    ("ioprio_set", &[&[is(0, 1), is(1, 0)]]),
];

/// Takes from `filter` what Landlock does not hold.
pub fn hold_to_itself(filter: &mut Filter) {
    for call in named(BY_NAME) {
        if let Some(verdict) = filter.calls.get_mut(&number(call)) {
            *verdict = Verdict::Deny(Denial::Errno(libc::EPERM));
        }
    }
    for (name, rule) in OF_ITSELF {
        for call in named(name) {
            if let Some(verdict) = filter.calls.get_mut(&number(call)) {
                narrow(verdict, rule, Denial::Errno(libc::EPERM));
            }
        }
    }
}

/// What [`hold_to_itself`] leaves of a grant of `call`, if it takes anything from it and not all.
pub(super) fn narrowed(call: &str, grant: Rule) -> Option<Vec<Vec<crate::plan::model::Condition>>> {
    OF_ITSELF.iter().find(|(name, _)| *name == call).map(|(_, rule)| both_of(grant, rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hosts::strict;

    #[test]
    fn what_landlock_does_not_hold_is_taken_and_the_process_itself_is_left() {
        let mut syscalls = strict().syscalls;
        syscalls.allow.push(crate::plan::hosts::on(1, "all".to_string()));
        let mut filter = super::super::resolve(&syscalls).unwrap();
        let set = [libc::SYS_chmod, libc::SYS_utimensat, libc::SYS_setxattr, libc::SYS_inotify_add_watch];
        assert!(set.into_iter().all(|call| filter.permits(call, [0; 6])));
        assert!(filter.permits(libc::SYS_sched_setaffinity, [7, 0, 0, 0, 0, 0]));
        hold_to_itself(&mut filter);
        assert!(!set.into_iter().any(|call| filter.permits(call, [0; 6])));
        for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity, libc::SYS_sched_setscheduler] {
            assert!(filter.permits(call, [0; 6]), "{call}");
            assert!(!filter.permits(call, [7, 0, 0, 0, 0, 0]), "{call}");
        }
        assert!(filter.permits(libc::SYS_setpriority, [0, 0, 5, 0, 0, 0]));
        assert!(!filter.permits(libc::SYS_setpriority, [2, 0, 5, 0, 0, 0]));
        assert!(filter.permits(libc::SYS_openat, [0; 6]) && filter.permits(libc::SYS_fchmod, [3, 0o600, 0, 0, 0, 0]));
    }
}
