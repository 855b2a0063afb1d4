// SPDX-License-Identifier: Apache-2.0
//! What is given away costs points.

use super::super::hosts::{compatible, entry, listen, master, on, root_on_618, root_on_debian_12, strict, user_on_618};
use super::super::resolve;
use super::*;
use crate::policy::model::{IdRange, Layer, Level, Ports, User};
use std::collections::BTreeSet;

#[test]
fn all_walls_together_are_a_hundred() {
    for facts in [root_on_618(), root_on_debian_12(), user_on_618()] {
        let parts = score(&resolve(&listen(&["sh"]), &strict(), &facts).unwrap());
        assert_eq!(parts.iter().map(|part| part.most).sum::<u32>(), 100);
        assert!(parts.iter().all(|part| part.points <= part.most), "{parts:?}");
        assert!(table(&parts, Look::PLAIN).ends_with(&format!("{:>3} of 100  together\n", total(&parts))));
    }
}

#[test]
fn signals_that_landlock_keeps_in_are_not_said_to_get_out() {
    let of = |facts, change: &dyn Fn(&mut crate::policy::Policy)| {
        let mut policy = strict();
        change(&mut policy);
        let plan = resolve(&listen(&["sh"]), &policy, &facts).unwrap();
        score(&plan).into_iter().find(|part| part.wall == "pid namespace").unwrap().why
    };
    let alone = of(user_on_618(), &|policy| policy.isolation.level = Some(on(1, Level::LandlockOnly)));
    assert_eq!(alone, "sees the host's processes");
    let older = of(root_on_debian_12(), &|policy| {
        let namespaces = Namespace::ALL.into_iter().filter(|namespace| *namespace != Namespace::Pid);
        policy.isolation.namespaces = Some(on(1, namespaces.collect()));
    });
    assert_eq!(older, "sees and signals the host's processes");
}

#[test]
fn what_is_given_away_costs_points() {
    let points =
        |policy: &crate::policy::Policy| total(&score(&resolve(&listen(&["sh"]), policy, &root_on_618()).unwrap()));
    let whole = points(&strict());
    let mut ways: Vec<crate::policy::Policy> = Vec::new();
    let mut weaker = |change: &dyn Fn(&mut crate::policy::Policy)| {
        let mut policy = strict();
        change(&mut policy);
        ways.push(policy);
    };
    weaker(&|policy| policy.isolation.seccomp = Some(on(1, Layer::Off)));
    weaker(&|policy| policy.isolation.landlock = Some(on(1, Layer::Off)));
    weaker(&|policy| policy.limits.time = None);
    weaker(&|policy| policy.limits.file_size = None);
    weaker(&|policy| policy.network.mode = Some(on(1, NetworkMode::Host)));
    weaker(&|policy| policy.files.write.push(on(1, entry("/var/lib/greylist"))));
    weaker(&|policy| policy.files.scratch[0].value.execute = true);
    weaker(&|policy| policy.files.proc = Some(on(1, Proc::Full)));
    weaker(&|policy| policy.syscalls.allow = vec![on(1, "all".to_string())]);
    weaker(&|policy| policy.syscalls.allow.push(on(1, "jit".to_string())));
    for policy in &mut ways {
        // Without a filter or Landlock, a grant must say that any port is meant.
        let any = || Some(on(1, Ports::Any));
        let open = [policy.network.mode.is_some(), policy.isolation.landlock.is_some()];
        if open.contains(&true) || policy.isolation.seccomp.is_some() || policy.syscalls.allow.len() == 1 {
            (policy.network.connect, policy.network.bind, policy.network.udp) = (any(), any(), any());
        }
        assert!(points(policy) < whole, "{policy:?}");
    }
    let mut shallow = strict();
    shallow.files.write.push(on(1, entry("/srv")));
    let mut deep = strict();
    deep.files.write.push(on(1, entry("/var/lib/greylist")));
    assert!(points(&shallow) < points(&deep) && points(&deep) < whole);
    let mut each = strict();
    each.command.user = Some(on(3, User::Range(IdRange { first: 61184, last: 61683 })));
    assert!(points(&each) > whole);
    let spawn = resolve(&master("policyd-spf", &["sh"]), &compatible(), &root_on_618()).unwrap();
    assert!(total(&score(&spawn)) < 50 && whole > 85, "{} {whole}", total(&score(&spawn)));
}

#[test]
fn each_right_that_holds_no_port_costs_its_points() {
    let mut plan = resolve(&listen(&["sh"]), &compatible(), &root_on_618()).unwrap();
    let points = |plan: &Plan| landlock(plan).points;
    let rules = |plan: &mut Plan, connect, udp| {
        let rules = plan.landlock.as_mut().unwrap();
        (rules.connect, rules.bind, rules.udp) = (connect, Some(BTreeSet::new()), udp);
    };
    rules(&mut plan, Some(BTreeSet::from([25])), Some(BTreeSet::from([53])));
    let all = points(&plan);
    rules(&mut plan, None, Some(BTreeSet::from([53])));
    assert_eq!(points(&plan), all - 1, "the other of the TCP rights is no reason for points");
    rules(&mut plan, None, None);
    assert_eq!(points(&plan), all - 2);
}
