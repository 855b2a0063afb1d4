// SPDX-License-Identifier: Apache-2.0
//! The rows about limits and layers, and those about what is off.

use super::super::calls;
use super::super::model::{HostName, Level, Namespace, Plan};
use super::page::Page;
use super::sight::size;
use super::{origin, written};
use crate::host::facts::{Facts, Resource};
use crate::policy::Origin;
use crate::policy::words::Word;

type Pair<'a> = (String, String, Option<&'a Origin>);

/// Every limit, and what was left as the supervisor has it.
pub(super) fn limits(plan: &Plan, facts: &Facts, page: &mut Page) {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    if let Some(memory) = plan.cgroup.memory {
        pairs.push((
            "memory".to_string(),
            format!("{}, whole session, no swap", size(memory)),
            origin(plan, "limits.memory"),
        ));
    }
    if let Some(cpu) = plan.cgroup.cpu {
        pairs.push(("cpu".to_string(), format!("{cpu}% of one processor, whole session"), origin(plan, "limits.cpu")));
    }
    pairs.extend(tasks(plan));
    pairs.extend(service(plan));
    for (&resource, &value) in &plan.resources {
        let Some((text, key)) = resource_text(resource, value) else { continue };
        let hard = facts.hard_limits.get(&resource) == Some(&value);
        let note = if hard { " (the host's hard limit)" } else { "" };
        pairs.push((resource.name().to_string(), format!("{text}{note}"), origin(plan, key)));
    }
    let first = format!("the first to go when the host's memory ends (oom_score_adj {})", plan.oom_score_adj);
    pairs.push(("survival".to_string(), first, None));
    pairs.push(("priority".to_string(), "cannot be raised (RLIMIT_NICE, RLIMIT_RTPRIO)".to_string(), None));
    let inherited: Vec<&str> =
        ALL.into_iter().filter(|resource| !plan.resources.contains_key(resource)).map(Resource::name).collect();
    if !inherited.is_empty() {
        pairs.push(("as started".to_string(), inherited.join(", "), None));
    }
    page.pairs("limits", &pairs);
}

/// The limits of all sessions together.
fn service(plan: &Plan) -> Vec<Pair<'_>> {
    let limits = &plan.service_cgroup;
    let rows = [
        ("service.memory", limits.memory.map(|bytes| format!("{}, no swap", size(bytes))), "limits.service.memory"),
        ("service.tasks", limits.tasks.map(|tasks| tasks.to_string()), "limits.service.tasks"),
        ("service.cpu", limits.cpu.map(|cpu| format!("{cpu}% of one processor")), "limits.service.cpu"),
    ];
    let together = |text: String| format!("{text}, all sessions together");
    let row =
        |(name, text, key): (&str, Option<String>, &str)| Some((name.to_string(), together(text?), origin(plan, key)));
    rows.into_iter().filter_map(row).collect()
}

/// Those that a process has anyway, and that a plan may leave as they are.
const ALL: [Resource; 9] = [
    Resource::ProcessorTime,
    Resource::OpenFiles,
    Resource::FileSize,
    Resource::AddressSpace,
    Resource::Stack,
    Resource::CoreSize,
    Resource::LockedMemory,
    Resource::PendingSignals,
    Resource::MessageQueues,
];

/// Our reaper and relay are counted with the command's tasks, so the kernel's numbers are higher than the policy's.
fn tasks(plan: &Plan) -> Option<Pair<'_>> {
    let counted = plan.resources.get(&Resource::Tasks).copied();
    let number = counted.or(plan.cgroup.tasks)?;
    let by = match (counted, plan.cgroup.tasks) {
        (Some(_), Some(_)) => "in its user namespace, and by pids.max",
        (Some(_), None) => "in its user namespace",
        (None, _) => "by pids.max",
    };
    let own = plan.own_tasks();
    let text = format!("{}, whole session, counted {by}", number.saturating_sub(own));
    Some(("tasks".to_string(), text, origin(plan, "limits.tasks")))
}

fn resource_text(resource: Resource, value: u64) -> Option<(String, &'static str)> {
    Some(match resource {
        Resource::ProcessorTime => (format!("{value} s, each process"), "limits.processor-time"),
        Resource::OpenFiles => (format!("{value}, each process"), "limits.open-files"),
        Resource::FileSize => (size(value), "limits.file-size"),
        Resource::AddressSpace => (format!("{}, each process", size(value)), "limits.address-space"),
        Resource::Stack => (size(value), "limits.stack"),
        Resource::CoreSize if value <= 1 => ("no core file".to_string(), "limits.core-size"),
        Resource::CoreSize => (size(value), "limits.core-size"),
        Resource::LockedMemory => (size(value), "limits.locked-memory"),
        Resource::PendingSignals => (value.to_string(), "limits.pending-signals"),
        Resource::MessageQueues => (size(value), "limits.message-queues"),
        // These have a row of their own.
        Resource::Tasks | Resource::Nice | Resource::RealtimePriority => return None,
    })
}

/// The walls that stand.
pub(super) fn layers(plan: &Plan, page: &mut Page) {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let level = format!("{}: {}", plan.level.word(), plan.level.words());
    pairs.push(("level".to_string(), level, origin(plan, "isolation.level")));
    let names: Vec<&str> =
        Namespace::ALL.into_iter().filter(|one| plan.namespaces.contains(one)).map(Namespace::name).collect();
    let names = if names.is_empty() { "none of its own".to_string() } else { names.join(" ") };
    let key = match plan.level {
        Level::LandlockOnly => "isolation.level",
        Level::Full | Level::Userns => "isolation.namespaces",
    };
    pairs.push(("namespaces".to_string(), names, origin(plan, key)));
    if plan.hostname == HostName::Hidden {
        let origin = written(plan, "isolation.hostname");
        pairs.push(("hostname".to_string(), "hidden: the command sees localhost".to_string(), origin));
    }
    if let Some(landlock) = &plan.landlock {
        let parts = [
            (landlock.files, "files"),
            (landlock.connect.is_some() || landlock.bind.is_some(), "TCP ports"),
            (landlock.udp.is_some(), "UDP ports"),
            (landlock.scopes, "signals, abstract UNIX sockets"),
            (landlock.holds_paths(), "UNIX sockets by path"),
        ];
        let parts = parts.into_iter().filter(|(on, _)| *on).map(|(_, part)| part).collect::<Vec<_>>().join(", ");
        let text = format!("ABI {}: {parts}", landlock.abi);
        pairs.push(("landlock".to_string(), text, origin(plan, "isolation.landlock")));
        if landlock.audit {
            let text = "what it denies is named in the log, which the kernel's audit log tells; audit has to be on";
            pairs.push((String::new(), text.to_string(), written(plan, "isolation.landlock-audit")));
        }
        let lacks: Vec<&str> = landlock.lacks().collect();
        if !lacks.is_empty() {
            pairs.push((String::new(), format!("this kernel's has no right for {}", lacks.join(", ")), None));
        }
    }
    if plan.filter.is_some() {
        pairs.push(("seccomp".to_string(), "the filter above".to_string(), origin(plan, "isolation.seccomp")));
    }
    pairs.push(("privileges".to_string(), privileges(plan), None));
    let by = match &plan.filter {
        _ if plan.memory_deny_write_execute => Some("PR_SET_MDWE"),
        Some(filter) if calls::denies_write_execute(filter) => Some("system call filter"),
        Some(_) | None => None,
    };
    pairs.extend(by.map(|by| {
        let origin = written(plan, "isolation.memory-deny-write-execute");
        ("memory".to_string(), format!("never both writable and executable ({by})"), origin)
    }));
    pairs.extend(pid_namespace(plan));
    if !plan.user_limits.is_empty() {
        let counted: Vec<String> = plan.user_limits.iter().map(|(name, most)| format!("{name} {most}")).collect();
        pairs.push(("user limits".to_string(), counted.join(", "), None));
    }
    page.pairs("layers", &pairs);
}

fn privileges(plan: &Plan) -> String {
    if super::super::order::has_rights(plan) && plan.bounding_set {
        let all = u32::from(plan.last_capability) + 1;
        format!("no_new_privs, all {all} capabilities dropped for good, securebits locked")
    } else {
        "no_new_privs, no capabilities".to_string()
    }
}

fn pid_namespace(plan: &Plan) -> Vec<Pair<'_>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    if let Some(pid_max) = plan.pid_limits.pid_max {
        pairs.push(("pid-max".to_string(), pid_max.to_string(), origin(plan, "isolation.pid-max")));
    }
    let memfd = match &plan.filter {
        _ if plan.pid_limits.memfd_noexec => Some("never executable (vm.memfd_noexec)"),
        Some(filter) if !calls::allows(filter, "memfd_create") => Some("none can be made (system call filter)"),
        Some(_) | None => None,
    };
    pairs.extend(memfd.map(|text| ("memfd".to_string(), text.to_string(), written(plan, "isolation.memfd-noexec"))));
    if plan.pid_limits.unique_pid {
        let text = "no other live session's command has the same process id".to_string();
        pairs.push(("unique-pid".to_string(), text, origin(plan, "isolation.unique-pid")));
    }
    pairs
}

/// What is off or weaker than it could be, and why.
pub(super) fn off(plan: &Plan, page: &mut Page) {
    let pairs: Vec<Pair<'_>> = plan.off.iter().map(|off| (off.layer.clone(), off.why.clone(), None)).collect();
    page.pairs("off", &pairs);
}
