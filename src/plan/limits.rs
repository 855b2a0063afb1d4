// SPDX-License-Identifier: Apache-2.0
//! `[limits]`: what the kernel counts for a process, for a user namespace, and for a control group.
//! A limit that nothing on this host counts is refused, never skipped, but for a profile's own `limits.tasks` at the
//! level `landlock-only`, which is said to be off.

use super::calls;
use super::model::{CgroupLimits, Filter, Ids, Namespace, Off};
use super::refuse::{Lack, Refusal, Slip, Where};
use super::request::{Front, Request, Transport};
use crate::host::facts::{Cgroup, Controller, Facts, Resource};
use crate::policy::model::Limits;
use crate::policy::{Policy, Sourced};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A core limit of 0 lets a piped core_pattern dump; 1 is below every header, so nothing is written (Linux,
/// fs/coredump.c).
const NO_CORE: u64 = 1;

/// The name of the limit of tasks where it is off.
pub(super) const TASKS: &str = "task limit";

/// The kinds of limits.
pub(super) struct Planned {
    pub(super) resources: BTreeMap<Resource, u64>,
    pub(super) cgroup: CgroupLimits,
    pub(super) service_cgroup: CgroupLimits,
}

/// Plans every limit that is written, and those that always stand.
pub(super) fn resolve(
    limits: &Limits,
    namespaces: &BTreeSet<Namespace>,
    own_tasks: u64,
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<Planned, Refusal> {
    let mut resources = written(limits);
    let service_cgroup = CgroupLimits {
        memory: needs(limits.service_memory.as_ref(), "limits.service.memory", Controller::Memory, facts)?,
        // One session too many must not end them all.
        as_one: false,
        tasks: needs(limits.service_tasks.as_ref(), "limits.service.tasks", Controller::Pids, facts)?,
        cpu: needs(limits.service_cpu.as_ref(), "limits.service.cpu", Controller::Cpu, facts)?,
    };
    let cgroup = CgroupLimits {
        memory: needs(limits.memory.as_ref(), "limits.memory", Controller::Memory, facts)?,
        // Half a session would go on with what the other half was to do.
        as_one: limits.memory.is_some() || limits.service_memory.is_some(),
        cpu: needs(limits.cpu.as_ref(), "limits.cpu", Controller::Cpu, facts)?,
        tasks: match &limits.tasks {
            None => None,
            Some(tasks) => {
                let all = tasks.value.saturating_add(own_tasks);
                let counted = namespaces.contains(&Namespace::User);
                if counted {
                    resources.insert(Resource::Tasks, all);
                }
                match place(Controller::Pids, facts) {
                    None => Some(all),
                    Some(_) if counted => None,
                    Some(place) => return Err(Refusal::new(Lack::Tasks { place }, &tasks.origin)),
                }
            }
        },
    };
    lower(&mut resources, facts);
    absent(limits, &resources, off);
    Ok(Planned { resources, cgroup, service_cgroup })
}

fn written(limits: &Limits) -> BTreeMap<Resource, u64> {
    // RLIMIT_CPU counts whole seconds, and 0 means one to the kernel.
    let seconds = |time: &Sourced<Duration>| time.value.as_secs().max(1);
    let value = |limit: &Option<Sourced<u64>>| limit.as_ref().map(|limit| limit.value);
    let core = value(&limits.core_size).unwrap_or(NO_CORE).max(NO_CORE);
    let all = [
        (Resource::ProcessorTime, limits.processor_time.as_ref().map(seconds)),
        (Resource::OpenFiles, value(&limits.open_files)),
        (Resource::FileSize, value(&limits.file_size)),
        (Resource::AddressSpace, value(&limits.address_space)),
        (Resource::Stack, value(&limits.stack)),
        (Resource::CoreSize, Some(core)),
        (Resource::LockedMemory, value(&limits.locked_memory)),
        (Resource::PendingSignals, value(&limits.pending_signals)),
        (Resource::MessageQueues, value(&limits.message_queues)),
        // No command may rise above others: always.
        (Resource::Nice, Some(0)),
        (Resource::RealtimePriority, Some(0)),
    ];
    all.into_iter().filter_map(|(resource, value)| Some((resource, value?))).collect()
}

/// No hard limit can be raised: inside a user namespace the kernel asks for CAP_SYS_RESOURCE in the host's, see
/// setrlimit(2). A lower one is stricter than what was asked for, so it stands.
fn lower(resources: &mut BTreeMap<Resource, u64>, facts: &Facts) {
    for (resource, value) in resources {
        if let Some(hard) = facts.hard_limits.get(resource) {
            *value = (*value).min(*hard);
        }
    }
}

fn needs(
    limit: Option<&Sourced<u64>>,
    key: &'static str,
    controller: Controller,
    facts: &Facts,
) -> Result<Option<u64>, Refusal> {
    let Some(limit) = limit else { return Ok(None) };
    match place(controller, facts) {
        None => Ok(Some(limit.value)),
        Some(place) => Err(Refusal::new(Lack::Controller { key, controller, place }, &limit.origin)),
    }
}

/// Where a controller is, if sessions cannot have it.
fn place(controller: Controller, facts: &Facts) -> Option<Where> {
    match &facts.cgroup {
        Cgroup::Unavailable(why) => Some(Where::NoDirectory(why.clone())),
        Cgroup::At { controllers, .. } if controllers.contains(&controller) => None,
        Cgroup::At { on_v1, .. } if on_v1.contains(&controller) => Some(Where::Version1),
        Cgroup::At { .. } => Some(Where::NotDelegated),
    }
}

/// The limits of a whole session that no one set, for `explain`.
fn absent(limits: &Limits, resources: &BTreeMap<Resource, u64>, off: &mut Vec<Off>) {
    let missing = |set: bool, name: &str, key: &str| (!set).then(|| Off::new(name, format!("no {key} is set")));
    off.extend(missing(limits.memory.is_some(), "memory limit", "limits.memory"));
    let said = off.iter().any(|off| off.layer == TASKS);
    off.extend(missing(limits.tasks.is_some() || said, TASKS, "limits.tasks"));
    off.extend(missing(limits.cpu.is_some(), "processor share", "limits.cpu"));
    if resources.get(&Resource::CoreSize) == Some(&0) {
        let why = "the supervisor's hard limit is 0, which does not stop a dump into a piped core_pattern";
        off.push(Off::new("core dumps", why));
    }
}

/// What the kernel counts for a user, in this namespace and for the same user on the host: one session that takes all
/// of it would leave the next one none. A session may have a few of what it can make at all; of user namespaces none,
/// since in a new one it would have every capability. What the filter denies is not written: each file of /proc/sys
/// that a namespace has makes every later session slower.
pub(super) fn user_limits(namespaces: &BTreeSet<Namespace>, filter: Option<&Filter>) -> BTreeMap<&'static str, u64> {
    const COUNTED: [(&[&str], &str, u64); 5] = [
        (&["unshare"], "max_user_namespaces", 0),
        (&["inotify_init", "inotify_init1"], "max_inotify_instances", 16),
        (&["inotify_init", "inotify_init1"], "max_inotify_watches", 4096),
        (&["fanotify_init"], "max_fanotify_groups", 16),
        (&["fanotify_init"], "max_fanotify_marks", 4096),
    ];
    let callable = |call: &&str| filter.is_none_or(|filter| calls::allows(filter, call));
    let counted = COUNTED.into_iter().filter(|(calls, _, _)| calls.iter().any(callable));
    let own = namespaces.contains(&Namespace::User);
    counted.filter(|_| own).map(|(_, name, most)| (name, most)).collect()
}

/// Where the host runs out of memory, the kernel ends sessions before anything else of an ordinary size, and before
/// their supervisor: as if each process had half of the host's memory more than it has. Not the highest value, which
/// would have all commands, however small, end before one other program that takes nearly everything.
const FIRST_TO_GO: i16 = 500;

/// `oom_score_adj` of a service's sessions. To lower what the supervisor was started with takes a right, see
/// proc_pid_oom_score_adj(5).
pub(super) fn oom_score_adj(facts: &Facts) -> i16 {
    facts.oom_score_adj.max(FIRST_TO_GO)
}

/// The time limit: the front door's, else the policy's.
pub(super) fn time(requested: Option<&Sourced<Duration>>, limits: &Limits, off: &mut Vec<Off>) -> Option<Duration> {
    let time = requested.or(limits.time.as_ref()).map(|time| time.value);
    if time.is_none() {
        off.push(Off::new("time limit", "no limits.time is set"));
    }
    time
}

/// The idle limit. The kernel counts what a TCP connection carries, and knows when; who wants to ask it must hold one
/// end.
pub(super) fn idle(transport: Transport, policy: &Policy, off: &mut Vec<Off>) -> Result<Option<Duration>, Refusal> {
    let Some(idle) = &policy.limits.idle else { return Ok(None) };
    match (transport, &policy.connection.hold) {
        (Transport::Tcp, Some(hold)) if !hold.value => {
            Err(Refusal::new(Slip::Needs { key: "limits.idle", needs: "connection.hold = true" }, &idle.origin))
        }
        (Transport::Tcp, _) => Ok(Some(idle.value)),
        (Transport::Unix, _) => Err(Refusal::new(Slip::IdleUnix, &idle.origin)),
        (Transport::Stdio, _) => {
            off.push(Off::new("idle limit", "standard input is no TCP connection"));
            Ok(None)
        }
    }
}

/// Whether the supervisor keeps its own copy of the connection: as spawn(8) does, or as an idle limit needs it.
pub(super) fn hold(front: Front, policy: &Policy, idle: Option<Duration>) -> bool {
    let default = front == Front::Master || idle.is_some();
    policy.connection.hold.as_ref().map_or(default, |hold| hold.value)
}

/// The most sessions at once: the front door's, else the policy's. Under master one, unless more is asked for by name:
/// only then does its process limit mean what it means for spawn(8). Never more than there are ids for: then a
/// connection waits, as it does at any other limit.
pub(super) fn concurrency(request: &Request, policy: &Policy, ids: Ids) -> usize {
    let written = request.concurrency.as_ref().or(policy.connection.concurrency.as_ref());
    let default = match request.front {
        Front::Master | Front::Run => 1,
        Front::Listen => 1000,
    };
    let most = written.map_or(default, |written| written.value);
    let most = match ids {
        Ids::One { .. } => most,
        Ids::Each { range, .. } => most.min(range.count()),
    };
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// The most sandboxes that wait for clients; never more than there can be sessions. A command that is started once
/// needs none.
pub(super) fn spares(request: &Request, policy: &Policy, concurrency: usize) -> usize {
    let most = match request.front {
        Front::Master | Front::Listen => policy.connection.spares.as_ref().map_or(0, |written| written.value),
        Front::Run => 0,
    };
    usize::try_from(most).unwrap_or(usize::MAX).min(concurrency)
}
