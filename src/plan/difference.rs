// SPDX-License-Identifier: Apache-2.0
//! What one plan lets a command do that another does not. A plan is taken apart into single permissions, each with an
//! amount, and two lists of these are compared: nothing here knows which of two values is the stricter, but its row.

mod covers;
mod fields;
#[cfg(test)]
mod tests;

use super::calls::{self, Allowed};
use super::explain::{clients_words, size};
use super::listen;
use super::model::{CgroupLimits, ClientNames, Denials, Ends, Ids, Namespace, Plan, Proc, StandardError};
use crate::host::facts::Resource;
use crate::policy::Paint;
use crate::policy::words::Word;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How much of something is permitted; what is not there is not permitted at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Amount {
    /// Up to this, which has words of its own.
    UpTo(u64, String),
    /// Without end.
    Everything,
}

/// How a value that is no permission is told.
type Value<'a> = &'a dyn Fn(&Plan) -> String;

type Permissions = BTreeMap<String, Amount>;

/// What differs between two plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What the new one allows and the old one did not.
    pub allows: Vec<String>,
    /// What the old one allowed and the new one does not.
    pub takes: Vec<String>,
    /// What is another, and neither more nor less.
    pub changes: Vec<String>,
}

/// Compares them.
pub fn difference(old: &Plan, new: &Plan) -> Difference {
    fields::each_has_its_place(new);
    let (before, after) = (permissions(old, new), permissions(new, old));
    let mut difference = Difference { changes: changes(old, new), ..Difference::default() };
    difference.allows.extend(covers::files(new, old).into_iter().chain(covers::network(new, old)));
    difference.takes.extend(covers::files(old, new).into_iter().chain(covers::network(old, new)));
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(name), after.get(name));
        let line = match (words(old), words(new)) {
            (Some(old), Some(new)) => format!("{name}: {new}, was {old}"),
            (Some(old), None) => format!("{name}{}", unless_empty(": was ", &old)),
            (None, new) => format!("{name}{}", unless_empty(": ", &new.unwrap_or_default())),
        };
        match old.cmp(&new) {
            std::cmp::Ordering::Less => difference.allows.push(line),
            std::cmp::Ordering::Greater => difference.takes.push(line),
            std::cmp::Ordering::Equal => {}
        }
    }
    difference.calls(old, new);
    difference
}

impl Difference {
    /// Both lists and what else changes, a line each; one line where nothing does.
    pub fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let (allows, takes) = (paint.doubtful("+"), paint.good("-"));
        for (sign, lines) in [(allows, &self.allows), (takes, &self.takes), ("~".to_string(), &self.changes)] {
            for line in lines {
                // Writing into a string cannot fail.
                let _ = writeln!(text, "{sign} {}", line.escape_debug());
            }
        }
        if text.is_empty() { "no difference\n".to_string() } else { text }
    }

    /// The filters: a call with any arguments is more than the same with some.
    fn calls(&mut self, old: &Plan, new: &Plan) {
        let of = |plan: &Plan| -> Option<BTreeMap<&'static str, Allowed>> {
            plan.filter.as_ref().map(|filter| calls::allowed(filter).collect())
        };
        let (before, after) = match (of(old), of(new)) {
            (Some(before), Some(after)) => (before, after),
            (Some(_), None) => return self.allows.push("every system call: no filter".to_string()),
            (None, Some(_)) => return self.takes.push("every system call: no filter".to_string()),
            (None, None) => return,
        };
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for name in names {
            let (more, less) = (beyond(after.get(name), before.get(name)), beyond(before.get(name), after.get(name)));
            self.allows.extend(more.into_iter().map(|what| format!("call {name}{what}")));
            self.takes.extend(less.into_iter().map(|what| format!("call {name}{what}")));
        }
    }
}

/// What `one` lets through of a call that `other` does not.
fn beyond(one: Option<&Allowed>, other: Option<&Allowed>) -> Vec<String> {
    match (one, other) {
        (None, _) | (_, Some(Allowed::Always)) => Vec::new(),
        (Some(Allowed::Always), None) => vec![String::new()],
        (Some(Allowed::Always), Some(Allowed::If(_))) => vec![" with any arguments".to_string()],
        (Some(Allowed::If(here)), None) => here.iter().map(|words| format!(" if {words}")).collect(),
        (Some(Allowed::If(here)), Some(Allowed::If(there))) => {
            here.difference(there).map(|words| format!(" if {words}")).collect()
        }
    }
}

fn unless_empty(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}") }
}

/// `None` for what is not permitted.
fn words(amount: Option<&Amount>) -> Option<String> {
    match amount {
        None => None,
        Some(Amount::UpTo(_, words)) => Some(words.clone()),
        Some(Amount::Everything) => Some("no limit".to_string()),
    }
}

/// Everything that a plan permits, but calls and what lies in one another.
fn permissions(plan: &Plan, other: &Plan) -> Permissions {
    let mut all = Permissions::new();
    own_files(plan, other, &mut all);
    user(plan, &mut all);
    limits(plan, &mut all);
    walls(plan, &mut all);
    all
}

/// A permission that is there or not.
fn allow(all: &mut Permissions, name: impl Into<String>) {
    all.insert(name.into(), Amount::UpTo(1, String::new()));
}

fn allow_if(all: &mut Permissions, name: &str, there: bool) {
    if there {
        allow(all, name);
    }
}

/// Scratch file systems and /proc; where the other plan has the host's own directory, a private one is no more than
/// that.
fn own_files(plan: &Plan, other: &Plan, all: &mut Permissions) {
    for scratch in plan.scratch.iter().filter(|scratch| !covers::has_for_scratch(other, &scratch.path)) {
        let path = scratch.path.display();
        all.insert(format!("scratch {path}"), Amount::UpTo(scratch.size, size(scratch.size)));
        all.insert(format!("files in scratch {path}"), Amount::UpTo(scratch.inodes, scratch.inodes.to_string()));
        if scratch.execute {
            allow(all, format!("execute programs in scratch {path}"));
        }
    }
    allow_if(all, "/proc: the sandbox's own processes", plan.proc != Proc::None);
    allow_if(all, "/proc: what else the user may see there", plan.proc == Proc::Full);
}

/// Another user is neither more nor less, but reaches what the old one did not.
fn user(plan: &Plan, all: &mut Permissions) {
    match plan.identity.ids {
        Ids::One { uid, gid } => {
            allow(all, format!("act as uid {uid} in every session"));
            allow(all, format!("act as gid {gid} in every session"));
        }
        Ids::Each { range, gid } => {
            allow(all, format!("act as a uid of {range}, another in each session"));
            match gid {
                Some(gid) => allow(all, format!("act as gid {gid} in every session")),
                None => allow(all, format!("act as a gid of {range}, another in each session")),
            }
        }
    }
}

fn limits(plan: &Plan, all: &mut Permissions) {
    let number = |value: Option<u64>| value.map_or(Amount::Everything, |value| Amount::UpTo(value, value.to_string()));
    let bytes = |value: Option<u64>| value.map_or(Amount::Everything, |value| Amount::UpTo(value, size(value)));
    let seconds =
        |value: Option<u64>| value.map_or(Amount::Everything, |value| Amount::UpTo(value, format!("{value}s")));
    let mut put = |name: &str, amount: Amount| drop(all.insert(name.to_string(), amount));
    put("limits.time", seconds(plan.time_limit.map(|limit| limit.as_secs())));
    put("limits.idle", seconds(plan.idle_limit.map(|limit| limit.as_secs())));
    for (table, CgroupLimits { memory, tasks, cpu, .. }) in
        [("limits", &plan.cgroup), ("limits.service", &plan.service_cgroup)]
    {
        put(&format!("{table}.memory"), bytes(*memory));
        put(&format!("{table}.cpu"), number(*cpu));
        if table == "limits.service" {
            put("limits.service.tasks", number(*tasks));
        }
    }
    let of = |resource| plan.resources.get(&resource).copied();
    let tasks = of(Resource::Tasks).or(plan.cgroup.tasks);
    put("limits.tasks", number(tasks.map(|tasks| tasks.saturating_sub(plan.own_tasks()))));
    put("limits.processor-time", seconds(of(Resource::ProcessorTime)));
    put("limits.open-files", number(of(Resource::OpenFiles)));
    put("limits.pending-signals", number(of(Resource::PendingSignals)));
    for (name, resource) in [
        ("limits.file-size", Resource::FileSize),
        ("limits.address-space", Resource::AddressSpace),
        ("limits.stack", Resource::Stack),
        ("limits.core-size", Resource::CoreSize),
        ("limits.locked-memory", Resource::LockedMemory),
        ("limits.message-queues", Resource::MessageQueues),
    ] {
        put(name, bytes(of(resource)));
    }
    put("connection.concurrency", number(Some(plan.concurrency as u64)));
}

fn walls(plan: &Plan, all: &mut Permissions) {
    // The network namespace is told of with the network.
    let shared = Namespace::ALL.into_iter().filter(|one| *one != Namespace::Network);
    for namespace in shared.filter(|one| !plan.namespaces.contains(one)) {
        allow(all, format!("share the host's {} namespace", namespace.name()));
    }
    allow_if(all, "the connection itself, not by a relay", !plan.relay.as_ref().is_some_and(|relay| relay.connection));
    allow_if(all, "what is known of the client, in the environment", plan.command.client_environment.is_some());
    let seen = matches!(plan.root, super::model::Root::Held { .. } | super::model::Root::Host);
    allow_if(all, "see which files the host has", seen);
    allow_if(all, "see the host's name", plan.hostname == super::model::HostName::Host);
    let landlock = plan.landlock.as_ref();
    allow_if(all, "file accesses without Landlock", landlock.is_none_or(|rules| !rules.files));
    allow_if(all, "signals and abstract sockets without Landlock", landlock.is_none_or(|rules| !rules.scopes));
    allow_if(all, "fill the host's audit log with what Landlock denies", plan.is_audited());
    let held = plan.memory_deny_write_execute || plan.filter.as_ref().is_some_and(calls::denies_write_execute);
    allow_if(all, "memory that is writable and executable", !held);
    let pid_max = plan.pid_limits.pid_max;
    let pid_max = pid_max.map_or(Amount::Everything, |value| Amount::UpTo(value, value.to_string()));
    all.insert("isolation.pid-max".to_string(), pid_max);
    allow_if(all, "executable memory files (isolation.memfd-noexec)", !plan.pid_limits.memfd_noexec);
    allow_if(all, "live on after the command, in what it left behind", plan.ends == Ends::Tree);
    allow_if(all, "standard error to the client", plan.stderr == StandardError::Connection);
    allow_if(all, "standard error to the log", plan.stderr == StandardError::Log);
    let goes_on = plan.filter.as_ref().is_none_or(calls::goes_on);
    allow_if(all, "go on after a call that is denied", goes_on);
}

/// Who is let in is no permission of the command's.
fn clients(plan: &Plan) -> String {
    let words =
        clients_words(&plan.clients).into_iter().map(|(name, text, _)| format!("{name} {text}").trim().to_string());
    let words: Vec<String> = words.collect();
    if words.is_empty() { "everybody".to_string() } else { words.join("; ") }
}

/// What is another value and no permission.
fn changes(old: &Plan, new: &Plan) -> Vec<String> {
    let argv = |plan: &Plan| {
        plan.command.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    let variables = |plan: &Plan| {
        let mut all: Vec<String> =
            plan.command.environment.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        all.sort();
        all.join(" ")
    };
    let ignored = |plan: &Plan| {
        let name = |signal: &i32| match nix::sys::signal::Signal::try_from(*signal) {
            Ok(signal) => signal.as_str().to_string(),
            Err(_) => signal.to_string(),
        };
        let names: Vec<String> = plan.command.ignore_signals.iter().map(name).collect();
        if names.is_empty() { "none".to_string() } else { names.join(" ") }
    };
    let programs = |plan: &Plan| {
        plan.command.programs.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" or ")
    };
    let named = |plan: &Plan| match plan.filter.as_ref().map(|filter| filter.denials) {
        Some(Denials::Told | Denials::Traced) => "yes".to_string(),
        Some(Denials::Named) => "yes, and what is looked up and reached".to_string(),
        Some(Denials::Silent) | None => "no".to_string(),
    };
    let names = |plan: &Plan| plan.command.client_environment.unwrap_or(ClientNames::Tcpserver).word().to_string();
    let rows: [(&str, Value<'_>); 18] = [
        ("runs", &argv),
        ("looked for at", &programs),
        ("environment", &variables),
        ("directory", &|plan| plan.command.directory.to_string_lossy().into_owned()),
        ("signals ignored", &ignored),
        ("oom_score_adj", &|plan| plan.oom_score_adj.to_string()),
        ("process id of its own", &|plan| if plan.pid_limits.unique_pid { "yes" } else { "no" }.to_string()),
        ("ended as one where memory ends", &|plan| if plan.cgroup.as_one { "yes" } else { "no" }.to_string()),
        ("umask", &|plan| format!("{:03o}", plan.command.umask)),
        ("denied calls named in the log", &named),
        ("clients", &clients),
        ("names for what is known of the client", &names),
        ("process 1", &|plan| if plan.init { "a reaper" } else { "the command" }.to_string()),
        ("listens on", &|plan| listen::words(&plan.listen)),
        ("clients that may wait to be accepted", &|plan| plan.listen.backlog.to_string()),
        ("shares its ports", &|plan| if plan.listen.reuse_port { "yes" } else { "no" }.to_string()),
        ("sandboxes that wait for clients", &|plan| plan.spares.to_string()),
        ("connection held by the supervisor", &|plan| if plan.hold { "yes" } else { "no" }.to_string()),
    ];
    let differ = rows.into_iter().filter_map(|(name, value)| {
        let (old, new) = (value(old), value(new));
        (old != new).then(|| format!("{name}: {new}, was {old}"))
    });
    differ.collect()
}
