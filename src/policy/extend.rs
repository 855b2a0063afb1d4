// SPDX-License-Identifier: Apache-2.0
//! How one policy is laid over another: lists unite, the later scalar holds, the smaller limit holds.
//! Pure: what is merged was read before, and nothing here can fail.

use super::model::{
    Clients, Command, Connection, Entry, Files, Isolation, Limits, Listen, Network, Policy, Scratch, Syscalls,
};
use super::origin::Sourced;
use std::collections::{BTreeMap, BTreeSet};

/// What one file or one `-s` says, before it is laid over others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// What it says.
    pub(super) policy: Policy,
    /// The limits that hold even where an earlier layer has a smaller one.
    pub(super) forced: BTreeSet<&'static str>,
}

/// Lays `over` on `base`. Its name and hash are those of `over`: `load` sets both in the end.
///
/// Laws, each with its test: a layer over itself is itself; how layers are bracketed does not matter; a limit is never
/// larger than one below it unless it is forced.
pub(super) fn extend(base: Layer, over: Layer) -> Layer {
    let Layer { policy: below, forced: mut all_forced } = base;
    let Layer { policy: above, forced } = over;
    let policy = Policy {
        name: above.name,
        hash: above.hash,
        sources: above.sources,
        filled: above.filled,
        description: above.description.or(below.description),
        command: command(below.command, above.command),
        files: files(below.files, above.files),
        network: network(below.network, above.network),
        syscalls: syscalls(below.syscalls, above.syscalls),
        limits: smaller_limits(below.limits, above.limits, &forced),
        isolation: isolation(below.isolation, above.isolation),
        connection: connection(below.connection, above.connection),
        clients: clients(below.clients, above.clients),
        listen: listen(below.listen, above.listen),
    };
    all_forced.extend(forced);
    Layer { policy, forced: all_forced }
}

macro_rules! limits {
    ($($field:ident $key:literal),*) => {
        /// The keys of `[limits]`, as `override` names them.
        pub(super) const LIMITS: &[&str] = &[$($key),*];

        /// The limits that are written in `limits`.
        pub(super) fn written(limits: &Limits) -> BTreeSet<&'static str> {
            [$(($key, limits.$field.is_some())),*].into_iter().filter(|(_, set)| *set).map(|(key, _)| key).collect()
        }

        fn smaller_limits(below: Limits, above: Limits, forced: &BTreeSet<&'static str>) -> Limits {
            Limits { $($field: smaller(below.$field, above.$field, forced.contains($key))),* }
        }
    };
}

limits! {
    time "limits.time",
    idle "limits.idle",
    processor_time "limits.processor-time",
    memory "limits.memory",
    tasks "limits.tasks",
    cpu "limits.cpu",
    open_files "limits.open-files",
    file_size "limits.file-size",
    address_space "limits.address-space",
    stack "limits.stack",
    core_size "limits.core-size",
    locked_memory "limits.locked-memory",
    pending_signals "limits.pending-signals",
    message_queues "limits.message-queues",
    service_memory "limits.service.memory",
    service_tasks "limits.service.tasks",
    service_cpu "limits.service.cpu"
}

fn smaller<T: Ord>(below: Option<Sourced<T>>, above: Option<Sourced<T>>, forced: bool) -> Option<Sourced<T>> {
    match (below, above) {
        (Some(below), Some(above)) if !forced && below.value < above.value => Some(below),
        (below, above) => above.or(below),
    }
}

fn command(below: Command, above: Command) -> Command {
    let mut environment = below.environment;
    environment.extend(above.environment);
    Command {
        user: above.user.or(below.user),
        group: above.group.or(below.group),
        argv: above.argv.or(below.argv),
        directory: above.directory.or(below.directory),
        environment,
        client_environment: above.client_environment.or(below.client_environment),
        umask: above.umask.or(below.umask),
        ignore_signals: above.ignore_signals.or(below.ignore_signals),
    }
}

fn files(below: Files, above: Files) -> Files {
    Files {
        root: above.root.or(below.root),
        read: unite(below.read, above.read, entry_path),
        execute: unite(below.execute, above.execute, entry_path),
        write: unite(below.write, above.write, entry_path),
        scratch: unite(below.scratch, above.scratch, |scratch: &Scratch| scratch.path.clone()),
        devices: unite(below.devices, above.devices, |device| *device),
        proc: above.proc.or(below.proc),
    }
}

fn entry_path(entry: &Entry) -> std::path::PathBuf {
    entry.path.clone()
}

// Ports are one value, not a list that grows: a file that names its ports must not get a profile's as well.
fn network(below: Network, above: Network) -> Network {
    Network {
        mode: above.mode.or(below.mode),
        connect: above.connect.or(below.connect),
        bind: above.bind.or(below.bind),
        udp: above.udp.or(below.udp),
        forward: unite(below.forward, above.forward, |peer| *peer),
        resolver: above.resolver.or(below.resolver),
    }
}

fn syscalls(below: Syscalls, above: Syscalls) -> Syscalls {
    Syscalls {
        allow: unite(below.allow, above.allow, String::clone),
        deny: unite(below.deny, above.deny, String::clone),
        on_deny: above.on_deny.or(below.on_deny),
    }
}

// The set of namespaces is one value too: a policy that leaves one out switches it off by name.
fn isolation(below: Isolation, above: Isolation) -> Isolation {
    Isolation {
        level: above.level.or(below.level),
        namespaces: above.namespaces.or(below.namespaces),
        init: above.init.or(below.init),
        hostname: above.hostname.or(below.hostname),
        landlock: above.landlock.or(below.landlock),
        landlock_audit: above.landlock_audit.or(below.landlock_audit),
        seccomp: above.seccomp.or(below.seccomp),
        memory_deny_write_execute: above.memory_deny_write_execute.or(below.memory_deny_write_execute),
        pid_max: above.pid_max.or(below.pid_max),
        memfd_noexec: above.memfd_noexec.or(below.memfd_noexec),
        unique_pid: above.unique_pid.or(below.unique_pid),
    }
}

fn connection(below: Connection, above: Connection) -> Connection {
    Connection {
        hold: above.hold.or(below.hold),
        ends: above.ends.or(below.ends),
        stderr: above.stderr.or(below.stderr),
        concurrency: above.concurrency.or(below.concurrency),
        spares: above.spares.or(below.spares),
    }
}

/// A file that names who may connect, or whose proxies are trusted, must not get a profile's as well; who may not
/// connect is never forgotten.
fn clients(below: Clients, above: Clients) -> Clients {
    let allow = if above.allow.is_empty() { below.allow } else { above.allow };
    Clients {
        allow: unite(Vec::new(), allow, |who| *who),
        proxies: unite(Vec::new(), if above.proxies.is_empty() { below.proxies } else { above.proxies }, |who| *who),
        deny: unite(below.deny, above.deny, |who| *who),
        per_source: above.per_source.or(below.per_source),
        ipv4_prefix_length: above.ipv4_prefix_length.or(below.ipv4_prefix_length),
        ipv6_prefix_length: above.ipv6_prefix_length.or(below.ipv6_prefix_length),
        rate: above.rate.or(below.rate),
        rate_per_source: above.rate_per_source.or(below.rate_per_source),
        busy: above.busy.or(below.busy),
    }
}

// Addresses are one value: a file that says where it listens must not listen at a profile's place as well.
fn listen(below: Listen, above: Listen) -> Listen {
    Listen {
        addresses: if above.addresses.is_empty() { below.addresses } else { above.addresses },
        backlog: above.backlog.or(below.backlog),
        reuse_port: above.reuse_port.or(below.reuse_port),
    }
}

/// Both lists, sorted by key; of two entries with one key the later stands.
fn unite<T, K: Ord>(below: Vec<Sourced<T>>, above: Vec<Sourced<T>>, key: impl Fn(&T) -> K) -> Vec<Sourced<T>> {
    let keyed = below.into_iter().chain(above).map(|entry| (key(&entry.value), entry));
    keyed.collect::<BTreeMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Device, Root};
    use super::super::origin::Origin;
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use std::time::Duration;

    fn sourced<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Sourced<T>> {
        let origin = prop_oneof![Just(Origin::CommandLine), Just(Origin::Default), Just(Origin::Postfix("a".into()))];
        (value, origin).prop_map(|(value, origin)| Sourced::new(value, origin))
    }

    fn maybe<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Sourced<T>>> {
        proptest::option::of(sourced(value))
    }

    /// A list as a file gives it: in any order.
    fn entries() -> impl Strategy<Value = Vec<Sourced<Entry>>> {
        let entry = ("/[a-c]", any::<bool>());
        let entry = entry.prop_map(|(path, optional)| Entry { path: path.into(), optional, why: None });
        // Sorted and without doubles already, as one layer over nothing is.
        vec(sourced(entry), 0..4).prop_map(|list| unite(Vec::new(), list, entry_path))
    }

    fn layers() -> impl Strategy<Value = Layer> {
        let limits = (maybe((1..5u64).prop_map(Duration::from_secs)), maybe(1..5u64), any::<bool>(), any::<bool>());
        let lists = (entries(), vec(sourced("[a-c]"), 0..3), btree_map("[A-C]", sourced("[a-c]"), 0..3));
        let scalars = (maybe("[a-c]"), maybe(prop_oneof![Just(Root::Empty), Just(Root::Host)]), maybe(any::<bool>()));
        (limits, lists, scalars).prop_map(
            |((time, tasks, force_time, force_tasks), lists, (description, root, init))| {
                let mut policy = Policy::named("");
                policy.description = description;
                policy.files.root = root;
                policy.files.read = lists.0;
                policy.syscalls.allow = unite(Vec::new(), lists.1, String::clone);
                policy.command.environment = lists.2;
                policy.isolation.init = init;
                policy.limits = Limits { time, tasks, ..Limits::default() };
                let mut forced = written(&policy.limits);
                forced.retain(|key| if *key == "limits.time" { force_time } else { force_tasks });
                Layer { policy, forced }
            },
        )
    }

    proptest! {
        #[test]
        fn a_layer_over_itself_is_itself(a in layers()) {
            prop_assert_eq!(extend(a.clone(), a.clone()), a);
        }

        #[test]
        fn nothing_changes_a_layer(a in layers()) {
            let nothing = Layer { policy: Policy::named(""), forced: BTreeSet::new() };
            prop_assert_eq!(extend(nothing.clone(), a.clone()), a.clone());
            prop_assert_eq!(extend(a.clone(), nothing), a);
        }

        #[test]
        fn brackets_do_not_matter(a in layers(), b in layers(), c in layers()) {
            let left = extend(extend(a.clone(), b.clone()), c.clone());
            prop_assert_eq!(left, extend(a, extend(b, c)));
        }

        #[test]
        fn a_limit_is_never_larger_than_one_below_it_unless_it_is_forced(a in layers(), b in layers()) {
            let both = extend(a.clone(), b.clone()).policy.limits;
            for (key, below, above, result) in [
                (
                    "limits.time",
                    a.policy.limits.time.map(|it| it.value.as_secs()),
                    b.policy.limits.time.map(|it| it.value.as_secs()),
                    both.time.map(|it| it.value.as_secs()),
                ),
                (
                    "limits.tasks",
                    a.policy.limits.tasks.map(|it| it.value),
                    b.policy.limits.tasks.map(|it| it.value),
                    both.tasks.map(|it| it.value),
                ),
            ] {
                let smaller = [below, above].into_iter().flatten().min();
                prop_assert_eq!(result, if b.forced.contains(key) { above } else { smaller });
            }
        }
    }

    #[test]
    fn later_ports_and_namespaces_take_the_place_of_earlier_ones() {
        use super::super::model::{Namespace, Ports};
        let with = |ports, namespace| {
            let mut policy = Policy::named("");
            policy.network.connect = Some(Sourced::new(ports, Origin::Default));
            policy.isolation.namespaces = Some(Sourced::new(BTreeSet::from([namespace]), Origin::Default));
            Layer { policy, forced: BTreeSet::new() }
        };
        let narrow = with(Ports::List([53].into()), Namespace::Pid);
        let policy = extend(with(Ports::Any, Namespace::Mount), narrow.clone()).policy;
        assert_eq!(policy, narrow.policy);
    }

    #[test]
    fn devices_and_scratch_unite() {
        let with = |device, size| {
            let mut policy = Policy::named("");
            let scratch = Scratch { path: "/tmp".into(), size, inodes: 1, execute: false };
            policy.files.devices = vec![Sourced::new(device, Origin::Default)];
            policy.files.scratch = vec![Sourced::new(scratch, Origin::Default)];
            Layer { policy, forced: BTreeSet::new() }
        };
        let files = extend(with(Device::Zero, 1), with(Device::Null, 2)).policy.files;
        assert_eq!(files.devices.iter().map(|it| it.value).collect::<Vec<_>>(), [Device::Null, Device::Zero]);
        assert_eq!(files.scratch.iter().map(|it| it.value.size).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn every_limit_has_its_key() {
        let is_limit = |key: &String| key.starts_with("limits.") && key != "limits.service";
        let all: BTreeSet<String> = super::super::keys::all().into_iter().filter(is_limit).collect();
        assert_eq!(LIMITS.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), all);
        assert!(written(&Limits::default()).is_empty());
    }
}
