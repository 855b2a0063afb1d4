// SPDX-License-Identifier: Apache-2.0
//! Where each field of a plan is compared, or why it is not. Compares nothing itself.

use crate::plan::model::{CgroupLimits, Command, Filter, Identity, Landlock, Listen, PidLimits, Plan, Relay};

/// Does nothing but name every field: a new one does not compile before somebody has said where it is compared.
#[rustfmt::skip]
pub(super) fn each_has_its_place(plan: &Plan) {
    let Plan {
        // Not compared: names, where the rest is from, and what follows from the rest.
        service: _, policy: _, policy_hash: _, read_from: _, filled: _, description: _, origins: _, off: _, steps: _, user_limits: _,
        level: _, clone: _, tree: _, keyring: _, bounding_set: _,
        // Not compared: both are asked for the same connection on the same kernel.
        front: _, transport: _, last_capability: _, suid_dumpable: _,
        // In `covers`.
        root: _, chroot: _, image: _, network: _,
        // In `own_files`; the former hides what is below it in `covers`.
        scratch: _, proc: _,
        // In `limits`.
        resources: _, cgroup, service_cgroup: _, time_limit: _, idle_limit: _, concurrency: _,
        // In `walls`.
        namespaces: _, hostname: _, memory_deny_write_execute: _, ends: _, stderr: _, pid_limits,
        // In `changes`.
        oom_score_adj: _, init: _, hold: _, spares: _, clients: _, listen,
        // Below.
        relay, command, identity, landlock, filter,
    } = plan;
    let CgroupLimits { memory: _, as_one: _, tasks: _, cpu: _ } = cgroup;
    let PidLimits { pid_max: _, memfd_noexec: _, unique_pid: _ } = pid_limits;
    // In `changes`, but what is known of the client: in `walls`.
    let Command {
        programs: _, argv: _, environment: _, client_environment: _, directory: _, umask: _, ignore_signals: _,
    } = command;
    // The name is that of the ids; whether they are changed follows from who starts it.
    let Identity { name: _, ids: _, change: _ } = identity;
    // Who may connect; the command is allowed no more by it.
    let Listen { addresses: _, backlog: _, reuse_port: _ } = listen;
    if let Some(Relay { peers: _, connection: _ }) = relay {}
    // The ABI is the kernel's.
    if let Some(Landlock { abi: _, files: _, connect: _, bind: _, udp: _, scopes: _, audit: _ }) = landlock {}
    // What is withheld is not in what is allowed; the newest call is the program's.
    if let Some(Filter { calls: _, default: _, newest: _, withheld: _, denials: _ }) = filter {}
}
