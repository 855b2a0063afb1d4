// SPDX-License-Identifier: Apache-2.0
//! The words for a failed step: a child says a step, an item and an errno, and this says what they were.
//! Reads the plan only; an item that the plan does not have gets its number, never a guess.

use super::model::{Ids, Plan, StandardError};
use super::steps::Step;
use nix::libc;

/// How an item stands after its step.
enum Words {
    /// As the object of the sentence: "mount the scratch file system /tmp".
    Object(String),
    /// As an explanation: "enter a user namespace (uid_map)".
    Part(String),
    /// Not at all: the step has one item, which its own words say.
    None,
}

/// The sentence about a failed step: "cannot mount the scratch file system /tmp: No space left on device".
pub fn sentence(plan: &Plan, step: Step, index: u16, errno: &str) -> String {
    let doing = step.doing();
    match words(plan, step, usize::from(index)) {
        Words::Object(object) => format!("cannot {doing} {object}: {errno}"),
        Words::Part(part) => format!("cannot {doing} ({part}): {errno}"),
        Words::None => format!("cannot {doing}: {errno}"),
    }
}

/// Each item of a step that has items of the plan's, in order.
pub(super) fn all(plan: &Plan, step: Step) -> Vec<String> {
    let indices: Vec<usize> = match step {
        Step::Scratch => (0..plan.scratch.len()).collect(),
        Step::Limits => (0..plan.resources.len()).collect(),
        Step::Exec => (0..plan.command.programs.len()).collect(),
        Step::PidLimits => {
            let limits = &plan.pid_limits;
            let set = [limits.pid_max.is_some(), limits.memfd_noexec, limits.unique_pid];
            set.iter().enumerate().filter(|(_, set)| **set).map(|(index, _)| index).collect()
        }
        Step::Directory | Step::Umask => vec![0],
        Step::Clone | Step::Keyring | Step::Loopback | Step::Proc | Step::Identity | Step::UserNamespace => Vec::new(),
        Step::Relay | Step::Network | Step::BoundingSet | Step::Securebits | Step::Rights => Vec::new(),
        Step::NoNewPrivileges | Step::WriteExecute | Step::Landlock | Step::CloseFds | Step::Fork => Vec::new(),
        Step::Session | Step::Signals | Step::Handover | Step::Exchange | Step::Stdio | Step::Seccomp => Vec::new(),
        Step::Domain => Vec::new(),
    };
    let word = |index| match words(plan, step, index) {
        Words::Object(word) | Words::Part(word) => Some(word),
        Words::None => None,
    };
    indices.into_iter().filter_map(word).collect()
}

fn words(plan: &Plan, step: Step, index: usize) -> Words {
    match step {
        Step::Clone | Step::Keyring | Step::Loopback | Step::Proc | Step::Domain => Words::None,
        Step::Relay => {
            const PARTS: [&str; 9] = [
                "socketpair",
                "clone",
                "parent-death signal",
                "channel",
                "Landlock",
                "filter",
                "open files",
                "its word that it is confined",
                "listeners",
            ];
            part(&PARTS, index)
        }
        Step::Network => Words::Part(network(plan, index)),
        Step::Exchange => part(&["domain", "more than one", "non-blocking", "socketpair", "sendmsg"], index),
        Step::Session | Step::NoNewPrivileges | Step::WriteExecute | Step::Landlock | Step::Securebits => Words::None,
        Step::Scratch => {
            let path = plan.scratch.get(index).map(|scratch| scratch.path.display().to_string());
            Words::Object(path.unwrap_or_else(|| number(index)))
        }
        Step::PidLimits => Words::Part(pid_limit(plan, index)),
        Step::Directory => Words::Object(plan.command.directory.to_string_lossy().into_owned()),
        Step::Umask => Words::Object(format!("{:03o}", plan.command.umask)),
        Step::Identity => Words::Part(identity(plan, index)),
        Step::UserNamespace => {
            const FIRST: [&str; 4] = ["unshare", "setgroups", "uid_map", "gid_map"];
            // Where one is kept, there is no limit to write.
            const KEPT: &str = "setns";
            let limit = index.checked_sub(FIRST.len()).and_then(|index| plan.user_limits.iter().nth(index));
            match limit {
                Some((name, most)) => Words::Part(format!("user.{name} = {most}")),
                None if index == FIRST.len() => part(&[KEPT], 0),
                None => part(&FIRST, index),
            }
        }
        Step::Limits => {
            let limit = plan.resources.iter().nth(index);
            Words::Object(limit.map_or_else(|| number(index), |(limit, value)| format!("{} {value}", limit.name())))
        }
        Step::BoundingSet => Words::Part(capability(index)),
        Step::Rights => part(
            &["setresuid", "capset", "ambient capabilities", "read back", "dumpable", "parent-death signal"],
            index,
        ),
        Step::CloseFds => part(&["cord", "close_range"], index),
        Step::Fork => part(
            &[
                "signal mask",
                "signalfd",
                "clone",
                "filter of the reaper",
                "subreaper",
                "socket pair",
                "its program",
                "cgroup.kill",
            ],
            index,
        ),
        Step::Signals if index == 0 => Words::Part("signal mask".to_string()),
        Step::Signals => Words::Part(libc::c_int::try_from(index).map_or_else(|_| number(index), signal)),
        Step::Handover => part(&["recvmsg", "environment"], index),
        Step::Stdio => Words::Part(descriptor(plan, index)),
        Step::Seccomp => Words::Part(format!("filter {}", index + 1)),
        Step::Exec => {
            let program = plan.command.programs.get(index).map(|program| program.to_string_lossy().into_owned());
            Words::Object(program.unwrap_or_else(|| number(index)))
        }
    }
}

fn part(names: &[&str], index: usize) -> Words {
    Words::Part(names.get(index).map_or_else(|| number(index), |name| (*name).to_string()))
}

/// An item that this plan does not have: the child and the program disagree, which the number shows.
fn number(index: usize) -> String {
    format!("item {index}")
}

/// A descriptor, and what it is where that is not the connection.
fn descriptor(plan: &Plan, index: usize) -> String {
    match (index, plan.stderr) {
        (2, StandardError::None) => "descriptor 2: /dev/null".to_string(),
        (2, StandardError::Log) => "descriptor 2: the log".to_string(),
        (_, StandardError::Connection | StandardError::None | StandardError::Log) => format!("descriptor {index}"),
    }
}

/// Its own first two items, and for each peer its address and its listener.
fn network(plan: &Plan, index: usize) -> String {
    const FIRST: [&str; 2] = ["unshare", "loopback"];
    let of_peer = index.checked_sub(FIRST.len());
    let peer = plan.relay.iter().flat_map(|relay| &relay.peers).nth(of_peer.unwrap_or(usize::MAX) / 2);
    match (peer, of_peer) {
        (Some(peer), Some(of_peer)) if of_peer % 2 == 0 => format!("address {}", peer.address.ip()),
        (Some(peer), _) => format!("listener {peer}"),
        (None, _) => FIRST.get(index).map_or_else(|| number(index), |first| (*first).to_string()),
    }
}

fn pid_limit(plan: &Plan, index: usize) -> String {
    match (index, plan.pid_limits.pid_max) {
        (0, Some(pid_max)) => format!("kernel.pid_max = {pid_max}"),
        (1, _) => "vm.memfd_noexec = 2".to_string(),
        (2, _) => "kernel.ns_last_pid".to_string(),
        (_, _) => number(index),
    }
}

fn identity(plan: &Plan, index: usize) -> String {
    let (uid, gid) = match plan.identity.ids {
        Ids::One { uid, gid } => (uid.to_string(), gid.to_string()),
        Ids::Each { range, gid } => {
            (format!("from {range}"), gid.map_or(format!("from {range}"), |gid| gid.to_string()))
        }
    };
    match index {
        0 => "securebits".to_string(),
        1 => "setgroups".to_string(),
        2 => format!("setresgid {gid}"),
        3 => format!("setresuid {uid}"),
        4 => "setfsuid".to_string(),
        _ => number(index),
    }
}

fn capability(index: usize) -> String {
    let known = caps::all().into_iter().find(|capability| usize::from(capability.index()) == index);
    known.map_or_else(|| format!("capability {index}"), |capability| capability.to_string())
}

/// The name of a signal.
pub(super) fn signal(number: libc::c_int) -> String {
    let known = nix::sys::signal::Signal::try_from(number).ok();
    known.map_or_else(|| format!("signal {number}"), |signal| signal.as_str().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{compatible, listen, master, root_on_618, strict};
    use super::super::resolve;
    use super::*;

    #[test]
    fn a_failed_step_is_a_sentence() {
        let mut policy = strict();
        policy.isolation.pid_max = Some(super::super::hosts::on(1, 310));
        let plan = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
        for (step, index, expected) in [
            (Step::Scratch, 0, "cannot mount the scratch file system /tmp: X"),
            (Step::Scratch, 7, "cannot mount the scratch file system item 7: X"),
            (Step::Keyring, 0, "cannot join an empty session keyring: X"),
            (Step::PidLimits, 0, "cannot limit the PID namespace (kernel.pid_max = 310): X"),
            (Step::Directory, 0, "cannot enter the working directory /: X"),
            (Step::Umask, 0, "cannot set the file mode creation mask 077: X"),
            (Step::Identity, 3, "cannot take on the command's identity (setresuid 65534): X"),
            (Step::UserNamespace, 2, "cannot enter a user namespace (uid_map): X"),
            (Step::Limits, 1, "cannot set the resource limit open-files 64: X"),
            (Step::BoundingSet, 21, "cannot drop a capability for good (CAP_SYS_ADMIN): X"),
            (Step::BoundingSet, 63, "cannot drop a capability for good (capability 63): X"),
            (Step::Rights, 1, "cannot give up every right (capset): X"),
            (Step::Signals, 13, "cannot set the signal dispositions (SIGPIPE): X"),
            (Step::Exec, 1, "cannot execute the command /bin/sh: X"),
        ] {
            assert_eq!(sentence(&plan, step, index, "X"), expected);
        }
    }

    #[test]
    fn every_step_has_words_for_any_item() {
        let plan = resolve(&master("policyd-spf", &["sh"]), &compatible(), &root_on_618()).unwrap();
        for step in Step::ALL {
            for index in [0, 1, 2, 3, 4, 5, 40, u16::MAX] {
                let sentence = sentence(&plan, *step, index, "X");
                assert!(sentence.starts_with("cannot ") && sentence.ends_with(": X"), "{sentence}");
                assert!(!sentence.contains("  ") && !sentence.contains("()"), "{sentence}");
            }
        }
    }
}
