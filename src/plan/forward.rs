// SPDX-License-Identifier: Apache-2.0
//! `network.forward` and `network.resolver`: which peers of the host's network a relay makes reachable, and what that
//! asks of the rest.
//! It lets the command call connect(2), so a connection that belongs to the host's network is not the command's any
//! more.

use super::layers::First;
use super::model::{Ends, Filter, NetworkMode, Off, Peer, Protocol, Relay};
use super::refuse::{Refusal, Slip};
use super::request::Transport;
use crate::host::Facts;
use crate::policy::{Origin, Policy};
use nix::libc;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// What the command's process holds while it hands its connection over: see `Step::Exchange`.
const OPEN_FILES: u64 = 16;

/// Where a resolver is asked.
const DOMAIN: u16 = 53;

/// The relay, where the policy forwards anything.
pub(super) fn resolve(
    policy: &Policy,
    facts: &Facts,
    (transport, first): (Transport, First),
    filter: Option<&Filter>,
    off: &mut Vec<Off>,
) -> Result<Option<Relay>, Refusal> {
    let Some(key) = Key::of(policy) else { return Ok(None) };
    let peers = peers(policy, facts);
    stands(policy, first, &key)?;
    speaks(filter, &peers, &key)?;
    let connection = match transport {
        // inetd and shells give `run` a socket as standard input.
        Transport::Tcp | Transport::Stdio => true,
        Transport::Unix => false,
    };
    if connection {
        let why =
            "through a relay: the command gets a UNIX socket, of which it learns no address and sets no TCP option";
        off.push(Off::new("direct connection", why));
    }
    Ok(Some(Relay { peers, connection }))
}

/// What of the policy asks for it.
struct Key<'a> {
    name: &'static str,
    origin: &'a Origin,
}

impl<'a> Key<'a> {
    fn of(policy: &'a Policy) -> Option<Key<'a>> {
        let forward = policy.network.forward.first().map(|peer| Key { name: "network.forward", origin: &peer.origin });
        let resolver = policy.network.resolver.as_ref().filter(|resolver| resolver.value);
        forward.or(resolver.map(|resolver| Key { name: "network.resolver = true", origin: &resolver.origin }))
    }

    fn needs(&self, needs: &'static str) -> Result<(), Refusal> {
        Err(Refusal::new(Slip::Needs { key: self.name, needs }, self.origin))
    }

    fn excludes(&self, other: &'static str) -> Result<(), Refusal> {
        Err(Refusal::new(Slip::Excludes { key: self.name, other }, self.origin))
    }
}

/// What is listed, and the host's resolvers by what they are asked with: a long answer comes over TCP.
fn peers(policy: &Policy, facts: &Facts) -> BTreeSet<Peer> {
    let listed = policy.network.forward.iter().map(|peer| peer.value);
    let asked = policy.network.resolver.as_ref().is_some_and(|resolver| resolver.value);
    let resolvers = facts.resolvers.iter().filter(|_| asked).flat_map(|resolver| {
        let address = SocketAddr::new(*resolver, DOMAIN);
        [Protocol::Udp, Protocol::Tcp].map(|protocol| Peer { protocol, address })
    });
    listed.chain(resolvers).collect()
}

fn stands(policy: &Policy, first: First, key: &Key<'_>) -> Result<(), Refusal> {
    if policy.network.mode.as_ref().is_some_and(|mode| mode.value == NetworkMode::Host) {
        return key.excludes("network.mode = \"host\"");
    }
    // The number would be the relay's, which is the first process that the reaper makes.
    if policy.isolation.unique_pid.as_ref().is_some_and(|unique| unique.value) {
        return key.excludes("isolation.unique-pid = true");
    }
    // What ends in the relay's hands has to reach its peer after the command has ended, and somebody has to wait for
    // that.
    if first == First::Command {
        return key.needs("isolation.init = true");
    }
    if policy.connection.ends.as_ref().is_some_and(|ends| ends.value == Ends::Tree) {
        return key.needs("connection.ends = \"command\"");
    }
    if policy.limits.open_files.as_ref().is_some_and(|limit| limit.value < OPEN_FILES) {
        return key.needs("limits.open-files of at least 16");
    }
    Ok(())
}

/// Whether the filter lets the command speak to each of them.
fn speaks(filter: Option<&Filter>, peers: &BTreeSet<Peer>, key: &Key<'_>) -> Result<(), Refusal> {
    if peers.len() > Relay::MOST_PEERS {
        return key.needs("no more than 16 peers");
    }
    let has = |protocol| peers.iter().any(|peer| peer.protocol == protocol);
    if has(Protocol::Udp) && !connects(filter, libc::SOCK_DGRAM) {
        return key.needs("\"resolve\" or a wider group in syscalls.allow");
    }
    if has(Protocol::Tcp) && !connects(filter, libc::SOCK_STREAM) {
        return key.needs("\"tcp-client\" or a wider group in syscalls.allow");
    }
    Ok(())
}

/// Whether the filter lets the command make such a socket and connect it.
fn connects(filter: Option<&Filter>, kind: libc::c_int) -> bool {
    [libc::AF_INET, libc::AF_INET6].into_iter().any(|family| {
        let socket = [family as u64, kind as u64, 0, 0, 0, 0];
        filter.is_none_or(|filter| {
            filter.permits(libc::SYS_socket, socket) && filter.permits(libc::SYS_connect, [0, 1, 16, 0, 0, 0])
        })
    })
}
