// SPDX-License-Identifier: Apache-2.0
//! How much of what could hold a command does: points for each wall, of a hundred, each with what the rest is lost for.
//! A way to compare policies and to see one grow weak; no measure of what an attacker needs.

use super::calls;
use super::explain::{Look, broken};
use super::model::{Access, Denial, Ids, Namespace, NetworkMode, Plan, Proc, Root};
use crate::host::facts::Resource;
use crate::policy::Origin;
use crate::policy::Paint;
use syscalls::x86_64::Sysno;

/// One wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// In the words of `explain`.
    pub wall: &'static str,
    /// What it has.
    pub points: u32,
    /// What it could have.
    pub most: u32,
    /// What is missing, or what there is.
    pub why: String,
}

/// Every wall, the heaviest first as far as they are alike. The most points of all of them are a hundred.
pub fn score(plan: &Plan) -> Vec<Part> {
    vec![
        files(plan),
        network(plan),
        filter(plan),
        limits(plan),
        landlock(plan),
        namespace(plan, Namespace::Pid, 8, without_pid(plan)),
        user(plan),
        part("privileges", 6, 6, "no capability, no new privileges: always"),
        namespace(plan, Namespace::User, 5, "what the kernel counts for a user is shared with the host"),
        namespace(plan, Namespace::Ipc, 3, "System V IPC and message queues are the host's"),
        memory(plan),
        namespace(plan, Namespace::Uts, 1, "may learn the host's name"),
        namespace(plan, Namespace::Cgroup, 1, "may learn where its control group is"),
    ]
}

/// The points of all walls together.
pub fn total(parts: &[Part]) -> u32 {
    parts.iter().map(|part| part.points).sum()
}

/// The table, and the sum as its last line.
pub fn table(parts: &[Part], look: Look) -> String {
    let mut text = String::new();
    let margin = " ".repeat(30);
    for Part { wall, points, most, why } in parts {
        let colour = match points {
            0 => Paint::bad,
            points if points < most => Paint::doubtful,
            _ => Paint::good,
        };
        let amount = colour(look.paint, &format!("{points:>3} of {most:>3}"));
        let why = broken(why, look.width - margin.len()).join(&format!("\n{margin}"));
        text.push_str(&format!("{amount}  {wall:<17} {why}\n"));
    }
    let most: u32 = parts.iter().map(|part| part.most).sum();
    text.push_str(&format!("{:>3} of {most:>3}  together\n", total(parts)));
    text
}

fn part(wall: &'static str, points: u32, most: u32, why: impl Into<String>) -> Part {
    Part { wall, points, most, why: why.into() }
}

fn files(plan: &Plan) -> Part {
    const MOST: u32 = 16;
    let (most, root) = match (&plan.root, plan.namespaces.contains(&Namespace::Mount)) {
        (Root::Empty { .. }, _) if plan.image.is_some() => {
            (MOST, "an empty root with what the policy shows of an image")
        }
        (Root::Empty { .. }, _) => (MOST, "an empty root with what the policy shows"),
        (Root::Held { .. }, _) => (10, "the host's names, of which Landlock opens what the policy lists"),
        (Root::Host, true) => (4, "the host's files, with mounts of its own"),
        (Root::Host, false) => (0, "the host's files and mounts"),
    };
    let scratch = plan.scratch.iter().any(|scratch| scratch.execute);
    let rows = [
        ("what may be written of the host's", writable(&plan.root)),
        ("programs may be written and run in scratch", u32::from(scratch)),
        ("all of /proc", if plan.proc == Proc::Full { 2 } else { 0 }),
    ];
    let lost: Vec<&str> = rows.iter().filter(|(_, points)| *points > 0).map(|(name, _)| *name).collect();
    let why = if lost.is_empty() { root.to_string() } else { format!("{root}; less for {}", lost.join(", ")) };
    part("files", most.saturating_sub(rows.iter().map(|(_, points)| points).sum()), MOST, why)
}

/// The points that trees cost which the command may write: a whole directory of the host's root is worth more than
/// what lies deeper. Never as much as the host's root costs.
fn writable(root: &Root) -> u32 {
    const MOST: u32 = 8;
    let Some(binds) = root.binds() else { return 0 };
    let points = binds.iter().map(|bind| match bind.access {
        Access::Read | Access::Execute => 0,
        // The root is the first component.
        Access::Write => {
            if bind.path.components().count() <= 2 {
                4
            } else {
                1
            }
        }
    });
    points.sum::<u32>().min(MOST)
}

/// Ports are worth less than a namespace: no address is held.
fn network(plan: &Plan) -> Part {
    const MOST: u32 = 16;
    let granted = ["network.connect", "network.bind", "network.udp"].map(|key| is_written(plan, key));
    let landlock = plan.landlock.as_ref();
    let held = [
        landlock.is_some_and(|rules| rules.connect.is_some()),
        landlock.is_some_and(|rules| rules.bind.is_some()),
        landlock.is_some_and(|rules| rules.udp.is_some()),
    ];
    let any = granted.iter().zip(held).filter(|(granted, held)| **granted && !held).count() as u32;
    let some = granted.iter().filter(|granted| **granted).count() as u32;
    match plan.network {
        NetworkMode::None => part("network", MOST, MOST, "its own, with no interface up"),
        NetworkMode::Loopback => match &plan.relay {
            None => part("network", MOST, MOST, "its own, with loopback up"),
            Some(relay) => {
                part("network", 14, MOST, format!("its own, and peers of the host's: {}", relay.peers.len()))
            }
        },
        NetworkMode::Host if any > 0 => {
            part("network", 6 - 2 * any, MOST, format!("the host's; any port by {any} of connect, bind and udp"))
        }
        NetworkMode::Host if some > 0 => part("network", 8, MOST, "the host's; the ports that are listed, any address"),
        NetworkMode::Host => part("network", 12, MOST, "the host's; no port is granted"),
    }
}

fn is_written(plan: &Plan, key: &str) -> bool {
    plan.origins.get(key).is_some_and(|origin| *origin != Origin::Default)
}

/// A list of what is allowed is worth most; the rest is for the calls that it leaves out.
fn filter(plan: &Plan) -> Part {
    const MOST: u32 = 16;
    let Some(filter) = &plan.filter else { return part("system calls", 0, MOST, "no filter") };
    let (all, allowed) = (Sysno::iter().count() as u32, calls::allowed(filter).count() as u32);
    let why = format!("{allowed} of {all} allowed");
    let closed = filter.default != Denial::Errno(nix::libc::ENOSYS);
    let for_fewer = 6 * (all - allowed).min(all) / all;
    part("system calls", if closed { 10 + for_fewer } else { 2 + for_fewer }, MOST, why)
}

fn limits(plan: &Plan) -> Part {
    const MOST: u32 = 10;
    let has = |resource| plan.resources.contains_key(&resource);
    let tasks = has(Resource::Tasks) || plan.cgroup.tasks.is_some();
    let memory = match (plan.cgroup.memory, has(Resource::AddressSpace)) {
        (Some(_), _) => 2,
        (None, true) => 1,
        (None, false) => 0,
    };
    let rows = [
        ("time", u32::from(plan.time_limit.is_some()) * 3, 3),
        ("memory of the session", memory, 2),
        ("tasks", u32::from(tasks) * 2, 2),
        ("processor", u32::from(has(Resource::ProcessorTime) || plan.cgroup.cpu.is_some()), 1),
        ("open files", u32::from(has(Resource::OpenFiles)), 1),
        ("file size", u32::from(has(Resource::FileSize)), 1),
    ];
    let lacking: Vec<&str> = rows.iter().filter(|(_, points, most)| points < most).map(|(name, _, _)| *name).collect();
    let why = if lacking.is_empty() { "all".to_string() } else { format!("not in full: {}", lacking.join(", ")) };
    part("limits", rows.iter().map(|(_, points, _)| points).sum(), MOST, why)
}

fn landlock(plan: &Plan) -> Part {
    const MOST: u32 = 9;
    let Some(rules) = &plan.landlock else { return part("landlock", 0, MOST, "off") };
    // Where there is nothing to reach, no rule is needed: a key that is not written grants nothing.
    let closed = plan.network != NetworkMode::Host;
    let held = |rule: bool, key| closed || rule || !is_written(plan, key);
    let tcp = held(rules.connect.is_some(), "network.connect") && held(rules.bind.is_some(), "network.bind");
    let rows = [
        ("files", rules.files, 5),
        ("signals and abstract sockets", rules.scopes, 2),
        ("TCP ports", tcp, 1),
        ("UDP ports", held(rules.udp.is_some(), "network.udp"), 1),
    ];
    let lacking: Vec<&str> = rows.iter().filter(|(_, on, _)| !on).map(|(name, _, _)| *name).collect();
    let why = match lacking.is_empty() {
        true => format!("ABI {}", rules.abi),
        false => format!("ABI {}, without {}", rules.abi, lacking.join(", ")),
    };
    part("landlock", rows.iter().filter(|(_, on, _)| *on).map(|(_, _, most)| most).sum(), MOST, why)
}

fn namespace(plan: &Plan, namespace: Namespace, most: u32, without: &str) -> Part {
    let wall = match namespace {
        Namespace::Pid => "pid namespace",
        Namespace::User => "user namespace",
        Namespace::Ipc => "ipc namespace",
        Namespace::Uts => "uts namespace",
        Namespace::Cgroup => "cgroup namespace",
        Namespace::Mount | Namespace::Network => namespace.name(),
    };
    match plan.namespaces.contains(&namespace) {
        true => part(wall, most, most, "its own"),
        false => part(wall, 0, most, without),
    }
}

/// Landlock can keep signals in, and nothing else of what the namespace does.
fn without_pid(plan: &Plan) -> &'static str {
    match plan.landlock.as_ref().is_some_and(|rules| rules.scopes) {
        true => "sees the host's processes",
        false => "sees and signals the host's processes",
    }
}

fn user(plan: &Plan) -> Part {
    const MOST: u32 = 6;
    match (plan.identity.ids, plan.identity.change) {
        (Ids::Each { .. }, _) => part("user", MOST, MOST, "each session has an id of its own"),
        (Ids::One { .. }, true) => part("user", 5, MOST, "one account for all sessions"),
        (Ids::One { .. }, false) => part("user", 3, MOST, "the account that started it"),
    }
}

fn memory(plan: &Plan) -> Part {
    const MOST: u32 = 3;
    let held = plan.memory_deny_write_execute || plan.filter.as_ref().is_some_and(calls::denies_write_execute);
    match held {
        true => part("memory", MOST, MOST, "never both writable and executable"),
        false => part("memory", 0, MOST, "may be writable and executable at once"),
    }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
