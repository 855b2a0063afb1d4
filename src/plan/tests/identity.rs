// SPDX-License-Identifier: Apache-2.0
//! As whom a command runs, and as whom it does not.
//! The exact lines: operators and their log filters read them.

use super::super::hosts::{compatible, listen, master, on, root_on_618, strict, user_on_618};
use super::{SH, check, planned, refused};
use crate::host::facts::{IdRange, Occupied};
use crate::plan::model::Ids;
use crate::policy::model::{Namespace, User};
use crate::policy::{Origin, Policy, Sourced};

fn group(name: &str) -> impl FnOnce(&mut Policy) {
    let name = name.to_string();
    move |policy| policy.command.group = Some(on(4, name))
}

fn user(name: &str) -> impl FnOnce(&mut Policy) {
    let name = name.to_string();
    move |policy| policy.command.user = Some(on(3, User::Account(name)))
}

#[test]
fn identities_that_no_command_may_have_are_refused() {
    let at = "/etc/spawnbox/test.toml";
    check(
        user("root"),
        &format!(
            "{at}:3: the command would run as root: user root has user id 0; name an account without privileges, one for each service"
        ),
    );
    check(
        user("toor"),
        &format!(
            "{at}:3: the command would run as root: user toor has user id 0; name an account without privileges, one for each service"
        ),
    );
    check(
        user("wheel"),
        &format!(
            "{at}:3: the command would run with group id 0; name an account without privileges, one for each service"
        ),
    );
    check(
        group("root"),
        &format!(
            "{at}:4: the command would run with group id 0; name an account without privileges, one for each service"
        ),
    );
    check(user("lastuser"), &format!("{at}:3: user id -1 means no user at all; name a real account"));
    check(user("lastgroup"), &format!("{at}:3: group id -1 means no group at all; name a real account"));
    check(user("ghost"), &format!("{at}:3: unknown user name: ghost; name an account that getent passwd shows"));
    check(
        user("never-looked-up"),
        &format!("{at}:3: unknown user name: never-looked-up; name an account that getent passwd shows"),
    );
    check(group("ghosts"), &format!("{at}:4: unknown group name: ghosts; name a group that getent group shows"));
}

#[test]
fn under_master_the_words_are_those_of_spawn() {
    let at = |user: &str, group: Option<&str>| {
        let mut request = master(user, &["/usr/bin/policyd"]);
        request.group = group.map(|name| Sourced::new(name.to_string(), Origin::CommandLine));
        refused(&request, &compatible(), &root_on_618())
    };
    assert_eq!(at("root", None), "request to deliver as root");
    assert_eq!(at("toor", None), "request to deliver as root");
    assert_eq!(at("postfix", None), "request to deliver as mail system owner");
    assert_eq!(at("wheel", None), "request to use privileged group id 0");
    assert_eq!(at("policyd-spf", Some("root")), "request to use privileged group id 0");
    assert_eq!(at("policyd-spf", Some("postfix")), "request to use mail system owner group id 110");
    assert_eq!(at("lastuser", None), "user must not have user ID -1");
    assert_eq!(at("lastgroup", None), "user must not have group ID -1");
    assert_eq!(at("ghost", None), "unknown user name: ghost");
    assert_eq!(at("112", None), "unknown user name: 112");
    assert_eq!(at("", None), "unknown user name: ");
    assert_eq!(at("policyd-spf", Some("ghosts")), "unknown group name: ghosts");
    assert_eq!(at("policyd-spf", Some("8")), "unknown group name: 8");
    // Looked up first, judged after.
    assert_eq!(at("root", Some("ghosts")), "unknown group name: ghosts");
    let mut missing = master("root", &["/usr/bin/policyd"]);
    missing.argv = None;
    assert_eq!(refused(&missing, &compatible(), &root_on_618()), "missing argv= attribute");
    missing.user = None;
    assert_eq!(refused(&missing, &compatible(), &root_on_618()), "missing user= attribute");
}

#[test]
fn the_mail_owner_is_refused_in_a_policy_too() {
    let mut policy = strict();
    policy.command.user = Some(on(3, User::Account("postfix".to_string())));
    let mut request = listen(SH);
    request.mail_owner = Some((104, 110));
    let line = "/etc/spawnbox/test.toml:3: the command would run as the mail system's owner, postfix; \
                name an account of its own: the owner's files are the mail queue";
    assert_eq!(refused(&request, &policy, &root_on_618()), line);
}

#[test]
fn an_ordinary_user_runs_commands_as_itself_or_not_at_all() {
    let mut policy = strict();
    policy.command.user = Some(on(3, User::Account("policyd-spf".to_string())));
    let line = "/etc/spawnbox/test.toml:3: user id 1000 cannot run a command as policyd-spf (user id 112); \
                start spawnbox as root, or leave command.user out";
    assert_eq!(refused(&listen(SH), &policy, &user_on_618()), line);
    let mut policy = strict();
    policy.command.group = Some(on(4, "mail".to_string()));
    let line = "/etc/spawnbox/test.toml:4: group id 1000 cannot run a command with group id 8; \
                start spawnbox as root, or leave command.group out";
    assert_eq!(refused(&listen(SH), &policy, &user_on_618()), line);
    let plan = planned(&listen(SH), &strict(), &user_on_618());
    let ids = Ids::One { uid: 1000, gid: 1000 };
    assert_eq!((plan.identity.name.as_str(), plan.identity.ids, plan.identity.change), ("anna", ids, false));
}

#[test]
fn supplementary_groups_of_an_ordinary_user_are_refused_where_they_would_open_anything() {
    let mut policy = compatible();
    policy.isolation.namespaces = None;
    policy.isolation.unique_pid = None;
    let line = "the command would keep the supplementary groups sudo, docker, which an ordinary user cannot drop; \
                start it without them (setpriv --clear-groups, SupplementaryGroups= in a unit), \
                or set files.root = \"empty\"";
    assert_eq!(refused(&listen(SH), &policy, &user_on_618()), line);
    let plan = planned(&listen(SH), &strict(), &user_on_618());
    let off = plan.off.iter().find(|off| off.layer == "supplementary groups");
    assert!(off.is_some_and(|off| off.why.starts_with("sudo, docker stay")));
}

fn each(first: u32, last: u32) -> impl FnOnce(&mut Policy) {
    move |policy| policy.command.user = Some(on(3, User::Range(IdRange { first, last })))
}

#[test]
fn a_range_that_takes_in_somebody_is_refused() {
    let mut facts = root_on_618();
    facts.accounts.occupied = vec![
        Occupied { ids: IdRange::only(61999), whose: "user anna".into() },
        Occupied { ids: IdRange { first: 100_000, last: 165_535 }, whose: "subordinate user ids of anna".into() },
    ];
    let better = "name ids that are nobody's, such as 61184-65519, which systemd keeps for users that come and go";
    for ((first, last), whose) in [
        ((0, 9), "0, which is root"),
        ((65000, 65534), "65534, which is nobody"),
        ((65535, 65535), "65535, which is no user to a 16-bit system call"),
        ((4_000_000_000, u32::MAX), "4294967295, which is no user to the kernel"),
        ((61184, 65519), "61999, which is user anna"),
        ((165_535, 165_540), "100000-165535, which are subordinate user ids of anna"),
    ] {
        let range = IdRange { first, last };
        let mut policy = strict();
        each(first, last)(&mut policy);
        let line = format!("/etc/spawnbox/test.toml:3: the range {range} takes in {whose}; {better}");
        assert_eq!(refused(&listen(SH), &policy, &facts), line);
    }
    let mut policy = strict();
    each(100, 109)(&mut policy);
    let mut request = listen(SH);
    request.mail_owner = Some((104, 110));
    let line = format!(
        "/etc/spawnbox/test.toml:3: the range 100-109 takes in 104, which is the mail system's owner; {better}"
    );
    assert_eq!(refused(&request, &policy, &root_on_618()), line);
}

#[test]
fn a_range_is_for_root_and_needs_what_keeps_its_sessions_apart() {
    let mut policy = strict();
    each(61184, 65519)(&mut policy);
    let line = "/etc/spawnbox/test.toml:3: user id 1000 cannot give each session a user id of its own; \
                start spawnbox as root, or leave command.user out";
    assert_eq!(refused(&listen(SH), &policy, &user_on_618()), line);
    for (missing, name) in [(Namespace::Ipc, "ipc"), (Namespace::User, "user")] {
        check(
            |policy| {
                each(61184, 65519)(policy);
                let others = Namespace::ALL.into_iter().filter(|namespace| *namespace != missing);
                policy.isolation.namespaces = Some(on(4, others.collect()));
            },
            &format!(
                "/etc/spawnbox/test.toml:3: a range in command.user needs \"{name}\" in isolation.namespaces; \
                 set \"{name}\" in isolation.namespaces, or leave it out"
            ),
        );
    }
    check(
        |policy| {
            each(61184, 65519)(policy);
            policy.command.group = Some(on(4, "root".to_string()));
        },
        "/etc/spawnbox/test.toml:4: the command would run with group id 0; \
         name an account without privileges, one for each service",
    );
}

#[test]
fn a_range_and_a_user_of_master_cf_undo_each_other() {
    let mut policy = strict();
    each(61184, 65519)(&mut policy);
    let line = "/etc/spawnbox/test.toml:3: the policy gives each session a user id of its own, and user= of master.cf \
                names one for all; leave user= out of the entry, or the range out of the policy";
    let mut request = master("policyd-spf", SH);
    assert_eq!(refused(&request, &policy, &root_on_618()), line);
    request.user = None;
    let range = IdRange { first: 61184, last: 65519 };
    assert_eq!(planned(&request, &policy, &root_on_618()).identity.ids, Ids::Each { range, gid: None });
}

#[test]
fn there_are_never_more_sessions_than_ids() {
    let mut policy = strict();
    each(61184, 61187)(&mut policy);
    assert_eq!(planned(&listen(SH), &policy, &root_on_618()).concurrency, 4);
    policy.connection.concurrency = Some(on(5, 3));
    assert_eq!(planned(&listen(SH), &policy, &root_on_618()).concurrency, 3);
}

#[test]
fn ids_are_those_that_were_given_out_of_the_range_and_no_others() {
    let range = IdRange { first: 5, last: 7 };
    let one = Ids::One { uid: 1, gid: 2 };
    let (each, grouped) = (Ids::Each { range, gid: None }, Ids::Each { range, gid: Some(8) });
    for (ids, given, expected) in [
        (one, None, Some((1, 2))),
        (one, Some(5), None),
        (each, None, None),
        (each, Some(4), None),
        (each, Some(7), Some((7, 7))),
        (grouped, Some(5), Some((5, 8))),
    ] {
        assert_eq!(ids.of(given), expected, "{ids:?} {given:?}");
    }
}
