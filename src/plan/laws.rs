// SPDX-License-Identifier: Apache-2.0
//! What must hold of every plan, whatever the policy says and whatever the host can do. For tests and fuzzers only.

use super::explain::{Look, explain, size, steps};
use super::hosts;
use super::model::{Ids, Plan};
use super::request::Transport;
use super::{Request, resolve};
use crate::fuzz::{hash, thoroughly};
use crate::host::Facts;
use crate::host::facts::{Cgroup, Controller, Image, PathFact, Trial};
use crate::policy::{Mistake, Policy};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A size is read as it is printed.
pub(crate) fn amount(text: &str) {
    if let Some(bytes) = crate::policy::laws::amount(text) {
        assert_eq!(crate::policy::laws::amount(&size(bytes)), Some(bytes));
    }
}

/// The policy that `text` is, on a host that `text` chooses: one plan, or one refusal, which is the same each time.
pub(crate) fn plan(text: &str) -> Option<Plan> {
    let policy = crate::policy::laws::policy(text).ok()?;
    let seed = hash(text.as_bytes());
    let facts = host(seed, &policy);
    let request = request(seed);
    let plan = resolve(&request, &policy, &facts);
    if thoroughly(text.as_bytes()) {
        assert_eq!(crate::policy::laws::policy(text).as_ref(), Ok(&policy));
        assert_eq!(plan, resolve(&request, &policy, &facts));
    }
    match plan {
        Ok(plan) => {
            check(&plan, &facts);
            Some(plan)
        }
        Err(refusal) => {
            let mistake = Mistake::new(refusal.message()).help(refusal.way_out());
            crate::policy::laws::complaint(&mistake.quoted(&refusal.origin, &policy.sources).into());
            None
        }
    }
}

/// What holds of a plan on its own.
pub(crate) fn check(plan: &Plan, facts: &Facts) {
    let page = explain(plan, facts, Look::PLAIN);
    assert!(!thoroughly(page.as_bytes()) || page == explain(plan, facts, Look::PLAIN), "{page}");
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
    let told = steps(plan, Look::PLAIN);
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
    let numbered = told.lines().filter(|line| !line[..2].trim().is_empty() && !line.starts_with(" -"));
    assert_eq!(numbered.count(), plan.steps.len(), "{told}");
    let order = |step| super::Step::ALL.iter().position(|known| *known == step);
    assert!(plan.steps.is_sorted_by_key(|step| order(*step)));
    assert!(plan.landlock.as_ref().is_none_or(|landlock| landlock.abi <= facts.landlock_abi));
    let root = match plan.identity.ids {
        Ids::One { uid, gid } => uid == 0 || gid == 0,
        Ids::Each { range, gid } => range.first == 0 || range.first > range.last || gid == Some(0),
    };
    assert!(!root && plan.concurrency > 0 && plan.spares <= plan.concurrency);
}

fn request(seed: u64) -> Request {
    let argv = if bit(seed, 0) { &["sh", "-c", "id"] as &[&str] } else { &["/usr/bin/awk", "", "a\tb\u{1b}"] };
    match (bit(seed, 1), bit(seed, 2)) {
        (true, true) => hosts::master("policyd-spf", argv),
        (true, false) => Request { chroot: Some("/var/spool/postfix".into()), ..hosts::master("policyd-spf", argv) },
        (false, true) => hosts::listen(argv),
        (false, false) => Request { argv: None, transport: Transport::Unix, ..hosts::listen(argv) },
    }
}

/// One of the hosts that are written down, with some of it taken away, on which every path of the policy is something.
fn host(seed: u64, policy: &Policy) -> Facts {
    let known = [hosts::root_on_618(), hosts::root_on_debian_12(), hosts::user_on_618()];
    let mut facts = known[(seed >> 3) as usize % known.len()].clone();
    if bit(seed, 8) {
        facts.landlock_abi = (seed >> 9) as u32 % 13;
    }
    for (at, trial) in
        [&mut facts.mdwe, &mut facts.pid_max, &mut facts.memfd_noexec, &mut facts.seccomp].into_iter().enumerate()
    {
        if (seed >> (16 + 2 * at)) & 3 == 0 {
            *trial = Trial::Refused(Errno::EPERM as i32);
        }
    }
    if bit(seed, 24) {
        let controllers = BTreeSet::from([Controller::Cpu, Controller::Memory, Controller::Pids]);
        facts.cgroup = Cgroup::At { path: "/sys/fs/cgroup/x".into(), controllers, on_v1: BTreeSet::new() };
    }
    for path in policy.paths() {
        facts.paths.entry(path.clone()).or_insert_with(|| found(&path));
    }
    facts.image = policy.image().map(|path| match bit(seed, 25) {
        true => Image::Unfit { why: "it does not exist".into(), way_out: "make it".into() },
        false => {
            let names = ["/bin", "/dev", "/etc", "/srv", "/tmp", "/usr"].map(PathBuf::from);
            Image::Found { path: path.into(), top: names.map(|name| (name.clone(), found(&name))).into() }
        }
    });
    facts
}

fn found(path: &Path) -> PathFact {
    let seed = hash(path.as_os_str().as_encoded_bytes());
    let parent = || path.parent().unwrap_or(Path::new("/")).to_path_buf();
    match seed % 16 {
        0 => PathFact::Missing,
        1 => PathFact::Unreadable(Errno::EACCES as i32),
        2 => PathFact::Found { resolved: "/usr".into(), directory: true, link: Some("usr".into()) },
        3 => PathFact::Found { resolved: "/".into(), directory: true, link: Some("../..".into()) },
        4 => PathFact::Found { resolved: parent(), directory: true, link: Some(PathBuf::from(".")) },
        5 => PathFact::Found { resolved: parent().join("other"), directory: false, link: Some("other".into()) },
        6..=9 => PathFact::Found { resolved: path.into(), directory: false, link: None },
        _ => PathFact::Found { resolved: path.into(), directory: true, link: None },
    }
}

fn bit(seed: u64, at: u32) -> bool {
    (seed >> at) & 1 == 1
}
