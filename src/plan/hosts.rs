// SPDX-License-Identifier: Apache-2.0
//! Hosts and policies written down as literals, for the tests of this floor.
//! No observing: what stands here was seen on such a machine once.

use super::request::{Front, Request, Transport};
use crate::host::facts::{Account, Accounts, Cgroup, Controller, Facts, Kernel, PathFact, Resource, Trial};
use crate::policy::model::{
    Device, Entry, HostName, Layer, Namespace, NetworkMode, Policy, Ports, Proc, Root, Scratch,
};
use crate::policy::{Origin, Sourced};
use nix::errno::Errno;
use nix::libc;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Root on Linux 6.18: everything works, control groups without controllers, which sit on version 1.
pub(crate) fn root_on_618() -> Facts {
    let all = BTreeSet::from([Controller::Cpu, Controller::Memory, Controller::Pids]);
    Facts {
        kernel: Kernel { major: 6, minor: 18, release: "6.18.5".to_string() },
        uid: 0,
        gid: 0,
        groups: BTreeSet::new(),
        namespaces: Namespace::ALL.into_iter().map(|namespace| (namespace, Trial::Works)).collect(),
        landlock_abi: 7,
        seccomp: Trial::Works,
        listener: Trial::Works,
        clone3: Trial::Works,
        keyring: Trial::Works,
        bounding_set: Trial::Works,
        mdwe: Trial::Works,
        pid_max: Trial::Works,
        memfd_noexec: Trial::Works,
        ns_last_pid: Trial::Works,
        hostname: Trial::Works,
        cgroup: Cgroup::At {
            path: PathBuf::from("/sys/fs/cgroup/unified/spawnbox"),
            controllers: BTreeSet::new(),
            on_v1: all,
        },
        last_capability: 40,
        suid_dumpable: false,
        oom_score_adj: 0,
        hard_limits: BTreeMap::from([
            (Resource::OpenFiles, 1_048_576),
            (Resource::LockedMemory, 8 << 20),
            (Resource::PendingSignals, 31_000),
            (Resource::MessageQueues, 819_200),
            (Resource::Nice, 0),
            (Resource::RealtimePriority, 0),
        ]),
        resolvers: vec!["127.0.0.53".parse().expect("it is an address")],
        paths: paths(),
        image: None,
        accounts: accounts(),
    }
}

/// Root on Debian 12: Linux 6.1 has Landlock ABI 2, no MDWE, no settings of a PID namespace; all on version 2.
pub(crate) fn root_on_debian_12() -> Facts {
    Facts {
        kernel: Kernel { major: 6, minor: 1, release: "6.1.0-44-amd64".to_string() },
        landlock_abi: 2,
        mdwe: Trial::Refused(Errno::EINVAL as i32),
        pid_max: Trial::Refused(Errno::EACCES as i32),
        memfd_noexec: Trial::Refused(Errno::ENOENT as i32),
        cgroup: Cgroup::At {
            path: PathBuf::from("/sys/fs/cgroup/spawnbox"),
            controllers: BTreeSet::from([Controller::Cpu, Controller::Memory, Controller::Pids]),
            on_v1: BTreeSet::new(),
        },
        ..root_on_618()
    }
}

/// An ordinary user of a desktop on Linux 6.18, in the groups sudo and docker; no control group is its own.
pub(crate) fn user_on_618() -> Facts {
    Facts {
        uid: 1000,
        gid: 1000,
        groups: BTreeSet::from([27, 998, 1000]),
        bounding_set: Trial::Refused(Errno::EPERM as i32),
        memfd_noexec: Trial::Refused(Errno::EACCES as i32),
        cgroup: Cgroup::Unavailable("/sys/fs/cgroup/user.slice belongs to root".to_string()),
        ..root_on_618()
    }
}

fn paths() -> BTreeMap<PathBuf, PathFact> {
    let found = |directory, path: &str, resolved: &str, link: Option<&str>| {
        let link = link.map(PathBuf::from);
        (PathBuf::from(path), PathFact::Found { resolved: PathBuf::from(resolved), directory, link })
    };
    BTreeMap::from([
        found(true, "/usr", "/usr", None),
        found(true, "/usr/lib", "/usr/lib", None),
        found(true, "/usr/local/var", "/usr/local/var", None),
        found(true, "/lib", "/usr/lib", Some("usr/lib")),
        found(true, "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", None),
        found(true, "/lib64", "/usr/lib64", Some("usr/lib64")),
        found(true, "/bin", "/usr/bin", Some("usr/bin")),
        found(false, "/usr/bin/awk", "/usr/bin/mawk", Some("/etc/alternatives/awk")),
        found(false, "/etc/ld.so.cache", "/etc/ld.so.cache", None),
        found(false, "/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin", Some("/usr/share/zoneinfo/Europe/Berlin")),
        found(true, "/var/lib/greylist", "/var/lib/greylist", None),
        found(true, "/var/spool/postfix", "/var/spool/postfix", None),
        found(true, "/tmp", "/tmp", None),
        found(true, "/srv", "/srv", None),
        found(true, "/proc", "/proc", None),
        (PathBuf::from("/root/key"), PathFact::Unreadable(Errno::EACCES as i32)),
        (PathBuf::from("/etc/gone"), PathFact::Missing),
    ])
}

fn accounts() -> Accounts {
    let user = |name: &str, uid, gid| (name.to_string(), Some(Account { name: name.to_string(), uid, gid }));
    let group = |name: &str, gid| (name.to_string(), Some(gid));
    let users = [
        user("root", 0, 0),
        user("toor", 0, 100),
        user("wheel", 500, 0),
        user("postfix", 104, 110),
        user("policyd-spf", 112, 119),
        user("lastuser", u32::MAX, 100),
        user("lastgroup", 501, u32::MAX),
        user("nobody", 65534, 65534),
        user("anna", 1000, 1000),
        user("112", 112, 119),
        ("ghost".to_string(), None),
    ];
    let groups = [
        group("root", 0),
        group("postfix", 110),
        group("sudo", 27),
        group("docker", 998),
        group("mail", 8),
        ("ghosts".to_string(), None),
    ];
    Accounts { users: BTreeMap::from(users), groups: BTreeMap::from(groups), occupied: Vec::new() }
}

/// The place of a line in a policy file.
pub(crate) fn line(line: u32) -> Origin {
    Origin::File { path: Arc::new(PathBuf::from("/etc/spawnbox/test.toml")), line, column: 1 }
}

/// A value on a line of the profile that a policy extends.
pub(crate) fn profile<T>(name: &str, number: u32, value: T) -> Sourced<T> {
    Sourced::new(value, Origin::Profile { name: Arc::from(name), line: number })
}

/// A value on a line of the policy file.
pub(crate) fn on<T>(number: u32, value: T) -> Sourced<T> {
    Sourced::new(value, line(number))
}

/// A path of a list, not optional.
pub(crate) fn entry(path: &str) -> Entry {
    Entry { path: PathBuf::from(path), optional: false, why: None }
}

/// A scratch file system of 16 MiB.
pub(crate) fn scratch(path: &str) -> Scratch {
    Scratch { path: PathBuf::from(path), size: 16 << 20, inodes: 1024, execute: false }
}

/// `spawnbox listen` on a TCP port.
pub(crate) fn listen(argv: &[&str]) -> Request {
    let argv = argv.iter().map(|word| (*word).to_string()).collect();
    Request { argv: Some(Sourced::new(argv, Origin::CommandLine)), ..Request::new("sh", Front::Listen, Transport::Tcp) }
}

/// An entry of master.cf.
pub(crate) fn master(user: &str, argv: &[&str]) -> Request {
    let attribute = |name: &str| Origin::Postfix(Arc::from(name));
    Request {
        service: "policy".to_string(),
        front: Front::Master,
        transport: Transport::Unix,
        user: Some(Sourced::new(user.to_string(), attribute("user="))),
        argv: Some(Sourced::new(argv.iter().map(|word| (*word).to_string()).collect(), attribute("argv="))),
        time_limit: Some(Sourced::new(Duration::from_secs(3600), attribute("policy_time_limit"))),
        environment: vec![
            ("MAIL_CONFIG".to_string(), "/etc/postfix".to_string()),
            ("LANG".to_string(), "C".to_string()),
            ("PATH".to_string(), "/usr/bin:/bin".to_string()),
        ],
        directory: Some(PathBuf::from("/var/spool/postfix")),
        mail_owner: Some((104, 110)),
        ..listen(&[])
    }
}

/// Much like the profile of that name: an almost empty root and the default calls.
pub(crate) fn strict() -> Policy {
    let p = |number, value| profile("strict", number, value);
    let mut policy = Policy::named("strict");
    policy.hash = "5f".repeat(32);
    policy.description = Some(profile("strict", 2, "no file, no network, no other process".to_string()));
    policy.command.environment = BTreeMap::from([
        ("LANG".to_string(), profile("strict", 5, "C.UTF-8".to_string())),
        ("PATH".to_string(), profile("strict", 6, "/usr/bin:/bin".to_string())),
    ]);
    policy.files.execute = ["/usr", "/lib", "/lib64", "/bin"].map(|path| profile("strict", 9, entry(path))).to_vec();
    policy.files.read = ["/etc/ld.so.cache", "/etc/localtime"].map(|path| profile("strict", 10, entry(path))).to_vec();
    policy.files.scratch = vec![profile("strict", 11, scratch("/tmp"))];
    policy.files.devices = Device::ALL.map(|device| profile("strict", 12, device)).to_vec();
    policy.syscalls.allow = vec![profile("strict", 15, "default".to_string())];
    policy.limits.time = Some(profile("strict", 18, Duration::from_secs(1000)));
    policy.limits.processor_time = Some(profile("strict", 19, Duration::from_secs(60)));
    policy.limits.tasks = Some(p(20, 32));
    policy.limits.open_files = Some(p(21, 64));
    policy.limits.file_size = Some(p(22, 16 << 20));
    policy.limits.address_space = Some(p(23, 1 << 30));
    policy.limits.stack = Some(p(24, 8 << 20));
    policy.limits.core_size = Some(p(25, 0));
    policy.limits.locked_memory = Some(p(26, 64 << 10));
    policy.limits.pending_signals = Some(p(27, 64));
    policy.limits.message_queues = Some(p(28, 0));
    policy
}

/// Much like the profile of that name: what worked under spawn(8) works.
pub(crate) fn compatible() -> Policy {
    let wanted = [Namespace::Mount, Namespace::Pid, Namespace::Uts, Namespace::Cgroup];
    let mut policy = Policy::named("compatible");
    policy.hash = "c0".repeat(32);
    policy.description = Some(profile("compatible", 2, "what worked under spawn(8)".to_string()));
    policy.command.ignore_signals = Some(profile("compatible", 4, BTreeSet::from([libc::SIGPIPE, libc::SIGXFSZ])));
    policy.files.root = Some(profile("compatible", 6, Root::Host));
    policy.files.scratch = vec![profile("compatible", 7, scratch("/tmp"))];
    policy.files.proc = Some(profile("compatible", 8, Proc::Full));
    policy.network.mode = Some(profile("compatible", 10, NetworkMode::Host));
    policy.network.connect = Some(profile("compatible", 11, Ports::Any));
    policy.network.bind = Some(profile("compatible", 12, Ports::Any));
    policy.network.udp = Some(profile("compatible", 13, Ports::Any));
    policy.syscalls.allow = vec![profile("compatible", 15, "all".to_string())];
    policy.isolation.namespaces = Some(profile("compatible", 17, BTreeSet::from(wanted)));
    policy.isolation.landlock = Some(profile("compatible", 18, Layer::Required));
    policy.isolation.unique_pid = Some(profile("compatible", 19, true));
    policy.isolation.hostname = Some(profile("compatible", 20, HostName::Host));
    policy
}
