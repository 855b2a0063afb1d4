// SPDX-License-Identifier: Apache-2.0
//! The rows about what the command sees, reaches and calls.

use super::super::calls;
use super::super::model::{Access, Denial, Denials, Level, NetworkMode, Plan, Proc, Protocol, Root, Scratch};
use super::page::Page;
use super::{origin, written};
use crate::host::errno_text;
use crate::policy::Origin;
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::path::Path;

type Pair<'a> = (String, String, Option<&'a Origin>);

/// Files, links, scratch file systems, devices and /proc.
pub(super) fn sees(plan: &Plan, page: &mut Page) {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    match &plan.root {
        Root::Host => {
            let text = match &plan.chroot {
                None => "the host's files, as far as the user's rights go".to_string(),
                Some(chroot) => format!("the files below {}, as far as the user's rights go", path(chroot)),
            };
            pairs.push(("/".to_string(), text, origin(plan, "files.root")));
        }
        Root::Empty { binds, links, devices } | Root::Held { binds, links, devices } => {
            let text = match plan.elsewhere() {
                None if matches!(plan.root, Root::Held { .. }) => {
                    "the host's names; of its files no other can be opened than what follows".to_string()
                }
                None => "an empty directory, read-only, but for what follows".to_string(),
                Some(chroot) => format!("an empty directory, read-only, but for what follows from {}", path(chroot)),
            };
            pairs.push(("/".to_string(), text, origin(plan, "files.root")));
            for bind in binds {
                pairs.push((path(&bind.path), access(bind.access).to_string(), Some(&bind.origin)));
            }
            pairs.extend(links.iter().map(|(link, end)| (path(link), format!("-> {}", path(end)), None)));
            if !devices.is_empty() {
                let names = devices.iter().map(|device| device.name()).collect::<Vec<_>>().join(" ");
                pairs.push(("/dev".to_string(), names, origin(plan, "files.devices")));
            }
        }
    }
    pairs.extend(plan.scratch.iter().map(|one| (path(&one.path), scratch(one), Some(&one.origin))));
    let proc = match plan.proc {
        Proc::None => None,
        Proc::Subset => Some("fresh, read-only, the processes of this sandbox and nothing else"),
        Proc::Full => Some("fresh, the processes of this sandbox, and what else the user may see there"),
    };
    pairs.extend(proc.map(|text| ("/proc".to_string(), text.to_string(), origin(plan, "files.proc"))));
    page.pairs("sees", &pairs);
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Execute => "read, execute",
        Access::Write => "read, write",
    }
}

fn scratch(scratch: &Scratch) -> String {
    let execute = if scratch.execute { "programs may run" } else { "no program may run" };
    format!("private to the session, {}, {} files, {execute}", size(scratch.size), scratch.inodes)
}

fn path(path: &Path) -> String {
    // A path is the operator's text, but a terminal must not be written to by it.
    path.display().to_string().escape_debug().to_string()
}

/// The network namespace and the ports.
pub(super) fn network(plan: &Plan, page: &mut Page) {
    let mode = match plan.network {
        NetworkMode::None => "its own, with no interface up",
        NetworkMode::Loopback if plan.relay.is_some() => "its own, with loopback up and what is forwarded",
        NetworkMode::Loopback => "its own, with loopback up",
        NetworkMode::Host => "the host's",
    };
    let key = match plan.level {
        Level::LandlockOnly => "isolation.level",
        Level::Full | Level::Userns => "network.mode",
    };
    page.row("network", mode, origin(plan, key));
    let landlock = plan.landlock.as_ref();
    let rows = [
        ("TCP connect", "network.connect", "connect", landlock.and_then(|rules| rules.connect.as_ref())),
        ("TCP bind", "network.bind", "bind", landlock.and_then(|rules| rules.bind.as_ref())),
        ("UDP", "network.udp", "socket", landlock.and_then(|rules| rules.udp.as_ref())),
    ];
    let pairs: Vec<Pair<'_>> = rows
        .into_iter()
        .map(|(name, key, call, listed)| {
            let written = written(plan, key);
            (name.to_string(), ports(plan, listed, written, call), written)
        })
        .collect();
    page.pairs("", &pairs);
    if let Some(relay) = &plan.relay {
        let forward = origin(plan, "network.forward");
        let resolver = written(plan, "network.resolver");
        let mut pairs: Vec<Pair<'_>> = Vec::new();
        for peer in &relay.peers {
            let text = "the host's, by a relay that reaches no other".to_string();
            pairs.push((
                format!("{} {}", peer.protocol.name(), peer.address),
                text,
                if peer.address.port() == 53 { resolver.or(forward) } else { forward },
            ));
        }
        page.pairs("forward", &pairs);
    }
}

/// Who holds the command to its ports: Landlock, no one, the filter, or the namespace in which nothing is reached.
fn ports(plan: &Plan, listed: Option<&BTreeSet<u16>>, granted: Option<&Origin>, call: &str) -> String {
    match listed {
        Some(ports) if ports.is_empty() => "no port (Landlock)".to_string(),
        Some(ports) => {
            let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            format!("{} {list} (Landlock)", if ports.len() == 1 { "port" } else { "ports" })
        }
        None if granted.is_some() && plan.network == NetworkMode::Host => "any port".to_string(),
        None if granted.is_some() => "any port of its own network".to_string(),
        None if plan.filter.as_ref().is_some_and(|filter| !calls::allows(filter, call)) => {
            "no port (system call filter)".to_string()
        }
        None if plan.network == NetworkMode::Host => "no port (no socket for it: system call filter)".to_string(),
        None if forwards(plan, call) => "what is forwarded (network namespace)".to_string(),
        None => "no port (network namespace)".to_string(),
    }
}

/// The system call filter.
pub(super) fn calls(plan: &Plan, page: &mut Page) {
    let Some(filter) = &plan.filter else {
        return page.row("calls", "every system call: no filter", origin(plan, "isolation.seccomp"));
    };
    page.row("calls", calls::describe(filter), origin(plan, "syscalls.allow"));
    if let Some(denied) = written(plan, "syscalls.deny") {
        page.row("", "less those that are denied by name", Some(denied));
    }
    let others = match filter.default {
        Denial::Errno(errno) => format!("others fail: {}", errno_text(Errno::from_raw(errno))),
        Denial::Kill => "others kill the command (SIGSYS)".to_string(),
    };
    let others = match filter.denials {
        Denials::Silent => others,
        Denials::Told => format!("{others}; each is named in the log"),
        Denials::Named => format!("{others}; each is named in the log, and so is what is not shown or opened here"),
        Denials::Traced => format!("{others}; each is named to whoever traces"),
    };
    page.row("", others, written(plan, "syscalls.on-deny"));
}

/// Bytes in the largest unit that shows them exactly.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(40_u32, "T"), (30, "G"), (20, "M"), (10, "K")];
    let exact = units.into_iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1_u64 << shift));
    exact.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// Whether a relay has peers that this call speaks to.
fn forwards(plan: &Plan, call: &str) -> bool {
    let protocol = match call {
        "connect" => Protocol::Tcp,
        "socket" => Protocol::Udp,
        _ => return false,
    };
    plan.relay.as_ref().is_some_and(|relay| !relay.ports(protocol).is_empty())
}
