// SPDX-License-Identifier: Apache-2.0
//! A policy after `extends` and `-s` were applied: what was written, by whom, and nothing that was not.
//! No defaults here: an absent value is absent, and `plan` reads it as the strictest one.

use super::address::Address;
pub use super::clients::{Clients, Frequency, Who};
pub use super::kinds::{
    ClientNames, Device, Ends, HostName, Layer, Level, Namespace, NetworkMode, OnDeny, Proc, Root, RootWord,
    StandardError,
};
use super::origin::{Origin, Sourced};
use super::source::Source;
use super::variables::Filled;
pub use crate::host::facts::IdRange;
use crate::host::facts::Names;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The merged policy of one service.
// No Default for the outside world: an empty policy is made by `Policy::named` and allows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// File stem or built-in name, for log lines.
    pub name: String,
    /// SHA-256 over the bytes of every file in the order they were read, as lower case hexadecimal.
    pub hash: String,
    /// The texts that were read, for reports that quote them.
    pub sources: Vec<Source>,
    /// The texts in which names of the service were filled in.
    pub filled: Vec<Filled>,
    /// One line for people.
    pub description: Option<Sourced<String>>,
    /// `[command]`
    pub command: Command,
    /// `[files]`
    pub files: Files,
    /// `[network]`
    pub network: Network,
    /// `[syscalls]`
    pub syscalls: Syscalls,
    /// `[limits]`
    pub limits: Limits,
    /// `[isolation]`
    pub isolation: Isolation,
    /// `[connection]`
    pub connection: Connection,
    /// `[clients]`
    pub clients: Clients,
    /// `[listen]`
    pub listen: Listen,
}

/// `[command]`: what runs, as whom, with what around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// As whom.
    pub user: Option<Sourced<User>>,
    /// Group name or decimal gid; absent means the user's own.
    pub group: Option<Sourced<String>>,
    /// Program and arguments; at least one word.
    pub argv: Option<Sourced<Vec<String>>>,
    /// Working directory inside the sandbox.
    pub directory: Option<Sourced<PathBuf>>,
    /// Names and values; nothing is inherited.
    pub environment: BTreeMap<String, Sourced<String>>,
    /// Adds what is known of the client at hand-over, under these names.
    pub client_environment: Option<Sourced<Option<ClientNames>>>,
    /// File mode creation mask.
    pub umask: Option<Sourced<u32>>,
    /// Signals that the command finds ignored, as numbers.
    pub ignore_signals: Option<Sourced<BTreeSet<i32>>>,
}

/// `user`: one account, or ids that are nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// User name or decimal uid.
    Account(String),
    /// `{ range = "FIRST-LAST" }`: each session has an id of its own.
    Range(IdRange),
}

/// `[files]`: what the command can see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// What the root directory is, and where the paths below are.
    pub root: Option<Sourced<Root>>,
    /// Files and trees that may be read.
    pub read: Vec<Sourced<Entry>>,
    /// Files and trees that may be read and executed.
    pub execute: Vec<Sourced<Entry>>,
    /// Files and trees that may be read, written, created in and removed from.
    pub write: Vec<Sourced<Entry>>,
    /// Private temporary file systems, one for each session.
    pub scratch: Vec<Sourced<Scratch>>,
    /// Nodes of /dev.
    pub devices: Vec<Sourced<Device>>,
    /// Whether /proc is there.
    pub proc: Option<Sourced<Proc>>,
}

/// One path of `read`, `execute` or `write`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// A host without it is no error.
    pub optional: bool,
    /// The reason, for `explain`.
    pub why: Option<String>,
}

/// One private temporary file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scratch {
    /// Where the command finds it.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Files and directories.
    pub inodes: u64,
    /// Whether programs may be run from it.
    pub execute: bool,
}

/// `[network]`: what the command can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Which network namespace.
    pub mode: Option<Sourced<NetworkMode>>,
    /// Ports that TCP may connect to.
    pub connect: Option<Sourced<Ports>>,
    /// Ports that TCP may bind.
    pub bind: Option<Sourced<Ports>>,
    /// Ports that UDP may send to.
    pub udp: Option<Sourced<Ports>>,
    /// Peers of the host's network that are reached at the same address in the session's own.
    pub forward: Vec<Sourced<Peer>>,
    /// The host's resolvers, by UDP and TCP, are such peers too.
    pub resolver: Option<Sourced<bool>>,
}

/// One peer of the host's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// By what.
    pub protocol: Protocol,
    /// Address and port.
    pub address: SocketAddr,
}

/// How a peer is spoken to. UDP comes first: a relay has its sockets at the lowest numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
        }
    }
}

/// As a policy has it.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Udp => write!(f, "udp:{}", self.address),
            Protocol::Tcp => write!(f, "{}", self.address),
        }
    }
}

/// Ports, in the policy's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// `"any"`: said, so not a slip.
    Any,
    /// These.
    List(BTreeSet<u16>),
}

/// `[syscalls]`: what the command may ask of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Syscalls {
    /// Groups (`io`, `@file-system`, `all`) and names of single calls.
    pub allow: Vec<Sourced<String>>,
    /// Groups and names taken away again.
    pub deny: Vec<Sourced<String>>,
    /// What a call that is not allowed meets.
    pub on_deny: Option<Sourced<OnDeny>>,
}

/// `[limits]`. Sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of the whole connection, from accept.
    pub time: Option<Sourced<Duration>>,
    /// How long the connection may carry nothing, either way.
    pub idle: Option<Sourced<Duration>>,
    /// Processor time of one process; whole seconds (`RLIMIT_CPU`).
    pub processor_time: Option<Sourced<Duration>>,
    /// Memory of the whole session (cgroup `memory.max`, swap 0).
    pub memory: Option<Sourced<u64>>,
    /// Processes and threads of the session (`RLIMIT_NPROC` in its user namespace, and `pids.max`).
    pub tasks: Option<Sourced<u64>>,
    /// Share of one processor in percent (cgroup `cpu.max`).
    pub cpu: Option<Sourced<u64>>,
    /// Open descriptors of one process (`RLIMIT_NOFILE`).
    pub open_files: Option<Sourced<u64>>,
    /// Largest file that can be written (`RLIMIT_FSIZE`).
    pub file_size: Option<Sourced<u64>>,
    /// Address space of one process (`RLIMIT_AS`).
    pub address_space: Option<Sourced<u64>>,
    /// Stack of one process (`RLIMIT_STACK`).
    pub stack: Option<Sourced<u64>>,
    /// Core file (`RLIMIT_CORE`).
    pub core_size: Option<Sourced<u64>>,
    /// Locked memory (`RLIMIT_MEMLOCK`).
    pub locked_memory: Option<Sourced<u64>>,
    /// Queued signals (`RLIMIT_SIGPENDING`).
    pub pending_signals: Option<Sourced<u64>>,
    /// POSIX message queues (`RLIMIT_MSGQUEUE`).
    pub message_queues: Option<Sourced<u64>>,
    /// Memory of all sessions of the service together (cgroup `memory.max`, swap 0).
    pub service_memory: Option<Sourced<u64>>,
    /// Their processes and threads (`pids.max`).
    pub service_tasks: Option<Sourced<u64>>,
    /// Their share of one processor in percent (`cpu.max`).
    pub service_cpu: Option<Sourced<u64>>,
}

/// `[isolation]`: the layers, each of which a policy can switch off by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// The least kind of sandbox that will do.
    pub level: Option<Sourced<Level>>,
    /// The namespaces that are the session's own.
    pub namespaces: Option<Sourced<BTreeSet<Namespace>>>,
    /// Whether a reaper of ours is PID 1, or the command itself.
    pub init: Option<Sourced<bool>>,
    /// The name of the host that it sees.
    pub hostname: Option<Sourced<HostName>>,
    /// Landlock.
    pub landlock: Option<Sourced<Layer>>,
    /// What it denies is told through the kernel's audit log, and named in ours (Landlock ABI 7).
    pub landlock_audit: Option<Sourced<bool>>,
    /// The system call filter.
    pub seccomp: Option<Sourced<Layer>>,
    /// No memory both writable and executable (`PR_SET_MDWE`, Linux 6.3).
    pub memory_deny_write_execute: Option<Sourced<bool>>,
    /// `kernel.pid_max` of the PID namespace (Linux 6.14).
    pub pid_max: Option<Sourced<u64>>,
    /// `vm.memfd_noexec` of the PID namespace is 2 (Linux 6.3).
    pub memfd_noexec: Option<Sourced<bool>>,
    /// The command's process id is one that no other live session's command has.
    pub unique_pid: Option<Sourced<bool>>,
}

/// `[connection]`: how a session treats its connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The supervisor keeps its own copy until the command ends, as spawn(8) does.
    pub hold: Option<Sourced<bool>>,
    /// When the session is over.
    pub ends: Option<Sourced<Ends>>,
    /// Where the command's standard error goes.
    pub stderr: Option<Sourced<StandardError>>,
    /// The most sessions that one process serves at once.
    pub concurrency: Option<Sourced<u64>>,
    /// The most sandboxes that wait for clients.
    pub spares: Option<Sourced<u64>>,
}

/// `[listen]`: where the service listens itself. Who has somebody else listen for it does not look here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// One value, as ports are: what a file names takes the place of what it extends.
    pub addresses: Vec<Sourced<Address>>,
    /// How many clients wait in the kernel, whom nobody has accepted yet.
    pub backlog: Option<Sourced<u64>>,
    /// Others of the same user may listen on the same port (`SO_REUSEPORT`).
    pub reuse_port: Option<Sourced<bool>>,
}

impl Policy {
    /// A policy in which nothing is written yet.
    pub fn named(name: impl Into<String>) -> Self {
        Policy {
            name: name.into(),
            hash: String::new(),
            sources: Vec::new(),
            filled: Vec::new(),
            description: None,
            command: Command::default(),
            files: Files::default(),
            network: Network::default(),
            syscalls: Syscalls::default(),
            limits: Limits::default(),
            isolation: Isolation::default(),
            connection: Connection::default(),
            clients: Clients::default(),
            listen: Listen::default(),
        }
    }

    /// What was read, in that order; of a file with a built-in policy's name, that it is used instead.
    pub fn read_from(&self) -> impl Iterator<Item = String> {
        self.sources.iter().map(|source| match source.stands_for() {
            Some(builtin) => format!("{} (not the built-in {builtin})", source.title()),
            None => source.title(),
        })
    }

    /// A line for each file that is used instead of the built-in policy whose name it has.
    pub fn stand_ins(&self) -> impl Iterator<Item = String> {
        let told = |source: &Source, builtin| format!("{} is used, and not the built-in {builtin}", source.title());
        self.sources.iter().filter_map(move |source| Some(told(source, source.stands_for()?)))
    }

    /// The policy without the entries of lists, and the accounts, that were written at `origin`: for whoever looks for
    /// more mistakes behind one of them.
    pub fn without(mut self, origin: &Origin) -> Policy {
        fn keep<T>(list: &mut Vec<Sourced<T>>, origin: &Origin) {
            list.retain(|entry| entry.origin != *origin);
        }
        let files = &mut self.files;
        [&mut files.read, &mut files.execute, &mut files.write].into_iter().for_each(|list| keep(list, origin));
        keep(&mut files.scratch, origin);
        keep(&mut self.syscalls.allow, origin);
        keep(&mut self.syscalls.deny, origin);
        keep(&mut self.listen.addresses, origin);
        self.command.user = self.command.user.filter(|user| user.origin != *origin);
        self.command.group = self.command.group.filter(|group| group.origin != *origin);
        self
    }

    /// The accounts and ranges of ids that the policy names, for whoever looks them up.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        match self.command.user.as_ref().map(|user| &user.value) {
            Some(User::Account(name)) => names.users.push(name.clone()),
            Some(User::Range(range)) => names.ranges.push(*range),
            None => {}
        }
        names.groups.extend(self.command.group.as_ref().map(|group| group.value.clone()));
        for Sourced { value, .. } in &self.listen.addresses {
            value.names(&mut names);
        }
        names
    }

    /// Every path of the host that the policy names, for whoever looks at them. Sorted, each once.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = &self.files;
        let entries = [&files.read, &files.execute, &files.write].into_iter().flatten();
        let entries = entries.map(|entry| &entry.value.path);
        let all: BTreeSet<&PathBuf> = entries.chain(files.scratch.iter().map(|scratch| &scratch.value.path)).collect();
        all.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_host_is_named_once() {
        let entry = |path: &str| {
            Sourced::new(Entry { path: PathBuf::from(path), optional: false, why: None }, Origin::CommandLine)
        };
        let scratch = Scratch { path: PathBuf::from("/tmp"), size: 1, inodes: 1, execute: false };
        let mut policy = Policy::named("test");
        policy.files.read = vec![entry("/usr"), entry("/etc/hosts")];
        policy.files.execute = vec![entry("/usr")];
        policy.files.write = vec![entry("/srv")];
        policy.files.scratch = vec![Sourced::new(scratch, Origin::CommandLine)];
        assert_eq!(policy.paths(), ["/etc/hosts", "/srv", "/tmp", "/usr"].map(PathBuf::from));
    }
}
