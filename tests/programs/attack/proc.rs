// SPDX-License-Identifier: Apache-2.0
//! What the kernel shows and takes below /proc, beside processes.

use crate::attempt::{Attempt, Verdict, found, together};
use crate::world::World;
use std::fs::{self, OpenOptions};
use std::io::Read;

pub(crate) const ALL: &[Attempt] = &[
    together("proc: kallsyms", |_| shows("/proc/kallsyms")),
    together("proc: kernel command line", |_| shows("/proc/cmdline")),
    together("proc: modules", |_| shows("/proc/modules")),
    together("proc: keys", |_| shows("/proc/keys")),
    together("proc: users of keys", |_| shows("/proc/key-users")),
    together("proc: interrupts", |_| shows("/proc/interrupts")),
    together("proc: loadavg", |_| shows("/proc/loadavg")),
    together("proc: partitions", |_| shows("/proc/partitions")),
    together("proc: locks of files", |_| fs::File::open("/proc/locks").into()),
    together("proc: boot id", |_| shows("/proc/sys/kernel/random/boot_id")),
    together("proc: kernel configuration", |_| shows("/proc/config.gz")),
    together("proc: kernel messages", |_| fs::File::open("/proc/kmsg").into()),
    together("proc: physical memory", |_| fs::File::open("/proc/kcore").into()),
    together("proc: sockets of the host", host_sockets),
    together("proc: mounts of the host", |world| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        found(mounts.contains(" /sys "), format!("{} mounts to {}", mounts.lines().count(), world.text("host")))
    }),
    together("proc: sysrq-trigger for writing", |_| takes("/proc/sysrq-trigger")),
    together("proc: core_pattern for writing", |_| takes("/proc/sys/kernel/core_pattern")),
    together("proc: modprobe for writing", |_| takes("/proc/sys/kernel/modprobe")),
    together("proc: mappings of interrupts for writing", |_| takes("/proc/irq/default_smp_affinity")),
    together("proc: write the first process's program", |_| takes("/proc/1/exe")),
    together("proc: write the supervisor's program", |world| takes(&format!("/proc/{}/exe", world.number("server")))),
    together("proc: map ids of its user namespace anew", |_| fs::write("/proc/self/uid_map", "0 0 1").into()),
    together("cgroup: own path visible", |_| {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let elsewhere = text.lines().find(|line| !line.ends_with(":/"));
        found(elsewhere.is_some(), elsewhere.unwrap_or("no line of /proc/self/cgroup names one"))
    }),
    together("cgroup: see the tree", |_| fs::read_dir("/sys/fs/cgroup").into()),
    together("cgroup: write a cgroup.procs", |_| {
        let places = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"];
        let opened = places.iter().map(|place| OpenOptions::new().write(true).open(place));
        opened.reduce(|first, second| first.or(second)).expect("there are places").into()
    }),
];

fn shows(path: &str) -> Verdict {
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut [0])).into()
}

fn takes(path: &str) -> Verdict {
    OpenOptions::new().write(true).open(path).into()
}

/// Its own network namespace shows at most its own.
fn host_sockets(world: &World) -> Verdict {
    let port = format!(":{:04X} ", world.number("port"));
    let text = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    found(text.contains(&port), "the host's listener in /proc/net/tcp")
}
