// SPDX-License-Identifier: Apache-2.0
//! Which network the command is in, and which ports it may use there.
//! A grant stands only where a layer holds the command to it: the filter, the namespace, or a Landlock right.

use super::model::{Filter, Landlock, NetworkMode, Off, Relay};
use super::reach::Reach;
use super::refuse::{Filtering, Lack, Refusal, Slip};
use super::request::Transport;
use crate::policy::model::{Network, Ports, Protocol};
use crate::policy::{Origin, Sourced};
use std::collections::BTreeSet;

/// First Landlock ABI with rights for TCP ports (Linux 6.7).
pub const TCP_ABI: u32 = 4;
/// First Landlock ABI with rights for UDP ports.
pub const UDP_ABI: u32 = 10;

/// What `[network]` comes to. `None` leaves a right unhandled.
pub(super) struct Grants {
    pub(super) mode: NetworkMode,
    pub(super) connect: Option<BTreeSet<u16>>,
    pub(super) bind: Option<BTreeSet<u16>>,
    pub(super) udp: Option<BTreeSet<u16>>,
}

/// One key of `[network]` that grants ports.
struct Key<'a> {
    name: &'static str,
    written: Option<&'a Sourced<Ports>>,
    /// First ABI with the right.
    needs: u32,
    /// The call that uses it.
    call: &'static str,
    /// What it would reach if nothing held it; `None` where it reaches nothing of the host's.
    reach: Option<&'static str>,
    /// Whether the policy could take the call away.
    filter: Filtering,
    /// Ports that `network.forward` names.
    forwarded: BTreeSet<u16>,
}

/// Decides the grants. `abi` is 0 where Landlock is off.
pub(super) fn resolve(
    network: &Network,
    filter: Option<&Filter>,
    (transport, relay): (Transport, Option<&Relay>),
    abi: u32,
    off: &mut Vec<Off>,
) -> Result<Grants, Refusal> {
    let mode = match (relay, network.mode.as_ref().map_or(NetworkMode::None, |mode| mode.value)) {
        // The peers are addresses of its own loopback.
        (Some(_), NetworkMode::None) => NetworkMode::Loopback,
        (_, mode) => mode,
    };
    let reach = Reach::of(filter, mode, (transport, relay));
    let forwarded = |protocol| relay.map(|relay| relay.ports(protocol)).unwrap_or_default();
    let filtering = if filter.is_some() { Filtering::On } else { Filtering::Off };
    let key = |name, written, needs, call, reach| Key {
        name,
        written,
        needs,
        call,
        reach,
        filter: filtering,
        forwarded: BTreeSet::new(),
    };
    let connect = key("network.connect", network.connect.as_ref(), TCP_ABI, "connect", reach.connect());
    let connect = Key { forwarded: forwarded(Protocol::Tcp), ..connect };
    let bind = key("network.bind", network.bind.as_ref(), TCP_ABI, "bind", reach.bind());
    let udp = key("network.udp", network.udp.as_ref(), UDP_ABI, "socket", reach.udp());
    let udp = Key { forwarded: forwarded(Protocol::Udp), ..udp };
    let grants = Grants {
        mode,
        connect: ports(&connect, mode, abi, off)?,
        bind: ports(&bind, mode, abi, off)?,
        udp: ports(&udp, mode, abi, off)?,
    };
    listening(&reach, &bind, off)?;
    if reach.other_protocols() {
        off.push(Off::new("other protocols", "the filter lets the command make sockets that are neither TCP nor UDP"));
    }
    Ok(grants)
}

fn ports(key: &Key<'_>, mode: NetworkMode, abi: u32, off: &mut Vec<Off>) -> Result<Option<BTreeSet<u16>>, Refusal> {
    let origin = key.written.map_or(&Origin::Default, |written| &written.origin);
    let listed = match key.written.map(|written| &written.value) {
        Some(Ports::Any) => {
            if key.reach.is_some() {
                off.push(Off::new(format!("ports ({})", key.name), format!("any is granted ({origin})")));
            }
            return Ok(None);
        }
        Some(Ports::List(ports)) => ports.clone(),
        None => BTreeSet::new(),
    };
    if !listed.is_empty() {
        list_stands(key, mode, abi, origin)?;
    }
    let listed = &listed | &key.forwarded;
    match key.reach {
        Some(reach) if abi < key.needs => {
            let (call, key, filter) = (key.call, key.name, key.filter);
            Err(Refusal::new(Lack::Unrestricted { call, reach, key, filter }, origin))
        }
        Some(_) | None => Ok((abi >= key.needs).then_some(listed)),
    }
}

/// A list of ports is a promise: a network to use them in, and a Landlock right that keeps it.
fn list_stands(key: &Key<'_>, mode: NetworkMode, abi: u32, origin: &Origin) -> Result<(), Refusal> {
    let key_name = key.name;
    if mode == NetworkMode::None {
        let needs = "network.mode = \"host\" or \"loopback\"";
        return Err(Refusal::new(Slip::Needs { key: key_name, needs }, origin));
    }
    if abi == 0 {
        let needs = "isolation.landlock = \"required\"";
        return Err(Refusal::new(Slip::Needs { key: key_name, needs }, origin));
    }
    if abi < key.needs {
        return Err(Refusal::new(Lack::Ports { key: key_name, needs: key.needs, has: abi }, origin));
    }
    Ok(())
}

/// Landlock has no right for listen(2), which binds an unbound socket to a port of the kernel's choice.
fn listening(reach: &Reach<'_>, bind: &Key<'_>, off: &mut Vec<Off>) -> Result<(), Refusal> {
    let Some(what) = reach.listen() else { return Ok(()) };
    match bind.written.map(|written| &written.value) {
        Some(Ports::Any) => Ok(()),
        Some(Ports::List(ports)) if !ports.is_empty() => {
            let why =
                "Landlock has no right for it: a socket that is not bound listens on a port of the kernel's choice";
            off.push(Off::new("listen", why));
            Ok(())
        }
        Some(Ports::List(_)) | None => {
            let origin = bind.written.map_or(&Origin::Default, |written| &written.origin);
            let (key, filter) = (bind.name, bind.filter);
            Err(Refusal::new(Lack::Unrestricted { call: "listen", reach: what, key, filter }, origin))
        }
    }
}

/// Whether a ruleset with these rights would handle anything; the kernel refuses an empty one (ENOMSG).
pub(super) fn handles_anything(landlock: &Landlock) -> bool {
    landlock.files || landlock.scopes || landlock.connect.is_some() || landlock.bind.is_some() || landlock.udp.is_some()
}
