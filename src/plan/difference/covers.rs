// SPDX-License-Identifier: Apache-2.0
//! What one plan reaches of files and of the network that another does not. These are no permissions that stand side by
//! side: one path lies in another, and the host's root or network holds what a list would name.

use crate::plan::model::{Access, Bind, NetworkMode, Plan, Protocol, Root};
use crate::policy::Origin;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What may be done with a path: read, execute, write.
type Rights = [bool; 3];

const RIGHTS: [&str; 3] = ["read", "execute", "write"];

/// What `one` lets a command do with files and `other` does not.
pub(super) fn files(one: &Plan, other: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(root) = host_root(one)
        && host_root(other).is_none_or(|around| !root.starts_with(around))
    {
        let below = if root == Path::new("/") { String::new() } else { format!(" below {}", root.display()) };
        lines.push(format!("files: the host's own{below}, as far as the user's rights go"));
    }
    lines.extend(paths(one, other));
    let (Root::Empty { links, devices, .. } | Root::Held { links, devices, .. }) = &one.root else { return lines };
    let (made, had): (_, &BTreeSet<_>) = match &other.root {
        Root::Empty { links, devices, .. } | Root::Held { links, devices, .. } => (Some(links), devices),
        Root::Host => (None, &BTreeSet::new()),
    };
    for (link, end) in links {
        // A tree of the host brings its own links.
        let there = made.is_some_and(|made| made.get(link) == Some(end)) || rights(other, link)[0];
        if !there {
            lines.push(format!("link {} -> {}", link.display(), end.display()));
        }
    }
    let lacking = devices.iter().filter(|device| !had.contains(device) && host_root(other) != Some(Path::new("/")));
    lines.extend(lacking.map(|device| format!("device {}", device.name())));
    lines
}

/// The directory of the host that is the root, where that is shown as it is.
fn host_root(plan: &Plan) -> Option<&Path> {
    match &plan.root {
        Root::Host => Some(plan.chroot.as_deref().unwrap_or(Path::new("/"))),
        Root::Empty { .. } | Root::Held { .. } => None,
    }
}

/// Both plans are asked for every path that either of them names: the same right can have another path as its reason.
fn paths(one: &Plan, other: &Plan) -> Vec<String> {
    let named: BTreeSet<&Path> = [one, other].into_iter().flat_map(named).collect();
    let mut lines = Vec::new();
    let mut told: BTreeMap<&Path, Rights> = BTreeMap::new();
    // In another root the same names are other files.
    let elsewhere = one.root.binds().is_some() && one.elsewhere() != other.elsewhere();
    let of = one.image.as_ref().map_or(String::new(), |image| format!(" of {}", image.display()));
    for path in named {
        let there = if elsewhere { [false; 3] } else { rights(other, path) };
        let here = rights(one, path);
        let more: Rights = std::array::from_fn(|right| here[right] && !there[right]);
        // What is told of a tree is true of all in it, up to the next path that is named.
        let around = path.ancestors().skip(1).find_map(|outer| told.get(outer)).copied().unwrap_or_default();
        let new = (0..RIGHTS.len()).filter(|right| more[*right] && !around[*right]);
        lines.extend(new.map(|right| format!("{} {}{of}", RIGHTS[right], path.display())));
        told.insert(path, more);
    }
    lines
}

fn named(plan: &Plan) -> Vec<&Path> {
    match plan.root.binds() {
        Some(binds) => binds.iter().map(|bind| bind.path.as_path()).collect(),
        // What they are mounted over is hidden.
        None => plan.scratch.iter().map(|scratch| scratch.path.as_path()).collect(),
    }
}

/// What of the host's is reached at this path. Of binds only the nearest at or above it counts: its mount hides the
/// others.
fn rights(plan: &Plan, path: &Path) -> Rights {
    match plan.root.binds() {
        Some(binds) => {
            let around = binds.iter().filter(|bind| path.starts_with(&bind.path));
            match around.max_by_key(|bind| bind.path.components().count()) {
                None => [false; 3],
                Some(Bind { access: Access::Read, .. }) => [true, false, false],
                Some(Bind { access: Access::Execute, .. }) => [true, true, false],
                Some(Bind { access: Access::Write, .. }) => [true, false, true],
            }
        }
        None => {
            let hidden = plan.scratch.iter().any(|scratch| path.starts_with(&scratch.path));
            // Below a chroot, the same name is another file.
            [!hidden && plan.chroot.is_none(); 3]
        }
    }
}

/// Whether the plan reaches the host's own directory where another has a scratch file system.
pub(super) fn has_for_scratch(plan: &Plan, path: &Path) -> bool {
    matches!(plan.root, Root::Host) && rights(plan, path)[0]
}

/// The ports of one right.
enum Ports<'a> {
    Listed(&'a BTreeSet<u16>),
    Any,
    /// The filter or the namespace holds it.
    None,
}

fn ports<'a>(plan: &'a Plan, key: &str) -> Ports<'a> {
    let listed = plan.landlock.as_ref().and_then(|rules| match key {
        "network.connect" => rules.connect.as_ref(),
        "network.bind" => rules.bind.as_ref(),
        _ => rules.udp.as_ref(),
    });
    let written = plan.origins.get(key).is_some_and(|origin| *origin != Origin::Default);
    match listed {
        Some(ports) => Ports::Listed(ports),
        None if written => Ports::Any,
        None => Ports::None,
    }
}

/// What `one` reaches by the network and `other` does not.
pub(super) fn network(one: &Plan, other: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let (host, hosts) = (one.network == NetworkMode::Host, other.network == NetworkMode::Host);
    if one.network == NetworkMode::Loopback && other.network == NetworkMode::None {
        lines.push("network: a loopback interface".to_string());
    }
    if host && !hosts {
        lines.push("network: the host's".to_string());
    }
    for peer in one.relay.iter().flat_map(|relay| &relay.peers) {
        let key = match peer.protocol {
            Protocol::Udp => "network.udp",
            Protocol::Tcp => "network.connect",
        };
        let direct = match ports(other, key) {
            Ports::Any => hosts,
            Ports::Listed(ports) => hosts && ports.contains(&peer.address.port()),
            Ports::None => false,
        };
        if !direct && !other.relay.as_ref().is_some_and(|relay| relay.peers.contains(peer)) {
            lines.push(format!("network: {} of the host's, by {}", peer.address, peer.protocol.name()));
        }
    }
    let keys = [("network.connect", "connect to TCP"), ("network.bind", "bind TCP"), ("network.udp", "send UDP to")];
    for (key, words) in keys {
        match (ports(one, key), ports(other, key)) {
            // In a network of its own any port reaches nothing of the host's.
            (Ports::Any, Ports::Any) if host && !hosts => lines.push(format!("{words} any port")),
            (Ports::Any, Ports::Listed(_) | Ports::None) if host => lines.push(format!("{words} any port")),
            (Ports::Listed(_), Ports::Any) if hosts || !host => {}
            (Ports::Listed(here), Ports::Listed(there)) => {
                lines.extend(here.difference(there).map(|port| format!("{words} port {port}")));
            }
            (Ports::Listed(here), Ports::Any | Ports::None) => {
                lines.extend(here.iter().map(|port| format!("{words} port {port}")));
            }
            (Ports::Any | Ports::None, _) => {}
        }
    }
    lines
}
