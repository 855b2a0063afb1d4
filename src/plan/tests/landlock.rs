// SPDX-License-Identifier: Apache-2.0
//! What each Landlock ABI gives a plan, from none to one that is not there yet.

use super::super::hosts::{listen, on, root_on_618, strict};
use super::{SH, planned};
use crate::host::Facts;
use crate::plan::explain::{Look, explain};
use crate::plan::model::{Landlock, Off};

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
