// SPDX-License-Identifier: Apache-2.0
//! Where no mount and no PID namespace hides anything, Landlock holds what is opened, made and removed, and signals:
//! not the mode, times and attributes of a file that belongs to the command's user, were it open for reading alone, nor
//! what the attributes of one that may not be opened say, nor how another process of that user is scheduled or limited.
//! Narrows what a filter grants; never widens it.

use super::memory::{both_of, narrow};
use super::rules::{Rule, is};
use super::{named, number};
use crate::plan::model::{Denial, Filter, Verdict};
use nix::libc;

/// Calls that change a file beside what is in it, or tell of others' doings with it.
const BESIDE: &str = "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat \
                      setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat \
                      file_setattr inotify_add_watch fanotify_mark";
/// Calls that read a file's attributes by its name. Programs take the answer that there is nothing of the sort.
const ATTRIBUTES: &str = "getxattr lgetxattr getxattrat listxattr llistxattr listxattrat file_getattr";

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
    for (calls, errno) in [(BESIDE, libc::EPERM), (ATTRIBUTES, libc::ENOTSUP)] {
        for call in named(calls) {
            if let Some(verdict) = filter.calls.get_mut(&number(call)) {
                *verdict = Verdict::Deny(Denial::Errno(errno));
            }
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
        let set = [
            libc::SYS_chmod,
            libc::SYS_fchmod,
            libc::SYS_utimensat,
            libc::SYS_fsetxattr,
            libc::SYS_getxattr,
            libc::SYS_inotify_add_watch,
        ];
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
        assert!(filter.permits(libc::SYS_openat, [0; 6]) && filter.permits(libc::SYS_fgetxattr, [3, 0, 0, 0, 0, 0]));
    }
}
