// SPDX-License-Identifier: Apache-2.0
//! What a policy grants already, so that it is not written again.

use crate::host::paths::MOST_LINKS;
use crate::plan::calls;
use crate::plan::model::{Access, Denial, Device, Filter, Proc};
use crate::policy::Policy;
use crate::policy::model::{NetworkMode, Peer, Ports};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The grants of one policy, on this host.
pub(super) struct Cover {
    /// As written, without links, and what may be done.
    entries: Vec<(PathBuf, PathBuf, Access)>,
    pub(super) scratch: BTreeSet<PathBuf>,
    devices: BTreeSet<Device>,
    proc: Proc,
    filter: Option<Filter>,
    pub(super) host_network: bool,
    pub(super) host_root: bool,
    any: [bool; 3],
    ports: [BTreeSet<u16>; 3],
    pub(super) forward: BTreeSet<Peer>,
    /// The host's resolvers are reached in a network of its own.
    pub(super) resolver: bool,
    extends: BTreeSet<String>,
}

/// A list of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Port {
    Connect,
    Bind,
    Udp,
}

impl Cover {
    /// Looks at the policy's paths.
    pub(super) fn of(policy: &Policy) -> Cover {
        let files = &policy.files;
        let lists = [(&files.read, Access::Read), (&files.execute, Access::Execute), (&files.write, Access::Write)];
        let entries =
            lists.into_iter().flat_map(|(list, access)| list.iter().map(move |entry| (&entry.value.path, access)));
        let entries =
            entries.filter_map(|(path, access)| Some((path.clone(), fs::canonicalize(path).ok()?, access))).collect();
        let network = &policy.network;
        let lists = [&network.connect, &network.bind, &network.udp];
        let any = lists.map(|list| list.as_ref().is_some_and(|ports| ports.value == Ports::Any));
        let ports = lists.map(|list| match list.as_ref().map(|ports| &ports.value) {
            Some(Ports::List(ports)) => ports.clone(),
            Some(Ports::Any) | None => BTreeSet::new(),
        });
        Cover {
            entries,
            scratch: files.scratch.iter().map(|scratch| scratch.value.path.clone()).collect(),
            devices: files.devices.iter().map(|device| device.value).collect(),
            proc: files.proc.as_ref().map_or(Proc::None, |proc| proc.value),
            filter: filter(policy),
            host_network: network.mode.as_ref().is_some_and(|mode| mode.value == NetworkMode::Host),
            host_root: files.root.as_ref().is_some_and(|root| root.value == crate::policy::model::Root::Host),
            any,
            ports,
            forward: network.forward.iter().map(|peer| peer.value).collect(),
            resolver: network.resolver.as_ref().is_some_and(|resolver| resolver.value),
            extends: policy.sources.iter().map(|source| source.title()).collect(),
        }
    }

    /// Whether it says all that this profile says.
    pub(super) fn extends(&self, profile: &str) -> bool {
        self.extends.contains(&format!("built-in {profile}.toml"))
    }

    /// Whether the path is reached as written, and may be used so.
    pub(super) fn has(&self, written: &Path, real: &Path, access: Access) -> bool {
        self.host_root || (self.lacks_link(written).is_none() && self.grants(real, access))
    }

    /// Whether this may be done where the path is without links.
    pub(super) fn grants(&self, real: &Path, access: Access) -> bool {
        let stands = |given: Access| given == access || access == Access::Read;
        self.host_root
            || self.entries.iter().any(|(written, own, given)| {
                stands(*given) && (real.starts_with(own) || (access == Access::Read && real == written))
            })
    }

    /// The first link on the way that the policy does not show, with what follows it.
    pub(super) fn lacks_link(&self, written: &Path) -> Option<PathBuf> {
        links(written).into_iter().find_map(|(link, rest)| {
            let shown = self.entries.iter().any(|(entry, own, _)| link == *entry || link.starts_with(own));
            let whole = if rest.as_os_str().is_empty() { link } else { link.join(rest) };
            let named = self.entries.iter().any(|(entry, _, _)| whole.starts_with(entry));
            (!shown && !named && !self.host_root).then_some(whole)
        })
    }

    pub(super) fn has_device(&self, device: Device) -> bool {
        self.devices.contains(&device) || self.host_root
    }

    pub(super) fn has_proc(&self, wanted: Proc) -> bool {
        match (self.proc, wanted) {
            (_, Proc::None) | (Proc::Full, _) | (Proc::Subset, Proc::Subset) => true,
            (Proc::None, Proc::Subset | Proc::Full) | (Proc::Subset, Proc::Full) => false,
        }
    }

    /// How a call is denied.
    pub(super) fn denies(&self, call: u32, arguments: [u64; 6]) -> Option<Denial> {
        self.filter.as_ref().and_then(|filter| calls::denial(filter, call, arguments))
    }

    pub(super) fn has_port(&self, list: Port, port: u16) -> bool {
        self.host_network && (self.any[list as usize] || self.ports[list as usize].contains(&port))
    }

    /// Whether the relay that reaches the host's resolvers is enough for it.
    pub(super) fn resolves(&self, list: Port, port: u16) -> bool {
        self.resolver
            && match list {
                Port::Connect | Port::Udp => port == 53,
                // Its own sockets, in a network of its own.
                Port::Bind => self.any[Port::Bind as usize],
            }
    }

    /// What is listed already, for whoever adds to it.
    pub(super) fn listed(&self, list: Port) -> Option<&BTreeSet<u16>> {
        (!self.any[list as usize]).then_some(&self.ports[list as usize])
    }
}

/// What the policy makes of each call, `None` where a word of it is wrong: that is for `check` to tell.
pub(super) fn filter(policy: &Policy) -> Option<Filter> {
    let mut filter = calls::resolve(&policy.syscalls).ok()?;
    let denies = policy.isolation.memory_deny_write_execute.as_ref().is_some_and(|denies| denies.value);
    if denies && calls::asks_for_jit(&policy.syscalls).is_none() {
        calls::deny_write_execute(&mut filter);
    }
    Some(filter)
}

/// Every symbolic link on the way to a path, and what of the path follows it.
fn links(written: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    let mut path = written.to_path_buf();
    'whole: for _ in 0..MOST_LINKS {
        let mut so_far = PathBuf::new();
        let components: Vec<Component<'_>> = path.components().collect();
        for (index, component) in components.iter().enumerate() {
            match component {
                Component::ParentDir => drop(so_far.pop()),
                other => so_far.push(other),
            }
            let Ok(end) = fs::read_link(&so_far) else { continue };
            let rest: PathBuf = components[index + 1..].iter().collect();
            found.push((so_far.clone(), rest.clone()));
            let base = so_far.parent().unwrap_or(Path::new("/"));
            path = base.join(end).join(rest);
            continue 'whole;
        }
        break;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::builtin;

    #[test]
    fn what_strict_shows_is_covered_and_links_out_of_it_are_not() {
        let strict = Cover::of(&builtin("strict").unwrap());
        let real = |path: &str| fs::canonicalize(path).unwrap();
        assert!(strict.has(Path::new("/bin/sh"), &real("/bin/sh"), Access::Execute));
        assert!(strict.has(Path::new("/usr/bin/env"), &real("/usr/bin/env"), Access::Read));
        assert!(!strict.has(Path::new("/usr/bin/env"), &real("/usr/bin/env"), Access::Write));
        assert!(!strict.has(Path::new("/etc/passwd"), Path::new("/etc/passwd"), Access::Read));
        let room = std::env::temp_dir().join(format!("spawnbox-cover-{}", std::process::id()));
        fs::create_dir_all(&room).unwrap();
        std::os::unix::fs::symlink("/usr/bin/env", room.join("link")).unwrap();
        let link = fs::canonicalize(&room).unwrap().join("link");
        assert!(!strict.has(&link, &real("/usr/bin/env"), Access::Execute));
        assert_eq!(strict.lacks_link(&link), Some(link));
        fs::remove_dir_all(room).unwrap();
    }
}
