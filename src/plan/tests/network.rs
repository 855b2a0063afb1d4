// SPDX-License-Identifier: Apache-2.0
//! Grants of ports stand only where a layer holds the command to them.

use super::super::hosts::{listen, on, root_on_618, root_on_debian_12, strict};
use super::super::model::{Namespace, NetworkMode};
use super::super::request::{Request, Transport};
use super::{SH, planned, refused};
use crate::host::Facts;
use crate::host::facts::Resource;
use crate::plan::Step;
use crate::policy::Policy;
use crate::policy::model::{Layer, Ports};
use std::collections::BTreeSet;

const AT: &str = "/etc/spawnbox/test.toml";

fn list(ports: &[u16]) -> Ports {
    Ports::List(ports.iter().copied().collect())
}

/// Strict, with a network mode and more calls.
fn with(mode: NetworkMode, calls: &[&str]) -> Policy {
    let mut policy = strict();
    policy.network.mode = Some(on(10, mode));
    policy.syscalls.allow.extend(calls.iter().map(|call| on(14, (*call).to_string())));
    policy
}

fn abi(landlock_abi: u32) -> Facts {
    Facts { landlock_abi, ..root_on_618() }
}

fn over(transport: Transport) -> Request {
    Request { transport, ..listen(SH) }
}

#[test]
fn a_list_of_ports_needs_a_layer_that_keeps_it() {
    let mut policy = with(NetworkMode::Host, &["network-client"]);
    policy.network.udp = Some(on(13, Ports::Any));
    policy.network.bind = Some(on(12, Ports::Any));
    policy.network.connect = Some(on(11, list(&[25])));
    let line = format!(
        "{AT}:11: network.connect lists ports, which needs Landlock ABI 4; this kernel has 2; \
         say that any port is meant: network.connect.ports = \"any\""
    );
    assert_eq!(refused(&listen(SH), &policy, &root_on_debian_12()), line);
    policy.isolation.landlock = Some(on(20, Layer::Off));
    let line = format!(
        "{AT}:11: network.connect needs isolation.landlock = \"required\"; \
         set isolation.landlock = \"required\", or leave it out"
    );
    assert_eq!(refused(&listen(SH), &policy, &root_on_618()), line);
    policy.isolation.landlock = None;
    policy.network.udp = Some(on(13, list(&[53])));
    let line = format!(
        "{AT}:13: network.udp lists ports, which needs Landlock ABI 10; this kernel has 7; \
         say that any port is meant: network.udp.ports = \"any\""
    );
    assert_eq!(refused(&listen(SH), &policy, &root_on_618()), line);
    let landlock = planned(&listen(SH), &policy, &abi(10)).landlock.unwrap();
    assert_eq!(landlock.connect, Some(BTreeSet::from([25])));
    assert_eq!(landlock.bind, None);
    assert_eq!(landlock.udp, Some(BTreeSet::from([53])));
}

#[test]
fn a_list_of_ports_without_a_network_is_refused() {
    let mut policy = with(NetworkMode::None, &[]);
    policy.network.bind = Some(on(11, list(&[25])));
    let line = format!(
        "{AT}:11: network.bind needs network.mode = \"host\" or \"loopback\"; \
         set network.mode = \"host\" or \"loopback\", or leave it out"
    );
    assert_eq!(refused(&listen(SH), &policy, &root_on_618()), line);
}

#[test]
fn calls_that_nothing_restricts_are_refused() {
    let take = |call: &str, key: &str| {
        format!("take the call away: syscalls.deny = [\"{call}\"], or say that it is meant: {key}.ports = \"any\"")
    };
    let line = |call: &str, reach: &str, key: &str| {
        format!("the system call {call} is allowed, and nothing keeps it from {reach}; {}", take(call, key))
    };
    let connect = line("connect", "connecting to any TCP port of the host's network", "network.connect");
    let turned =
        line("connect", "turning the connection into one to any port of the host's network", "network.connect");
    let bind = line("bind", "binding any TCP port of the host", "network.bind");
    let listening = line("listen", "listening on a TCP port of the host", "network.bind");
    let udp = line("socket", "sending UDP to any port", "network.udp");

    let mut policy = with(NetworkMode::Host, &["network-server"]);
    let of = |policy: &Policy, facts: &Facts| refused(&listen(SH), policy, facts);
    assert_eq!(of(&policy, &root_on_debian_12()), connect);
    policy.network.connect = Some(on(11, Ports::Any));
    assert_eq!(of(&policy, &root_on_debian_12()), bind);
    assert_eq!(of(&policy, &root_on_618()), udp);
    policy.network.udp = Some(on(13, Ports::Any));
    assert_eq!(of(&policy, &root_on_618()), listening);
    policy.network.bind = Some(on(12, list(&[])));
    assert_eq!(of(&policy, &root_on_618()), format!("{AT}:12: {listening}"));

    // In a namespace of its own the connection alone is the host's, and only if it is a TCP one.
    let policy = with(NetworkMode::None, &["unix-client"]);
    assert_eq!(of(&policy, &root_on_debian_12()), turned);
    assert_eq!(refused(&over(Transport::Stdio), &policy, &root_on_debian_12()), turned);
    assert_eq!(refused(&over(Transport::Unix), &policy, &root_on_debian_12()), "not refused");
    assert_eq!(of(&policy, &root_on_618()), "not refused");

    // Its client can reset it, and what is left can be bound.
    let policy = with(NetworkMode::None, &["bind"]);
    assert_eq!(of(&policy, &root_on_debian_12()), bind);
    assert_eq!(refused(&over(Transport::Unix), &policy, &root_on_debian_12()), "not refused");
    assert_eq!(of(&policy, &root_on_618()), "not refused");
}

#[test]
fn without_a_filter_every_call_counts() {
    let mut policy = strict();
    policy.isolation.seccomp = Some(on(20, Layer::Off));
    let line = refused(&listen(SH), &policy, &root_on_618());
    let expected = "the system call listen is allowed, and nothing keeps it from listening on a TCP port of the host; \
                    let calls be filtered: isolation.seccomp = \"required\", without which syscalls.deny does nothing, \
                    or say that it is meant: network.bind.ports = \"any\"";
    assert_eq!(line, expected);
}

#[test]
fn ports_that_are_granted_to_all_are_said_to_be_off() {
    let mut policy = with(NetworkMode::Host, &["network-server"]);
    policy.network.connect = Some(on(11, Ports::Any));
    policy.network.bind = Some(on(12, list(&[25])));
    policy.network.udp = Some(on(13, Ports::Any));
    let plan = planned(&listen(SH), &policy, &root_on_618());
    let layers: Vec<&str> = plan.off.iter().map(|off| off.layer.as_str()).collect();
    for layer in ["ports (network.connect)", "ports (network.udp)", "listen", "network namespace"] {
        assert!(layers.contains(&layer), "{layer} in {layers:?}");
    }
    assert!(!layers.contains(&"ports (network.bind)"));
}

#[test]
fn the_mode_alone_decides_about_the_network_namespace() {
    let namespaces = |mode, written: Option<&[Namespace]>| {
        let mut policy = with(mode, &[]);
        policy.isolation.namespaces = written.map(|set| on(7, set.iter().copied().collect()));
        planned(&listen(SH), &policy, &root_on_618()).namespaces.contains(&Namespace::Network)
    };
    let basic = [Namespace::Mount, Namespace::Pid, Namespace::User];
    assert!(namespaces(NetworkMode::None, None));
    assert!(namespaces(NetworkMode::None, Some(&basic)));
    assert!(namespaces(NetworkMode::Loopback, Some(&basic)));
    assert!(!namespaces(NetworkMode::Host, None));
    assert!(!namespaces(NetworkMode::Host, Some(&Namespace::ALL)));
}

/// Strict, with a forwarded peer and what speaks to it.
fn forwarding() -> Policy {
    let mut policy = strict();
    policy.network.forward = vec![on(10, "127.0.0.1:10026".parse().unwrap())];
    policy.syscalls.allow.push(on(14, "tcp-client".to_string()));
    policy
}

#[test]
fn a_forwarded_peer_needs_no_landlock_and_takes_the_connection_away() {
    for (transport, exchanged) in [(Transport::Tcp, true), (Transport::Stdio, true), (Transport::Unix, false)] {
        for landlock in [2, 7, 10] {
            let plan = planned(&over(transport), &forwarding(), &abi(landlock));
            assert_eq!(plan.network, NetworkMode::Loopback);
            assert_eq!(plan.relay.as_ref().map(|relay| relay.connection), Some(exchanged));
            assert_eq!(plan.steps.contains(&Step::Exchange), exchanged);
            assert!(plan.steps.contains(&Step::Network) && !plan.steps.contains(&Step::Loopback));
            let connect = plan.landlock.unwrap().connect;
            assert_eq!(connect, (landlock >= 4).then(|| BTreeSet::from([10026])));
        }
    }
}

#[test]
fn a_forwarded_peer_of_udp_needs_a_call_for_it_and_leaves_the_others_shut() {
    let mut policy = forwarding();
    policy.network.forward.push(on(11, "udp:127.0.0.53:53".parse().unwrap()));
    let needs = "\"resolve\" or a wider group in syscalls.allow";
    let line = format!("{AT}:10: network.forward needs {needs}; set {needs}, or leave it out");
    assert_eq!(refused(&listen(SH), &policy, &root_on_618()), line);
    policy.syscalls.allow.push(on(15, "resolve".to_string()));
    for landlock in [2, 7, 10] {
        let plan = planned(&over(Transport::Tcp), &policy, &abi(landlock));
        let rules = plan.landlock.unwrap();
        assert_eq!(rules.connect, (landlock >= 4).then(|| BTreeSet::from([10026])));
        assert_eq!(rules.udp, (landlock >= 10).then(|| BTreeSet::from([53])));
        let first = plan.relay.unwrap().peers.into_iter().next().map(|peer| peer.to_string());
        assert_eq!(first.as_deref(), Some("udp:127.0.0.53:53"));
    }
}

#[test]
fn the_hosts_resolvers_are_peers_by_both_protocols_and_exclude_its_network() {
    let mut policy = strict();
    policy.network.resolver = Some(on(10, true));
    policy.syscalls.allow.push(on(14, "resolve".to_string()));
    let peers = |policy: &Policy| {
        let relay = planned(&listen(SH), policy, &root_on_618()).relay;
        relay.iter().flat_map(|relay| &relay.peers).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(peers(&policy), ["udp:127.0.0.53:53", "127.0.0.53:53"]);
    policy.network.mode = Some(on(11, NetworkMode::Host));
    let line = refused(&listen(SH), &policy, &root_on_618());
    assert!(line.contains(":10: network.resolver = true and network.mode = \"host\" exclude each other"), "{line}");
    policy.network.mode = None;
    policy.network.resolver = Some(on(10, false));
    assert_eq!(peers(&policy), [""; 0]);
}

#[test]
fn a_relay_is_no_task_of_the_commands() {
    let mut policy = forwarding();
    policy.limits.tasks = Some(on(20, 4));
    let tasks = planned(&listen(SH), &policy, &root_on_618()).resources[&Resource::Tasks];
    policy.network.forward.clear();
    assert_eq!(tasks, planned(&listen(SH), &policy, &root_on_618()).resources[&Resource::Tasks] + 1);
}

#[test]
fn a_forwarded_peer_is_refused_beside_the_hosts_network() {
    let mut policy = forwarding();
    policy.network.mode = Some(on(11, NetworkMode::Host));
    let line = format!(
        "{AT}:10: network.forward and network.mode = \"host\" exclude each other; switch one of them off, or leave it out"
    );
    assert_eq!(refused(&listen(SH), &policy, &root_on_618()), line);
    policy = forwarding();
    policy.syscalls.deny.push(on(15, "connect".to_string()));
    let needs = "\"tcp-client\" or a wider group in syscalls.allow";
    let line = format!("{AT}:10: network.forward needs {needs}; set {needs}, or leave it out");
    assert_eq!(refused(&listen(SH), &policy, &root_on_618()), line);
    policy = forwarding();
    policy.network.forward = (1..=17).map(|port| on(10, format!("127.0.0.1:{port}").parse().unwrap())).collect();
    assert!(refused(&listen(SH), &policy, &root_on_618()).contains("needs no more than 16 peers"));
}
