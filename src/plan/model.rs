// SPDX-License-Identifier: Apache-2.0
//! The plan of one service: what will be enforced, in the words the kernel takes.
//! Everything here is decided; what follows only carries it out.

mod filter;

use super::clients::Clients;
use super::request::{Front, Transport};
use super::steps::Step;
use crate::host::facts::{Controller, IdRange, Resource};
use crate::policy::address::Address;
pub use crate::policy::model::{
    ClientNames, Device, Ends, HostName, Level, Namespace, NetworkMode, Peer, Proc, Protocol, StandardError,
};
use crate::policy::{Filled, Origin};
pub use filter::{Condition, Denial, Denials, Filter, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that is decided about a service before its first connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Name for log lines.
    pub service: String,
    /// Name of the policy.
    pub policy: String,
    /// SHA-256 of its files, hexadecimal.
    pub policy_hash: String,
    /// Its files, in the order in which they were read.
    pub read_from: Vec<String>,
    /// The texts in which names of the service were filled in.
    pub filled: Vec<Filled>,
    /// One line for people.
    pub description: Option<String>,
    /// Which front door connections come through.
    pub front: Front,
    /// What they are.
    pub transport: Transport,
    /// What runs.
    pub command: Command,
    /// As whom.
    pub identity: Identity,
    /// Which kind of sandbox that makes.
    pub level: Level,
    /// What ends all processes of a session.
    pub tree: Tree,
    /// Which system call makes a session's first process.
    pub clone: CloneCall,
    /// In which namespaces.
    pub namespaces: BTreeSet<Namespace>,
    /// Which name of the host it sees; that of its UTS namespace.
    pub hostname: HostName,
    /// Which network namespace; ports are in `landlock`.
    pub network: NetworkMode,
    /// What of the host's network is reached from its own.
    pub relay: Option<Relay>,
    /// The directory of the host that is the root of everything below, where that is not the host's own.
    pub chroot: Option<PathBuf>,
    /// The directory of the host that the paths in `root` are paths of: a root image.
    pub image: Option<PathBuf>,
    /// What it sees.
    pub root: Root,
    /// Private temporary file systems, in the order in which they are mounted.
    pub scratch: Vec<Scratch>,
    /// /proc.
    pub proc: Proc,
    /// The Landlock ruleset, `None` where switched off.
    pub landlock: Option<Landlock>,
    /// The system call filter, `None` where switched off.
    pub filter: Option<Filter>,
    /// Resource limits: (soft and hard) value.
    pub resources: BTreeMap<Resource, u64>,
    /// `oom_score_adj` of the launcher and of every session, which inherit it.
    pub oom_score_adj: i16,
    /// Limits of the session's cgroup.
    pub cgroup: CgroupLimits,
    /// Limits of the cgroup that holds all sessions of the service, whichever supervisor they have.
    pub service_cgroup: CgroupLimits,
    /// Settings of the PID namespace.
    pub pid_limits: PidLimits,
    /// Settings of the user namespace, by their names below /proc/sys/user.
    pub user_limits: BTreeMap<&'static str, u64>,
    /// Each session has a keyring of its own.
    pub keyring: bool,
    /// Capabilities are dropped from the bounding set, and the securebits locked, where there are any.
    pub bounding_set: bool,
    /// The newest capability of this kernel.
    pub last_capability: u8,
    /// Nothing but its own word keeps a process that has changed its ids from being traced by its new user.
    pub suid_dumpable: bool,
    /// No memory both writable and executable.
    pub memory_deny_write_execute: bool,
    /// A reaper of ours is PID 1.
    pub init: bool,
    /// Wall time from accept to the end; absent is unlimited.
    pub time_limit: Option<Duration>,
    /// How long its connection may carry nothing.
    pub idle_limit: Option<Duration>,
    /// Who is let in, and how often.
    pub clients: Clients,
    /// The most sessions at once in one process.
    pub concurrency: usize,
    /// The most sandboxes that wait for clients.
    pub spares: usize,
    /// The supervisor keeps its own copy of the connection.
    pub hold: bool,
    /// When a session is over.
    pub ends: Ends,
    /// Where the command's standard error goes.
    pub stderr: StandardError,
    /// Where clients of this kind connect, and how. Nowhere where somebody else listens.
    pub listen: Listen,
    /// The child's steps, in order; a step that this plan does not need is not in it.
    pub steps: Vec<Step>,
    /// Where the value of a dotted policy key (`limits.time`) came from.
    pub origins: BTreeMap<&'static str, Origin>,
    /// Layers that are off or weaker than they could be, each with its reason.
    pub off: Vec<Off>,
}

/// What ends all processes of a session at once, whatever they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// The death of their PID namespace's first process.
    PidNamespace,
    /// `cgroup.kill`.
    Cgroup,
    /// Their reaper's signal to all that it may reach, which are those of its Landlock domain. The kernel walks the
    /// list of tasks under the lock that a fork takes, so nobody gets away: see kill(2), and Linux, kernel/signal.c.
    Domain,
}

/// Which system call makes a session's first process. What comes of both is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloneCall {
    /// clone3(2), which puts it into its control group as well.
    Clone3,
    /// clone(2), and the process enters its control group before anything else: container engines and units of systemd
    /// hide clone3, into whose arguments no filter can look.
    Clone,
}

/// Where a service listens itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// In the order in which they were written.
    pub addresses: Vec<Address>,
    /// How many clients may wait to be accepted; the kernel cuts it to net.core.somaxconn.
    pub backlog: i32,
    /// Others of the same user may listen on the same port.
    pub reuse_port: bool,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Paths to try, as execvp(3) does; one, unless the first argument has no slash.
    pub programs: Vec<CString>,
    /// The argument vector.
    pub argv: Vec<CString>,
    /// `NAME=value` strings.
    pub environment: Vec<CString>,
    /// What is known of the client is added at hand-over, under these names.
    pub client_environment: Option<ClientNames>,
    /// Working directory inside the sandbox.
    pub directory: CString,
    /// File mode creation mask.
    pub umask: u32,
    /// Signals that the command finds ignored.
    pub ignore_signals: BTreeSet<i32>,
}

/// As whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the user, or the range of ids, for people.
    pub name: String,
    /// Its ids.
    pub ids: Ids,
    /// The ids are changed; false where an ordinary user runs commands as itself.
    pub change: bool,
}

/// The ids of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// The same ones in every session.
    One {
        /// User id, never 0 outside.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// A user id of its own in each session, which no other live session of this host has.
    Each {
        /// Where it is from.
        range: IdRange,
        /// Group id, where that is not the same number.
        gid: Option<u32>,
    },
}

/// A process of the session that stays in the host's network and carries bytes between that and the session's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Peers of the host's network. Each has a listener, or a socket for its datagrams, at the same address in the
    /// session's. Those of UDP come first.
    pub peers: BTreeSet<Peer>,
    /// The command gets a socket pair in place of its connection, which would be a way out: it belongs to the host's
    /// network, can be dissolved and be connected anew.
    pub connection: bool,
}

impl Plan {
    /// The directory of the host below which its paths are, where they are not the host's: the same names are other
    /// files then.
    pub fn elsewhere(&self) -> Option<&Path> {
        self.chroot.as_deref().or(self.image.as_deref())
    }

    /// Processes of ours that the kernel counts with the command's.
    pub(super) fn own_tasks(&self) -> u64 {
        u64::from(self.init) + u64::from(self.relay.is_some())
    }
}

impl Relay {
    /// Each peer has a listener, which the relay looks at whenever it wakes up.
    pub const MOST_PEERS: usize = 16;

    /// The ports of those that are spoken to so.
    pub fn ports(&self, protocol: Protocol) -> BTreeSet<u16> {
        let peers = self.peers.iter().filter(|peer| peer.protocol == protocol);
        peers.map(|peer| peer.address.port()).collect()
    }
}

/// What the root directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Empty but for these.
    Empty {
        /// Parts of the host that are shown, parents before children.
        binds: Vec<Bind>,
        /// Symbolic links (path, text) that are made.
        links: BTreeMap<PathBuf, PathBuf>,
        /// Device nodes.
        devices: BTreeSet<Device>,
    },
    /// The host's own, of which Landlock lets no other parts be opened than these.
    Held {
        /// As in an empty root.
        binds: Vec<Bind>,
        /// The host's symbolic links that lead to them.
        links: BTreeMap<PathBuf, PathBuf>,
        /// The host's device nodes.
        devices: BTreeSet<Device>,
    },
    /// The host's own.
    Host,
}

impl Root {
    /// The parts that are listed, where others are not to be had.
    pub fn binds(&self) -> Option<&[Bind]> {
        match self {
            Root::Empty { binds, .. } | Root::Held { binds, .. } => Some(binds),
            Root::Host => None,
        }
    }
}

/// A part of the host that is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// Where it is, on the host and inside alike; no component is a symbolic link.
    pub path: PathBuf,
    /// A directory, or else a single file.
    pub directory: bool,
    /// What may be done there.
    pub access: Access,
    /// Where the policy says so.
    pub origin: Origin,
}

/// What may be done with a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read files, list directories.
    Read,
    /// Also execute.
    Execute,
    /// Read, write, create, remove; not execute.
    Write,
}

/// Parent of the scratch mount points in an empty root. The Landlock rule is on this directory: the kernel's walk
/// skips a mount point's own inode and honours its parent's, so that one prepared ruleset serves every session.
pub const SCRATCH: &str = "/.scratch";
/// Parent of the proc mount point in an empty root, for the same reason.
pub const PROC: &str = "/.proc";

/// A private temporary file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Where the command finds it. In an empty root this is a symbolic link to a mount point below
    /// [`SCRATCH`].
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Files and directories.
    pub inodes: u64,
    /// Programs may be run from it.
    pub execute: bool,
    /// Where the policy says so.
    pub origin: Origin,
}

/// The Landlock ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landlock {
    /// ABI whose rights are all handled.
    pub abi: u32,
    /// File rights are handled, with rules from [`Root::binds`] and [`Plan::scratch`]; off where everything of the
    /// host's is shown.
    pub files: bool,
    /// TCP ports that may be connected to; `None` leaves the right unhandled ("any").
    pub connect: Option<BTreeSet<u16>>,
    /// TCP ports that may be bound.
    pub bind: Option<BTreeSet<u16>>,
    /// UDP ports that may be sent to (ABI 10).
    pub udp: Option<BTreeSet<u16>>,
    /// Signals and abstract UNIX sockets end at the domain (ABI 6).
    pub scopes: bool,
    /// What it denies is told to the kernel's audit log, and from there named in ours (ABI 7).
    pub audit: bool,
}

/// Limits of a cgroup. Each that is set needs its controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// `memory.max` in bytes, with `memory.swap.max` 0.
    pub memory: Option<u64>,
    /// `memory.oom.group`: where memory ends, everything in it is ended at once.
    pub as_one: bool,
    /// `pids.max`.
    pub tasks: Option<u64>,
    /// `cpu.max` as percent of one processor.
    pub cpu: Option<u64>,
}

/// Settings of the PID namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PidLimits {
    /// `kernel.pid_max`.
    pub pid_max: Option<u64>,
    /// `vm.memfd_noexec` is 2.
    pub memfd_noexec: bool,
    /// The command's id inside is the reaper's id on the host, which no other session has.
    pub unique_pid: bool,
}

/// A layer that is off, or a grant that nothing restricts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    /// The layer, in the words of `explain`.
    pub layer: String,
    /// Why.
    pub why: String,
}

impl Off {
    pub(super) fn new(layer: impl Into<String>, why: impl Into<String>) -> Self {
        Off { layer: layer.into(), why: why.into() }
    }
}

impl Ids {
    /// User and group id of a session that was given this user id; without a range it has none to be given.
    pub fn of(self, given: Option<u32>) -> Option<(u32, u32)> {
        match (self, given) {
            (Ids::One { uid, gid }, None) => Some((uid, gid)),
            (Ids::Each { range, gid }, Some(uid)) if range.contains(uid) => Some((uid, gid.unwrap_or(uid))),
            (Ids::One { .. }, Some(_)) | (Ids::Each { .. }, _) => None,
        }
    }
}

impl CgroupLimits {
    /// The controllers that these limits need.
    pub fn controllers(&self) -> BTreeSet<Controller> {
        let named = [
            (Controller::Memory, self.memory.is_some() || self.as_one),
            (Controller::Pids, self.tasks.is_some()),
            (Controller::Cpu, self.cpu.is_some()),
        ];
        named.into_iter().filter(|(_, set)| *set).map(|(controller, _)| controller).collect()
    }
}
