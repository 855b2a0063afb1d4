// SPDX-License-Identifier: Apache-2.0
//! The system call filter of a plan: which calls are made, with which arguments, what the others meet and who hears of
//! them. How it is compiled is the sandbox's.

use std::collections::{BTreeMap, BTreeSet};

/// The system call filter, by call number of this architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What becomes of each call that is named.
    pub calls: BTreeMap<u32, Verdict>,
    /// What becomes of all others up to `newest`.
    pub default: Denial,
    /// The newest call that the program knows; later numbers get ENOSYS, so that libc falls back.
    pub newest: u32,
    /// Calls that the policy takes away again, whatever it grants.
    pub withheld: BTreeSet<u32>,
    /// Who hears of what is denied.
    pub denials: Denials,
}

/// Who hears of a denied call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denials {
    /// Nobody but the command: the kernel answers.
    Silent,
    /// The reaper, which answers, and has the log name it. What is denied with ENOSYS is silent all the same: libraries
    /// try such calls first, and do without.
    Told,
    /// The reaper, as with `Told`. It hears of what granted calls look up and reach as well, lets those be made, and
    /// has the log name what the plan does not show or open.
    Named,
    /// Whoever traces, outside of the sandbox, who answers, and hears of what is looked up and reached as well.
    Traced,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Allow,
    /// It is made if every condition of one of these lists holds, else denied with the errno.
    AllowIf(Vec<Vec<Condition>>, Denial),
    /// It is not made.
    Deny(Denial),
}

/// How a call is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// It fails with this errno.
    Errno(i32),
    /// SIGSYS ends the process.
    Kill,
}

/// A condition on one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Argument, from zero.
    pub argument: u8,
    /// Bits that are compared. Below 2^32 the compare is on the low 32 bits only, as the kernel reads them.
    pub mask: u64,
    /// Their value.
    pub value: u64,
    /// Bits must differ from the value instead of being equal.
    pub negated: bool,
    /// Compare all 64 bits.
    pub wide: bool,
}

impl Filter {
    /// Every call ends the command, and nobody hears of it.
    pub const NONE: Filter = Filter {
        calls: BTreeMap::new(),
        default: Denial::Kill,
        newest: u32::MAX,
        withheld: BTreeSet::new(),
        denials: Denials::Silent,
    };
}

impl Condition {
    /// Whether a call with these arguments meets the condition.
    pub fn holds(&self, arguments: [u64; 6]) -> bool {
        let argument = arguments[usize::from(self.argument)];
        let seen = if self.wide { argument } else { argument & u64::from(u32::MAX) };
        (seen & self.mask == self.value & self.mask) != self.negated
    }
}
