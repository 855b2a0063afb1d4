// SPDX-License-Identifier: Apache-2.0
//! Where each value of a plan was written, by dotted key, for `explain` and for logs.
//! A key that no one wrote stands as [`Origin::Default`] only where its default matters to a reader.

use super::identity::Chosen;
use super::request::Request;
use crate::policy::{Origin, Policy, Sourced};
use std::collections::BTreeMap;

type Origins = BTreeMap<&'static str, Origin>;

/// The place of the command line.
pub(super) fn argv(request: &Request, policy: &Policy) -> Origin {
    let argv = request.argv.as_ref().or(policy.command.argv.as_ref());
    argv.map_or(Origin::Default, |argv| argv.origin.clone())
}

/// Every key that the plan knows.
pub(super) fn collect(request: &Request, policy: &Policy, chosen: &Chosen) -> Origins {
    let mut origins = Origins::new();
    origins.insert("command.user", chosen.user.clone());
    origins.insert("command.group", chosen.group.clone());
    origins.insert("command.argv", argv(request, policy));
    command(policy, &mut origins);
    limits(request, policy, &mut origins);
    isolation(policy, &mut origins);
    connection(request, policy, &mut origins);
    clients(policy, &mut origins);
    origins
}

fn put<T>(origins: &mut Origins, key: &'static str, value: Option<&Sourced<T>>) {
    origins.insert(key, value.map_or(Origin::Default, |value| value.origin.clone()));
}

fn command(policy: &Policy, origins: &mut Origins) {
    let command = &policy.command;
    put(origins, "command.directory", command.directory.as_ref());
    put(origins, "command.environment", command.environment.values().next());
    put(origins, "command.client-environment", command.client_environment.as_ref());
    put(origins, "command.umask", command.umask.as_ref());
    put(origins, "command.ignore-signals", command.ignore_signals.as_ref());
    put(origins, "files.root", policy.files.root.as_ref());
    put(origins, "files.devices", policy.files.devices.first());
    put(origins, "files.proc", policy.files.proc.as_ref());
    put(origins, "network.mode", policy.network.mode.as_ref());
    put(origins, "network.connect", policy.network.connect.as_ref());
    put(origins, "network.bind", policy.network.bind.as_ref());
    put(origins, "network.udp", policy.network.udp.as_ref());
    put(origins, "network.forward", policy.network.forward.first());
    put(origins, "network.resolver", policy.network.resolver.as_ref());
    put(origins, "syscalls.allow", policy.syscalls.allow.first());
    put(origins, "syscalls.deny", policy.syscalls.deny.first());
    put(origins, "syscalls.on-deny", policy.syscalls.on_deny.as_ref());
}

fn limits(request: &Request, policy: &Policy, origins: &mut Origins) {
    let limits = &policy.limits;
    put(origins, "limits.time", request.time_limit.as_ref().or(limits.time.as_ref()));
    put(origins, "limits.idle", limits.idle.as_ref());
    put(origins, "limits.processor-time", limits.processor_time.as_ref());
    put(origins, "limits.memory", limits.memory.as_ref());
    put(origins, "limits.tasks", limits.tasks.as_ref());
    put(origins, "limits.cpu", limits.cpu.as_ref());
    put(origins, "limits.open-files", limits.open_files.as_ref());
    put(origins, "limits.file-size", limits.file_size.as_ref());
    put(origins, "limits.address-space", limits.address_space.as_ref());
    put(origins, "limits.stack", limits.stack.as_ref());
    put(origins, "limits.core-size", limits.core_size.as_ref());
    put(origins, "limits.locked-memory", limits.locked_memory.as_ref());
    put(origins, "limits.pending-signals", limits.pending_signals.as_ref());
    put(origins, "limits.message-queues", limits.message_queues.as_ref());
    put(origins, "limits.service.memory", limits.service_memory.as_ref());
    put(origins, "limits.service.tasks", limits.service_tasks.as_ref());
    put(origins, "limits.service.cpu", limits.service_cpu.as_ref());
}

fn isolation(policy: &Policy, origins: &mut Origins) {
    let isolation = &policy.isolation;
    put(origins, "isolation.level", isolation.level.as_ref());
    put(origins, "isolation.namespaces", isolation.namespaces.as_ref());
    put(origins, "isolation.init", isolation.init.as_ref());
    put(origins, "isolation.landlock", isolation.landlock.as_ref());
    put(origins, "isolation.landlock-audit", isolation.landlock_audit.as_ref());
    put(origins, "isolation.seccomp", isolation.seccomp.as_ref());
    put(origins, "isolation.memory-deny-write-execute", isolation.memory_deny_write_execute.as_ref());
    put(origins, "isolation.pid-max", isolation.pid_max.as_ref());
    put(origins, "isolation.memfd-noexec", isolation.memfd_noexec.as_ref());
    put(origins, "isolation.hostname", isolation.hostname.as_ref());
    put(origins, "isolation.unique-pid", isolation.unique_pid.as_ref());
}

fn connection(request: &Request, policy: &Policy, origins: &mut Origins) {
    put(origins, "connection.hold", policy.connection.hold.as_ref());
    put(origins, "connection.ends", policy.connection.ends.as_ref());
    put(origins, "connection.stderr", policy.connection.stderr.as_ref());
    put(origins, "connection.concurrency", request.concurrency.as_ref().or(policy.connection.concurrency.as_ref()));
    put(origins, "connection.spares", policy.connection.spares.as_ref());
    put(origins, "listen.addresses", request.addresses.first().or(policy.listen.addresses.first()));
    put(origins, "listen.backlog", policy.listen.backlog.as_ref());
    put(origins, "listen.reuse-port", policy.listen.reuse_port.as_ref());
}

fn clients(policy: &Policy, origins: &mut Origins) {
    let clients = &policy.clients;
    put(origins, "clients.allow", clients.allow.first());
    put(origins, "clients.deny", clients.deny.first());
    put(origins, "clients.per-source", clients.per_source.as_ref());
    put(origins, "clients.ipv4-prefix-length", clients.ipv4_prefix_length.as_ref());
    put(origins, "clients.ipv6-prefix-length", clients.ipv6_prefix_length.as_ref());
    put(origins, "clients.rate", clients.rate.as_ref());
    put(origins, "clients.rate-per-source", clients.rate_per_source.as_ref());
    put(origins, "clients.proxy-protocol.from", clients.proxies.first());
    put(origins, "clients.busy", clients.busy.as_ref());
}
