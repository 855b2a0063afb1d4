// SPDX-License-Identifier: Apache-2.0
//! Pairs of policies, and what `diff` has to say of them.

use super::*;
use crate::host::facts::PathFact;
use crate::plan::hosts::{compatible, entry, listen, on, root_on_618, strict};
use crate::plan::model::{Access, NetworkMode, Relay};
use crate::plan::resolve;
use crate::policy::Paint;
use crate::policy::Policy;
use std::time::Duration;

fn plan(policy: &Policy) -> Plan {
    resolve(&listen(&["sh"]), policy, &root_on_618()).unwrap()
}

#[test]
fn two_equal_plans_differ_in_nothing() {
    let plan = plan(&strict());
    assert_eq!(difference(&plan, &plan), Difference::default());
    assert_eq!(difference(&plan, &plan).text(Paint::Off), "no difference\n");
}

#[test]
fn what_one_way_allows_the_other_way_takes() {
    let (a, b) = (plan(&strict()), plan(&compatible()));
    let (there, back) = (difference(&a, &b), difference(&b, &a));
    assert_eq!((there.allows.len(), there.takes.len()), (back.takes.len(), back.allows.len()));
    for line in ["files: the host's own, as far as the user's rights go", "share the host's ipc namespace"] {
        assert!(there.allows.iter().any(|found| found == line), "{:?}", there.allows);
        assert!(back.takes.iter().any(|found| found == line), "{:?}", back.takes);
    }
}

/// `strict` with these lists of paths, as access and path.
fn showing(paths: &[(Access, &str)]) -> Plan {
    let mut policy = strict();
    for (access, path) in paths {
        let list = match access {
            Access::Read => &mut policy.files.read,
            Access::Execute => &mut policy.files.execute,
            Access::Write => &mut policy.files.write,
        };
        list.push(on(1, entry(path)));
    }
    let mut facts = root_on_618();
    for path in ["/srv/bin", "/srv/git"] {
        let fact = PathFact::Found { resolved: path.into(), directory: true, link: None };
        facts.paths.insert(path.into(), fact);
    }
    resolve(&listen(&["sh"]), &policy, &facts).unwrap()
}

#[test]
fn of_paths_in_one_another_what_holds_at_each_is_compared() {
    use Access::{Execute, Read, Write};
    type Shown<'a> = &'a [(Access, &'a str)];
    let rows: [(Shown<'_>, Shown<'_>, &[&str], &[&str]); 7] = [
        // The entry inside kept the outer one from it.
        (&[(Write, "/srv"), (Execute, "/srv/bin")], &[(Write, "/srv")], &["write /srv/bin"], &["execute /srv/bin"]),
        (&[(Write, "/srv")], &[(Write, "/srv"), (Execute, "/srv/bin")], &["execute /srv/bin"], &["write /srv/bin"]),
        // What is narrower is no more.
        (&[(Read, "/srv")], &[(Read, "/srv/git")], &[], &["read /srv"]),
        (&[(Write, "/srv")], &[(Read, "/srv/git")], &[], &["read /srv", "write /srv"]),
        (&[(Read, "/srv/git")], &[(Read, "/srv")], &["read /srv"], &[]),
        (&[(Read, "/srv")], &[(Write, "/srv/git")], &["write /srv/git"], &["read /srv"]),
        (&[], &[(Write, "/srv"), (Execute, "/srv/bin")], &["read /srv", "write /srv", "execute /srv/bin"], &[]),
    ];
    for (old, new, allows, takes) in rows {
        let found = difference(&showing(old), &showing(new));
        assert_eq!((found.allows, found.takes), (lines(allows), lines(takes)), "{old:?} {new:?}");
    }
}

#[test]
fn of_an_image_and_of_the_host_the_same_path_is_not_the_same() {
    let host = showing(&[(Access::Read, "/srv")]);
    let image = Plan { image: Some("/images/new".into()), ..host.clone() };
    let told = |lines: Vec<String>| lines.into_iter().filter(|line| line.contains(" /srv")).collect::<Vec<_>>();
    let found = difference(&host, &image);
    assert_eq!((told(found.allows), told(found.takes)), (lines(&["read /srv of /images/new"]), lines(&["read /srv"])));
    assert_eq!(difference(&image, &image.clone()).allows, lines(&[]));
    let other = Plan { image: Some("/images/old".into()), ..host };
    assert_eq!(told(difference(&other, &image).takes), lines(&["read /srv of /images/old"]));
}

fn lines(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

#[test]
fn the_host_s_root_has_what_an_empty_one_shows_of_it() {
    let narrowed = difference(&plan(&compatible()), &showing(&[(Access::Write, "/srv")]));
    for prefix in ["read ", "write ", "execute ", "link ", "device ", "scratch ", "files", "network", "connect", "bind"]
    {
        assert!(!narrowed.allows.iter().any(|line| line.starts_with(prefix)), "{prefix}: {:?}", narrowed.allows);
    }
    // But not what a scratch file system of its own hid there.
    let mut open = compatible();
    open.files.scratch.clear();
    let opened = difference(&plan(&compatible()), &plan(&open)).allows;
    assert_eq!(opened, lines(&["read /tmp", "execute /tmp", "write /tmp"]));
    assert_eq!(difference(&plan(&open), &plan(&compatible())).allows, lines(&[]));
}

#[test]
fn a_wider_network_covers_a_narrower_one() {
    let host = |connect| {
        let mut plan = plan(&compatible());
        let rules = plan.landlock.as_mut().unwrap();
        rules.connect = connect;
        plan
    };
    let (any, smtp) = (host(None), host(Some(BTreeSet::from([25]))));
    let mut forward = host(Some(BTreeSet::from([25])));
    forward.network = NetworkMode::Loopback;
    let peers = BTreeSet::from(["127.0.0.1:25".parse().unwrap()]);
    forward.relay = Some(Relay { peers, connection: false });
    let other = host(Some(BTreeSet::from([26])));
    let rows: [(&Plan, &Plan, &[&str]); 7] = [
        (&smtp, &any, &["connect to TCP any port"]),
        (&any, &smtp, &[]),
        (&any, &forward, &[]),
        (&smtp, &forward, &[]),
        (&other, &forward, &["network: 127.0.0.1:25 of the host's, by TCP", "connect to TCP port 25"]),
        (
            &forward,
            &any,
            &["network: the host's", "connect to TCP any port", "bind TCP any port", "send UDP to any port"],
        ),
        (&forward, &forward, &[]),
    ];
    for (index, (old, new, allows)) in rows.into_iter().enumerate() {
        let mut found = difference(old, new).allows;
        // A task of the relay's is not the command's.
        found.retain(|line| !line.starts_with("limits.tasks"));
        assert_eq!(found, lines(allows), "row {index}");
    }
}

#[test]
fn another_user_reaches_what_the_old_one_did_not() {
    let base = plan(&compatible());
    let with = |ids| {
        let mut plan = base.clone();
        plan.identity.ids = ids;
        plan
    };
    let range = crate::host::facts::IdRange { first: 61184, last: 61683 };
    let (one, each) = (Ids::One { uid: 112, gid: 119 }, Ids::Each { range, gid: Some(119) });
    for (old, new) in [
        (one, Ids::One { uid: 104, gid: 119 }),
        (one, Ids::One { uid: 112, gid: 8 }),
        (one, each),
        (each, one),
        (each, Ids::Each { range, gid: None }),
    ] {
        let found = difference(&with(old), &with(new));
        assert!(!found.allows.is_empty() && !found.takes.is_empty(), "{old:?} {new:?}: {}", found.text(Paint::Off));
    }
}

#[test]
fn every_kind_of_change_has_its_line() {
    let mut policy = strict();
    policy.files.write.push(on(1, entry("/srv")));
    policy.files.read.retain(|entry| entry.value.path != std::path::Path::new("/etc/localtime"));
    policy.syscalls.allow.push(on(2, "chown".to_string()));
    policy.syscalls.deny.push(on(3, "kill".to_string()));
    policy.limits.time = Some(on(4, Duration::from_secs(7)));
    policy.limits.open_files = None;
    policy.limits.file_size = Some(on(5, 32 << 20));
    policy.command.umask = Some(on(6, 0o22));
    policy.command.ignore_signals = Some(on(7, BTreeSet::from([nix::libc::SIGPIPE])));
    policy.command.client_environment = Some(on(8, Some(ClientNames::Xinetd)));
    policy.clients.deny.push(on(9, "10.0.0.0/8".parse().unwrap()));
    policy.clients.per_source = Some(on(10, 5));
    let text = difference(&plan(&strict()), &plan(&policy)).text(Paint::Off);
    for line in [
        "+ read /srv",
        "+ write /srv",
        "+ limits.file-size: 32M, was 16M",
        "+ limits.open-files: no limit, was 64",
        "+ call chown",
        "- link /etc/localtime -> /usr/share/zoneinfo/Europe/Berlin",
        "- limits.time: 7s, was 1000s",
        "- call kill",
        "~ clients: deny 10.0.0.0/8, whatever is allowed; per source 5 at once, more are refused; a source: an IPv4 /32, \
         an IPv6 /64, a user over a UNIX socket, was everybody",
        "~ umask: 022, was 077",
        "~ signals ignored: SIGPIPE, was none",
        "+ what is known of the client, in the environment",
        "~ names for what is known of the client: xinetd, was tcpserver",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_command_goes_on_after_a_denied_call_unless_the_policy_says_that_it_is_killed() {
    use crate::policy::model::OnDeny;
    let line = "go on after a call that is denied".to_string();
    for allow in ["default", "all"] {
        let with = |on_deny| {
            let mut policy = strict();
            policy.syscalls.allow = vec![on(1, allow.to_string())];
            policy.syscalls.on_deny = Some(on(2, on_deny));
            for ports in [&mut policy.network.connect, &mut policy.network.bind, &mut policy.network.udp] {
                *ports = Some(on(3, crate::policy::model::Ports::Any));
            }
            plan(&policy)
        };
        let (fails, kills) = (with(OnDeny::Errno), with(OnDeny::Kill));
        assert!(difference(&kills, &fails).allows.contains(&line), "{allow}");
        assert!(difference(&fails, &kills).takes.contains(&line), "{allow}");
        assert_eq!(difference(&kills, &kills), Difference::default(), "{allow}");
    }
}
