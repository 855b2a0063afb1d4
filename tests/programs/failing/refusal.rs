// SPDX-License-Identifier: Apache-2.0
//! A call that is refused, as it is written: `CALL[@ARGUMENT:VALUE]...=ERRNO`. With `=done` it is a lie: the caller
//! hears that the call succeeded, and it was not made.

use nix::errno::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter};
use seccompiler::{SeccompRule, TargetArch};
use std::collections::BTreeMap;
use std::str::FromStr;

/// A call, what its arguments are, and the errno that it meets.
pub(crate) struct Refusal {
    pub(crate) call: i64,
    pub(crate) errno: i32,
    /// Argument and value; the low 32 bits count, which is what the kernel reads of an int.
    arguments: Vec<(u8, u32)>,
}

impl Refusal {
    /// Reads one, or ends the program: a slip in a test must not look like a refusal.
    pub(crate) fn parse(text: &str) -> Refusal {
        let (call, errno) = text.rsplit_once('=').expect("CALL=ERRNO");
        let mut words = call.split('@');
        let name = words.next().expect("split gives one word at least");
        let call = syscalls::Sysno::from_str(name).unwrap_or_else(|_| panic!("{name} is no system call"));
        Refusal { call: i64::from(call.id()), errno: number_of(errno), arguments: words.map(argument).collect() }
    }

    /// Whether this call is the refused one.
    pub(crate) fn matches(&self, call: i64, arguments: &[u64; 6]) -> bool {
        self.call == call && self.arguments.iter().all(|(index, value)| arguments[usize::from(*index)] as u32 == *value)
    }

    /// A filter that refuses it; the kernel asks every filter and takes the strictest answer.
    pub(crate) fn filter(&self) -> BpfProgram {
        let equal = |(index, value): &(u8, u32)| {
            SeccompCondition::new(*index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(*value))
        };
        let conditions: Vec<_> =
            self.arguments.iter().map(equal).collect::<Result<_, _>>().expect("six arguments at most");
        let rules = match conditions.is_empty() {
            true => Vec::new(),
            false => vec![SeccompRule::new(conditions).expect("conditions are there")],
        };
        let rules = BTreeMap::from([(self.call, rules)]);
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(self.errno as u32), TargetArch::x86_64)
            .and_then(BpfProgram::try_from)
            .expect("the filter is well formed")
    }
}

fn argument(text: &str) -> (u8, u32) {
    let (index, value) = text.split_once(':').expect("ARGUMENT:VALUE");
    let value = match value.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => value.parse(),
    };
    (index.parse().expect("an index"), value.expect("a number"))
}

fn number_of(name: &str) -> i32 {
    if name == "done" {
        return 0;
    }
    let named = (1..134).find(|&number| format!("{:?}", Errno::from_raw(number)) == name);
    named.unwrap_or_else(|| panic!("{name} is no errno"))
}
