// SPDX-License-Identifier: Apache-2.0
//! The layers of a host, judged from its facts alone: what is there, what is not, and which way leads out.
//! Looks at nothing itself, so that hosts which are not here can be judged in tests.

use super::{Finding, State, fixes};
use crate::host::Causes;
use crate::host::audit::{Flood, Hearing};
use crate::host::errno_text;
use crate::host::facts::{Cgroup, Controller, Facts, Namespace, Trial};
use crate::policy::model::Level;
use crate::policy::words::Word;
use nix::libc;
use std::collections::BTreeSet;

/// What Landlock learned with each ABI that matters to a policy, and the release of Linux, where one is known.
const LANDLOCK: [(u32, &str, Option<&str>); 7] = [
    (1, "files", Some("5.13")),
    (3, "truncation", Some("6.2")),
    (4, "TCP ports", Some("6.7")),
    (5, "ioctl on devices", Some("6.10")),
    (6, "signals and abstract sockets", Some("6.12")),
    (9, "paths of UNIX sockets", None),
    (10, "UDP ports", None),
];

/// Every layer, in the order in which a sandbox is explained.
pub(super) fn findings(facts: &Facts, causes: &Causes, hearing: Option<Hearing>) -> Vec<Finding> {
    vec![
        level(facts),
        kernel(facts),
        namespaces(facts, causes),
        landlock(facts, causes, hearing),
        calls(facts, causes),
        listener(facts),
        memory(facts),
        settings(facts),
        control_groups(facts),
        identity(facts, causes),
    ]
}

/// Who looks, at what.
pub(super) fn who(facts: &Facts) -> String {
    let user = if facts.rootless() { format!("user id {}", facts.uid) } else { "root".to_string() };
    format!("Linux {} as {user}", facts.kernel.release)
}

/// What may stand in `isolation.level`, and what each stronger one takes; the layers say how to mend that.
fn level(facts: &Facts) -> Finding {
    let needs = |level: &Level| format!("{} needs: {}", level.word(), level.lacks(facts).join(", "));
    let above = |given: Option<Level>| Level::ALL.into_iter().filter(move |level| Some(*level) > given).collect();
    let given = Level::of(facts);
    let stronger: Vec<Level> = above(given);
    let finding = match given {
        Some(level) => {
            let state = if stronger.is_empty() { State::Good } else { State::Less };
            Finding::new("level", state, format!("{}: {}", level.word(), level.words()))
        }
        None => Finding::new("level", State::Lacking, "none that a policy can name"),
    };
    stronger.iter().rev().map(needs).fold(finding, Finding::note)
}

fn kernel(facts: &Facts) -> Finding {
    let release = format!("Linux {}", facts.kernel.release);
    let newer = || ["install Linux 6.1 or newer".to_string()];
    match facts.kernel.untested() {
        _ if !facts.kernel.may_work() => {
            let why = "ending everything that a command has started needs 5.14 (cgroup.kill)";
            Finding::new("kernel", State::Lacking, format!("{release} is too old")).note(why).fix(newer())
        }
        Some(why) => Finding::new("kernel", State::Less, why).fix(newer()),
        None => Finding::good("kernel", release),
    }
}

fn namespaces(facts: &Facts, causes: &Causes) -> Finding {
    let tried = |namespace: &Namespace| facts.namespaces.get(namespace).copied().unwrap_or(Trial::Refused(0));
    let (works, refused): (Vec<_>, Vec<_>) = Namespace::ALL.into_iter().partition(|one| tried(one).works());
    let names = |some: &[Namespace]| some.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
    if refused.is_empty() && !facts.hostname.works() {
        let what = format!("the host's name cannot be hidden: {}", facts.hostname);
        return Finding::new("namespaces", State::Lacking, what).fix(fixes::surroundings(causes));
    }
    if refused.is_empty() {
        return Finding::good("namespaces", names(&works));
    }
    let finding = Finding::new("namespaces", State::Lacking, format!("cannot be made: {}", names(&refused)));
    let mut ways = Vec::new();
    let mut finding = match works.is_empty() {
        true => finding,
        false => finding.note(format!("can be made: {}", names(&works))),
    };
    for namespace in &refused {
        finding = finding.note(format!("{}: {}", namespace.name(), tried(namespace)));
        ways.extend(fixes::namespace(*namespace, tried(namespace), facts, causes));
    }
    let mut told = BTreeSet::new();
    ways.retain(|way| told.insert(way.clone()));
    finding.fix(ways)
}

fn landlock(facts: &Facts, causes: &Causes, hearing: Option<Hearing>) -> Finding {
    let abi = facts.landlock_abi;
    if abi == 0 {
        return Finding::new("Landlock", State::Lacking, "this kernel has none, or it cannot be used")
            .fix(fixes::landlock(causes));
    }
    let known: Vec<&str> = LANDLOCK.iter().filter(|(needs, ..)| *needs <= abi).map(|(_, what, _)| *what).collect();
    let missing: Vec<String> = LANDLOCK.iter().filter(|(needs, ..)| *needs > abi).map(lack).collect();
    // From 6 on it holds all that the shipped policies ask of it.
    let state = if abi < 6 { State::Less } else { State::Good };
    let finding = Finding::new("Landlock", state, format!("ABI {abi}: {}", known.join(", ")));
    let finding = match missing.is_empty() {
        true => finding,
        false => finding.note(format!("not held: {}", missing.join(", "))),
    };
    hearing.map(heard).into_iter().flatten().fold(finding, Finding::note)
}

/// Whether what it denies can be named by way of the kernel's audit log, and what that risks.
fn heard(hearing: Hearing) -> Vec<String> {
    let key = "isolation.landlock-audit";
    match hearing {
        Hearing::Heard(flood) => {
            let told = format!("what it denies can be named by way of the audit log ({key})");
            let risk = match flood {
                Flood::Loses => None,
                Flood::Panics => Some(format!(
                    "with {key} a command can make this kernel panic by asking for much: `auditctl -f 1` has it lose \
                     records instead"
                )),
            };
            std::iter::once(told).chain(risk).collect()
        }
        Hearing::Off => vec![format!(
            "what it denies cannot be named by {key}: audit is off, and `auditctl -e 1` \
             switches it on"
        )],
        Hearing::Refused(errno) => {
            vec![format!(
                "what it denies cannot be named by {key}: the audit log cannot be read: {}",
                errno_text(errno)
            )]
        }
        Hearing::Silent => vec![format!(
            "what it denies cannot be named by {key}: the audit log does not tell of it here, as in a network or PID \
             namespace of a container's"
        )],
    }
}

fn lack((abi, what, release): &(u32, &str, Option<&str>)) -> String {
    match release {
        Some(release) => format!("{what} (Linux {release})"),
        None => format!("{what} (ABI {abi})"),
    }
}

fn calls(facts: &Facts, causes: &Causes) -> Finding {
    match facts.seccomp.works() {
        true => Finding::good("system calls", "filters (seccomp)"),
        false => {
            let what = format!("filters cannot be used: {}", facts.seccomp);
            Finding::new("system calls", State::Lacking, what).fix(fixes::surroundings(causes))
        }
    }
}

/// What no policy needs but one that has denied calls named, and what `learn` and `trace` are made of.
fn listener(facts: &Facts) -> Finding {
    let what = "denied calls are named (seccomp user notification)";
    let without = "without it there is no syscalls.on-deny = \"report\", no learn and no trace";
    match facts.listener {
        trial if trial.works() => Finding::good("listener", what),
        Trial::Refused(libc::EBUSY) => {
            let why = "a filter around spawnbox is listened to already, and there can be one listener";
            let way = "start it outside of the container, or without the tool that watches this one";
            Finding::new("listener", State::Less, why).note(without).fix([way.to_string()])
        }
        trial => Finding::new("listener", State::Less, format!("denied calls cannot be named: {trial}")).note(without),
    }
}

fn memory(facts: &Facts) -> Finding {
    match facts.mdwe.works() {
        true => Finding::good("memory", "never writable and executable (PR_SET_MDWE)"),
        false => {
            let what = "never writable and executable, by the system call filter";
            Finding::good("memory", what).note("PR_SET_MDWE needs Linux 6.3")
        }
    }
}

/// Settings that no policy asks for unless it names them.
fn settings(facts: &Facts) -> Finding {
    let all = [
        ("pid_max", facts.pid_max, "Linux 6.14"),
        ("memfd_noexec", facts.memfd_noexec, "Linux 6.3, and root"),
        ("ns_last_pid", facts.ns_last_pid, "CONFIG_CHECKPOINT_RESTORE"),
    ];
    let names = |wanted: bool| {
        let some: Vec<String> = all
            .iter()
            .filter(|(_, trial, _)| trial.works() == wanted)
            .map(|(name, _, needs)| if wanted { (*name).to_string() } else { format!("{name} (needs {needs})") })
            .collect();
        some.join(", ")
    };
    let (can, cannot) = (names(true), names(false));
    let what =
        if can.is_empty() { "no settings of their own".to_string() } else { format!("settings of their own: {can}") };
    match cannot.is_empty() {
        true => Finding::good("PID namespaces", what),
        false => Finding::new("PID namespaces", State::Less, what).note(format!("not: {cannot}")),
    }
}

fn control_groups(facts: &Facts) -> Finding {
    match &facts.cgroup {
        Cgroup::Unavailable(why) => {
            Finding::new("control groups", State::Less, "none for sessions, so no limits of memory and processor")
                .note(why.clone())
                .note("sessions end with their PID namespace")
                .fix(fixes::delegation(facts))
        }
        Cgroup::At { path, controllers, on_v1 } => {
            let has = |one: &Controller| controllers.contains(one);
            let all = [Controller::Memory, Controller::Pids, Controller::Cpu];
            let name = |one: &Controller| one.name();
            let (can, cannot): (Vec<Controller>, Vec<Controller>) = all.into_iter().partition(has);
            let names = |some: &[Controller]| some.iter().map(name).collect::<Vec<_>>().join(", ");
            let place = path.display();
            if cannot.is_empty() {
                return Finding::good("control groups", format!("{place}, with limits: {}", names(&can)));
            }
            let with = if can.is_empty() { "no limits".to_string() } else { format!("limits: {}", names(&can)) };
            let finding = Finding::new("control groups", State::Less, format!("{place}, with {with}"));
            let (old, free): (Vec<Controller>, Vec<Controller>) =
                cannot.into_iter().partition(|one| on_v1.contains(one));
            let finding = match old.is_empty() {
                true => finding,
                false => finding
                    .note(format!("on a version 1 hierarchy: {}", names(&old)))
                    .fix(["boot with systemd.unified_cgroup_hierarchy=1".to_string()]),
            };
            match free.is_empty() {
                true => finding,
                false => finding.note(format!("not delegated: {}", names(&free))).fix(fixes::delegation(facts)),
            }
        }
    }
}

fn identity(facts: &Facts, causes: &Causes) -> Finding {
    match facts.rootless() {
        false => {
            let finding = Finding::good("identity", "commands run as any account but root");
            // Claims are locks below this container's own /run.
            match causes.container && causes.unmapped {
                true => finding.note(
                    "a user id of a range is claimed in this container alone: systemd outside may give the same one to a \
                     dynamic user (61184-65519), so name another range here, such as 65536-65599",
                ),
                false => finding,
            }
        }
        true => {
            let what = format!("commands run as user id {}, as spawnbox does", facts.uid);
            let finding = Finding::new("identity", State::Less, what).fix(["start it as root".to_string()]);
            match facts.groups.iter().any(|group| *group != facts.gid) {
                true => finding.note("and keep its supplementary groups"),
                false => finding,
            }
        }
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
