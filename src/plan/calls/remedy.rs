// SPDX-License-Identifier: Apache-2.0
//! The line of a policy that would allow a denied call. Says what exists; whether it should be written is a person's to say.

use super::rules::{self, Rule};
use super::{Group, groups};
use crate::plan::model::{NetworkMode, Plan};
use syscalls::x86_64::Sysno;

/// What to write so that a call with these arguments is made, to this port if it is about one; in words, where nothing can
/// be written.
pub fn remedy(plan: &Plan, call: u32, arguments: [u64; 6], port: Option<u16>) -> String {
    let name = Sysno::new(call as usize).map_or("", |call| call.name());
    match (missing_word(plan, call, arguments), port) {
        (Err(why), _) => why,
        (Ok(word), Some(port)) if connects(word) => reach(plan, name, port),
        (Ok(word), _) => line(word),
    }
}

/// The word that a plan's `syscalls.allow` lacks for a call with these arguments; or why none would allow it.
pub fn missing_word(plan: &Plan, call: u32, arguments: [u64; 6]) -> Result<&'static str, String> {
    let name = Sysno::new(call as usize).map_or("", |call| call.name());
    if plan.memory_deny_write_execute && matches!(name, "mmap" | "mprotect" | "pkey_mprotect" | "shmat") {
        return Ok("jit");
    }
    let withheld = plan.filter.as_ref().is_some_and(|filter| filter.withheld.contains(&call));
    match word(call, arguments) {
        _ if withheld && refused(name).is_none() => Err("to allow it, take it out of syscalls.deny".to_string()),
        word => word,
    }
}

/// The word of `syscalls.allow` that grants the least with which a call with these arguments is made; or why there is none.
pub fn word(call: u32, arguments: [u64; 6]) -> Result<&'static str, String> {
    let Some(call) = Sysno::new(call as usize) else { return Err("no policy can allow it".to_string()) };
    let name = call.name();
    if let Some(why) = refused(name) {
        return Err(format!("no policy can allow it: {why}"));
    }
    let granting =
        |group: &&Group| group.grants().iter().any(|(granted, rule)| *granted == call && holds(rule, arguments));
    let smallest = groups::GROUPS.iter().filter(granting).min_by_key(|group| group.grants().len());
    match smallest {
        Some(group) => Ok(group.name),
        None if holds(rules::widest(name), arguments) => Ok(name),
        None => Err("no policy can allow it with these arguments".to_string()),
    }
}

fn refused(name: &str) -> Option<&'static str> {
    groups::REFUSED.iter().find(|(word, _)| *word == name).map(|(_, why)| *why)
}

/// Whether a group grants connections, for which a port is to be named as well.
fn connects(word: &str) -> bool {
    let group = groups::GROUPS.iter().find(|group| group.name == word);
    group.is_some_and(|group| group.calls.split(' ').any(|call| call == "connect"))
}

fn holds(rule: Rule, arguments: [u64; 6]) -> bool {
    rule.is_empty() || rule.iter().any(|all| all.iter().all(|condition| condition.holds(arguments)))
}

/// A port of the internet is granted by more than one line.
fn reach(plan: &Plan, call: &str, port: u16) -> String {
    let (group, key) = match call {
        "bind" => ("network-server", "bind"),
        _ => ("network-client", "connect"),
    };
    let mode = match plan.network {
        NetworkMode::Host => "",
        NetworkMode::None | NetworkMode::Loopback => ", network.mode = \"host\"",
    };
    format!("{}{mode}, network.{key}.ports = [{port}]", line(group))
}

fn line(word: &str) -> String {
    format!("to allow it: syscalls.allow = [\"{word}\"]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hosts::{listen, on, root_on_618, strict};
    use crate::plan::{calls, resolve};
    use nix::libc;

    #[test]
    fn the_line_allows_the_call_where_there_is_one() {
        let plan = resolve(&listen(&["sh"]), &strict(), &root_on_618()).unwrap();
        let unix = [libc::AF_UNIX as u64, libc::SOCK_STREAM as u64, 0, 0, 0, 0];
        let raw = [libc::AF_INET as u64, libc::SOCK_RAW as u64, 1, 0, 0, 0];
        for (call, arguments, expected) in [
            (libc::SYS_io_uring_setup, [0; 6], Err("no policy can allow it: what io_uring does")),
            (libc::SYS_socket, [16, 3, 12, 0, 0, 0], Ok("socket")),
            (libc::SYS_socket, [40, 1, 0, 0, 0, 0], Err("no policy can allow it with these arguments")),
            (libc::SYS_socket, unix, Ok("unix-client")),
            (libc::SYS_socket, raw, Ok("socket")),
            (libc::SYS_chown, [7; 6], Ok("chown")),
            (libc::SYS_ptrace, [7; 6], Ok("trace")),
            (libc::SYS_mount, [7; 6], Ok("mount")),
        ] {
            let said = remedy(&plan, call as u32, arguments, None);
            match expected {
                Err(words) => assert!(said.starts_with(words), "{said}"),
                Ok(word) => {
                    assert_eq!(said, format!("to allow it: syscalls.allow = [\"{word}\"]"));
                    let mut policy = strict();
                    policy.syscalls.allow.push(on(1, word.to_string()));
                    let filter = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap().filter.unwrap();
                    assert_eq!(calls::denial(&filter, call as u32, arguments), None, "{word}");
                }
            }
        }
    }

    #[test]
    fn what_is_denied_by_name_is_not_allowed_by_another_name() {
        let mut policy = strict();
        policy.syscalls.deny.push(on(1, "files-write".to_string()));
        let plan = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
        assert_eq!(remedy(&plan, libc::SYS_chmod as u32, [0; 6], None), "to allow it, take it out of syscalls.deny");
    }
}
