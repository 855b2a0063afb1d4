// SPDX-License-Identifier: Apache-2.0
//! Every call with what becomes of it, one line each, for `explain --seccomp` and for whatever compares two filters.
//! Reads a finished filter; never changes one.

use super::super::model::{Condition, Denial, Filter, Verdict};
use super::number;
use nix::errno::Errno;
use std::collections::BTreeSet;
use syscalls::x86_64::Sysno;

/// What the filter lets through of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Whatever its arguments are.
    Always,
    /// Where one of these holds, each in words.
    If(BTreeSet<String>),
}

/// The calls that are let through, by name.
pub fn allowed(filter: &Filter) -> impl Iterator<Item = (&'static str, Allowed)> {
    Sysno::iter().filter_map(|call| {
        let allowed = match filter.calls.get(&number(call))? {
            Verdict::Allow => Allowed::Always,
            Verdict::AllowIf(alternatives, _) => Allowed::If(alternatives.iter().map(|all| words(all)).collect()),
            Verdict::Deny(_) => return None,
        };
        Some((call.name(), allowed))
    })
}

/// The whole filter: what is allowed and with which arguments, what meets something else than the rest, and the rest.
pub fn list(filter: &Filter) -> String {
    let mut text = String::new();
    for call in Sysno::iter() {
        let line = match filter.calls.get(&number(call)) {
            Some(Verdict::Allow) => "allow".to_string(),
            Some(Verdict::AllowIf(alternatives, denial)) => {
                let any = alternatives.iter().map(|all| words(all)).collect::<Vec<_>>().join("  or  ");
                format!("allow if {any}; else {}", meets(*denial))
            }
            Some(Verdict::Deny(denial)) if *denial != filter.default => meets(*denial),
            Some(Verdict::Deny(_)) | None => continue,
        };
        text.push_str(&format!("{:<24} {line}\n", call.name()));
    }
    text.push_str(&format!("{:<24} {}\n", "any other call", meets(filter.default)));
    text.push_str(&format!("{:<24} ENOSYS\n", format!("a number above {}", filter.newest)));
    text
}

fn meets(denial: Denial) -> String {
    match denial {
        // nix prints the name first, then words of its own.
        Denial::Errno(errno) => Errno::from_raw(errno).to_string().split(':').next().unwrap_or_default().to_string(),
        Denial::Kill => "kill".to_string(),
    }
}

/// Conditions that must all hold, as a C programmer would write them; arguments count from zero.
fn words(all: &[Condition]) -> String {
    all.iter().map(word).collect::<Vec<_>>().join(" && ")
}

fn word(Condition { argument, mask, value, negated, wide }: &Condition) -> String {
    let compare = if *negated { "!=" } else { "==" };
    let whole = if *wide { u64::MAX } else { u64::from(u32::MAX) };
    match *mask == whole {
        true => format!("arg{argument} {compare} {value:#x}"),
        false => format!("(arg{argument} & {mask:#x}) {compare} {value:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::hosts::{listen, root_on_618, strict};
    use super::super::super::resolve;
    use super::*;

    fn filter(allow: &str) -> Filter {
        let mut policy = strict();
        policy.syscalls.allow.push(super::super::super::hosts::on(1, allow.to_string()));
        resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap().filter.unwrap()
    }

    #[test]
    fn every_call_that_is_let_through_has_a_line() {
        let filter = filter("unix-client");
        let list = list(&filter);
        let lines: Vec<&str> = list.lines().collect();
        for (name, allowed) in allowed(&filter) {
            let line = lines.iter().find(|line| line.split(' ').next() == Some(name)).unwrap();
            let expected = match &allowed {
                Allowed::Always => "allow".to_string(),
                Allowed::If(words) => words.iter().next().unwrap().clone(),
            };
            assert!(line.contains(&expected), "{line}");
        }
        assert!(lines.contains(&format!("{:<24} allow", "read").as_str()), "{list}");
        assert!(list.contains("bpf                      kill\n"), "{list}");
        assert!(list.contains("clone3                   ENOSYS\n"), "{list}");
        assert!(list.contains("any other call           EPERM\n"), "{list}");
        let socket = lines.iter().find(|line| line.starts_with("socket ")).unwrap();
        assert!(socket.contains("allow if arg0 == 0x1") && socket.ends_with("; else EAFNOSUPPORT"), "{socket}");
    }
}
