// SPDX-License-Identifier: Apache-2.0
//! What is to be written: the needs, less what the policy and the profiles that it extends grant. Looks at nothing but
//! links.

use super::collapse::{collapse, is_secret};
use super::cover::{Cover, Port};
use super::journal::{Journal, Seen};
use super::needs::{File, Needs};
use crate::plan::calls::{self, word};
use crate::plan::model::{Access, Denial, Filter, Peer, Proc, Protocol};
use crate::plan::{TCP_ABI, UDP_ABI};
use crate::policy::model::Syscalls;
use crate::policy::{Origin, Sourced, builtin};
use nix::libc;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syscalls::x86_64::Sysno;

/// The most peers that a relay has, see `plan::model::Relay`.
const MOST_PEERS: usize = crate::plan::model::Relay::MOST_PEERS;
/// Of UDP and of TCP, those that libc asks.
const MOST_RESOLVERS: usize = 6;

/// One path of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    pub(super) path: String,
    pub(super) why: String,
    pub(super) optional: bool,
    /// For whoever reads the policy, on a line above.
    pub(super) warning: Option<&'static str>,
}

/// Ports as a policy writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ports {
    List(BTreeSet<u16>),
    Any,
}

/// What a policy lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) extends: Vec<&'static str>,
    /// By the name of the list.
    pub(super) files: BTreeMap<&'static str, BTreeSet<Grant>>,
    pub(super) devices: BTreeMap<&'static str, String>,
    pub(super) scratch: BTreeMap<String, String>,
    pub(super) proc: Option<String>,
    pub(super) host_network: Option<String>,
    /// A profile's relay to the resolvers is switched off.
    pub(super) no_resolver: bool,
    pub(super) ports: BTreeMap<&'static str, (Ports, String)>,
    pub(super) forward: BTreeMap<Peer, String>,
    pub(super) allow: BTreeMap<&'static str, String>,
    /// What was used and is not granted.
    pub(super) notes: Vec<String>,
    /// Calls that come to nothing whether or not they are denied, as the log names them.
    pub(super) idle: BTreeSet<String>,
}

/// A shipped profile, and when it fits.
type Fits = fn(&Needs) -> bool;

/// A language's profile is taken where its interpreter runs, since what one run has not loaded the next one may.
const PROFILES: &[(&str, Fits)] = &[
    ("python3", |needs| runs(needs, &["python3"])),
    ("perl", |needs| runs(needs, &["perl"])),
    ("node", |needs| runs(needs, &["node", "nodejs"])),
    ("java", |needs| runs(needs, &["java"])),
    ("dns-client", |needs| needs.peers.keys().any(|peer| peer.address.port() == 53)),
    ("syslog", |needs| needs.files.contains_key(Path::new("/dev/log"))),
    ("tls", |needs| needs.files.keys().any(|path| path.starts_with("/etc/ssl/certs") || path.starts_with("/etc/pki"))),
];

/// Whether one of these programs is executed, whatever version its name ends with.
fn runs(needs: &Needs, names: &[&str]) -> bool {
    let executed = needs.files.values().filter(|file| file.access == Access::Execute);
    let mut found = executed.filter_map(|file| file.real.file_name()?.to_str().map(str::to_string));
    found.any(|name| {
        names.iter().any(|wanted| {
            let rest = name.strip_prefix(wanted);
            rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
        })
    })
}

impl Draft {
    /// What a policy with these grants lacks.
    pub(super) fn of(journal: &Journal, needs: &Needs, policy: Cover, landlock_abi: u32) -> Draft {
        let mut draft = Draft { notes: needs.notes.clone(), ..Draft::default() };
        let mut covers = vec![policy];
        for (name, fits) in PROFILES {
            let profile = builtin(name).expect("a test loads each profile that is built in");
            // Nothing of a profile is missing where the policy extends it.
            let extended = covers[0].extends(name);
            if fits(needs) && !extended {
                draft.extends.push(name);
                covers.push(Cover::of(&profile));
            }
        }
        draft.paths(needs, &covers);
        draft.network(needs, &covers, landlock_abi);
        draft.calls(journal, needs, &covers);
        draft
    }

    fn paths(&mut self, needs: &Needs, covers: &[Cover]) {
        let mut open: BTreeMap<PathBuf, &File> = BTreeMap::new();
        for (written, file) in &needs.files {
            if covers.iter().any(|cover| cover.has(written, &file.real, file.access)) {
                continue;
            }
            if let Some(place) =
                covers.iter().flat_map(|cover| &cover.scratch).find(|place| file.real.starts_with(place))
            {
                let (place, path) = (place.display(), written.display());
                self.notes.push(format!(
                    "{path} is hidden by a session's own {place}: move it elsewhere ({})",
                    file.seen.why()
                ));
                continue;
            }
            // What a link that is not shown stands in front of.
            let path = covers.iter().filter_map(|cover| cover.lacks_link(written)).next();
            let everywhere = covers.iter().all(|cover| cover.lacks_link(written).is_some());
            let path = if everywhere { path.unwrap_or_else(|| written.clone()) } else { file.real.clone() };
            open.insert(path, file);
        }
        for (list, access) in [("read", Access::Read), ("execute", Access::Execute), ("write", Access::Write)] {
            let of_list = || open.iter().filter(|(_, file)| file.access == access);
            let paths: BTreeSet<PathBuf> = of_list().map(|(path, _)| path.clone()).collect();
            let collapsed = match access {
                Access::Read | Access::Execute => collapse(&paths),
                Access::Write => paths.into_iter().map(|path| (path.clone(), BTreeSet::from([path]))).collect(),
            };
            for (path, stands_for) in collapsed {
                let around = open.iter().any(|(outer, file)| {
                    *outer != path && path.starts_with(outer) && (file.access == access || access == Access::Read)
                });
                let files: Vec<&&File> = stands_for.iter().filter_map(|inner| open.get(inner)).collect();
                if let (false, Some(first)) = (around, files.first()) {
                    let seen = files[1..].iter().fold(first.seen.clone(), |seen, file| seen.and(&file.seen));
                    let many = if files.len() > 1 { format!(", in {} files", files.len()) } else { String::new() };
                    let why = format!("{}{many}", seen.why());
                    let optional = files.len() == 1 && first.optional;
                    self.grant(list, &path, why, optional);
                }
            }
        }
        for (path, seen) in &needs.directories {
            let above = open.keys().any(|inner| inner.starts_with(path));
            let covered = covers.iter().any(|cover| cover.grants(path, Access::Read));
            if !above && !covered {
                self.grant("read", path, seen.why(), false);
            }
        }
        for (device, seen) in
            needs.devices.iter().filter(|(device, _)| !covers.iter().any(|cover| cover.has_device(**device)))
        {
            self.devices.insert(device.name(), seen.why());
        }
        let scratch = needs
            .scratch
            .iter()
            .filter(|(place, _)| !covers.iter().any(|cover| cover.host_root || cover.scratch.contains(*place)));
        self.scratch = scratch.map(|(place, seen)| (place.display().to_string(), seen.why())).collect();
        self.proc =
            needs.proc.as_ref().filter(|_| !covers.iter().any(|cover| cover.has_proc(Proc::Subset))).map(Seen::why);
    }

    fn grant(&mut self, list: &'static str, path: &Path, why: String, optional: bool) {
        let Some(text) = path.to_str() else {
            let path = path.display();
            return self.notes.push(format!("{path} is not UTF-8, which a policy is ({why})"));
        };
        let warning = is_secret(path).then_some("This may be somebody's secret: should the command have it?");
        self.files.entry(list).or_default().insert(Grant { path: text.to_string(), why, optional, warning });
    }

    fn network(&mut self, needs: &Needs, covers: &[Cover], landlock_abi: u32) {
        let has = |list, port, resolver: bool| {
            covers.iter().any(|cover| cover.has_port(list, port) || (resolver && cover.resolves(list, port)))
        };
        let lacking = |resolver| {
            let peers = needs.peers.iter().filter(|(peer, _)| {
                !has(list_of(peer), peer.address.port(), resolver) && !covers[0].forward.contains(peer)
            });
            let bind = needs.bind.iter().filter(|(port, _)| !has(Port::Bind, **port, resolver));
            (peers.collect::<BTreeMap<_, _>>(), bind.collect::<BTreeMap<_, _>>())
        };
        let (peers, bind) = lacking(true);
        let host = covers.iter().any(|cover| cover.host_network);
        let resolver = covers.iter().any(|cover| cover.resolver);
        let few = peers.len() + covers[0].forward.len() + if resolver { MOST_RESOLVERS } else { 0 } <= MOST_PEERS;
        let first = peers.values().chain(bind.values()).next();
        let Some(first) = first else { return };
        if !host && bind.is_empty() && few && peers.keys().all(|peer| is_one(peer)) {
            self.forward = peers.into_iter().map(|(peer, seen)| (*peer, seen.why())).collect();
            return;
        }
        if !host {
            self.host_network = Some(first.why());
        }
        // In the host's network there is nothing to be forwarded.
        self.no_resolver = resolver;
        let (peers, bind) = lacking(false);
        let ports = |list| -> BTreeSet<u16> {
            peers.keys().filter(|peer| list_of(peer) == list).map(|peer| peer.address.port()).collect()
        };
        let used = [
            ("connect", Port::Connect, TCP_ABI, ports(Port::Connect)),
            ("bind", Port::Bind, TCP_ABI, bind.keys().map(|port| **port).collect()),
            ("udp", Port::Udp, UDP_ABI, ports(Port::Udp)),
        ];
        for (key, list, needed, ports) in used {
            let said = covers.iter().any(|cover| cover.listed(list).is_none());
            // A word like `network-client` reaches all three, and what this kernel cannot hold has to be said.
            let (ports, why) = match landlock_abi >= needed {
                true if ports.is_empty() => continue,
                true => {
                    let listed = covers.iter().filter_map(|cover| cover.listed(list)).flatten().copied();
                    (Ports::List(listed.chain(ports).collect()), first.why())
                }
                false if said => continue,
                false => (Ports::Any, format!("Landlock of this kernel (ABI {landlock_abi}) holds no such ports")),
            };
            self.ports.insert(key, (ports, why));
        }
    }

    fn calls(&mut self, journal: &Journal, needs: &Needs, covers: &[Cover]) {
        // What a socket is for is said where it is made; these can be of any.
        let of_any_socket =
            [libc::SYS_connect, libc::SYS_bind, libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_setsockopt];
        let (later, first): (Vec<_>, Vec<_>) =
            journal.calls.iter().partition(|((call, _), _)| of_any_socket.contains(&libc::c_long::from(*call)));
        for part in [first, later] {
            let own = own_filter(self.allow.keys());
            for ((call, arguments), seen) in part {
                let denials = covers.iter().map(|cover| cover.denies(*call, *arguments));
                let all: Option<Vec<Denial>> = denials.collect();
                let Some(denial) = all.and_then(|all| all.first().copied()) else { continue };
                let granted = calls::denial(&own, *call, *arguments).is_none() && !self.allow.is_empty();
                if is_idle(*call, *arguments, needs) {
                    let [first, second, third, ..] = arguments;
                    let name = Sysno::new(*call as usize).map_or("", |call| call.name());
                    self.idle.insert(format!("call={name} arguments={first:#x},{second:#x},{third:#x} "));
                } else if !granted {
                    self.call(*call, *arguments, denial, seen);
                }
            }
        }
    }

    fn call(&mut self, call: u32, arguments: [u64; 6], denial: Denial, seen: &Seen) {
        let (why, number) = (seen.why(), libc::c_long::from(call));
        let executes = [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect].contains(&number);
        let found = if executes { Ok("jit") } else { word(call, arguments) };
        match (found, denial) {
            // Libraries try it, and do without.
            (_, Denial::Errno(libc::ENOSYS)) => {}
            (Ok(word), Denial::Kill) => {
                self.note(format!("{why}: what attacks call; syscalls.allow = [\"{word}\"] would allow it"))
            }
            (Ok(word), Denial::Errno(_)) => drop(self.allow.entry(word).or_insert(why)),
            (Err(reason), _) => self.note(format!("{why}: {reason}")),
        }
    }

    fn note(&mut self, line: String) {
        if !self.notes.contains(&line) {
            self.notes.push(line);
        }
    }
}

/// Where a policy for the host's network lists the port of a peer.
fn list_of(peer: &Peer) -> Port {
    match peer.protocol {
        Protocol::Tcp => Port::Connect,
        Protocol::Udp => Port::Udp,
    }
}

/// Whether a policy can name it: one host, and no group of them.
fn is_one(peer: &Peer) -> bool {
    peer.to_string().parse::<Peer>().is_ok()
}

/// What comes to nothing whether or not it is denied: a UNIX socket that never finds anybody, and what a mapping that
/// is only executed asks.
fn is_idle(call: u32, arguments: [u64; 6], needs: &Needs) -> bool {
    match libc::c_long::from(call) {
        libc::SYS_socket => arguments[0] == libc::AF_UNIX as u64 && !needs.unix,
        libc::SYS_mmap => arguments[2] & libc::PROT_WRITE as u64 == 0,
        _ => false,
    }
}

/// What these words grant.
fn own_filter<'a>(words: impl Iterator<Item = &'a &'static str>) -> Filter {
    let allow = words.map(|word| Sourced::new(word.to_string(), Origin::Default)).collect();
    calls::resolve(&Syscalls { allow, ..Syscalls::default() }).unwrap_or(Filter::NONE)
}
