// SPDX-License-Identifier: Apache-2.0
//! The line of a policy that would allow a denied call. Says what exists; whether it should be written is a person's to
//! say.

use super::grant::Grant;
use super::rules::{self, Rule};
use super::{Group, groups};
use crate::plan::model::{NetworkMode, Peer, Plan, Protocol};
use std::net::SocketAddr;
use syscalls::x86_64::Sysno;

/// An address of the internet that a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// TCP, or else UDP.
    pub stream: bool,
    /// To have it, or else to reach it.
    pub bind: bool,
    /// Which.
    pub address: SocketAddr,
}

/// What to write so that a call with these arguments is made, about this address if it is about one; or why nothing
/// would allow it.
pub fn missing(plan: &Plan, call: u32, arguments: [u64; 6], aim: Option<Aim>) -> Result<Vec<Grant>, String> {
    let word = missing_word(plan, call, arguments)?;
    Ok(match aim.filter(|_| connects(word)) {
        None => vec![Grant::text("syscalls.allow", word)],
        Some(aim) => [vec![Grant::text("syscalls.allow", group(plan, aim))], ways(plan, aim)].concat(),
    })
}

/// What to write so that there is a way to an address for who may make the call: in the host's network a port, in one
/// of the command's own a forwarded peer. What is bound there waits for the command's own processes, but for TCP, by
/// which others are meant.
pub fn ways(plan: &Plan, aim: Aim) -> Vec<Grant> {
    let Aim { stream, bind, address } = aim;
    let own = plan.network != NetworkMode::Host;
    let port = |key| match address.port() {
        // The kernel chooses.
        0 => Grant::only(key, "any"),
        port => Grant::port(key, port),
    };
    match (bind, stream, own) {
        (true, true, true) => vec![Grant::only("network.mode", "host"), port("network.bind.ports")],
        (true, true, false) => vec![port("network.bind.ports")],
        (true, false, _) => Vec::new(),
        // Nobody is there: who wants to learn its own address connects so, see RFC 3484.
        (false, _, _) if address.port() == 0 => Vec::new(),
        (false, _, true) => {
            let protocol = if stream { Protocol::Tcp } else { Protocol::Udp };
            let peer = Peer { protocol, address };
            let there = plan.relay.as_ref().is_some_and(|relay| relay.peers.contains(&peer));
            let prefix = if stream { "" } else { "udp:" };
            let forward = Grant::text("network.forward", format!("{prefix}{address}"));
            if there { Vec::new() } else { vec![forward] }
        }
        (false, true, false) => vec![port("network.connect.ports")],
        (false, false, false) => vec![port("network.udp.ports")],
    }
}

/// What is missing, in words.
pub fn said(missing: &Result<Vec<Grant>, String>) -> String {
    match missing {
        Ok(grants) => {
            let grants: Vec<String> = grants.iter().map(Grant::to_string).collect();
            format!("to allow it: {}", grants.join(", "))
        }
        Err(why) => why.clone(),
    }
}

/// The word that a plan's `syscalls.allow` lacks for a call with these arguments; or why none would allow it.
fn missing_word(plan: &Plan, call: u32, arguments: [u64; 6]) -> Result<&'static str, String> {
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

/// The word of `syscalls.allow` that grants the least with which a call with these arguments is made; or why there is
/// none.
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

/// The group of calls for an address: with a peer that is forwarded, no more than that one asks for.
fn group(plan: &Plan, Aim { stream, bind, .. }: Aim) -> &'static str {
    match (bind, stream, plan.network) {
        (true, true, _) => "network-server",
        (false, true, NetworkMode::None | NetworkMode::Loopback) => "tcp-client",
        (false, false, NetworkMode::None | NetworkMode::Loopback) => "resolve",
        (true, false, _) | (false, _, NetworkMode::Host) => "network-client",
    }
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
            let said = said(&missing(&plan, call as u32, arguments, None));
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
        let missing = missing(&plan, libc::SYS_chmod as u32, [0; 6], None);
        assert_eq!(said(&missing), "to allow it, take it out of syscalls.deny");
    }

    #[test]
    fn an_address_is_allowed_by_a_peer_in_a_network_of_its_own_and_by_a_port_in_the_hosts() {
        let own = resolve(&listen(&["sh"]), &strict(), &root_on_618()).unwrap();
        let host = Plan { network: NetworkMode::Host, ..own.clone() };
        let said = |plan: &Plan, call: i64, stream, address: &str| {
            let aim = Aim { stream, bind: call == libc::SYS_bind, address: address.parse().unwrap() };
            said(&missing(plan, call as u32, [3, 1, 16, 0, 1, 16], Some(aim)))
        };
        let rows = [
            (&own, libc::SYS_connect, true, "tcp-client", ", network.forward = [\"192.0.2.7:25\"]"),
            (&own, libc::SYS_connect, false, "resolve", ", network.forward = [\"udp:192.0.2.7:25\"]"),
            (&own, libc::SYS_sendto, false, "resolve", ", network.forward = [\"udp:192.0.2.7:25\"]"),
            (&own, libc::SYS_bind, true, "network-server", ", network.mode = \"host\", network.bind.ports = [25]"),
            (&own, libc::SYS_bind, false, "network-client", ""),
            (&host, libc::SYS_connect, true, "network-client", ", network.connect.ports = [25]"),
            (&host, libc::SYS_connect, false, "network-client", ", network.udp.ports = [25]"),
            (&host, libc::SYS_bind, true, "network-server", ", network.bind.ports = [25]"),
        ];
        for (plan, call, stream, word, rest) in rows {
            let expected = format!("to allow it: syscalls.allow = [\"{word}\"]{rest}");
            assert_eq!(said(plan, call, stream, "192.0.2.7:25"), expected);
        }
        let expected = "to allow it: syscalls.allow = [\"network-server\"], network.bind.ports = \"any\"";
        assert_eq!(said(&host, libc::SYS_bind, true, "0.0.0.0:0"), expected);
    }
}
