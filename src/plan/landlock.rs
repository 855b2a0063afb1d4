// SPDX-License-Identifier: Apache-2.0
//! Which Landlock rights a plan uses, and in words what this kernel's Landlock does not know.
//! A right that is lacking is named, and refused elsewhere where no other layer holds what it would have held.
//!
//! # Why denials are read from the audit log only where a policy says so
//!
//! From ABI 7 on the kernel can tell its audit log of each access that a domain is denied, with its blockers and its
//! path or port, and whoever has CAP_AUDIT_READ in the host's first network namespace can read that from a multicast
//! group. After an exec it does so only where the domain was made with `LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON`, and
//! that flag is not set unless `isolation.landlock-audit` asks for it, because there is one such log for the whole host
//! and no limit for a domain. Tried on Linux 7.3 with audit on and somebody who reads it: a command without any right
//! that asks for one port 100,000 times had the kernel lose 89,614 records, its own and others', at the usual limit of
//! 64; with a limit of 8192 none, and whoever else wrote to the log waited three times as long. Each denied call took
//! some fifty times as long as one that is not logged. With `auditctl -f 2`, as hardened hosts have it, the kernel
//! panicked. linux/landlock.h says as much: the flag is for programs that will not ask for what they are denied. And
//! where audit was off until then, each process that begins afterwards is slower until the next boot, because the
//! kernel looks at every call of its (`audit_alloc` of kernel/auditsc.c), unless a rule says `never,task`.
//!
//! For a program that is trusted, or is seldom denied anything, the key has all of Landlock's denials named at no cost
//! for calls that it lets pass, which `syscalls.on-deny = "report-all"` takes from all that look up a path or a peer.
//! Nor does the session know of it: no listener, no memory of the command's is read. What the log has lost is counted
//! where the kernel says how much a domain has denied, and nothing else depends on it.
//!
//! It does not name what is missing most in an empty root: a file that is not shown is not there, and a peer that is
//! not forwarded is in no network, of which Landlock hears nothing. `"report-all"` names those, and what Landlock
//! denies, from the session's own listener, whose time is the session's.

use super::model::{Filter, Landlock, Namespace, NetworkMode, Off, Plan, Root};
use super::network::{self, Grants};
use super::reach;
use super::refuse::{Lack, Refusal, Slip};
use crate::host::Facts;
use crate::policy::model::Layer;
use crate::policy::{Origin, Policy};
use std::collections::BTreeSet;

/// The newest Landlock ABI whose rights we know. The eleventh (Linux 7.3) has no right that the tenth has not: it can
/// set no_new_privs in the same call, which is a step of its own here.
const KNOWN_ABI: u32 = 11;
/// First Landlock ABI with scopes (Linux 6.12).
pub(super) const SCOPES_ABI: u32 = 6;
/// First Landlock ABI that tells the audit log of denials, and can leave a domain's subdomains out (Linux 6.15).
pub const AUDIT_ABI: u32 = 7;
/// First Landlock ABI with a right for UNIX sockets by path (Linux 7.1).
pub(super) const UNIX_ABI: u32 = 9;

/// What came to Landlock after its first ABI: see landlock(7), and linux/landlock.h of Linux 7.3. The eighth restricts
/// all threads at once, of which a reaper has one.
const RIGHTS: [(u32, &str); 7] = [
    (2, "renaming between directories"),
    (3, "truncation"),
    (network::TCP_ABI, "TCP ports"),
    (5, "device ioctls"),
    (SCOPES_ABI, "signals and abstract UNIX sockets"),
    (UNIX_ABI, "UNIX sockets by path"),
    (network::UDP_ABI, "UDP ports"),
];

impl Plan {
    /// Whether what its Landlock denies is heard of through the kernel's audit log.
    pub fn is_audited(&self) -> bool {
        self.landlock.as_ref().is_some_and(|landlock| landlock.audit)
    }
}

impl Landlock {
    /// Whether domains that the command makes for itself are kept out of the audit log, which it could fill otherwise:
    /// a domain's own denials are told there by default.
    pub fn quiets_subdomains(&self) -> bool {
        self.abi >= AUDIT_ABI
    }

    /// Whether UNIX sockets that lie in what the command only reads or executes are out of its reach.
    pub fn holds_paths(&self) -> bool {
        self.files && self.abi >= UNIX_ABI
    }

    /// The rights of newer kernels that this ABI has not.
    pub(super) fn lacks(&self) -> impl Iterator<Item = &'static str> {
        let abi = self.abi;
        RIGHTS.into_iter().filter(move |(first, _)| abi < *first).map(|(_, right)| right)
    }
}

/// The ABI that is used, 0 where Landlock is switched off by name.
pub(super) fn abi(policy: &Policy, facts: &Facts, off: &mut Vec<Off>) -> Result<u32, Refusal> {
    let landlock = policy.isolation.landlock.as_ref();
    let origin = landlock.map_or(&Origin::Default, |layer| &layer.origin);
    match landlock.map_or(Layer::Required, |layer| layer.value) {
        Layer::Off => {
            off.push(Off::new("landlock", format!("switched off ({origin})")));
            Ok(0)
        }
        Layer::Required if facts.landlock_abi == 0 => Err(Refusal::new(Lack::NoLandlock, origin)),
        Layer::Required => Ok(facts.landlock_abi.min(KNOWN_ABI)),
    }
}

/// The ruleset, where there is anything that it would handle.
pub(super) fn resolve(
    root: &Root,
    grants: &Grants,
    abi: u32,
    namespaces: &BTreeSet<Namespace>,
    filter: Option<&Filter>,
    off: &mut Vec<Off>,
) -> Option<Landlock> {
    let files = match root {
        Root::Empty { .. } | Root::Held { .. } => abi > 0,
        Root::Host => false,
    };
    let scopes = abi >= SCOPES_ABI;
    if !scopes && !namespaces.contains(&Namespace::Pid) {
        off.push(Off::new("signals", "without a PID namespace only Landlock ABI 6 keeps them inside the sandbox"));
    }
    if !scopes && grants.mode == NetworkMode::Host {
        let why = "in the host's network only Landlock ABI 6 keeps the command from them";
        off.push(Off::new("abstract UNIX sockets", why));
    }
    if shows_sockets(root) && reach::connects_by_path(filter) && !(files && abi >= UNIX_ABI) {
        let why = match root {
            Root::Held { .. } => "only Landlock ABI 9 keeps the command from those that its user may write to",
            Root::Empty { .. } | Root::Host => {
                "only Landlock ABI 9 keeps the command from those in files.read and files.execute"
            }
        };
        off.push(Off::new("UNIX sockets by path", why));
    }
    let (connect, bind, udp) = (grants.connect.clone(), grants.bind.clone(), grants.udp.clone());
    let landlock = Landlock { abi, files, connect, bind, udp, scopes, audit: false };
    if network::handles_anything(&landlock) {
        return Some(landlock);
    }
    if abi > 0 {
        let why = format!("nothing is left for it at ABI {abi}: the root is the host's, ports are not restricted");
        off.push(Off::new("landlock", why));
    }
    None
}

/// The same, with what it denies told to the kernel's audit log where the policy says so.
pub(super) fn audited(policy: &Policy, landlock: Option<Landlock>) -> Result<Option<Landlock>, Refusal> {
    let Some(wanted) = policy.isolation.landlock_audit.as_ref().filter(|wanted| wanted.value) else {
        return Ok(landlock);
    };
    match landlock {
        Some(landlock) if landlock.abi >= AUDIT_ABI => Ok(Some(Landlock { audit: true, ..landlock })),
        Some(landlock) => Err(Refusal::new(Lack::Audit { has: landlock.abi }, &wanted.origin)),
        None => {
            let (key, needs) = ("isolation.landlock-audit", "isolation.landlock = \"required\"");
            Err(Refusal::new(Slip::Needs { key, needs }, &wanted.origin))
        }
    }
}

/// Whether a socket may lie in what the command sees. That the mount is read-only keeps nobody from connecting; in what
/// it may write the right is granted.
fn shows_sockets(root: &Root) -> bool {
    use super::model::Access;
    match root {
        Root::Empty { binds, .. } => binds.iter().any(|bind| match bind.access {
            Access::Read | Access::Execute => true,
            Access::Write => false,
        }),
        // Whatever is not listed is there all the same.
        Root::Held { .. } => true,
        // What `files.root = "host"` shows, the user's rights alone decide.
        Root::Host => false,
    }
}
