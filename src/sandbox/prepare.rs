// SPDX-License-Identifier: Apache-2.0
//! What the line needs, made once a service in the launcher: C strings, numbers, descriptors, compiled programs.
//! Decides nothing: every value is the plan's. After this nothing allocates.

use super::line::{CORD, Memory};
use super::relay::{self, CHANNEL, DESCRIPTORS};
use super::witness::Witness;
use super::{ENVIRONMENT_BYTES, ENVIRONMENT_SLOTS, HostError, filter, ruleset, template};
use crate::host::facts::Resource;
use crate::plan::Step;
use crate::plan::model::{
    self, CloneCall, Denials, Ends, Filter, Ids, Namespace, NetworkMode, Plan, Proc, Protocol, Tree,
};
use crate::plan::request::Front;
use crate::plan::sought::Shown;
use crate::plan::steps::Place;
use crate::sys::exec::Vector;
use crate::sys::first;
use crate::sys::relay::Peers;
use nix::errno::Errno;
use nix::libc;
use std::ffi::{CString, OsStr};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Everything that a session's children take from their launcher.
pub(super) struct Prepared {
    /// The steps after the clone, in order.
    pub(super) steps: Vec<Step>,
    /// Those of a sandbox that waits for its client.
    pub(super) steps_of_spare: Vec<Step>,
    /// What makes the first process.
    pub(super) clone: CloneCall,
    /// Flags for it.
    pub(super) namespaces: u64,
    /// The host's /proc, for what must be written there.
    pub(super) proc: OwnedFd,
    /// The proc file system.
    pub(super) proc_mount: Option<Mount>,
    /// `pid_max`, as text.
    pub(super) pid_max: Option<CString>,
    /// `memfd_noexec` is written.
    pub(super) memfd_noexec: bool,
    /// `ns_last_pid` is written.
    pub(super) unique_pid: bool,
    /// Working directory.
    pub(super) directory: CString,
    /// File mode creation mask.
    pub(super) umask: u32,
    /// What depends on the command's ids.
    pub(super) own: Own,
    /// Files of the user namespace below the host's /proc, and what is written there.
    pub(super) user_limits: Vec<(CString, CString)>,
    /// Resource limits in the order of the plan: resource, soft limit, hard limit.
    pub(super) limits: Vec<(u32, u64, u64)>,
    /// There is a right to the bounding set and the securebits.
    pub(super) bounding_set: bool,
    /// The newest capability.
    pub(super) last_capability: u8,
    /// The Landlock ruleset, and the flags that it is enforced with.
    pub(super) ruleset: Option<(OwnedFd, u32)>,
    /// The command's filters, in the order of their installation.
    pub(super) filters: Vec<filter::Program>,
    /// What the launcher has to do with the first of them.
    pub(super) launchers_part: LaunchersPart,
    /// Those of a command that is traced, in their place: a self-test has nobody who would hear.
    pub(super) traced: Option<Vec<filter::Program>>,
    /// The filter of PID 1 that has memory of its own.
    pub(super) reaper_filter: filter::Program,
    /// That of one that has its launcher's and leaves it, where there are such.
    pub(super) leaving_filter: Option<filter::Program>,
    /// What PID 1 answers by, where it hears of what is denied.
    pub(super) told: Option<Filter>,
    /// What it tells others from, where it hears of what granted calls look up and reach as well.
    pub(super) shown: Option<Shown>,
    /// PID 1 is a reaper, not the command itself.
    pub(super) init: bool,
    /// What ends all of a session. Where no PID namespace ends with the first process it is the subreaper, and kills
    /// the others when it ends.
    pub(super) tree: Tree,
    /// The Landlock ruleset of the command alone, and the flags that it is enforced with.
    pub(super) domain: Option<(OwnedFd, u32)>,
    /// PID 1 waits for the last process, not for the command.
    pub(super) ends: Ends,
    /// Signals that the command finds ignored.
    pub(super) ignored: Vec<i32>,
    /// Programs to try.
    pub(super) programs: Vec<Program>,
    /// Environment, with free slots.
    pub(super) environment: Vector,
    /// What a relay needs.
    pub(super) relay: Option<Relay>,
    /// What a self-test compares with.
    pub(super) witness: Witness,
}

/// What a launcher has to do with the first program of its sessions' filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaunchersPart {
    /// Nothing: each session installs all of them.
    None,
    /// It is to be under it before it makes a session. A self-test, which makes calls that no other does, comes first.
    Wanted,
    /// Sessions inherit it.
    Inherited,
}

/// What a relay needs.
pub(super) struct Relay {
    /// In the order of the plan: those of UDP first.
    pub(super) addresses: Vec<SocketAddr>,
    /// How many are of UDP.
    pub(super) datagrams: usize,
    /// Room for one of their datagrams.
    pub(super) buffer: Vec<u8>,
    /// The same, where it connects to them.
    pub(super) peers: Peers,
    /// Its Landlock ruleset, with the flags that it is enforced with.
    pub(super) ruleset: Option<(OwnedFd, u32)>,
    /// Descriptors that it may have open.
    pub(super) open_files: u64,
    /// Its filter.
    pub(super) filter: filter::Program,
}

/// What depends on the command's ids, and with a range of them is made anew for each session.
pub(super) struct Own {
    /// User and group id.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// `U U 1` and `G G 1`.
    pub(super) uid_map: CString,
    pub(super) gid_map: CString,
    /// Scratch file systems.
    pub(super) scratch: Vec<Mount>,
}

/// A file system that a session mounts.
pub(super) struct Mount {
    pub(super) kind: CString,
    pub(super) target: CString,
    pub(super) flags: u64,
    pub(super) options: CString,
}

/// A program to try, as execvp(3) does.
pub(super) struct Program {
    pub(super) path: CString,
    pub(super) arguments: Vector,
    /// `/bin/sh PATH ARGUMENTS`, tried on ENOEXEC.
    pub(super) shell: Option<Vector>,
}

impl Prepared {
    /// Prepares `plan` in the template, where the launcher already is. `host_root` identifies the root directory that
    /// it left.
    pub(super) fn new(plan: &Plan, proc: OwnedFd, host_root: (u64, u64)) -> Result<Prepared, HostError> {
        let ruleset = plan.landlock.as_ref().map(|landlock| ruleset::build(plan, landlock)).transpose()?;
        let shielding = plan.landlock.as_ref().filter(|_| plan.shields_reaper());
        let domain = shielding.map(ruleset::domain).transpose()?;
        let splits = plan.splits_filter();
        let compiled = plan.filter.as_ref().map(|filter| match splits {
            true => filter::split::divide(filter, filter::split::open(plan.steps.iter().copied())),
            false => filter::compile(filter),
        });
        let filters = compiled.transpose()?.unwrap_or_default();
        let hears = |filter: &&Filter| matches!(filter.denials, Denials::Told | Denials::Named);
        let told = plan.filter.as_ref().filter(hears).cloned();
        let named = told.as_ref().filter(|filter| filter.denials == Denials::Named);
        let shown = named.map(|_| Shown::new(plan));
        let traced = plan.filter.as_ref().filter(|filter| filter.denials == Denials::Traced);
        let traced = traced.map(filter::traced).transpose()?;
        let of_child =
            |steps: Vec<Step>| steps.into_iter().filter(|&step| plan.place(step) != Place::Launcher).collect();
        let environment = Vector::with_slots(plan.command.environment.clone(), ENVIRONMENT_SLOTS, ENVIRONMENT_BYTES);
        let own = Own::of(
            plan,
            match plan.identity.ids {
                Ids::One { uid, gid } => (uid, gid),
                // No session starts before it was given its own.
                Ids::Each { range, gid } => (range.first, gid.unwrap_or(range.first)),
            },
        );
        let witness = Witness::new(plan, &proc, host_root, &own.scratch)?;
        Ok(Prepared {
            steps: of_child(plan.steps.clone()),
            steps_of_spare: of_child(plan.steps_of_spare()),
            clone: plan.clone,
            namespaces: clone_flags(plan),
            proc,
            proc_mount: proc_mount(plan),
            pid_max: plan.pid_limits.pid_max.map(|value| text(value.to_string())),
            memfd_noexec: plan.pid_limits.memfd_noexec,
            unique_pid: plan.pid_limits.unique_pid,
            directory: plan.command.directory.clone(),
            umask: plan.command.umask,
            own,
            user_limits: user_limits(plan),
            limits: limits(plan),
            bounding_set: plan.bounding_set,
            last_capability: plan.last_capability,
            ruleset,
            filters,
            launchers_part: if splits { LaunchersPart::Wanted } else { LaunchersPart::None },
            traced,
            reaper_filter: reaper_filter(plan, Memory::Own)?,
            leaving_filter: plan.lends_memory().then(|| reaper_filter(plan, Memory::Lent)).transpose()?,
            told,
            shown,
            init: plan.init,
            tree: plan.tree,
            domain,
            ends: plan.ends,
            ignored: plan.command.ignore_signals.iter().copied().collect(),
            programs: plan.command.programs.iter().map(|path| program(plan, path)).collect(),
            environment,
            relay: plan.relay.as_ref().map(|relay| Relay::new(plan, relay)).transpose()?,
            witness,
        })
    }
}

impl Prepared {
    /// Gives the next session its ids: those of the plan, or this one out of the plan's range.
    pub(super) fn give(&mut self, plan: &Plan, user: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = plan.identity.ids.of(user).ok_or(Errno::EINVAL)?;
        if (uid, gid) != (self.own.uid, self.own.gid) {
            self.own = Own::of(plan, (uid, gid));
        }
        Ok(())
    }
}

impl Relay {
    fn new(plan: &Plan, relay: &model::Relay) -> Result<Relay, HostError> {
        let told = |errno| HostError::new("keep the addresses of the relay's peers", errno);
        let addresses: Vec<SocketAddr> = relay.peers.iter().map(|peer| peer.address).collect();
        let datagrams = relay.peers.iter().filter(|peer| peer.protocol == Protocol::Udp).count();
        let peers = Peers::new(addresses.iter().copied()).map_err(told)?;
        let places: Vec<_> = (0..addresses.len()).filter_map(|peer| peers.arguments(peer)).collect();
        let ruleset = plan
            .landlock
            .as_ref()
            .map(|landlock| ruleset::relay(landlock, relay).map(|built| (built, ruleset::flags(landlock))));
        Ok(Relay {
            peers,
            ruleset: ruleset.transpose()?,
            open_files: relay_open_files(),
            filter: filter::relay(&places, (CORD as u32, CHANNEL as u32), datagrams)?,
            buffer: vec![0; if datagrams > 0 { relay::LONGEST_DATAGRAM } else { 0 }],
            addresses,
            datagrams,
        })
    }
}

impl Own {
    pub(super) fn of(plan: &Plan, (uid, gid): (u32, u32)) -> Own {
        Own {
            uid,
            gid,
            uid_map: text(format!("{uid} {uid} 1")),
            gid_map: text(format!("{gid} {gid} 1")),
            scratch: (0..plan.scratch.len()).map(|index| scratch(plan, index, (uid, gid))).collect(),
        }
    }
}

/// The filter of PID 1: what has memory of its own, as that of a spare or of a self-test, executes nothing.
pub(super) fn reaper_filter(plan: &Plan, memory: Memory) -> Result<filter::Program, HostError> {
    let program = match memory {
        Memory::Own => None,
        Memory::Lent => Some(first::PROGRAM),
    };
    filter::reaper(plan.filter.as_ref().map_or(Denials::Silent, |filter| filter.denials), plan.tree, program)
}

fn clone_flags(plan: &Plan) -> u64 {
    plan.namespaces.iter().fold(0, |flags, namespace| {
        flags
            | match namespace {
                Namespace::Mount => libc::CLONE_NEWNS as u64,
                Namespace::Pid => libc::CLONE_NEWPID as u64,
                Namespace::Network if plan.network == NetworkMode::Host => 0,
                // A step of its own, after the relay was left behind.
                Namespace::Network if plan.relay.is_some() => 0,
                Namespace::Network => libc::CLONE_NEWNET as u64,
                Namespace::Ipc => libc::CLONE_NEWIPC as u64,
                Namespace::Uts => libc::CLONE_NEWUTS as u64,
                Namespace::Cgroup => libc::CLONE_NEWCGROUP as u64,
                // A step of its own, after the ids.
                Namespace::User => 0,
            }
    })
}

fn scratch(plan: &Plan, index: usize, (uid, gid): (u32, u32)) -> Mount {
    let scratch = &plan.scratch[index];
    let execute = if scratch.execute { 0 } else { libc::MS_NOEXEC };
    let (size, inodes) = (scratch.size, scratch.inodes);
    Mount {
        kind: c"tmpfs".into(),
        target: path(template::scratch_mount_point(plan, index)),
        flags: libc::MS_NOSUID | libc::MS_NODEV | execute,
        options: text(format!("size={size},nr_inodes={inodes},mode=1777,uid={uid},gid={gid}")),
    }
}

fn proc_mount(plan: &Plan) -> Option<Mount> {
    let (flags, options) = match plan.proc {
        Proc::None => return None,
        Proc::Subset => (libc::MS_RDONLY, c"subset=pid"),
        Proc::Full => (0, c""),
    };
    Some(Mount {
        kind: c"proc".into(),
        target: path(template::proc_mount_point(plan)),
        flags: flags | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
        options: options.into(),
    })
}

fn limits(plan: &Plan) -> Vec<(u32, u64, u64)> {
    plan.resources
        .iter()
        .map(|(&resource, &value)| match resource {
            // SIGXCPU comes at the soft limit and says what happened; whoever ignores it is killed at the hard one.
            Resource::ProcessorTime => (libc::RLIMIT_CPU, value, processor_time_end(value)),
            Resource::OpenFiles => (libc::RLIMIT_NOFILE, value, value),
            Resource::FileSize => (libc::RLIMIT_FSIZE, value, value),
            Resource::AddressSpace => (libc::RLIMIT_AS, value, value),
            Resource::Stack => (libc::RLIMIT_STACK, value, value),
            Resource::CoreSize => (libc::RLIMIT_CORE, value, value),
            Resource::LockedMemory => (libc::RLIMIT_MEMLOCK, value, value),
            Resource::PendingSignals => (libc::RLIMIT_SIGPENDING, value, value),
            Resource::MessageQueues => (libc::RLIMIT_MSGQUEUE, value, value),
            Resource::Tasks => (libc::RLIMIT_NPROC, value, value),
            Resource::Nice => (libc::RLIMIT_NICE, value, value),
            Resource::RealtimePriority => (libc::RLIMIT_RTPRIO, value, value),
        })
        .collect()
}

fn user_limits(plan: &Plan) -> Vec<(CString, CString)> {
    let file = |(name, most): (&&str, &u64)| (text(format!("sys/user/{name}")), text(most.to_string()));
    plan.user_limits.iter().map(file).collect()
}

/// One second more than the soft limit, but never above the hard limit that is in force.
fn processor_time_end(seconds: u64) -> u64 {
    let in_force = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CPU);
    seconds.saturating_add(1).min(in_force.map_or(seconds, |(_, hard)| hard))
}

/// What its table can take, but never above the hard limit that is in force: it serves fewer at once then.
fn relay_open_files() -> u64 {
    let in_force = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    DESCRIPTORS.min(in_force.map_or(DESCRIPTORS, |(_, hard)| hard))
}

fn program(plan: &Plan, path: &CString) -> Program {
    let rest = plan.command.argv.iter().skip(1).cloned();
    let shell = match plan.front {
        // execvp(3) hands a file without a magic number to the shell, and spawn(8) calls execvp.
        Front::Master => Some([c"/bin/sh".into(), path.clone()].into_iter().chain(rest).collect()),
        Front::Listen | Front::Run => None,
    };
    Program { path: path.clone(), arguments: Vector::new(plan.command.argv.clone()), shell: shell.map(Vector::new) }
}

/// Numbers and fixed words have no NUL.
fn text(string: String) -> CString {
    CString::new(string).expect("digits and fixed words have no NUL")
}

/// The plan's paths come from C strings and policy entries, which are refused with a NUL.
fn path(path: PathBuf) -> CString {
    CString::new(OsStr::as_bytes(path.as_os_str())).expect("the policy refuses a path with a NUL")
}
