// SPDX-License-Identifier: Apache-2.0
//! Hosts that are not here, judged: each gap has its state and its way out.

use super::super::State;
use super::super::page::Page;
use super::*;
use crate::plan::explain::Look;
use crate::plan::hosts::{root_on_618, root_on_debian_12, user_on_618};
use crate::policy::Paint;
use nix::libc;
use std::collections::BTreeMap;

fn of(facts: &Facts, causes: &Causes, name: &str) -> Finding {
    findings(facts, causes, Some(Hearing::Off)).into_iter().find(|finding| finding.name == name).unwrap()
}

fn causes(settings: &[(&'static str, u64)]) -> Causes {
    Causes { settings: settings.iter().copied().collect(), ..Causes::default() }
}

fn without_user_namespaces(mut facts: Facts, errno: i32) -> Facts {
    facts.namespaces.insert(Namespace::User, Trial::Refused(errno));
    if facts.rootless() {
        facts.namespaces = Namespace::ALL.map(|one| (one, Trial::Refused(errno))).into();
    }
    facts
}

#[test]
fn a_host_with_everything_has_nothing_to_mend() {
    let mut facts = root_on_618();
    facts.cgroup = root_on_debian_12().cgroup;
    for finding in findings(&facts, &Causes::default(), Some(Hearing::Off)) {
        assert_eq!((finding.state, &finding.fixes), (State::Good, &Vec::new()), "{finding:?}");
    }
}

#[test]
fn whether_denials_can_be_heard_of_is_said_with_what_mends_it_and_what_it_risks() {
    let notes = |facts: &Facts, hearing| {
        let all = findings(facts, &Causes::default(), hearing);
        all.into_iter().find(|finding| finding.name == "Landlock").unwrap().notes.join("; ")
    };
    for (hearing, words) in [
        (
            Hearing::Heard(Flood::Loses),
            "what it denies can be named by way of the audit log (isolation.landlock-audit)",
        ),
        (Hearing::Heard(Flood::Panics), "a command can make this kernel panic by asking for much: `auditctl -f 1`"),
        (Hearing::Off, "audit is off, and `auditctl -e 1` switches it on"),
        (Hearing::Refused(nix::errno::Errno::EPERM), "the audit log cannot be read: Operation not permitted"),
        (Hearing::Silent, "the audit log does not tell of it here"),
    ] {
        let notes = notes(&root_on_618(), Some(hearing));
        assert!(notes.contains(words), "{notes}");
    }
    let older = Facts { landlock_abi: 6, ..root_on_618() };
    assert!(!notes(&older, None).contains("audit"));
}

#[test]
fn a_container_with_the_hosts_user_ids_is_told_that_its_claims_are_not_seen_outside() {
    let notes = |container, unmapped| {
        let causes = Causes { container, unmapped, ..Causes::default() };
        of(&root_on_618(), &causes, "identity").notes.len()
    };
    assert_eq!([notes(true, true), notes(true, false), notes(false, true)], [1, 0, 0]);
}

#[test]
fn each_gap_has_its_command() {
    let users = |value| causes(&[("user.max_user_namespaces", value)]);
    let (root, user) = (root_on_618(), user_on_618());
    let filtered = Causes { filtered: true, unit: Some("x.service".into()), ..Causes::default() };
    let postfix = Causes { unit: Some("postfix.service".into()), ..filtered.clone() };
    let container = Causes { container: true, ..Causes::default() };
    let modules = |list: &[&str]| Causes {
        modules: Some(list.iter().map(|module| module.to_string()).collect()),
        ..Causes::default()
    };
    let denied = without_user_namespaces(user.clone(), libc::EPERM);
    let no_landlock = Facts { landlock_abi: 0, ..root.clone() };
    let killed = Facts { seccomp: Trial::Killed, ..root.clone() };
    let table = [
        (
            without_user_namespaces(root.clone(), libc::ENOSPC),
            users(0),
            "namespaces",
            "echo 'user.max_user_namespaces = ",
        ),
        (denied.clone(), users(0), "namespaces", "echo 'user.max_user_namespaces = 15000' >/etc/sysctl.d/60-"),
        (
            denied.clone(),
            causes(&[("kernel.unprivileged_userns_clone", 0)]),
            "namespaces",
            "unprivileged_userns_clone = 1'",
        ),
        (
            denied.clone(),
            causes(&[("kernel.apparmor_restrict_unprivileged_userns", 1)]),
            "namespaces",
            "apparmor_parser -r /etc/apparmor.d/spawnbox",
        ),
        (
            without_user_namespaces(root.clone(), libc::EPERM),
            filtered,
            "namespaces",
            r"RestrictNamespaces=no\nSystemCallFilter=@mount ",
        ),
        (without_user_namespaces(root.clone(), libc::EPERM), postfix, "namespaces", "spawnbox install-postfix && "),
        (without_user_namespaces(root.clone(), libc::EPERM), container, "namespaces", "--cap-add SYS_ADMIN"),
        (no_landlock.clone(), modules(&["capability", "yama"]), "Landlock", "boot with lsm=landlock,capability,yama "),
        (no_landlock.clone(), modules(&["landlock"]), "Landlock", "look for what withholds it"),
        (no_landlock, Causes::default(), "Landlock", "cat /sys/kernel/security/lsm"),
        (killed, Causes::default(), "system calls", "look for what withholds it"),
        (root, Causes::default(), "control groups", "systemd.unified_cgroup_hierarchy=1"),
        (user.clone(), Causes::default(), "control groups", "systemd-run --user -p Delegate=yes"),
        (user, Causes::default(), "identity", "start it as root"),
    ];
    for (facts, causes, name, way) in table {
        let finding = of(&facts, &causes, name);
        assert!(
            finding.state != State::Good && finding.fixes.iter().any(|fix| fix.contains(way)),
            "{way}: {finding:?}"
        );
    }
}

#[test]
fn an_old_kernel_is_told_what_is_missing() {
    let facts = root_on_debian_12();
    let finding = of(&facts, &Causes::default(), "Landlock");
    assert_eq!((finding.state, finding.what.as_str()), (State::Less, "ABI 2: files"));
    assert!(finding.notes[0].contains("TCP ports (Linux 6.7)") && finding.notes[0].contains("UDP ports (ABI 10)"));
    let mut old = facts.clone();
    old.kernel = crate::host::facts::Kernel { major: 5, minor: 10, release: "5.10.0-28-amd64".into() };
    let finding = of(&old, &Causes::default(), "kernel");
    assert_eq!((finding.state, finding.what.as_str()), (State::Lacking, "Linux 5.10.0-28-amd64 is too old"));
    assert_eq!(of(&facts, &Causes::default(), "kernel").state, State::Good);
}

#[test]
fn one_way_out_is_said_once() {
    let denied = without_user_namespaces(user_on_618(), libc::EPERM);
    let finding = of(&denied, &causes(&[("kernel.unprivileged_userns_clone", 0)]), "namespaces");
    assert_eq!(finding.fixes.len(), 1, "{finding:?}");
    assert_eq!(finding.notes.len(), Namespace::ALL.len());
}

#[test]
fn the_page_is_aligned_and_painted_only_for_those_who_want_it() {
    let page = |facts: &Facts| Page {
        who: who(facts),
        layers: findings(facts, &Causes::default(), Some(Hearing::Off)),
        verdicts: Vec::new(),
    };
    let page = page(&without_user_namespaces(root_on_618(), libc::EPERM));
    let plain = page.text(Look::PLAIN);
    let head = "Linux 6.18.5 as root\n\nlevel           less   landlock-only: no namespace";
    assert!(plain.starts_with(head) && plain.contains("\nkernel          ok     Linux 6.18.5\n"), "{plain}");
    assert!(plain.contains("\nnamespaces      no     cannot be made: user\n"), "{plain}");
    assert!(plain.contains("\n                       -> "), "{plain}");
    assert!(
        !plain.contains('\x1b')
            && page.text(Look { paint: Paint::On, ..Look::PLAIN }).contains("\x1b[31mno    \x1b[0m cannot be made")
    );
    let told: serde_json::Value = serde_json::from_str(&page.json()).unwrap();
    assert_eq!((&told["ok"], &told["layers"][2]["state"]), (&serde_json::json!(false), &serde_json::json!("no")));
    let kinds: BTreeMap<_, _> = page.layers.iter().map(|layer| (layer.name.clone(), layer.state)).collect();
    assert_eq!(kinds.len(), page.layers.len(), "two layers of one name");
}

#[test]
fn who_cannot_listen_to_denied_calls_is_told_what_there_is_not_and_why() {
    let at = |trial| of(&Facts { listener: trial, ..root_on_618() }, &Causes::default(), "listener");
    assert_eq!(at(Trial::Works).state, State::Good);
    let held = at(Trial::Refused(libc::EBUSY));
    assert_eq!((held.state, held.fixes.len()), (State::Less, 1), "{held:?}");
    assert!(held.notes[0].contains("no learn and no trace"), "{held:?}");
    assert_eq!(at(Trial::Refused(libc::EINVAL)).state, State::Less);
}
