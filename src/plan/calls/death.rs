// SPDX-License-Identifier: Apache-2.0
//! Where the command is process 1 nothing but its parent-death signal ends a session whose supervisor was killed, and
//! prctl(2) takes that off again. Narrows what a filter grants; never widens it.

use super::memory::{both_of, narrow};
use super::rules::{Rule, is_not};
use super::{named, number};
use crate::plan::model::{Condition, Denial, Filter};
use nix::libc;

const CALL: &str = "prctl";
const RULE: Rule = &[&[is_not(0, libc::PR_SET_PDEATHSIG as u32)]];

/// Takes from `filter` the way to change the signal that comes with the parent's death.
pub fn keep_death_signal(filter: &mut Filter) {
    for call in named(CALL) {
        if let Some(verdict) = filter.calls.get_mut(&number(call)) {
            narrow(verdict, RULE, Denial::Errno(libc::EPERM));
        }
    }
}

/// What [`keep_death_signal`] leaves of a grant of `call`, if it takes anything from it.
pub(super) fn narrowed(call: &str, grant: Rule) -> Option<Vec<Vec<Condition>>> {
    (call == CALL).then(|| both_of(grant, RULE))
}
