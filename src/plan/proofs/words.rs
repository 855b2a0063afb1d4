// SPDX-License-Identifier: Apache-2.0
//! The words for a proof that failed: what is true instead, and what to do about it.
//! Reads the plan only; an item that the plan does not have gets no name, never a guess.

use super::{CANARIES, Item, Proof, foreign_port};
use crate::host::errno_text;
use crate::plan::model::Plan;
use crate::policy::model::Namespace;
use nix::errno::Errno;

/// What a proof came to that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Its opposite is true.
    Breach,
    /// It could not be looked at: this errno.
    Unseen(i32),
    /// Nobody looked: the child ended before it came there.
    Missing,
}

/// The sentence about a proof that did not succeed, with what to do about it.
pub fn sentence(plan: &Plan, item: Item, doubt: Doubt) -> String {
    let (layer, holds) = (item.proof.layer(), item.proof.holds());
    match doubt {
        Doubt::Breach => format!("{layer}: {}; {}", breach(plan, item), way_out(item.proof)),
        Doubt::Unseen(errno) if item.proof == Proof::Audited => {
            let why = errno_text(Errno::from_raw(errno));
            format!("{layer}: cannot tell whether {holds}: it cannot be read: {why}; {}", way_out(item.proof))
        }
        Doubt::Unseen(errno) => {
            format!("{layer}: cannot tell whether {holds}: {}", errno_text(Errno::from_raw(errno)))
        }
        Doubt::Missing => format!("{layer}: cannot tell whether {holds}: the child ended before it could say"),
    }
}

/// What is true instead of what the proof should have shown.
fn breach(plan: &Plan, item: Item) -> String {
    let index = usize::from(item.index);
    let one_of = |words: &[&str]| words.get(index).map_or_else(|| format!("item {index}"), |word| (*word).to_string());
    match item.proof {
        Proof::ControlGroup => "its first process is not in its control group".to_string(),
        Proof::Namespace => {
            let name = Namespace::ALL.get(index).map_or("item", |namespace| namespace.name());
            format!("the {name} namespace is still the launcher's")
        }
        Proof::PidSetting => {
            format!("{} is not what was written", one_of(&["kernel.pid_max", "vm.memfd_noexec"]))
        }
        Proof::Keyring => "the session keyring is still the supervisor's".to_string(),
        Proof::Outside => "a file that the policy does not show could be opened".to_string(),
        Proof::Domain => "it could signal its reaper, which is to end it".to_string(),
        Proof::Audited => "no record came of a denial, where what it denies is told by the audit log".to_string(),
        Proof::Scope => "an abstract UNIX socket outside could be connected to".to_string(),
        Proof::Port => {
            let use_of = one_of(&["connect to", "bind", "send to"]);
            let port = foreign_port(plan).unwrap_or_default();
            format!("it could {use_of} port {port}, which the policy does not name")
        }
        Proof::Root => "the root directory is not the sandbox's own, or can be written".to_string(),
        Proof::Mount => match plan.root.binds() {
            Some(binds) => {
                let path =
                    binds.get(index).map_or_else(|| format!("item {index}"), |bind| bind.path.display().to_string());
                format!("{path} has another access than the policy's")
            }
            None => "a mount has another access than the policy's".to_string(),
        },
        Proof::Scratch => {
            let path = plan
                .scratch
                .get(index)
                .map_or_else(|| format!("item {index}"), |scratch| scratch.path.display().to_string());
            format!("the scratch file system {path} is not there, or has other limits")
        }
        Proof::Proc => "/proc is not that of its own PID namespace".to_string(),
        Proof::Identity => one_of(&[
            "its ids are not the command's",
            "it has groups that are not the command's",
            "it became root again",
        ]),
        Proof::Rights => {
            let what =
                ["capabilities", "ambient capabilities", "capabilities in its bounding set", "unlocked securebits"];
            format!("it still has {}", one_of(&what))
        }
        Proof::NoNewPrivileges => "no_new_privs is not set".to_string(),
        Proof::Limit => {
            let limit = plan.resources.iter().nth(index);
            let words =
                limit.map_or_else(|| format!("item {index}"), |(limit, value)| format!("{} {value}", limit.name()));
            format!("the limit {words} is not in force")
        }
        Proof::WriteExecute => "memory could be mapped writable and executable".to_string(),
        Proof::Nesting => "it could make a user namespace".to_string(),
        Proof::Descriptors => "a descriptor is left open to the command".to_string(),
        Proof::Session => "it does not lead a session of its own".to_string(),
        Proof::Filter => {
            let name = CANARIES.get(index).map_or("item", |(name, _)| name);
            format!("the system call {name} is not denied")
        }
        Proof::Heard => "a denied call was not heard of".to_string(),
        Proof::Reaper => "the reaper is not under its filter".to_string(),
        Proof::Forward => {
            let peer = plan.relay.iter().flat_map(|relay| &relay.peers).nth(index);
            let peer = peer.map_or_else(|| format!("item {index}"), ToString::to_string);
            format!("nothing listens at {peer} in its network namespace")
        }
        Proof::Relay => "the relay is not under its filter".to_string(),
        Proof::Lifeline => "it did not end when the supervisor let go".to_string(),
    }
}

/// What an operator can do about a layer that is not there though every step succeeded.
fn way_out(proof: Proof) -> String {
    if proof == Proof::Audited {
        return "switch audit on (`auditctl -e 1`), start spawnbox with CAP_AUDIT_READ in the host's first user, network \
                and PID namespaces, or leave isolation.landlock-audit out"
            .to_string();
    }
    let switch = match proof {
        Proof::Outside | Proof::Scope | Proof::Port => ", or switch Landlock off by name: isolation.landlock = \"off\"",
        Proof::Filter => ", or switch the filter off by name: isolation.seccomp = \"off\"",
        Proof::Heard => ", or have denied calls fail unnamed: syscalls.on-deny = \"errno\"",
        Proof::WriteExecute => ", or switch it off by name: isolation.memory-deny-write-execute = false",
        Proof::ControlGroup
        | Proof::Namespace
        | Proof::PidSetting
        | Proof::Keyring
        | Proof::Audited
        | Proof::Domain
        | Proof::Root
        | Proof::Mount
        | Proof::Scratch
        | Proof::Proc
        | Proof::Identity
        | Proof::Rights
        | Proof::NoNewPrivileges
        | Proof::Limit
        | Proof::Nesting
        | Proof::Descriptors
        | Proof::Session
        | Proof::Reaper
        | Proof::Forward
        | Proof::Relay
        | Proof::Lifeline => "",
    };
    let calls = proof.calls();
    format!(
        "the kernel, or a filter around spawnbox, answered {calls} without doing it: start spawnbox outside of that \
         container, emulator or tracer{switch}"
    )
}
