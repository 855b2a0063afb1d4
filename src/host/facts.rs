// SPDX-License-Identifier: Apache-2.0
//! The facts as plain data, so that `plan` can be tested against hosts that are not here.
//! No observing in this file: a test writes these values down as literals.

use super::errno_text;
pub use super::ids::{IdRange, Names, Occupied};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// What this host can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The running kernel.
    pub kernel: Kernel,
    /// Effective user of the supervisor.
    pub uid: u32,
    /// Effective group of the supervisor.
    pub gid: u32,
    /// Its supplementary groups, sorted.
    pub groups: BTreeSet<u32>,
    /// Each kind of namespace, tried in a throw-away child in the order that a session takes.
    pub namespaces: BTreeMap<Namespace, Trial>,
    /// Landlock ABI, 0 where there is none.
    pub landlock_abi: u32,
    /// seccomp filters.
    pub seccomp: Trial,
    /// A filter whose denials a process hears of; only one of those around a process can have that.
    pub listener: Trial,
    /// clone3(2).
    pub clone3: Trial,
    /// A session keyring of its own, see keyctl(2).
    pub keyring: Trial,
    /// A capability is dropped from the bounding set, which takes CAP_SETPCAP.
    pub bounding_set: Trial,
    /// `PR_SET_MDWE`.
    pub mdwe: Trial,
    /// A PID namespace has a `pid_max` of its own that we may write (Linux 6.14).
    pub pid_max: Trial,
    /// A PID namespace has a `memfd_noexec` of its own that we may write (Linux 6.3).
    pub memfd_noexec: Trial,
    /// `ns_last_pid` may be written (CONFIG_CHECKPOINT_RESTORE).
    pub ns_last_pid: Trial,
    /// A UTS namespace has a name of its own that we may set.
    pub hostname: Trial,
    /// Where session cgroups can be made.
    pub cgroup: Cgroup,
    /// The newest capability, `/proc/sys/kernel/cap_last_cap`.
    pub last_capability: u8,
    /// Who changes its ids, or executes what it may not read, can be traced by its new user: `fs.suid_dumpable` is 1,
    /// see proc_sys_fs(5).
    pub suid_dumpable: bool,
    /// The supervisor's own `oom_score_adj`, see proc_pid_oom_score_adj(5).
    pub oom_score_adj: i16,
    /// Hard resource limits that sessions can have, bytes or counts; absent is unlimited. They are the supervisor's
    /// own, but for a core limit of 0 where that can be raised to 1.
    pub hard_limits: BTreeMap<Resource, u64>,
    /// The name servers that libc asks, see resolv.conf(5).
    pub resolvers: Vec<IpAddr>,
    /// What each path of the policy is on this host, or in the root image.
    pub paths: BTreeMap<PathBuf, PathFact>,
    /// The root image that the policy names, where it names one.
    pub image: Option<Image>,
    /// The accounts that were looked up.
    pub accounts: Accounts,
}

/// The running kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// First number of the release.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// The release as uname(2) gives it.
    pub release: String,
}

/// A kind of namespace, see namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Namespace {
    Mount,
    Pid,
    Network,
    Ipc,
    Uts,
    Cgroup,
    User,
}

/// What came of trying something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It worked.
    Works,
    /// The kernel or a filter refused with this errno.
    Refused(i32),
    /// A filter killed the process that tried (SIGSYS).
    Killed,
}

/// Where session cgroups can be made, if at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroup {
    /// Nowhere; the text says why.
    Unavailable(String),
    /// Below this directory.
    At {
        /// Absolute path in the host's cgroup2 mount.
        path: PathBuf,
        /// Controllers that session cgroups can have.
        controllers: BTreeSet<Controller>,
        /// Controllers that sit on a version 1 hierarchy, so cannot be had.
        on_v1: BTreeSet<Controller>,
    },
}

/// A cgroup controller that a limit needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Controller {
    Cpu,
    Memory,
    Pids,
}

/// A resource limit of getrlimit(2) that a policy can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Resource {
    ProcessorTime,
    OpenFiles,
    FileSize,
    AddressSpace,
    Stack,
    CoreSize,
    LockedMemory,
    PendingSignals,
    MessageQueues,
    Tasks,
    Nice,
    RealtimePriority,
}

/// A directory that sandboxes are to be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// It is there, and nobody but root and the caller can have put it there.
    Found {
        /// Its path on this host, without symbolic links.
        path: PathBuf,
        /// What is in it, by its name below `/`.
        top: BTreeMap<PathBuf, PathFact>,
    },
    /// It cannot be used.
    Unfit {
        /// Why.
        why: String,
        /// What the operator can do about it.
        way_out: String,
    },
}

/// What a path is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathFact {
    /// Nothing is there.
    Missing,
    /// It could not be looked at: this errno.
    Unreadable(i32),
    /// Something is there.
    Found {
        /// The path after following every symbolic link.
        resolved: PathBuf,
        /// A directory, or else a file of some sort.
        directory: bool,
        /// What the last component says, where it is a symbolic link itself.
        link: Option<PathBuf>,
    },
}

/// Accounts by the names that the policy and the request use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Users by name or decimal id.
    pub users: BTreeMap<String, Option<Account>>,
    /// Groups by name or decimal id.
    pub groups: BTreeMap<String, Option<u32>>,
    /// Ids in the ranges that were asked for and that belong to somebody, sorted.
    pub occupied: Vec<Occupied>,
}

/// A user of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name in passwd(5), or the decimal id where it has none.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id of its passwd(5) entry; `(gid_t)-1`, which is no group, where it has none.
    pub gid: u32,
}

impl Facts {
    /// Whether the supervisor is an ordinary user.
    pub fn rootless(&self) -> bool {
        self.uid != 0
    }
}

impl Trial {
    /// Whether it worked.
    pub fn works(self) -> bool {
        match self {
            Trial::Works => true,
            Trial::Refused(_) | Trial::Killed => false,
        }
    }
}

/// In words, to stand after a colon.
impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trial::Works => f.write_str("it works"),
            Trial::Refused(errno) => f.write_str(&errno_text(Errno::from_raw(*errno))),
            Trial::Killed => f.write_str("a filter kills the process that tries (SIGSYS)"),
        }
    }
}

impl Kernel {
    /// The oldest release that may work.
    const OLDEST: (u32, u32) = (5, 14);
    /// The oldest release that is tested and supported.
    const SUPPORTED: (u32, u32) = (6, 1);

    /// Whether this release may work.
    pub fn may_work(&self) -> bool {
        self.at_least(Self::OLDEST.0, Self::OLDEST.1)
    }

    /// What an operator should know of a release that may work and was never tried.
    pub fn untested(&self) -> Option<String> {
        let (major, minor) = Self::SUPPORTED;
        let words = || format!("Linux {} is older than {major}.{minor}, the oldest that is supported", self.release);
        (!self.at_least(major, minor)).then(words)
    }

    /// Whether the kernel is at least this old.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl Namespace {
    /// Every kind, in the order in which they are printed.
    pub const ALL: [Namespace; 7] = [
        Namespace::Mount,
        Namespace::Pid,
        Namespace::Network,
        Namespace::Ipc,
        Namespace::Uts,
        Namespace::Cgroup,
        Namespace::User,
    ];

    /// The word for it in a policy file.
    pub fn name(self) -> &'static str {
        match self {
            Namespace::Mount => "mount",
            Namespace::Pid => "pid",
            Namespace::Network => "network",
            Namespace::Ipc => "ipc",
            Namespace::Uts => "uts",
            Namespace::Cgroup => "cgroup",
            Namespace::User => "user",
        }
    }
}

impl Resource {
    /// The word for it in `[limits]`; those that no policy sets have their getrlimit(2) name.
    pub fn name(self) -> &'static str {
        match self {
            Resource::ProcessorTime => "processor-time",
            Resource::OpenFiles => "open-files",
            Resource::FileSize => "file-size",
            Resource::AddressSpace => "address-space",
            Resource::Stack => "stack",
            Resource::CoreSize => "core-size",
            Resource::LockedMemory => "locked-memory",
            Resource::PendingSignals => "pending-signals",
            Resource::MessageQueues => "message-queues",
            Resource::Tasks => "tasks",
            Resource::Nice => "RLIMIT_NICE",
            Resource::RealtimePriority => "RLIMIT_RTPRIO",
        }
    }
}

impl Controller {
    /// Its name in `cgroup.controllers`.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        }
    }
}
