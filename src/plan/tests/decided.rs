// SPDX-License-Identifier: Apache-2.0
//! What is decided where nothing or little is written, and values that undo each other.

use super::super::hosts::{compatible, line, listen, master, on, root_on_618, root_on_debian_12, strict, user_on_618};
use super::super::model::{CgroupLimits, Ends, Ids, Namespace, NetworkMode, Proc, Root};
use super::super::{Step, resolve};
use super::{SH, check, planned};
use crate::host::facts::{Controller, Facts, Resource};
use crate::policy::model::{HostName, Layer, OnDeny, User};
use crate::policy::{Origin, Policy};
use std::collections::BTreeSet;
use std::time::Duration;

const AT: &str = "/etc/spawnbox/test.toml";

#[test]
fn an_empty_policy_lets_nothing_run() {
    let refusal = resolve(&listen(&["/bin/true"]), &Policy::named("empty"), &root_on_618()).unwrap_err();
    let line = "command line: the program /bin/true is under no path that the policy lets it execute; \
                add it: files.execute = [\"/bin/true\"]";
    assert_eq!(refusal.to_string(), line);
}

#[test]
fn absent_values_are_the_strictest() {
    let mut policy = Policy::named("little");
    policy.files.execute.push(on(1, super::super::hosts::entry("/usr")));
    let plan = planned(&listen(&["/usr/bin/x"]), &policy, &root_on_618());
    assert!(matches!(plan.root, Root::Empty { .. }));
    assert_eq!(plan.namespaces, BTreeSet::from(Namespace::ALL));
    assert_eq!(plan.hostname, HostName::Hidden);
    assert_eq!(plan.network, NetworkMode::None);
    assert_eq!(plan.proc, Proc::None);
    assert_eq!(plan.ends, Ends::Command);
    assert_eq!((plan.init, plan.hold, plan.command.umask), (true, false, 0o077));
    assert_eq!(plan.command.directory.as_c_str(), c"/");
    let landlock = plan.landlock.unwrap();
    assert!(landlock.files && landlock.scopes);
    assert_eq!((landlock.connect, landlock.bind), (Some(BTreeSet::new()), Some(BTreeSet::new())));
    let filter = plan.filter.unwrap();
    assert!(!super::super::calls::allows(&filter, "read"));
    assert_eq!(plan.resources[&Resource::Nice], 0);
    assert_eq!(plan.resources[&Resource::RealtimePriority], 0);
    assert_eq!(plan.resources[&Resource::CoreSize], 1);
}

#[test]
fn root_without_a_user_runs_commands_as_nobody() {
    let plan = planned(&listen(SH), &strict(), &root_on_618());
    let ids = Ids::One { uid: 65534, gid: 65534 };
    assert_eq!((plan.identity.name.as_str(), plan.identity.ids, plan.identity.change), ("nobody", ids, true));
    assert_eq!(plan.origins["command.user"], Origin::Default);
    let mut facts = root_on_618();
    facts.accounts.users.remove("nobody");
    let refusal = resolve(&listen(SH), &strict(), &facts).unwrap_err();
    let line = "no user is named to run the command as; \
                name one: command.user = \"nobody\", or -s command.user=nobody";
    assert_eq!(refusal.to_string(), line);
}

#[test]
fn what_the_front_door_says_wins() {
    let mut policy = compatible();
    policy.command.user = Some(on(3, User::Account("anna".to_string())));
    policy.command.argv = Some(on(4, vec!["/bin/false".to_string()]));
    policy.limits.time = Some(on(5, Duration::from_secs(5)));
    let plan = planned(&master("policyd-spf", &["/bin/true"]), &policy, &root_on_618());
    assert_eq!(plan.identity.ids, Ids::One { uid: 112, gid: 119 });
    assert_eq!(plan.command.argv[0].as_c_str(), c"/bin/true");
    assert_eq!(plan.time_limit, Some(Duration::from_secs(3600)));
    assert_eq!(plan.origins["limits.time"].to_string(), "policy_time_limit");
    assert!(plan.hold);
}

#[test]
fn tasks_are_counted_with_the_reaper() {
    let tasks = |init: bool, facts| {
        let mut policy = strict();
        policy.isolation.init = Some(on(7, init));
        let plan = planned(&listen(SH), &policy, &facts);
        (plan.resources.get(&Resource::Tasks).copied(), plan.cgroup.tasks)
    };
    assert_eq!(tasks(true, root_on_618()), (Some(33), None));
    assert_eq!(tasks(false, root_on_618()), (Some(32), None));
    assert_eq!(tasks(true, root_on_debian_12()), (Some(33), Some(33)));
    assert_eq!(tasks(true, user_on_618()), (Some(33), None));
}

#[test]
fn hard_limits_are_never_raised() {
    let mut facts = root_on_618();
    facts.hard_limits.insert(Resource::OpenFiles, 10);
    facts.hard_limits.insert(Resource::CoreSize, 0);
    let plan = planned(&listen(SH), &strict(), &facts);
    assert_eq!(plan.resources[&Resource::OpenFiles], 10);
    assert_eq!(plan.resources[&Resource::CoreSize], 0);
    assert!(plan.off.iter().any(|off| off.layer == "core dumps"));
}

#[test]
fn limits_of_the_session_go_to_its_control_group() {
    let mut policy = strict();
    policy.limits.memory = Some(on(5, 64 << 20));
    policy.limits.cpu = Some(on(6, 50));
    let plan = planned(&listen(SH), &policy, &root_on_debian_12());
    let limits = CgroupLimits { memory: Some(64 << 20), as_one: true, tasks: Some(33), cpu: Some(50) };
    assert_eq!(plan.cgroup, limits);
    assert_eq!(plan.origins["limits.memory"], line(5));
    assert_eq!(plan.service_cgroup, CgroupLimits::default());
}

#[test]
fn a_launcher_lends_its_memory_to_no_session_that_a_limit_makes_pause() {
    let mut policy = strict();
    assert!(planned(&listen(SH), &policy, &root_on_debian_12()).lends_memory());
    policy.limits.cpu = Some(on(6, 50));
    assert!(!planned(&listen(SH), &policy, &root_on_debian_12()).lends_memory());
}

#[test]
fn a_launcher_lends_its_memory_to_no_session_that_its_user_could_trace() {
    let facts = Facts { suid_dumpable: true, ..root_on_618() };
    assert!(planned(&listen(SH), &strict(), &root_on_618()).lends_memory());
    assert!(!planned(&listen(SH), &strict(), &facts).lends_memory());
}

#[test]
fn a_spare_is_filtered_before_its_connection_where_the_filter_allows_to_take_one() {
    let steps_with = |deny: &str, on_deny: Option<OnDeny>| {
        let mut policy = strict();
        policy.connection.spares = Some(on(5, 4));
        policy.syscalls.deny.extend(deny.split_whitespace().map(|call| on(6, call.to_string())));
        policy.syscalls.on_deny = on_deny.map(|answer| on(7, answer));
        let plan = planned(&listen(SH), &policy, &root_on_618());
        (plan.steps_of_spare(), plan.steps)
    };
    let last = [Step::Signals, Step::Handover, Step::Stdio, Step::Seccomp, Step::Exec];
    let earlier = [Step::Signals, Step::Seccomp, Step::Handover, Step::Stdio, Step::Exec];
    let end = |steps: &[Step]| steps[steps.len() - 5..].to_vec();
    for (deny, on_deny) in [("", None), ("chmod", Some(OnDeny::Kill))] {
        let (of_spare, all) = steps_with(deny, on_deny);
        assert_eq!((end(&of_spare), end(&all)), (earlier.to_vec(), last.to_vec()), "{deny}");
        assert_eq!(of_spare[..of_spare.len() - 5], all[..all.len() - 5]);
    }
    let rest = [("recvmsg", None), ("dup2", Some(OnDeny::Kill)), ("", Some(OnDeny::Report))];
    for (deny, on_deny) in rest {
        let (of_spare, all) = steps_with(deny, on_deny);
        assert_eq!((end(&of_spare), &of_spare), (last.to_vec(), &all), "{deny}");
    }
    // It shows its connection to the relay by a call that is allowed with some flags only.
    let mut policy = strict();
    policy.syscalls.allow.push(on(7, "tcp-client".to_string()));
    policy.network.forward = vec![on(8, "127.0.0.1:25".parse().unwrap())];
    let plan = planned(&listen(SH), &policy, &root_on_618());
    assert!(plan.steps.contains(&Step::Exchange) && plan.steps_of_spare() == plan.steps);
}

#[test]
fn limits_of_a_service_go_to_a_control_group_above_its_sessions() {
    let mut policy = strict();
    policy.limits.service_memory = Some(on(5, 64 << 20));
    policy.limits.service_tasks = Some(on(6, 50));
    let plan = planned(&listen(SH), &policy, &root_on_debian_12());
    let limits = CgroupLimits { memory: Some(64 << 20), as_one: false, tasks: Some(50), cpu: None };
    assert_eq!(plan.service_cgroup, limits);
    // Where it is the service's memory that ends, a whole session goes.
    assert_eq!((plan.cgroup.memory, plan.cgroup.as_one), (None, true));
    assert_eq!(plan.cgroup.controllers(), BTreeSet::from([Controller::Memory, Controller::Pids]));
}

#[test]
fn values_that_undo_each_other_are_refused() {
    let needs = |key: &str, needs: &str| format!("{AT}:7: {key} needs {needs}; set {needs}, or leave it out");
    check(
        |policy| {
            policy.connection.ends = Some(on(7, Ends::Tree));
            policy.isolation.init = Some(on(8, false));
        },
        &needs("connection.ends = \"tree\"", "isolation.init = true"),
    );
    check(
        |policy| {
            policy.isolation.unique_pid = Some(on(7, true));
            policy.isolation.init = Some(on(8, false));
        },
        &needs("isolation.unique-pid", "isolation.init = true"),
    );
    check(
        |policy| {
            policy.isolation.unique_pid = Some(on(7, true));
            policy.isolation.pid_max = Some(on(8, 310));
        },
        &format!(
            "{AT}:7: isolation.unique-pid and isolation.pid-max exclude each other; switch one of them off, or leave it out"
        ),
    );
    check(
        |policy| {
            policy.isolation.namespaces = Some(on(6, BTreeSet::from([Namespace::Pid, Namespace::User])));
            policy.isolation.hostname = Some(on(7, HostName::Hidden));
            policy.files.root = Some(on(8, crate::policy::model::Root::Host));
            policy.files.scratch.clear();
        },
        &needs("isolation.hostname = \"hidden\"", "\"uts\" in isolation.namespaces"),
    );
    check(
        |policy| {
            policy.isolation.memory_deny_write_execute = Some(on(7, true));
            policy.syscalls.allow.push(on(8, "jit".to_string()));
        },
        &format!(
            "{AT}:7: isolation.memory-deny-write-execute and \"jit\" in syscalls.allow exclude each other; \
             switch one of them off, or leave it out"
        ),
    );
    let no_pid: BTreeSet<_> = Namespace::ALL.into_iter().filter(|one| *one != Namespace::Pid).collect();
    for (key, change) in [
        ("isolation.init = false", (|policy| policy.isolation.init = Some(on(7, false))) as fn(&mut Policy)),
        ("isolation.pid-max", |policy| policy.isolation.pid_max = Some(on(7, 310))),
        ("isolation.unique-pid", |policy| policy.isolation.unique_pid = Some(on(7, true))),
    ] {
        let no_pid = no_pid.clone();
        check(
            |policy| {
                policy.isolation.namespaces = Some(on(6, no_pid));
                change(policy);
            },
            &needs(key, "\"pid\" in isolation.namespaces"),
        );
    }
}

#[test]
fn a_wrong_word_of_syscalls_is_refused_with_the_nearest() {
    check(
        |policy| policy.syscalls.allow.push(on(7, "conect".to_string())),
        &format!("{AT}:7: unknown system call or group: conect; did you mean connect?"),
    );
    check(
        |policy| policy.syscalls.allow.push(on(7, "io-uring".to_string())),
        &format!(
            "{AT}:7: impossible system call or group: io-uring; what io_uring does passes by every system call filter"
        ),
    );
}

#[test]
fn an_ordinary_user_needs_a_user_namespace_for_any_other() {
    let mut policy = strict();
    policy.isolation.namespaces = Some(on(7, BTreeSet::from([Namespace::Mount, Namespace::Pid])));
    let refusal = resolve(&listen(SH), &policy, &user_on_618()).unwrap_err();
    let needs = "\"user\" in isolation.namespaces";
    let line = format!("{AT}:7: a namespace made by an ordinary user needs {needs}; set {needs}, or leave it out");
    assert_eq!(refusal.to_string(), line);
}

#[test]
fn a_step_that_would_do_nothing_is_not_taken() {
    let plan = planned(&listen(SH), &strict(), &root_on_618());
    for step in
        [Step::Loopback, Step::Proc, Step::PidLimits, Step::WriteExecute, Step::Relay, Step::Network, Step::Exchange]
    {
        assert!(!plan.steps.contains(&step), "{}", step.name());
    }
    let mut policy = strict();
    policy.isolation.init = Some(on(7, false));
    policy.isolation.landlock = Some(on(8, Layer::Off));
    policy.files.scratch.clear();
    let plan = planned(&listen(SH), &policy, &user_on_618_without_groups());
    for step in [Step::Fork, Step::Landlock, Step::Scratch, Step::Identity] {
        assert!(!plan.steps.contains(&step), "{}", step.name());
    }
    assert!(plan.steps.is_sorted());
}

fn user_on_618_without_groups() -> crate::host::Facts {
    crate::host::Facts { groups: BTreeSet::new(), ..user_on_618() }
}

#[test]
fn what_is_counted_for_a_user_is_limited_where_the_filter_lets_it_be_made() {
    let limits = |call: &str| {
        let mut policy = strict();
        policy.syscalls.allow.push(on(7, call.to_string()));
        planned(&listen(SH), &policy, &root_on_618()).user_limits.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(limits("read"), []);
    assert_eq!(limits("inotify_init1"), [("max_inotify_instances", 16), ("max_inotify_watches", 4096)]);
    assert_eq!(limits("unshare"), [("max_user_namespaces", 0)]);
}
