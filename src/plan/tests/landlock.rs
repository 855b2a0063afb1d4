// SPDX-License-Identifier: Apache-2.0
//! What each Landlock ABI gives a plan, from none to one that is not there yet.

use super::super::hosts::{listen, on, root_on_618, strict};
use super::{SH, planned};
use crate::host::Facts;
use crate::plan::difference::difference;
use crate::plan::explain::{Look, explain};
use crate::plan::model::{Landlock, Off};
use crate::plan::resolve;
use crate::policy::model::Layer;

fn landlock(abi: u32) -> Landlock {
    planned(&listen(SH), &strict(), &Facts { landlock_abi: abi, ..root_on_618() }).landlock.unwrap()
}

#[test]
fn the_page_names_what_the_kernels_landlock_has_no_right_for() {
    let all = "renaming between directories, truncation, TCP ports, device ioctls, signals and abstract UNIX sockets, \
               UNIX sockets by path, UDP ports";
    for (abi, lacks) in [
        (1, "renaming"),
        (2, "truncation"),
        (3, "TCP"),
        (4, "device"),
        (5, "signals"),
        (6, "UNIX sockets by"),
        (8, "UNIX sockets by"),
        (9, "UDP"),
    ] {
        let expected = &all[all.find(lacks).unwrap()..];
        assert_eq!(landlock(abi).lacks().collect::<Vec<_>>().join(", "), expected, "ABI {abi}");
        let facts = Facts { landlock_abi: abi, ..root_on_618() };
        let page = explain(&planned(&listen(SH), &strict(), &facts), &facts, Look::PLAIN);
        assert!(page.contains(&format!(" this kernel's has no right for {lacks}")), "ABI {abi}: {page}");
    }
    for abi in 10..=12 {
        assert_eq!(landlock(abi).lacks().count(), 0, "ABI {abi}");
    }
}

#[test]
fn a_ruleset_asks_for_no_right_that_the_kernel_has_not() {
    for abi in 1..=12 {
        let landlock = landlock(abi);
        assert_eq!(landlock.abi, abi.min(11));
        assert_eq!((landlock.connect.is_some(), landlock.bind.is_some()), (abi >= 4, abi >= 4), "ABI {abi}");
        assert_eq!((landlock.scopes, landlock.udp.is_some()), (abi >= 6, abi >= 10), "ABI {abi}");
        assert_eq!(landlock.quiets_subdomains(), abi >= 7, "ABI {abi}");
    }
}

#[test]
fn unix_sockets_that_the_command_sees_are_named_where_nothing_keeps_it_from_them() {
    let off = |abi, calls: &str| {
        let mut policy = strict();
        policy.syscalls.allow.push(on(1, calls.to_string()));
        let plan = planned(&listen(SH), &policy, &Facts { landlock_abi: abi, ..root_on_618() });
        plan.off.iter().any(|Off { layer, .. }| layer == "UNIX sockets by path")
    };
    for (abi, calls, expected) in [(8, "unix-client", true), (9, "unix-client", false), (8, "default", false)] {
        assert_eq!(off(abi, calls), expected, "ABI {abi}, {calls}");
    }
}

#[test]
fn what_is_denied_is_told_where_the_policy_says_so_and_the_kernel_can() {
    let asking = |landlock: Layer| {
        let mut policy = strict();
        policy.isolation.landlock = Some(on(6, landlock));
        policy.isolation.landlock_audit = Some(on(7, true));
        policy
    };
    let on_abi = |abi| Facts { landlock_abi: abi, ..root_on_618() };
    let plan = planned(&listen(SH), &asking(Layer::Required), &on_abi(7));
    assert!(plan.is_audited() && !planned(&listen(SH), &strict(), &on_abi(7)).is_audited());
    let page = explain(&plan, &on_abi(7), Look::PLAIN);
    for words in ["what it denies is named in the log, which the kernel's audit log tells", "the kernel panics"] {
        assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{page}");
    }
    let changed = difference(&planned(&listen(SH), &strict(), &on_abi(7)), &plan);
    assert_eq!(changed.allows, ["fill the host's audit log with what Landlock denies"]);
    for (landlock, abi, expected) in [
        (
            Layer::Required,
            6,
            "isolation.landlock-audit needs Landlock ABI 7 (Linux 6.15); this kernel has 6; leave it out: ",
        ),
        (Layer::Off, 7, "isolation.landlock-audit needs isolation.landlock = \"required\"; set "),
    ] {
        let refusal = resolve(&listen(SH), &asking(landlock), &on_abi(abi)).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}
