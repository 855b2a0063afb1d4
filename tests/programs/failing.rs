// SPDX-License-Identifier: Apache-2.0
//! Makes chosen system calls fail, then becomes the program that its other arguments name.
//!
//! `failing keyctl=EPERM prctl@0:38=EINVAL -- PROGRAM ARG...`: every keyctl fails with EPERM, and every prctl whose
//! argument 0 is 38 with EINVAL. So a step of the child meets a real refusal of the kernel, without a hook in the product.

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::str::FromStr;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let split = words.iter().position(|word| word == "--").expect("-- stands between refusals and program");
    for refusal in &words[..split] {
        seccompiler::apply_filter(&filter(refusal)).expect("the kernel takes the filter");
    }
    let argv: Vec<CString> =
        words[split + 1..].iter().map(|word| CString::new(word.as_str()).expect("no NUL")).collect();
    let errno = nix::unistd::execvp(&argv[0], &argv).expect_err("execvp returns only to fail");
    panic!("cannot execute {:?}: {errno}", argv[0]);
}

/// One refusal as a filter of its own; the kernel asks every filter and takes the strictest answer.
fn filter(refusal: &str) -> BpfProgram {
    let (call, errno) = refusal.rsplit_once('=').expect("CALL=ERRNO");
    let mut words = call.split('@');
    let name = words.next().expect("split gives one word at least");
    let number = syscalls::Sysno::from_str(name).unwrap_or_else(|_| panic!("{name} is no system call"));
    let conditions: Vec<SeccompCondition> = words.map(condition).collect();
    let rules = match conditions.is_empty() {
        true => Vec::new(),
        false => vec![SeccompRule::new(conditions).expect("conditions are there")],
    };
    let action = SeccompAction::Errno(number_of(errno) as u32);
    let rules = BTreeMap::from([(number.id() as i64, rules)]);
    SeccompFilter::new(rules, SeccompAction::Allow, action, TargetArch::x86_64)
        .and_then(BpfProgram::try_from)
        .expect("the filter is well formed")
}

/// `INDEX:VALUE`; the low 32 bits are compared, which is what the kernel reads of an int.
fn condition(text: &str) -> SeccompCondition {
    let (index, value) = text.split_once(':').expect("INDEX:VALUE");
    let value = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    let (index, value) = (index.parse().expect("an index"), value.expect("a number"));
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).expect("six arguments at most")
}

fn number_of(name: &str) -> i32 {
    (1..134)
        .find(|&number| format!("{:?}", Errno::from_raw(number)) == name)
        .unwrap_or_else(|| panic!("{name} is no errno"))
}
