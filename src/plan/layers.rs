// SPDX-License-Identifier: Apache-2.0
//! `[isolation]`: namespaces, init, the settings of the PID namespace, and what ends the tree.
//! What the host refused when it was tried is refused here, unless the policy switches it off by name.

use super::calls;
use super::files::Sight;
use super::landlock::SCOPES_ABI;
use super::model::{Filter, HostName, Namespace, NetworkMode, Off, PidLimits, Proc, Root, Tree};
use super::refuse::{Lack, Refusal, Slip};
use super::request::Request;
use crate::host::facts::{Cgroup, Facts, Trial};
use crate::policy::model::Isolation;
use crate::policy::{Origin, Policy, Sourced};
use nix::errno::Errno;
use std::collections::BTreeSet;

/// Which process is the first of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// A reaper of ours, a task of the same user.
    Reaper,
    /// The command.
    Command,
}

/// A reaper, unless the policy says otherwise.
pub(super) fn first(isolation: &Isolation) -> First {
    match isolation.init.as_ref().is_none_or(|init| init.value) {
        true => First::Reaper,
        false => First::Command,
    }
}

/// Refuses kernels that cannot work, and names those that were never tried.
pub(super) fn kernel(facts: &Facts, off: &mut Vec<Off>) -> Result<(), Refusal> {
    let kernel = &facts.kernel;
    if !kernel.may_work() {
        return Err(Refusal::new(Lack::Kernel { release: kernel.release.clone() }, &Origin::Default));
    }
    off.extend(kernel.untested().map(|why| Off::new("untested kernel", why)));
    Ok(())
}

/// The namespaces: those of `isolation.namespaces`, or all; `network.mode` alone decides about the network.
pub(super) fn namespaces(
    isolation: &Isolation,
    mode: Option<&Sourced<NetworkMode>>,
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<BTreeSet<Namespace>, Refusal> {
    let written = isolation.namespaces.as_ref();
    let origin = written.map_or(&Origin::Default, |written| &written.origin);
    let mut wanted = written.map_or_else(|| BTreeSet::from(Namespace::ALL), |written| written.value.clone());
    match mode.map_or(NetworkMode::None, |mode| mode.value) {
        NetworkMode::None | NetworkMode::Loopback => wanted.insert(Namespace::Network),
        NetworkMode::Host => wanted.remove(&Namespace::Network),
    };
    for namespace in Namespace::ALL {
        let (key, origin) = match namespace {
            Namespace::Network => ("network.mode = \"host\"", mode.map_or(&Origin::Default, |mode| &mode.origin)),
            Namespace::Mount
            | Namespace::Pid
            | Namespace::Ipc
            | Namespace::Uts
            | Namespace::Cgroup
            | Namespace::User => ("left out of isolation.namespaces", origin),
        };
        if !wanted.contains(&namespace) {
            off.push(Off::new(format!("{} namespace", namespace.name()), format!("{key} ({origin})")));
            continue;
        }
        // What was never tried is not known to work.
        let trial = facts.namespaces.get(&namespace).copied().unwrap_or(Trial::Refused(Errno::ENOSYS as i32));
        if !trial.works() {
            return Err(Refusal::new(Lack::Namespace { namespace, trial }, origin));
        }
    }
    if facts.rootless() && !wanted.is_empty() && !wanted.contains(&Namespace::User) {
        let key = "a namespace made by an ordinary user";
        return Err(Refusal::new(Slip::Needs { key, needs: "\"user\" in isolation.namespaces" }, origin));
    }
    Ok(wanted)
}

/// The name of the host: hidden, unless the policy shows it or shares the namespace that it belongs to.
pub(super) fn hostname(
    isolation: &Isolation,
    namespaces: &BTreeSet<Namespace>,
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<HostName, Refusal> {
    let own = namespaces.contains(&Namespace::Uts);
    match isolation.hostname.as_ref().map(|name| (name.value, &name.origin)) {
        Some((HostName::Host, origin)) => {
            off.push(Off::new("hostname", format!("isolation.hostname = \"host\" ({origin})")));
            Ok(HostName::Host)
        }
        Some((HostName::Hidden, origin)) if !own => {
            let (key, needs) = ("isolation.hostname = \"hidden\"", "\"uts\" in isolation.namespaces");
            Err(Refusal::new(Slip::Needs { key, needs }, origin))
        }
        // Without the namespace, that it is missing is said already.
        None if !own => Ok(HostName::Host),
        Some((HostName::Hidden, origin)) if !facts.hostname.works() => {
            Err(Refusal::new(Lack::HostName { trial: facts.hostname }, origin))
        }
        None if !facts.hostname.works() => {
            Err(Refusal::new(Lack::HostName { trial: facts.hostname }, &Origin::Default))
        }
        Some((HostName::Hidden, _)) | None => Ok(HostName::Hidden),
    }
}

/// Refuses what needs a namespace that is not there.
pub(super) fn mounts(
    policy: &Policy,
    request: &Request,
    namespaces: &BTreeSet<Namespace>,
    sight: &Sight,
) -> Result<(), Refusal> {
    let fresh_proc = match sight.proc {
        Proc::None => false,
        Proc::Subset | Proc::Full => true,
    };
    let origin = |written: Option<&Origin>| written.cloned().unwrap_or(Origin::Default);
    let files = &policy.files;
    let root_origin = origin(files.root.as_ref().map(|root| &root.origin));
    let proc_origin = origin(files.proc.as_ref().map(|proc| &proc.origin));
    let needs = |key, needs, origin| Err(Refusal::new(Slip::Needs { key, needs }, &origin));
    if !namespaces.contains(&Namespace::Mount) {
        let mount = "\"mount\" in isolation.namespaces";
        if request.chroot.is_some() {
            let written = origin(policy.isolation.namespaces.as_ref().map(|written| &written.origin));
            return needs("y in the chroot column", mount, written);
        }
        match sight.root {
            Root::Empty { .. } if sight.image.is_some() => {
                return needs("a directory as files.root", mount, root_origin);
            }
            Root::Empty { .. } => return needs("files.root = \"empty\"", mount, root_origin),
            Root::Host | Root::Held { .. } => {}
        }
        if let Some(scratch) = sight.scratch.first() {
            return needs("files.scratch", mount, scratch.origin.clone());
        }
        if fresh_proc {
            return needs("files.proc", mount, proc_origin);
        }
    }
    if fresh_proc && !namespaces.contains(&Namespace::Pid) {
        return needs("files.proc", "\"pid\" in isolation.namespaces", proc_origin);
    }
    Ok(())
}

/// Refuses a session whose remains nothing would end, and says what ends it otherwise.
pub(super) fn tree(
    isolation: &Isolation,
    namespaces: &BTreeSet<Namespace>,
    (first, abi): (First, u32),
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<Tree, Refusal> {
    let pid = namespaces.contains(&Namespace::Pid);
    if first == First::Command && !pid {
        let origin = isolation.init.as_ref().map_or(&Origin::Default, |init| &init.origin);
        let needs = "\"pid\" in isolation.namespaces";
        return Err(Refusal::new(Slip::Needs { key: "isolation.init = false", needs }, origin));
    }
    // The signals of a Landlock domain end at its edge from then on.
    let scopes = abi >= SCOPES_ABI;
    match &facts.cgroup {
        Cgroup::Unavailable(why) if !pid && scopes => {
            let why =
                format!("{why}; the reaper kills all of its Landlock domain, unless the kernel has killed it first");
            off.push(Off::new("control group", why));
            Ok(Tree::Domain)
        }
        Cgroup::Unavailable(why) if !pid => {
            let origin = isolation.namespaces.as_ref().map_or(&Origin::Default, |written| &written.origin);
            Err(Refusal::new(Lack::Tree { why: why.clone() }, origin))
        }
        Cgroup::Unavailable(why) => {
            off.push(Off::new("control group", format!("{why}; the PID namespace ends a session's tree")));
            Ok(Tree::PidNamespace)
        }
        Cgroup::At { .. } if pid => Ok(Tree::PidNamespace),
        Cgroup::At { .. } => {
            if !scopes {
                let why =
                    "without a PID namespace, a command that stops its reaper outlives a supervisor that is killed";
                off.push(Off::new("sudden death", why));
            }
            Ok(Tree::Cgroup)
        }
    }
}

/// Where no reaper sees the end of the cord, the filter sees to it that the command keeps its parent-death signal.
pub(super) fn sudden_death(first: First, filter: Option<&mut Filter>, off: &mut Vec<Off>) {
    match (first, filter) {
        (First::Reaper, _) => {}
        (First::Command, Some(filter)) => calls::keep_death_signal(filter),
        (First::Command, None) => {
            let why = "without init and seccomp, a command can take off its parent-death signal and outlive a supervisor \
                       that is killed";
            off.push(Off::new("sudden death", why));
        }
    }
}

/// The settings of the PID namespace.
pub(super) fn pid_limits(
    isolation: &Isolation,
    namespaces: &BTreeSet<Namespace>,
    first: First,
    filter: Option<&Filter>,
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<PidLimits, Refusal> {
    let in_pid = |key: &'static str, origin: &Origin| {
        let needs = "\"pid\" in isolation.namespaces";
        let there = namespaces.contains(&Namespace::Pid);
        there.then_some(()).ok_or_else(|| Refusal::new(Slip::Needs { key, needs }, origin))
    };
    let mut planned = PidLimits::default();
    if let Some(pid_max) = &isolation.pid_max {
        let key = "isolation.pid-max";
        in_pid(key, &pid_max.origin)?;
        let lack = setting(key, "a pid_max of its own in each PID namespace", "Linux 6.14", facts.pid_max);
        lack.map_err(|lack| Refusal::new(lack, &pid_max.origin))?;
        planned.pid_max = Some(pid_max.value);
    }
    planned.memfd_noexec = memfd_noexec(isolation, filter, facts, off, &in_pid)?;
    if let Some(unique) = isolation.unique_pid.as_ref().filter(|unique| unique.value) {
        let key = "isolation.unique-pid";
        in_pid(key, &unique.origin)?;
        if first == First::Command {
            return Err(Refusal::new(Slip::Needs { key, needs: "isolation.init = true" }, &unique.origin));
        }
        if planned.pid_max.is_some() {
            return Err(Refusal::new(Slip::Excludes { key, other: "isolation.pid-max" }, &unique.origin));
        }
        let lack = setting(key, "ns_last_pid", "CONFIG_CHECKPOINT_RESTORE and a writable /proc/sys", facts.ns_last_pid);
        lack.map_err(|lack| Refusal::new(lack, &unique.origin))?;
        planned.unique_pid = true;
    }
    Ok(planned)
}

/// A memfd that can be executed is a program that no mount option stops. Where the filter has no memfd_create the
/// setting would only cost time: each write through the host's /proc makes later sessions slower.
fn memfd_noexec(
    isolation: &Isolation,
    filter: Option<&Filter>,
    facts: &Facts,
    off: &mut Vec<Off>,
    in_pid: &dyn Fn(&'static str, &Origin) -> Result<(), Refusal>,
) -> Result<bool, Refusal> {
    let key = "isolation.memfd-noexec";
    let callable = filter.is_none_or(|filter| calls::allows(filter, "memfd_create"));
    match isolation.memfd_noexec.as_ref().filter(|wanted| wanted.value) {
        _ if !callable => Ok(false),
        Some(wanted) => {
            in_pid(key, &wanted.origin)?;
            let lack = setting(key, "a memfd_noexec of its own in each PID namespace", "Linux 6.3", facts.memfd_noexec);
            lack.map(|()| true).map_err(|lack| Refusal::new(lack, &wanted.origin))
        }
        None => {
            let why = not_asked(key, isolation.memfd_noexec.as_ref());
            off.push(Off::new("memfd-noexec", format!("memfd_create is allowed, and {why}")));
            Ok(false)
        }
    }
}

/// No memory both writable and executable, where a policy asks for it: by the kernel, or by the filter where the kernel
/// is older than 6.3. True where the kernel is told.
pub(super) fn write_execute(
    policy: &Policy,
    filter: Option<&mut Filter>,
    facts: &Facts,
    off: &mut Vec<Off>,
) -> Result<bool, Refusal> {
    let key = "isolation.memory-deny-write-execute";
    let written = policy.isolation.memory_deny_write_execute.as_ref();
    let Some(wanted) = written.filter(|wanted| wanted.value) else {
        off.push(Off::new("write-execute", not_asked(key, written)));
        return Ok(false);
    };
    if calls::asks_for_jit(&policy.syscalls).is_some() {
        let other = "\"jit\" in syscalls.allow";
        return Err(Refusal::new(Slip::Excludes { key, other }, &wanted.origin));
    }
    match (setting(key, "PR_SET_MDWE", "Linux 6.3", facts.mdwe), filter) {
        (Ok(()), _) => Ok(true),
        (Err(_), Some(filter)) => {
            calls::deny_write_execute(filter);
            let why = "needs Linux 6.3; the filter refuses memory that is writable and executable instead";
            off.push(Off::new("PR_SET_MDWE", why));
            Ok(false)
        }
        (Err(lack), None) => Err(Refusal::new(lack, &wanted.origin)),
    }
}

fn not_asked(key: &str, written: Option<&Sourced<bool>>) -> String {
    match written {
        Some(written) => format!("{key} = false ({})", written.origin),
        None => format!("{key} is not set"),
    }
}

fn setting(key: &'static str, what: &'static str, since: &'static str, trial: Trial) -> Result<(), Lack> {
    if trial.works() { Ok(()) } else { Err(Lack::Setting { key, what, since, trial }) }
}
