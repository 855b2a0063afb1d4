// SPDX-License-Identifier: Apache-2.0
//! `network.forward`: which peers of the host's network a relay makes reachable, and what that asks of the rest.
//! It lets the command call connect(2), so a connection that belongs to the host's network is not the command's any more.

use super::layers::First;
use super::model::{Ends, Filter, NetworkMode, Off, Relay};
use super::refuse::{Refusal, Slip};
use super::request::Transport;
use crate::policy::model::Protocol;
use crate::policy::{Origin, Policy};
use nix::libc;

/// What the command's process holds while it hands its connection over: see `Step::Exchange`.
const OPEN_FILES: u64 = 16;

/// The relay, where the policy forwards anything.
pub(super) fn resolve(
    policy: &Policy,
    transport: Transport,
    first: First,
    filter: Option<&Filter>,
    off: &mut Vec<Off>,
) -> Result<Option<Relay>, Refusal> {
    let Some(origin) = policy.network.forward.first().map(|peer| &peer.origin) else { return Ok(None) };
    stands(policy, first, filter, origin)?;
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
    let peers = policy.network.forward.iter().map(|peer| peer.value).collect();
    Ok(Some(Relay { peers, connection }))
}

fn stands(policy: &Policy, first: First, filter: Option<&Filter>, origin: &Origin) -> Result<(), Refusal> {
    let key = "network.forward";
    let needs = |needs| Err(Refusal::new(Slip::Needs { key, needs }, origin));
    if policy.network.mode.as_ref().is_some_and(|mode| mode.value == NetworkMode::Host) {
        return Err(Refusal::new(Slip::Excludes { key, other: "network.mode = \"host\"" }, origin));
    }
    // The number would be the relay's, which is the first process that the reaper makes.
    if policy.isolation.unique_pid.as_ref().is_some_and(|unique| unique.value) {
        return Err(Refusal::new(Slip::Excludes { key, other: "isolation.unique-pid = true" }, origin));
    }
    // What ends in the relay's hands has to reach its peer after the command has ended, and somebody has to wait for that.
    if first == First::Command {
        return needs("isolation.init = true");
    }
    if policy.connection.ends.as_ref().is_some_and(|ends| ends.value == Ends::Tree) {
        return needs("connection.ends = \"command\"");
    }
    if policy.limits.open_files.as_ref().is_some_and(|limit| limit.value < OPEN_FILES) {
        return needs("limits.open-files of at least 16");
    }
    if policy.network.forward.len() > Relay::MOST_PEERS {
        return needs("no more than 16 peers");
    }
    let has = |protocol| policy.network.forward.iter().any(|peer| peer.value.protocol == protocol);
    if has(Protocol::Tcp) && !speaks(filter, libc::SOCK_STREAM) {
        return needs("\"tcp-client\" or a wider group in syscalls.allow");
    }
    if has(Protocol::Udp) && !speaks(filter, libc::SOCK_DGRAM) {
        return needs("\"resolve\" or a wider group in syscalls.allow");
    }
    Ok(())
}

/// Whether the filter lets the command make such a socket and connect it.
fn speaks(filter: Option<&Filter>, kind: libc::c_int) -> bool {
    [libc::AF_INET, libc::AF_INET6].into_iter().any(|family| {
        let socket = [family as u64, kind as u64, 0, 0, 0, 0];
        filter.is_none_or(|filter| {
            filter.permits(libc::SYS_socket, socket) && filter.permits(libc::SYS_connect, [0, 1, 16, 0, 0, 0])
        })
    })
}
