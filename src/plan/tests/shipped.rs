// SPDX-License-Identifier: Apache-2.0
//! Every policy that is built in can be planned on every host that is supported.

use super::super::hosts::{listen, master, root_on_618, root_on_debian_12, user_on_618};
use super::super::model::{Ids, Namespace, NetworkMode, Root};
use super::super::request::Request;
use super::{SH, planned};
use crate::host::facts::{Facts, PathFact};
use crate::policy::{Policy, builtin};
use std::path::PathBuf;
use std::time::Duration;

/// The host with what Debian has of the paths that the policies name.
fn debian(mut facts: Facts) -> Facts {
    for (path, directory) in [
        ("/usr/bin", true),
        ("/usr/lib64", true),
        ("/usr/local/lib", true),
        ("/usr/share/perl", true),
        ("/etc/resolv.conf", false),
        ("/etc/postfix-policyd-spf-python", true),
        ("/usr/sbin/postfix-policyd-spf-perl", false),
        ("/usr/local/lib/spawnbox", true),
        ("/usr/local/lib/spawnbox/greylist.pl", false),
        ("/usr/local/lib/spawnbox/table.sh", false),
        ("/usr/local/lib/spawnbox/socketmap.pl", false),
        ("/usr/local/lib/spawnbox/filter.pl", false),
        ("/etc/passwd", false),
        ("/usr/local/lib/spawnbox/quota.pl", false),
        ("/usr/sbin/in.fingerd", false),
        ("/srv/git", true),
        ("/srv/challenge", true),
        ("/srv/challenge/run", false),
        ("/var/vmail", true),
        ("/run/spamd.sock", false),
        ("/dev/log", false),
    ] {
        let found = PathFact::Found { resolved: PathBuf::from(path), directory, link: None };
        facts.paths.insert(PathBuf::from(path), found);
    }
    for name in ["greylist", "filter", "vmail"] {
        let account = facts.accounts.users["112"].clone();
        facts.accounts.users.insert(name.to_owned(), account);
    }
    facts
}

fn load(name: &str) -> Policy {
    builtin(name).unwrap_or_else(|error| panic!("{error}"))
}

/// Without a command line of the front door, where the policy has one.
fn request(policy: &Policy) -> Request {
    let request = listen(SH);
    match &policy.command.argv {
        Some(_) => Request { argv: None, ..request },
        None => request,
    }
}

#[test]
fn the_profiles_can_be_planned_for_root_and_for_an_ordinary_user() {
    for name in [
        "strict",
        "shell",
        "python3",
        "perl",
        "node",
        "java",
        "tls",
        "dns-client",
        "syslog",
        "echo",
        "tcp-table",
        "socketmap",
    ] {
        let policy = load(name);
        for facts in [root_on_618(), root_on_debian_12(), user_on_618()] {
            let plan = planned(&request(&policy), &policy, &debian(facts));
            assert!(plan.filter.is_some() && plan.landlock.is_some(), "{name}");
            assert!(plan.namespaces.contains(&Namespace::User), "{name}");
            assert_eq!(plan.network == NetworkMode::Loopback, name == "dns-client", "{name}");
        }
    }
}

#[test]
fn the_services_can_be_planned_for_root() {
    let (account, nobody) = (Ids::One { uid: 112, gid: 119 }, Ids::One { uid: 65534, gid: 65534 });
    for (name, ids, seconds) in [
        ("policyd-spf", &account, 3600),
        ("policyd-spf-perl", &account, 3600),
        ("greylist", &account, 3600),
        ("smtp-filter", &account, 1000),
        ("quota", &account, 3600),
        ("spamc", &nobody, 660),
        ("git-daemon", &nobody, 3600),
        ("fingerd", &nobody, 30),
    ] {
        let policy = load(name);
        for facts in [root_on_618(), root_on_debian_12()] {
            let plan = planned(&request(&policy), &policy, &debian(facts));
            assert_eq!(&plan.identity.ids, ids, "{name}");
            assert_eq!(plan.time_limit, Some(Duration::from_secs(seconds)), "{name}");
        }
    }
}

#[test]
fn compatible_can_be_planned_for_what_master_starts() {
    for facts in [root_on_618(), root_on_debian_12()] {
        let plan = planned(&master("policyd-spf", SH), &load("compatible"), &debian(facts));
        assert_eq!(plan.root, Root::Host);
        assert!(plan.hold && plan.pid_limits.unique_pid);
        assert!(plan.landlock.is_none());
    }
}

#[test]
fn strict_leaves_nothing_off_but_what_needs_a_controller() {
    let names = |facts| {
        let policy = load("strict");
        let plan = planned(&request(&policy), &policy, &debian(facts));
        plan.off.into_iter().map(|off| off.layer).collect::<Vec<_>>()
    };
    // What a controller would have to count: a policy of the operator's names it.
    assert_eq!(names(root_on_618()), ["memory limit", "processor share"]);
    assert_eq!(names(root_on_debian_12()), ["PR_SET_MDWE", "memory limit", "processor share"]);
}
