// SPDX-License-Identifier: Apache-2.0
//! The steps of the child in words: who takes each, about what, by which calls, and why it stands there. A step that
//! the plan does not need keeps its place, with the reason why it is not taken.

use super::super::calls;
use super::super::items;
use super::super::model::{CloneCall, Ids, Namespace, NetworkMode, Plan, StandardError};
use super::super::steps::{Place, Step};
use super::Look;
use super::page::broken;
use serde_json::{Value, json};
use std::fmt::Write;

/// Where the words begin: after number, name and place.
const MARGIN: usize = 31;

/// Every step in its place, in lines of at most the width.
pub(super) fn text(plan: &Plan, Look { width, paint }: Look) -> String {
    let mut text = String::new();
    let mut number = 0;
    for step in Step::ALL {
        let (sign, doing, why) = match plan.steps.contains(step) {
            true => {
                number += 1;
                let about = about(plan, *step).map_or(String::new(), |about| format!(": {about}"));
                let why = format!("by {}; {}", calls_of(plan, *step).join(", "), reason(plan, *step));
                (number.to_string(), format!("{}{about}", step.doing()), why)
            }
            false => ("-".to_string(), format!("not taken: {}", why_not(plan, *step)), String::new()),
        };
        let name = paint.name(&format!("{:<15}", step.name()));
        let head = format!("{sign:>2}  {name}  {:<10}", plan.place(*step).name());
        let lines = [doing, why].into_iter().filter(|words| !words.is_empty());
        for (index, line) in lines.flat_map(|words| broken(&words, width.saturating_sub(MARGIN))).enumerate() {
            let head = if index == 0 { head.clone() } else { " ".repeat(MARGIN) };
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{head}{line}");
        }
    }
    text
}

/// The same for programs: what is taken in order, then what is not.
pub(super) fn value(plan: &Plan) -> (Value, Value) {
    let taken = plan.steps.iter().map(|step| {
        json!({
            "name": step.name(), "place": plan.place(*step).name(), "doing": step.doing(), "about": about(plan, *step),
            "calls": calls_of(plan, *step), "reason": reason(plan, *step),
        })
    });
    let skipped = Step::ALL.iter().filter(|step| !plan.steps.contains(step)).map(|step| {
        json!({
            "name": step.name(), "place": plan.place(*step).name(), "doing": step.doing(), "why": why_not(plan, *step),
        })
    });
    (taken.collect(), skipped.collect())
}

/// Its system calls, each once. The first process is made in one of two ways.
fn calls_of(plan: &Plan, step: Step) -> Vec<&'static str> {
    let mut calls: Vec<&str> = Vec::new();
    let whole = plan.clone == CloneCall::Clone3;
    for call in step.calls().split(' ').filter(|call| step != Step::Clone || (*call == "clone3") == whole) {
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
    calls
}

/// Why it stands where it stands.
fn reason(plan: &Plan, step: Step) -> &'static str {
    match (step, plan.place(step)) {
        (Step::Clone, _) if plan.clone == CloneCall::Clone => {
            "clone3 is hidden here: the process enters its control group, where it has one, before anything else"
        }
        (Step::BoundingSet, Place::Launcher) => "once for all sessions: no user namespace fills the bounding set again",
        (step, _) => step.reason(),
    }
}

/// What it is about, where its own words do not say that.
fn about(plan: &Plan, step: Step) -> Option<String> {
    Some(match step {
        Step::Clone => {
            let made = |one: &Namespace| plan.namespaces.contains(one) && !is_made_elsewhere(plan, *one);
            let names: Vec<&str> = Namespace::ALL.iter().filter(|one| made(one)).map(|one| one.name()).collect();
            if names.is_empty() {
                return None;
            }
            let kept = match (plan.keeps_networks(), plan.keeps_ipc()) {
                (true, true) => {
                    "; those of the network and of IPC may have been another session's, which is over, and are empty"
                }
                (true, false) => "; that of the network may have been another session's, which is over, and is empty",
                (false, true) => "; that of IPC may have been another session's, which is over, and is empty",
                (false, false) => "",
            };
            format!("{} namespaces of its own{kept}", names.join(", "))
        }
        Step::Scratch | Step::PidLimits | Step::Limits | Step::Exec => items::all(plan, step).join(", "),
        Step::Directory | Step::Umask => items::all(plan, step).concat(),
        Step::Identity => match plan.identity.ids {
            Ids::One { uid, gid } => format!("user id {uid}, group id {gid}, no other group"),
            Ids::Each { range, .. } => format!("user id from {range}, one group, no other"),
        },
        Step::UserNamespace => {
            let limits = plan.user_limits.iter().map(|(name, most)| format!(", user.{name} = {most}"));
            let kept = match plan.keeps_users() {
                true => "; it may have been another session's, which is over",
                false => "",
            };
            format!("no id but the command's{}{kept}", limits.collect::<String>())
        }
        Step::Relay | Step::Network => {
            let peers = plan.relay.iter().flat_map(|relay| &relay.peers);
            peers.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        Step::BoundingSet => format!("all {}", u32::from(plan.last_capability) + 1),
        Step::Landlock => format!("ABI {}", plan.landlock.as_ref()?.abi),
        Step::CloseFds => "all but the cord and what the reaper keeps".to_string(),
        Step::Signals => {
            let ignored: Vec<String> =
                plan.command.ignore_signals.iter().map(|signal| items::signal(*signal)).collect();
            match ignored.is_empty() {
                true => "each as it is by default, none blocked".to_string(),
                false => format!("{} ignored, the others as by default, none blocked", ignored.join(", ")),
            }
        }
        Step::Stdio => match plan.stderr {
            StandardError::Connection => return None,
            StandardError::None => "standard error is /dev/null".to_string(),
            StandardError::Log => "standard error is the log's pipe".to_string(),
        },
        Step::Seccomp => {
            let part = match plan.splits_filter() {
                true => ", most of them by the launcher's part of it, which is inherited",
                false => "",
            };
            let earlier = match plan.spares > 0 && plan.spares_wait_filtered() {
                true => "; what waits for its client takes this step before it has one",
                false => "",
            };
            format!("{} calls are allowed{part}{earlier}", calls::allowed(plan.filter.as_ref()?).count())
        }
        Step::Keyring | Step::Loopback | Step::Proc | Step::Rights | Step::Securebits => return None,
        Step::NoNewPrivileges | Step::WriteExecute | Step::Fork | Step::Session => return None,
        Step::Handover | Step::Exchange | Step::Domain => return None,
    })
}

/// Whether a later step makes it, or the launcher has, or nobody.
fn is_made_elsewhere(plan: &Plan, namespace: Namespace) -> bool {
    match namespace {
        Namespace::User => true,
        Namespace::Network => plan.relay.is_some() || plan.network == NetworkMode::Host,
        Namespace::Mount | Namespace::Pid | Namespace::Ipc | Namespace::Uts | Namespace::Cgroup => false,
    }
}

/// Why the plan does not need it. Every step is asked by name, as where it is decided.
fn why_not(plan: &Plan, step: Step) -> String {
    let off = |layer: &str| {
        let off = plan.off.iter().find(|off| off.layer == layer);
        off.map_or_else(|| format!("{layer} is off"), |off| off.why.clone())
    };
    let words = match step {
        Step::Loopback => match plan.network {
            NetworkMode::None => "its network namespace has no interface up",
            NetworkMode::Loopback => "the step Network does it",
            NetworkMode::Host => "the network is the host's",
        },
        Step::Relay | Step::Network => "nothing is forwarded (network.forward)",
        Step::Exchange if plan.relay.is_some() => "the connection is no socket of the host's network",
        Step::Exchange => "the command gets the connection itself",
        Step::Scratch => "the policy has no files.scratch",
        Step::Proc => "the command sees no /proc (files.proc)",
        Step::PidLimits => "the policy sets none of isolation.pid-max, memfd-noexec and unique-pid",
        Step::Identity => "who starts it is an ordinary user, and so is the command",
        Step::UserNamespace if plan.namespaces.contains(&Namespace::User) => "the launcher is in one already",
        Step::UserNamespace => "isolation.namespaces does not name user",
        Step::Limits => "the policy sets no limit that a process has",
        Step::BoundingSet | Step::Securebits if plan.identity.change => return off("bounding set"),
        Step::BoundingSet | Step::Securebits => "who starts it has no right to, and no capability to drop",
        Step::WriteExecute => match &plan.filter {
            Some(filter) if calls::denies_write_execute(filter) => "the system call filter does it",
            Some(_) | None => return off("write-execute"),
        },
        Step::Landlock => return off("landlock"),
        Step::Fork => "the command itself is process 1 (isolation.init)",
        Step::Seccomp => return off("seccomp"),
        Step::Keyring => return off("keyring"),
        Step::Domain if plan.namespaces.contains(&Namespace::Pid) => "no signal reaches the first of a PID namespace",
        Step::Domain => "this Landlock lets signals out (ABI 6)",
        Step::Clone | Step::Directory | Step::Umask | Step::Rights | Step::NoNewPrivileges => "",
        Step::CloseFds | Step::Session | Step::Signals | Step::Handover | Step::Stdio | Step::Exec => "",
    };
    words.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::hosts::{compatible, listen, master, on, root_on_618, strict, user_on_618};
    use super::super::super::resolve;
    use super::*;
    use crate::policy::model::Layer;

    #[test]
    fn every_step_is_either_taken_with_its_calls_or_not_taken_for_a_reason() {
        let mut bare = compatible();
        bare.isolation.seccomp = Some(on(1, Layer::Off));
        bare.isolation.landlock = Some(on(2, Layer::Off));
        for (request, policy, facts) in [
            (listen(&["sh"]), strict(), root_on_618()),
            (listen(&["sh"]), strict(), user_on_618()),
            (master("policyd-spf", &["sh"]), bare, root_on_618()),
        ] {
            let plan = resolve(&request, &policy, &facts).unwrap();
            let (taken, skipped) = value(&plan);
            let (taken, skipped) = (taken.as_array().unwrap(), skipped.as_array().unwrap());
            assert_eq!(taken.len() + skipped.len(), Step::ALL.len());
            assert!(skipped.iter().all(|step| step["why"].as_str().is_some_and(|why| !why.is_empty())), "{skipped:?}");
            assert!(taken.iter().all(|step| !step["calls"].as_array().unwrap().is_empty()), "{taken:?}");
            for width in [80, 120] {
                let page = text(&plan, Look { width, ..Look::PLAIN });
                assert!(page.lines().all(|line| line.chars().count() <= width), "{page}");
                assert!(Step::ALL.iter().all(|step| page.contains(&format!("  {:<15}  ", step.name()))), "{page}");
            }
        }
    }
}
