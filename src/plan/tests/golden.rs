// SPDX-License-Identifier: Apache-2.0
//! `explain` and `explain --steps`, byte for byte, for each policy on each host.
//! SPAWNBOX_GOLDEN=write writes the files anew; the difference is then to be read like any other change.

use super::super::explain::{Look, explain, steps};
use super::super::hosts::{compatible, entry, listen, master, on, root_on_618, root_on_debian_12, strict, user_on_618};
use super::super::request::{Request, Transport};
use super::{SH, planned};
use crate::host::Facts;
use crate::policy::model::{IdRange, Level, NetworkMode, Ports, User};
use crate::policy::{Paint, Policy};
use std::collections::BTreeSet;
use std::path::Path;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/golden");

fn compare(name: &str, text: &str) {
    let path = Path::new(DIRECTORY).join(format!("{name}.txt"));
    if std::env::var_os("SPAWNBOX_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::create_dir_all(DIRECTORY).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(golden, text, "{}: SPAWNBOX_GOLDEN=write cargo test writes it anew", path.display());
}

fn check(name: &str, request: &Request, policy: &Policy, facts: &Facts) {
    let plan = planned(request, policy, facts);
    let page = explain(&plan, facts, Look::PLAIN);
    assert!(page.lines().all(|line| line.chars().count() <= 120), "{page}");
    for width in [80, 100] {
        let painted = explain(&plan, facts, Look { width, paint: Paint::On });
        let plain = explain(&plan, facts, Look { width, paint: Paint::Off });
        assert!(plain.lines().all(|line| line.chars().count() <= width), "{plain}");
        assert_eq!(unpainted(&painted), plain);
        assert!(!painted.contains(" \n"), "{painted:?}");
    }
    compare(name, &page);
    compare(&format!("{name}-steps"), &steps(&plan, Look::PLAIN));
}

/// Without what a terminal does not show.
fn unpainted(text: &str) -> String {
    let rest = |part: &str| part.split_once('m').expect("a style ends").1.to_string();
    text.split('\u{1b}').enumerate().map(|(at, part)| if at == 0 { part.to_string() } else { rest(part) }).collect()
}

/// A greylisting server under master, as Debian's manual runs it.
fn greylist() -> (Request, Policy) {
    let mut policy = compatible();
    policy.limits.memory = Some(on(4, 64 << 20));
    policy.limits.tasks = Some(on(5, 16));
    policy.limits.service_memory = Some(on(6, 512 << 20));
    policy.limits.service_cpu = Some(on(7, 150));
    (master("policyd-spf", &["/usr/bin/postgrey", "--privacy", "--greylist-text=try again"]), policy)
}

/// A content filter that may reach one port.
fn filter() -> (Request, Policy) {
    let mut policy = strict();
    policy.command.user = Some(on(3, User::Account("policyd-spf".to_string())));
    policy.command.group = Some(on(4, "mail".to_string()));
    policy.network.mode = Some(on(10, NetworkMode::Host));
    policy.network.connect = Some(on(11, Ports::List(BTreeSet::from([25, 10_026]))));
    policy.network.udp = Some(on(12, Ports::Any));
    policy.syscalls.allow.push(on(14, "network-client".to_string()));
    policy.isolation.memory_deny_write_execute = Some(on(20, true));
    policy.isolation.pid_max = Some(on(21, 310));
    policy.isolation.memfd_noexec = Some(on(22, true));
    (listen(&["/usr/bin/filter", "a b"]), policy)
}

#[test]
fn strict_for_root_on_linux_618() {
    check("strict-root-6.18", &listen(SH), &strict(), &root_on_618());
}

#[test]
fn strict_for_root_on_debian_12() {
    let mut policy = strict();
    policy.isolation.memory_deny_write_execute = Some(on(20, true));
    check("strict-root-debian-12", &listen(SH), &policy, &root_on_debian_12());
}

#[test]
fn strict_for_an_ordinary_user_on_linux_618() {
    check("strict-user-6.18", &listen(SH), &strict(), &user_on_618());
}

#[test]
fn landlock_alone_for_an_ordinary_user_on_linux_618() {
    let mut policy = strict();
    policy.isolation.level = Some(on(20, Level::LandlockOnly));
    check("alone-user-6.18", &listen(SH), &policy, &user_on_618());
}

#[test]
fn compatible_for_root_on_linux_618() {
    check("compatible-root-6.18", &master("policyd-spf", SH), &compatible(), &root_on_618());
}

#[test]
fn compatible_with_limits_for_root_on_debian_12() {
    let (request, mut policy) = greylist();
    policy.isolation.landlock = None;
    check("compatible-root-debian-12", &request, &policy, &root_on_debian_12());
}

#[test]
fn a_filter_with_two_ports_for_root_on_linux_618() {
    let (request, policy) = filter();
    check("filter-root-6.18", &request, &policy, &root_on_618());
}

#[test]
fn a_user_id_for_each_session_for_root_on_linux_618() {
    let mut policy = strict();
    policy.command.user = Some(on(3, User::Range(IdRange { first: 61184, last: 61683 })));
    policy.files.write.push(on(5, entry("/srv")));
    check("range-root-6.18", &listen(SH), &policy, &root_on_618());
}

#[test]
fn forwarded_peers_for_root_on_debian_12() {
    let mut policy = strict();
    let peers = ["127.0.0.1:10026", "[::1]:25", "udp:127.0.0.53:53"].map(|peer| on(5, peer.parse().unwrap()));
    policy.network.forward.extend(peers);
    policy.syscalls.allow.push(on(8, "resolve".to_string()));
    check("forward-root-debian-12", &listen(SH), &policy, &root_on_debian_12());
}

#[test]
fn an_ordinary_users_loopback_on_a_unix_socket() {
    let mut policy = strict();
    policy.network.mode = Some(on(10, NetworkMode::Loopback));
    let request = Request { transport: Transport::Unix, ..listen(SH) };
    check("loopback-user-6.18", &request, &policy, &user_on_618());
}
