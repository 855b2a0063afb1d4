// SPDX-License-Identifier: Apache-2.0
//! A policy that asks for what the host cannot enforce is refused, with the reason and a way out.

use super::super::hosts::{compatible, listen, master, on, root_on_618, root_on_debian_12, strict, user_on_618};
use super::super::model::Namespace;
use super::super::{calls, steps::Step};
use super::{SH, check_on, planned, refused};
use crate::host::facts::{Cgroup, Facts, Kernel, Trial};
use crate::policy::model::{HostName, Layer, Level, Policy, Ports};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::path::PathBuf;

const AT: &str = "/etc/spawnbox/test.toml";

fn refusing(namespace: Namespace, trial: Trial) -> Facts {
    let mut facts = root_on_618();
    facts.namespaces.insert(namespace, trial);
    facts
}

fn without_cgroup() -> Facts {
    Facts { cgroup: Cgroup::Unavailable("/sys/fs/cgroup is read-only".to_string()), ..root_on_618() }
}

fn all_but(left_out: &[Namespace]) -> BTreeSet<Namespace> {
    Namespace::ALL.into_iter().filter(|namespace| !left_out.contains(namespace)).collect()
}

#[test]
fn namespaces_that_cannot_be_made() {
    for (namespace, trial, expected) in [
        (
            Namespace::User,
            Trial::Refused(Errno::EPERM as i32),
            "the user namespace cannot be made: Operation not permitted; see sysctl kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns and user.max_user_namespaces, \
             or switch it off by name: isolation.namespaces without \"user\"; \
             `spawnbox doctor` names the isolation.level that there is",
        ),
        (
            Namespace::User,
            Trial::Refused(Errno::ENOSPC as i32),
            "the user namespace cannot be made: No space left on device; raise sysctl user.max_user_namespaces, \
             or switch it off by name: isolation.namespaces without \"user\"; \
             `spawnbox doctor` names the isolation.level that there is",
        ),
        (
            Namespace::Mount,
            Trial::Killed,
            "the mount namespace cannot be made: a filter kills the process that tries (SIGSYS); \
             the unit that started spawnbox forbids it (SystemCallFilter=, RestrictNamespaces=), \
             or switch it off by name: isolation.namespaces without \"mount\"; \
             `spawnbox doctor` names the isolation.level that there is",
        ),
        (
            Namespace::Network,
            Trial::Refused(Errno::EPERM as i32),
            "the network namespace cannot be made: Operation not permitted; \
             a container or a unit (RestrictNamespaces=, CapabilityBoundingSet=) may withhold it, \
             or switch it off by name: network.mode = \"host\"; \
             `spawnbox doctor` names the isolation.level that there is",
        ),
    ] {
        assert_eq!(refused(&listen(SH), &strict(), &refusing(namespace, trial)), expected);
    }
    let mut untried = root_on_618();
    untried.namespaces.clear();
    let line = refused(&listen(SH), &strict(), &untried);
    assert!(line.starts_with("the mount namespace cannot be made: Function not implemented"), "{line}");
}

/// As under Debian 13's own postfix.service, where every one of these was met.
#[test]
fn what_a_hardened_unit_withholds_under_master() {
    let hidden_sysctl = Facts { ns_last_pid: Trial::Refused(Errno::ENOENT as i32), ..root_on_618() };
    let refused_errno = Trial::Refused(Errno::EPERM as i32);
    let table = [
        (refusing(Namespace::Mount, refused_errno), "the mount namespace cannot be made", true),
        (refusing(Namespace::Mount, Trial::Killed), "the mount namespace cannot be made", true),
        (hidden_sysctl, "isolation.unique-pid cannot be enforced", true),
        (refusing(Namespace::Mount, Trial::Refused(Errno::ENOSPC as i32)), "the mount namespace cannot be made", false),
    ];
    for (facts, what, drop_in) in table {
        let line = refused(&master("nobody", &["/bin/cat"]), &compatible(), &facts);
        assert!(line.contains(what), "{line}");
        assert_eq!(line.contains("; if a unit like Debian 13's postfix.service withholds it, "), drop_in, "{line}");
        assert_eq!(line.contains("`spawnbox install-postfix` writes the drop-in"), drop_in, "{line}");
        let line = refused(&listen(SH), &compatible(), &facts);
        assert!(!line.contains("install-postfix"), "{line}");
    }
}

#[test]
fn the_hosts_name_where_it_cannot_be_hidden() {
    for (trial, why) in [
        (Trial::Refused(Errno::EPERM as i32), "Operation not permitted"),
        (Trial::Killed, "a filter kills the process that tries (SIGSYS)"),
    ] {
        let facts = Facts { hostname: trial, ..root_on_618() };
        let way_out = "a container or a unit (ProtectHostname=, SystemCallFilter=) may withhold it, or show it by name: \
                       isolation.hostname = \"host\"";
        let line = format!("the host's name cannot be hidden: {why}; {way_out}");
        assert_eq!(refused(&listen(SH), &strict(), &facts), line);
        let drop_in = refused(&master("nobody", &["/bin/cat"]), &strict(), &facts);
        assert!(drop_in.contains("`spawnbox install-postfix` writes the drop-in"), "{drop_in}");
        let mut shown = strict();
        shown.isolation.hostname = Some(on(7, HostName::Host));
        planned(&listen(SH), &shown, &facts);
    }
}

#[test]
fn layers_that_the_kernel_does_not_have() {
    let facts = Facts { landlock_abi: 0, ..root_on_618() };
    let line = "this kernel has no Landlock; boot with landlock in lsm=, \
                or switch it off by name: isolation.landlock = \"off\"";
    assert_eq!(refused(&listen(SH), &strict(), &facts), line);
    let mut off = strict();
    off.isolation.landlock = Some(on(7, Layer::Off));
    assert!(planned(&listen(SH), &off, &facts).landlock.is_none());
    let withheld = "a container engine's or unit's filter withholds it: allow it there";
    let facts = Facts { seccomp: Trial::Killed, ..root_on_618() };
    let line =
        format!("system call filters cannot be used: a filter kills the process that tries (SIGSYS); {withheld}");
    assert_eq!(refused(&listen(SH), &strict(), &facts), line);
}

#[test]
fn where_clone3_is_hidden_the_older_call_makes_the_same_sandbox() {
    for trial in [Trial::Refused(Errno::ENOSYS as i32), Trial::Refused(Errno::EPERM as i32), Trial::Killed] {
        let plan = planned(&listen(SH), &strict(), &Facts { clone3: trial, ..root_on_618() });
        let usual = planned(&listen(SH), &strict(), &root_on_618());
        assert_eq!(plan, crate::plan::Plan { clone: crate::plan::model::CloneCall::Clone, ..usual });
    }
}

#[test]
fn settings_that_only_newer_kernels_have() {
    let debian = root_on_debian_12;
    check_on(
        debian(),
        |policy| {
            policy.isolation.memory_deny_write_execute = Some(on(7, true));
            policy.isolation.seccomp = Some(on(8, Layer::Off));
            let any = Some(on(9, Ports::Any));
            (policy.network.connect, policy.network.bind, policy.network.udp) = (any.clone(), any.clone(), any);
        },
        &format!(
            "{AT}:7: isolation.memory-deny-write-execute cannot be enforced: PR_SET_MDWE needs Linux 6.3: \
             Invalid argument; leave isolation.memory-deny-write-execute out"
        ),
    );
    check_on(
        debian(),
        |policy| policy.isolation.pid_max = Some(on(7, 310)),
        &format!(
            "{AT}:7: isolation.pid-max cannot be enforced: a pid_max of its own in each PID namespace needs \
             Linux 6.14: Permission denied; leave isolation.pid-max out"
        ),
    );
    check_on(
        debian(),
        |policy| {
            policy.syscalls.allow.push(on(6, "memfd_create".to_string()));
            policy.isolation.memfd_noexec = Some(on(7, true));
        },
        &format!(
            "{AT}:7: isolation.memfd-noexec cannot be enforced: a memfd_noexec of its own in each PID namespace needs \
             Linux 6.3: No such file or directory; leave isolation.memfd-noexec out"
        ),
    );
    check_on(
        Facts { ns_last_pid: Trial::Refused(Errno::EROFS as i32), ..root_on_618() },
        |policy| policy.isolation.unique_pid = Some(on(7, true)),
        &format!(
            "{AT}:7: isolation.unique-pid cannot be enforced: ns_last_pid needs CONFIG_CHECKPOINT_RESTORE and \
             a writable /proc/sys: Read-only file system; leave isolation.unique-pid out"
        ),
    );
}

#[test]
fn an_older_kernel_denies_writable_and_executable_memory_by_the_filter() {
    let mut policy = strict();
    policy.isolation.memory_deny_write_execute = Some(on(7, true));
    let plan = planned(&listen(SH), &policy, &root_on_debian_12());
    assert!(!plan.memory_deny_write_execute && !plan.steps.contains(&Step::WriteExecute));
    let mut narrowed = planned(&listen(SH), &strict(), &root_on_debian_12()).filter.unwrap();
    calls::deny_write_execute(&mut narrowed);
    assert_eq!(plan.filter, Some(narrowed));
    let newer = planned(&listen(SH), &policy, &root_on_618());
    assert_eq!(newer.filter, planned(&listen(SH), &strict(), &root_on_618()).filter);
    assert!(newer.memory_deny_write_execute);
}

#[test]
fn memfd_noexec_is_not_written_where_the_filter_holds_the_same() {
    let mut policy = strict();
    policy.isolation.memfd_noexec = Some(on(7, true));
    let plan = planned(&listen(SH), &policy, &root_on_debian_12());
    assert!(!plan.pid_limits.memfd_noexec);
}

#[test]
fn limits_that_no_controller_counts() {
    let memory = |policy: &mut Policy| policy.limits.memory = Some(on(9, 64 << 20));
    check_on(
        root_on_618(),
        memory,
        &format!(
            "{AT}:9: limits.memory cannot be enforced: the memory controller sits on a version 1 hierarchy; \
             boot with systemd.unified_cgroup_hierarchy=1, or leave the limit out"
        ),
    );
    check_on(
        root_on_618(),
        |policy| policy.limits.service_tasks = Some(on(9, 64)),
        &format!(
            "{AT}:9: limits.service.tasks cannot be enforced: the pids controller sits on a version 1 hierarchy; \
             boot with systemd.unified_cgroup_hierarchy=1, or leave the limit out"
        ),
    );
    check_on(
        user_on_618(),
        memory,
        &format!(
            "{AT}:9: limits.memory cannot be enforced: there is no control group for the memory controller \
             (/sys/fs/cgroup/user.slice belongs to root); start spawnbox in a unit with Delegate=yes, \
             or leave the limit out"
        ),
    );
    let undelegated = Cgroup::At { path: PathBuf::from("/x"), controllers: BTreeSet::new(), on_v1: BTreeSet::new() };
    check_on(
        Facts { cgroup: undelegated, ..root_on_618() },
        |policy| policy.limits.cpu = Some(on(9, 50)),
        &format!(
            "{AT}:9: limits.cpu cannot be enforced: the cpu controller is not delegated to us; \
             start spawnbox in a unit with Delegate=yes, or leave the limit out"
        ),
    );
    check_on(
        root_on_618(),
        |policy| {
            policy.isolation.namespaces = Some(on(7, all_but(&[Namespace::User])));
            policy.limits.tasks = Some(on(9, 8));
        },
        &format!(
            "{AT}:9: limits.tasks cannot be enforced: without a user namespace the kernel counts the user on the whole \
             host, and the pids controller sits on a version 1 hierarchy; \
             boot with systemd.unified_cgroup_hierarchy=1, or leave the limit out"
        ),
    );
    // A profile's own is said to be off.
    check_on(
        user_on_618(),
        |policy| {
            policy.isolation.level = Some(on(7, Level::LandlockOnly));
            policy.limits.tasks = Some(on(9, 8));
        },
        &format!(
            "{AT}:9: limits.tasks cannot be enforced: without a user namespace the kernel counts the user on the whole \
             host, and there is no control group for the pids controller (/sys/fs/cgroup/user.slice belongs to root); \
             start spawnbox in a unit with Delegate=yes, or leave the limit out"
        ),
    );
}

#[test]
fn a_tree_that_nothing_would_end() {
    let mut policy = compatible();
    policy.isolation.namespaces = Some(on(7, BTreeSet::new()));
    policy.isolation.unique_pid = None;
    policy.files.scratch.clear();
    let line = format!(
        "{AT}:7: nothing would end what a command leaves behind: no PID namespace, no Landlock ABI 6 (Linux 6.12), and no \
         control group (/sys/fs/cgroup is read-only); let isolation.namespaces have \"pid\", \
         or start spawnbox in a unit with Delegate=yes"
    );
    let older = Facts { landlock_abi: 5, ..without_cgroup() };
    assert_eq!(refused(&listen(SH), &policy, &older), line);
    let plan = planned(&listen(SH), &strict(), &without_cgroup());
    let off = plan.off.iter().find(|off| off.layer == "control group").map(|off| off.why.as_str());
    assert_eq!(off, Some("/sys/fs/cgroup is read-only; the PID namespace ends a session's tree"));
}

#[test]
fn kernels_that_are_too_old() {
    let on = |major, minor| {
        let release = format!("{major}.{minor}.0");
        Facts { kernel: Kernel { major, minor, release }, ..root_on_618() }
    };
    let line = "Linux 5.13.0 is too old; ending everything that a command has started needs 5.14 (cgroup.kill), \
                and 6.1 is the oldest that is supported";
    assert_eq!(refused(&listen(SH), &strict(), &on(5, 13)), line);
    assert!(refused(&listen(SH), &strict(), &on(4, 19)).starts_with("Linux 4.19.0 is too old"));
    let untested = |facts| planned(&listen(SH), &strict(), &facts).off.iter().any(|off| off.layer == "untested kernel");
    assert!(untested(on(5, 14)));
    assert!(untested(on(6, 0)));
    assert!(!untested(on(6, 1)));
}
