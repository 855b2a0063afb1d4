// SPDX-License-Identifier: Apache-2.0
//! The laws of plans, of policies made at random from lines that mean something.

use super::super::hosts::{listen, root_on_618};
use super::super::laws::check;
use super::super::model::{Off, Plan};
use super::super::resolve;
use super::SH;
use crate::host::Facts;
use crate::policy::Policy;
use crate::policy::laws::laid_over;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::Config;
use std::collections::BTreeSet;

/// Lists, which unite, and limits, of which the smaller holds.
pub(super) const UNITING: &[&str] = &[
    r#"files.execute = ["/usr", "/bin"]"#,
    r#"files.read = ["/etc/ld.so.cache", "/usr/lib"]"#,
    r#"files.read = ["/etc/localtime", "/lib"]"#,
    r#"files.write = ["/var/lib/greylist"]"#,
    r#"files.devices = ["null"]"#,
    r#"files.devices = ["zero", "random"]"#,
    r#"syscalls.allow = ["default"]"#,
    r#"syscalls.allow = ["io", "files", "memory", "process", "signals"]"#,
    r#"syscalls.allow = ["socket", "ptrace"]"#,
    r#"syscalls.deny = ["ptrace"]"#,
    r#"syscalls.deny = ["kill", "files-write"]"#,
    "limits.time = 5",
    "limits.time = 500",
    "limits.idle = 7",
    "limits.tasks = 3",
    "limits.tasks = 300",
    "limits.open-files = 9",
    "limits.open-files = 5000",
    "limits.file-size = 0",
    r#"limits.address-space = "1G""#,
    r#"limits.address-space = "2G""#,
];

/// What one value takes the place of.
pub(super) const REPLACING: &[&str] = &[
    r#"files.root = "host""#,
    r#"files.proc = "subset""#,
    r#"network.mode = "host""#,
    r#"network.connect.ports = [25]"#,
    r#"network.connect.ports = "any""#,
    r#"network.bind.ports = [25]"#,
    r#"network.bind.ports = "any""#,
    r#"network.udp.ports = [53]"#,
    r#"network.udp.ports = "any""#,
    r#"network.forward = ["127.0.0.1:25"]"#,
    r#"network.forward = ["192.0.2.1:25", "[::1]:25"]"#,
    r#"network.forward = ["udp:127.0.0.53:53", "udp:[::1]:53"]"#,
    r#"syscalls.allow = ["all"]"#,
    r#"syscalls.allow = ["network-client"]"#,
    r#"syscalls.on-deny = "kill""#,
    r#"isolation.namespaces = ["mount", "user"]"#,
    r#"isolation.landlock = "off""#,
    r#"isolation.seccomp = "off""#,
    "isolation.init = false",
    r#"connection.ends = "tree""#,
    "connection.concurrency = 3",
];

/// Some of the lines, in their order; a key that is written twice has its first line.
fn lines(of: Vec<&'static str>) -> impl Strategy<Value = String> {
    let most = of.len();
    subsequence(of, 0..most).prop_map(|lines| {
        let mut seen = BTreeSet::new();
        let key = |line: &&str| line.split(' ').next().map(str::to_owned);
        let lines: Vec<&str> = lines.into_iter().filter(|line| seen.insert(key(line))).collect();
        lines.join("\n")
    })
}

fn uniting() -> impl Strategy<Value = String> {
    lines(UNITING.to_vec())
}

fn any_lines() -> impl Strategy<Value = String> {
    lines([UNITING, REPLACING].concat())
}

fn planned(policy: &Policy, facts: &Facts) -> Option<Plan> {
    let plan = resolve(&listen(SH), policy, facts).ok()?;
    check(&plan, facts);
    Some(plan)
}

/// What is enforced, without where it was written.
fn enforced(plan: &Plan) -> impl PartialEq + std::fmt::Debug + use<> {
    let binds = plan.root.binds();
    let root: Option<Vec<_>> = binds.map(|binds| binds.iter().map(|bind| (bind.path.clone(), bind.access)).collect());
    let limits = (plan.resources.clone(), plan.cgroup.clone(), plan.time_limit);
    (root, limits, plan.filter.clone(), plan.landlock.clone(), plan.steps.clone())
}

fn names(off: &[Off]) -> BTreeSet<String> {
    off.iter().map(|off| off.layer.clone()).collect()
}

proptest! {
    // A case is several plans; PROPTEST_CASES makes them more.
    #![proptest_config(Config { cases: Config::default().cases / 8, ..Config::default() })]

    #[test]
    fn what_is_laid_over_never_loosens_a_limit(below in any_lines(), above in any_lines()) {
        let facts = root_on_618();
        let both = planned(&laid_over(&[&below, &above]), &facts);
        for one in [&below, &above] {
            let (Some(both), Some(one)) = (&both, planned(&laid_over(&[one]), &facts)) else { continue };
            for (resource, value) in &one.resources {
                prop_assert!(both.resources.get(resource) <= Some(value), "{resource:?}");
            }
            prop_assert!(one.time_limit.is_none() || both.time_limit.is_some_and(|both| Some(both) <= one.time_limit));
        }
    }

    #[test]
    fn lists_and_limits_unite_in_any_order(a in uniting(), b in uniting(), c in uniting()) {
        let facts = root_on_618();
        let orders = [[&a, &b, &c], [&c, &b, &a], [&b, &a, &c]];
        let plans = orders.map(|[a, b, c]| planned(&laid_over(&[a, b, c]), &facts).map(|plan| enforced(&plan)));
        prop_assert_eq!(&plans[0], &plans[1]);
        prop_assert_eq!(&plans[0], &plans[2]);
    }

    #[test]
    fn nothing_that_is_allowed_was_denied_by_name(text in any_lines()) {
        let policy = laid_over(&[&text]);
        let Some(filter) = planned(&policy, &root_on_618()).and_then(|plan| plan.filter) else { return Ok(()) };
        for (call, word) in [("ptrace", "ptrace"), ("kill", "kill"), ("mkdir", "files-write")] {
            let denied = policy.syscalls.deny.iter().any(|entry| entry.value == word);
            prop_assert!(!(denied && super::super::calls::allows(&filter, call)), "{call}");
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: Config::default().cases / 16, ..Config::default() })]

    /// On every Landlock ABI, the newest and one that is not there yet included.
    #[test]
    fn a_newer_kernel_takes_every_policy_that_an_older_one_takes_and_lacks_no_more(text in any_lines()) {
        let policy = laid_over(&[&text]);
        let mut older: Option<Plan> = None;
        for landlock_abi in 0..=12 {
            let plan = planned(&policy, &Facts { landlock_abi, ..root_on_618() });
            if let Some(older) = &older {
                let plan = plan.as_ref().ok_or_else(|| TestCaseError::fail(format!("refused at ABI {landlock_abi}")))?;
                prop_assert!(names(&plan.off).is_subset(&names(&older.off)), "ABI {landlock_abi}: {:?}", plan.off);
            }
            older = plan;
        }
    }
}
