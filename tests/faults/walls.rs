// SPDX-License-Identifier: Apache-2.0
//! What a sandbox is like, in words that are the same for every session of a service: whatever is missing from it
//! shows.

use crate::scene::{Server, host, patience};
use std::time::{Duration, Instant};

/// What the command looks at and tries, for the probe. The last one kills it.
pub(super) const INSIDE: &str = "ids , groups , capabilities , bounding , ambient , securebits , no-new-privs , seccomp , \
    mdwe , descriptors , limits , ignored , blocked , session , pid , umask , directory , environment , hostname , \
    interfaces , list / , open /etc/passwd , mkdir /usr/x , memfd-execute , rwx , abstract spawnbox-nobody , \
    listen-connection , kill 1 0 , unshare 268435456";

/// What the host sees of the one session of a server; of processes that are just ending, nothing. A reaper takes its
/// filter, beside what it has from its launcher, when it has made the command, which may speak before that.
pub(super) fn outside(server: &Server) -> String {
    let deadline = Instant::now() + patience();
    while !are_all_filtered(server) && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    look(server)
}

/// Whether each process of the session has a filter that its launcher has not.
fn are_all_filtered(server: &Server) -> bool {
    let filters = |pid: &u32| host::status_of(*pid, "Seccomp_filters").and_then(|number| number.parse::<u32>().ok());
    let (inside, ours): (Vec<u32>, _) = host::tree(server.pid()).into_iter().partition(|pid| host::is_inside(*pid));
    let inherited = ours.iter().filter_map(filters).max();
    inside.iter().filter_map(filters).all(|own| Some(own) > inherited)
}

fn look(server: &Server) -> String {
    let inside = host::tree(server.pid()).into_iter().filter(|pid| host::is_inside(*pid));
    inside.filter_map(|pid| of_process(server.pid(), pid)).collect::<Vec<_>>().join("\n")
}

fn of_process(supervisor: u32, pid: u32) -> Option<String> {
    let mut words = Vec::new();
    for name in ["Seccomp", "Seccomp_filters", "NoNewPrivs", "CapBnd", "CapEff", "Uid", "Gid"] {
        words.push(format!("{name}={}", host::status_of(pid, name)?));
    }
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let own = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
        let whose = if own == host::namespace(supervisor, kind) { "the host's" } else { "its own" };
        words.push(format!("{kind}={whose}"));
    }
    let (own, hosts) = (host::cgroup_of(pid)?, host::cgroup_of(supervisor)?);
    words.push(format!("control group={}", if own == hosts { "the supervisor's" } else { "its own" }));
    Some(words.join(" "))
}
