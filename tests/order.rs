// SPDX-License-Identifier: Apache-2.0
//! The child takes exactly the steps of the table, in its order: what strace(1) saw of it, against `Step::calls`.

use crate::scene::{Scene, scene, stage};
use spawnbox::plan::Step;
use spawnbox::plan::steps::Place;
use std::collections::BTreeMap;

/// One system call of a process.
#[derive(Debug, Clone)]
struct Call {
    name: String,
    text: String,
}

#[test]
fn a_child_takes_the_steps_of_the_table_in_order() {
    needs!(root);
    needs!(program "strace");
    follows_the_table(scene("strict"), &[Step::Scratch, Step::Identity, Step::UserNamespace, Step::Seccomp]);
}

#[test]
fn every_step_that_only_some_policies_take_has_its_place() {
    needs!(root);
    needs!(program "strace");
    let all = scene("strict").set("network.mode=loopback").set("files.proc=subset").set("isolation.unique-pid=true");
    follows_the_table(all, &[Step::Loopback, Step::Proc, Step::PidLimits]);
}

#[test]
fn where_denied_calls_are_named_the_steps_are_in_order_too() {
    needs!(program "strace");
    follows_the_table(scene("strict").set("syscalls.on-deny=report").unprivileged(), &[Step::Fork, Step::Seccomp]);
}

#[test]
fn the_steps_of_a_session_with_a_relay_are_in_order_too() {
    needs!(root);
    needs!(program "strace");
    let forwarding =
        scene("strict").set("network.forward=[\"192.0.2.7:25\"]").set("syscalls.allow=[\"network-client\"]");
    follows_the_table(forwarding.clone(), &[Step::Relay, Step::Network, Step::Exchange]);
    follows_the_table(forwarding.unprivileged(), &[Step::Relay, Step::Network, Step::Exchange]);
}

#[test]
fn the_steps_of_compatible_are_in_order_too() {
    needs!(root);
    needs!(program "strace");
    follows_the_table(scene("compatible"), &[Step::PidLimits, Step::Identity]);
}

#[test]
fn an_ordinary_users_child_takes_the_steps_in_order_too() {
    needs!(program "strace");
    follows_the_table(scene("strict").unprivileged(), &[Step::UserNamespace]);
}

#[test]
fn the_steps_of_the_lowest_level_are_in_order_too() {
    needs!(root);
    needs!(landlock 6);
    needs!(program "strace");
    let alone = scene("strict").set("isolation.level=landlock-only");
    follows_the_table(alone.clone(), &[Step::Domain, Step::Identity]);
    follows_the_table(alone.unprivileged(), &[Step::Domain]);
}

/// Runs the scene under strace and compares both processes of its child with the steps of its plan, of which some must
/// be there, or the scene would show nothing.
fn follows_the_table(scene: Scene, with: &[Step]) {
    let room = stage::room();
    let trace = room.path("trace");
    // strace runs as the user that the program runs as.
    stage::mode(room.whole(), 0o777);
    let scene = scene.command("/bin/true");
    let steps = planned(&scene);
    assert!(with.iter().all(|step| steps.iter().any(|(taken, _)| taken == step)), "the plan lacks a step");
    scene.traced(&trace).run().exits(0);
    let text = std::fs::read_to_string(&trace).expect("strace wrote its trace");
    let calls = by_process(&text);
    // The launcher is told the reaper's number; the reaper, in a PID namespace of its own, not the command's.
    let lines: Vec<&str> = text.lines().collect();
    let reaper = child_of(&lines, |line| line.contains("clone3(") && line.contains("CLONE_PARENT"));
    let (_, command) = made_by(&lines, |line| line.contains("execve(\"/bin/true\""));
    for (pid, place) in [(reaper, Place::Reaper), (command, Place::Command)] {
        let steps: Vec<Step> = steps.iter().filter(|(_, taken)| taken == place.name()).map(|(step, _)| *step).collect();
        matches(&calls[&pid], &steps)
            .unwrap_or_else(|seen| panic!("{place:?} takes other steps:\n{seen}\n---\n{text}"));
    }
}

/// The steps of the plan and their places, as `explain --steps` lists those that are taken.
fn planned(scene: &Scene) -> Vec<(Step, String)> {
    let listed = scene.clone().explain(&["--steps", "--json"]).exits(0).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("it is JSON");
    let listed = listed["steps"].as_array().expect("a list");
    let place = |step: &Step| {
        let taken = listed.iter().find(|taken| taken["name"] == step.name())?;
        Some((*step, taken["place"].as_str()?.to_string()))
    };
    Step::ALL.iter().filter_map(place).collect()
}

/// The last line that is like this, and the process that made the call on it.
fn made_by(lines: &[&str], like: impl Fn(&str) -> bool) -> (usize, u32) {
    let position = lines.iter().rposition(|line| like(line)).expect("the trace has such a call");
    let pid = lines[position].split_whitespace().next().and_then(|pid| pid.parse().ok());
    (position, pid.expect("a process id comes first"))
}

/// The process that the last call like this gave: strace splits the line where another process came between.
fn child_of(lines: &[&str], like: impl Fn(&str) -> bool) -> u32 {
    let (position, parent) = made_by(lines, like);
    let mut rest = lines[position..].iter().filter(|line| line.starts_with(&format!("{parent} ")));
    let result = rest.find_map(|line| line.rsplit_once(" = ")).map(|(_, result)| result.trim());
    result.and_then(|result| result.parse().ok()).unwrap_or_else(|| panic!("no process id in {result:?}"))
}

/// Every process's calls, in order, each where it began.
fn by_process(text: &str) -> BTreeMap<u32, Vec<Call>> {
    let mut calls: BTreeMap<u32, Vec<Call>> = BTreeMap::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let (Ok(pid), rest) = (pid.parse(), rest.trim_start()) else { continue };
        // Not a call: its second half, a signal, an end.
        if rest.starts_with(['<', '-', '+']) {
            continue;
        }
        // A check of the standard library's before each close, in builds with debug assertions only.
        if rest.starts_with("fcntl(") && rest.contains("F_GETFD") {
            continue;
        }
        let name = rest.split('(').next().unwrap_or_default().to_string();
        calls.entry(pid).or_default().push(Call { name, text: rest.to_string() });
    }
    calls
}

/// Whether the calls are those of the steps, one step after the other, each with at least one call. What the reaper
/// does after it has made the command, and what the command does after its exec, is no step of the line.
fn matches(calls: &[Call], steps: &[Step]) -> Result<(), String> {
    let mut reached = vec![false; steps.len()];
    for (position, call) in calls.iter().enumerate() {
        let previous = reached.clone();
        for (index, step) in steps.iter().enumerate() {
            let entered = if index == 0 { position == 0 } else { previous[index - 1] };
            reached[index] = (previous[index] || entered) && belongs(call, *step);
        }
        if *reached.last().expect("there are steps") && is_last(call) {
            return Ok(());
        }
        if !reached.contains(&true) {
            let seen: Vec<&str> = calls[..=position].iter().map(|call| call.text.as_str()).collect();
            let next: Vec<&str> =
                steps.iter().zip(&previous).filter(|(_, was)| **was).map(|(step, _)| step.name()).collect();
            return Err(format!("{}\nin step {}", seen.join("\n"), next.join(" or ")));
        }
    }
    Err("the line breaks off".to_string())
}

/// The calls with which reaper and command leave the line.
fn is_last(call: &Call) -> bool {
    call.name == "clone" || call.name == "execve"
}

/// Whether the step makes this call. prctl(2) is many calls in one, so its first argument counts too.
fn belongs(call: &Call, step: Step) -> bool {
    let options: &[&str] = match step {
        Step::Identity => &["PR_SET_SECUREBITS"],
        Step::BoundingSet => &["PR_CAPBSET_DROP"],
        Step::Securebits => &["PR_SET_SECUREBITS"],
        Step::Rights => &["PR_CAP_AMBIENT", "PR_SET_DUMPABLE", "PR_SET_PDEATHSIG"],
        Step::NoNewPrivileges => &["PR_SET_NO_NEW_PRIVS"],
        // strace of Debian 12 has no name for PR_SET_MDWE, 65.
        Step::WriteExecute => &["PR_SET_MDWE", "0x41"],
        Step::Clone | Step::Keyring | Step::Loopback | Step::Scratch | Step::Proc | Step::PidLimits => &[],
        Step::Directory | Step::Umask | Step::UserNamespace | Step::Limits | Step::Landlock | Step::CloseFds => &[],
        Step::Relay | Step::Network | Step::Exchange | Step::Domain => &[],
        Step::Fork => &["PR_SET_CHILD_SUBREAPER"],
        Step::Session | Step::Signals | Step::Handover | Step::Stdio | Step::Seccomp | Step::Exec => &[],
    };
    let makes = step.calls().split(' ').any(|name| name == call.name);
    makes && (call.name != "prctl" || options.is_empty() || options.iter().any(|option| call.text.contains(option)))
}
