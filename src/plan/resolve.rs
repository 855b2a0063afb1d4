// SPDX-License-Identifier: Apache-2.0
//! From request, policy and facts to a plan, or to the first refusal.
//! What is absent is read as the strictest value; what a host lacks is refused or stands in `off`, never skipped.

use super::layers::First;
use super::model::{
    CloneCall, Command, Denials, Ends, Filter, HostName, Identity, Ids, Landlock, Off, Plan, Relay, Root, StandardError,
};
use super::refuse::{BadIdentity, Lack, Refusal, Slip};
use super::request::Request;
use super::{
    calls, clients, command, files, forward, identity, landlock, layers, level, limits, listen, network, order, origins,
};
use crate::host::Facts;
use crate::host::facts::Trial;
use crate::policy::model::{Layer, Level, OnDeny};
use crate::policy::{Origin, Policy};
use nix::libc;

/// The layer of [`Plan::off`] that says that denied calls are not named although the policy asks for it.
pub const UNTOLD: &str = "names of denied calls";

/// Decides everything about a service. Pure: equal arguments, equal plan.
pub fn resolve(request: &Request, policy: &Policy, facts: &Facts) -> Result<Plan, Refusal> {
    decide(request, policy, facts).map_err(|refusal| Refusal { front: request.front, ..refusal })
}

/// What runs and as whom, without a sandbox: for whoever watches a command before it has a policy.
pub fn bare(request: &Request, policy: &Policy, facts: &Facts) -> Result<(Command, Identity), Refusal> {
    let identity = identity::resolve(request, policy, facts).map(|chosen| chosen.identity);
    let both = identity.and_then(|identity| Ok((command::resolve(request, policy)?, identity)));
    both.map_err(|refusal| Refusal { front: request.front, ..refusal })
}

fn decide(request: &Request, policy: &Policy, facts: &Facts) -> Result<Plan, Refusal> {
    let isolation = &policy.isolation;
    let mut off = Vec::new();
    let chosen = identity::resolve(request, policy, facts)?;
    let command = command::resolve(request, policy)?;
    layers::kernel(facts, &mut off)?;
    let level = level::resolve(isolation, facts)?;
    let namespaces = match level {
        Level::LandlockOnly => level::without(policy, &mut off)?,
        Level::Full | Level::Userns => layers::namespaces(isolation, policy.network.mode.as_ref(), facts, &mut off)?,
    };
    let hostname = match level {
        // Which is said of the UTS namespace.
        Level::LandlockOnly => HostName::Host,
        Level::Full | Level::Userns => layers::hostname(isolation, &namespaces, facts, &mut off)?,
    };
    let first = layers::first(isolation);
    let abi = landlock::abi(policy, facts, &mut off)?;
    let tree = layers::tree(isolation, &namespaces, (first, abi), facts, &mut off)?;
    let sight = files::resolve(&policy.files, (request.chroot.as_deref(), level), &mut off, facts)?;
    layers::mounts(policy, request, &namespaces, &sight)?;
    identity::check_range(&chosen, &namespaces, &sight, &mut off)?;
    let command = files::check(command, &sight, policy, &origins::argv(request, policy))?;
    let mut filter = filter(policy, facts, first, &mut off)?;
    let elsewhere = request.chroot.is_some() || sight.image.is_some();
    if elsewhere && filter.as_ref().is_some_and(|filter| filter.denials == Denials::Named) {
        let why = "in a chroot directory or an image the same names are other files; what is hidden there is not named";
        off.push(Off::new("names of paths", why));
    }
    if level == Level::LandlockOnly {
        filter.iter_mut().for_each(calls::hold_to_itself);
        level::connects(isolation, filter.as_ref(), abi)?;
    }
    let relay = forward::resolve(policy, facts, (request.transport, first), filter.as_ref(), &mut off)?;
    let network = level::network(level, &policy.network);
    let grants = network::resolve(&network, filter.as_ref(), (request.transport, relay.as_ref()), abi, &mut off)?;
    let landlock = landlock::resolve(&sight.root, &grants, abi, &namespaces, filter.as_ref(), &mut off);
    let landlock = landlock::audited(policy, landlock)?;
    groups(&chosen.identity, &sight.root, landlock.as_ref(), facts, &mut off)?;
    let memory_deny_write_execute = layers::write_execute(policy, filter.as_mut(), facts, &mut off)?;
    layers::sudden_death(first, filter.as_mut(), &mut off);
    let pid_limits = layers::pid_limits(isolation, &namespaces, first, filter.as_ref(), facts, &mut off)?;
    let user_limits = limits::user_limits(&namespaces, filter.as_ref());
    let (keyring, bounding_set) = level::rights(level, facts, &mut off);
    let limits = level::limits(level, &policy.limits, facts, &mut off);
    let limits = limits::resolve(&limits, &namespaces, own_tasks(first, relay.as_ref()), facts, &mut off)?;
    let idle_limit = limits::idle(request.transport, policy, &mut off)?;
    let clients = clients::resolve(request, policy, &mut off)?;
    let concurrency = limits::concurrency(request, policy, chosen.identity.ids);
    let plan = Plan {
        service: request.service.clone(),
        policy: policy.name.clone(),
        policy_hash: policy.hash.clone(),
        filled: policy.filled.clone(),
        read_from: policy.read_from().collect(),
        description: policy.description.as_ref().map(|description| description.value.clone()),
        front: request.front,
        transport: request.transport,
        command,
        clients,
        origins: origins::collect(request, policy, &chosen),
        concurrency,
        spares: limits::spares(request, policy, concurrency),
        identity: chosen.identity,
        level,
        tree,
        keyring,
        bounding_set,
        clone: if facts.clone3.works() { CloneCall::Clone3 } else { CloneCall::Clone },
        namespaces,
        hostname,
        network: grants.mode,
        relay,
        chroot: request.chroot.clone(),
        image: sight.image,
        root: sight.root,
        scratch: sight.scratch,
        proc: sight.proc,
        landlock,
        filter,
        resources: limits.resources,
        oom_score_adj: limits::oom_score_adj(facts),
        cgroup: limits.cgroup,
        service_cgroup: limits.service_cgroup,
        pid_limits,
        user_limits,
        last_capability: facts.last_capability,
        suid_dumpable: facts.suid_dumpable,
        memory_deny_write_execute,
        init: first == First::Reaper,
        time_limit: limits::time(request.time_limit.as_ref(), &policy.limits, &mut off),
        hold: limits::hold(request.front, policy, idle_limit),
        idle_limit,
        ends: ends(policy, first)?,
        stderr: policy.connection.stderr.as_ref().map_or(StandardError::Connection, |stderr| stderr.value),
        listen: listen::resolve(request, policy, facts)?,
        steps: Vec::new(),
        off,
    };
    Ok(Plan { steps: order::steps(&plan), ..plan })
}

/// Processes of ours that the kernel counts with the command's.
fn own_tasks(first: First, relay: Option<&Relay>) -> u64 {
    u64::from(first == First::Reaper) + u64::from(relay.is_some())
}

fn ends(policy: &Policy, first: First) -> Result<Ends, Refusal> {
    let Some(ends) = &policy.connection.ends else { return Ok(Ends::Command) };
    match ends.value {
        // A PID namespace ends with its first process, which is the command then.
        Ends::Tree if first == First::Command => {
            let slip = Slip::Needs { key: "connection.ends = \"tree\"", needs: "isolation.init = true" };
            Err(Refusal::new(slip, &ends.origin))
        }
        Ends::Tree | Ends::Command => Ok(ends.value),
    }
}

fn filter(policy: &Policy, facts: &Facts, first: First, off: &mut Vec<Off>) -> Result<Option<Filter>, Refusal> {
    let seccomp = policy.isolation.seccomp.as_ref();
    let origin = seccomp.map_or(&Origin::Default, |layer| &layer.origin);
    match seccomp.map_or(Layer::Required, |layer| layer.value) {
        Layer::Off => {
            off.push(Off::new("seccomp", format!("switched off ({origin}): every system call can be made")));
            Ok(None)
        }
        Layer::Required if !facts.seccomp.works() => Err(Refusal::new(Lack::Seccomp { trial: facts.seccomp }, origin)),
        Layer::Required => match calls::resolve(&policy.syscalls) {
            Ok(filter) => Ok(Some(Filter { denials: denials(policy, facts, first, off)?, ..filter })),
            Err(error) => {
                let slip = Slip::Call { name: error.name, reason: error.reason, suggestion: error.suggestion };
                Err(Refusal::new(slip, &error.origin))
            }
        },
    }
}

/// What the command holds when its filter makes the listener, before it gives that away.
pub(super) const OPEN_FILES: u64 = 12;

/// Who hears of denied calls. Where nobody can, they are denied all the same, and that is said.
fn denials(policy: &Policy, facts: &Facts, first: First, off: &mut Vec<Off>) -> Result<Denials, Refusal> {
    let Some(on_deny) = &policy.syscalls.on_deny else { return Ok(Denials::Silent) };
    let (key, denials) = match on_deny.value {
        OnDeny::Errno | OnDeny::Kill => return Ok(Denials::Silent),
        OnDeny::Report => ("syscalls.on-deny = \"report\"", Denials::Told),
        OnDeny::ReportAll => ("syscalls.on-deny = \"report-all\"", Denials::Named),
    };
    match first {
        // The command does not hear itself.
        First::Command => {
            let slip = Slip::Needs { key, needs: "isolation.init = true" };
            Err(Refusal::new(slip, &on_deny.origin))
        }
        First::Reaper if policy.limits.open_files.as_ref().is_some_and(|limit| limit.value < OPEN_FILES) => {
            let slip = Slip::Needs { key, needs: "limits.open-files of at least 12" };
            Err(Refusal::new(slip, &on_deny.origin))
        }
        First::Reaper if !facts.listener.works() => {
            let why = match facts.listener {
                Trial::Refused(libc::EBUSY) => "a filter around spawnbox is listened to already".to_string(),
                trial => trial.to_string(),
            };
            off.push(Off::new(UNTOLD, format!("{why}: denied calls fail, and are not named")));
            Ok(Denials::Silent)
        }
        First::Reaper => Ok(denials),
    }
}

/// An ordinary user keeps its supplementary groups in its own user namespace, see user_namespaces(7). In an empty
/// root under Landlock they open nothing but what the policy shows; anywhere else they would be a grant no one made.
fn groups(
    identity: &Identity,
    root: &Root,
    landlock: Option<&Landlock>,
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<(), Refusal> {
    let Ids::One { gid: own, .. } = identity.ids else { return Ok(()) };
    let kept: Vec<&u32> = facts.groups.iter().filter(|gid| **gid != own).collect();
    if identity.change || kept.is_empty() {
        return Ok(());
    }
    let name = |gid: &&u32| {
        let mut known = facts.accounts.groups.iter().filter(|(_, known)| **known == Some(**gid));
        known.find(|(name, _)| name.parse::<u32>().is_err()).map_or_else(|| gid.to_string(), |(name, _)| name.clone())
    };
    let groups = kept.iter().map(name).collect::<Vec<_>>().join(", ");
    let shown_only = match root {
        Root::Empty { .. } | Root::Held { .. } => landlock.is_some_and(|landlock| landlock.files),
        Root::Host => false,
    };
    if !shown_only {
        return Err(Refusal::new(BadIdentity::Groups { groups }, &Origin::Default));
    }
    let why = format!("{groups} stay: only root can drop them; they count for the paths above alone");
    off.push(Off::new("supplementary groups", why));
    Ok(())
}
