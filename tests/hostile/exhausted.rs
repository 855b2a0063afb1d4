// SPDX-License-Identifier: Apache-2.0
//! Descriptors and processes run out while the program serves: who comes then waits or is refused with a line, nothing
//! spins, and when there is room again everybody is served.

use crate::scene::{Client, Server, a_second, host, scene};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Sets a soft limit of a running process; the hard one stays, so that what is taken can be given back.
fn limit(pid: u32, resource: &str, most: u64) {
    let set = Command::new("prlimit").arg(format!("--pid={pid}")).arg(format!("--{resource}={most}:")).status();
    assert!(set.expect("prlimit runs").success(), "the limit can be set");
}

/// The same for how many processes nobody may have, by nobody: root may not where the process is in a user namespace.
fn limit_of_nobody(pid: u32, most: u64) {
    let set = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit"])
        .args([format!("--pid={pid}"), format!("--nproc={most}:")])
        .status();
    assert!(set.expect("setpriv runs").success(), "the limit can be set");
}

/// The limit with which a process can open so many more descriptors.
fn room_for(pid: u32, more: u64) -> u64 {
    let numbers = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
    let open: BTreeSet<u64> = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let mut free = (0..).filter(|number| !open.contains(number));
    free.nth(more as usize).expect("there is always another number")
}

/// Processor time that a process takes while clients wait for a second, in hundredths of a second.
fn ticks_in_a_second(pid: u32) -> u64 {
    let before = host::ticks(pid);
    let since = Instant::now();
    host::eventually("a second has passed", 2 * a_second(), || since.elapsed() >= a_second());
    host::ticks(pid) - before
}

#[test]
fn without_descriptors_clients_wait_and_nothing_spins() {
    needs!(root);
    let server = scene("strict").probe("say hello").listen();
    limit(server.pid(), "nofile", room_for(server.pid(), 0));
    let waiting: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    server.logs("cannot accept a connection: Too many open files");
    let ticks = ticks_in_a_second(server.pid());
    assert!(ticks < 20, "{ticks} hundredths of a second in one second");
    limit(server.pid(), "nofile", 512);
    for client in waiting {
        assert_eq!(client.rest(), "hello\n");
    }
    assert_eq!(server.log().matches("Too many open files").count(), 1, "said more than once:\n{}", server.log());
}

#[test]
fn with_a_few_descriptors_at_a_time_whoever_is_lost_is_told_of() {
    needs!(root);
    let server = scene("strict").probe("say hello").listen();
    for room in 1..8 {
        limit(server.pid(), "nofile", room_for(server.pid(), room));
        let clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
        if room < 5 {
            // Too few for one session: see that it is told, then let them in.
            server.logs("Too many open files");
            limit(server.pid(), "nofile", 512);
        }
        let got: Vec<String> = clients.into_iter().map(Client::rest).collect();
        assert!(got.iter().all(|text| ["hello\n", ""].contains(&text.as_str())), "{got:?}");
        limit(server.pid(), "nofile", 512);
    }
    assert_eq!(server.connect().rest(), "hello\n");
    assert!(!server.log().contains("launcher is gone"), "{}", server.log());
}

#[test]
fn a_limit_of_twenty_descriptors_serves_sixty_clients_one_after_the_other() {
    needs!(program "prlimit");
    let small = scene("strict").set("limits.open-files=16").through(&["prlimit", "--nofile=20:20"]);
    let server = small.probe("line").listen();
    let waiting: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    for client in waiting {
        assert_eq!(client.send(b"x\n").rest(), "line: x\n");
    }
    assert!(!server.log().contains("Too many open files"), "{}", server.log());
}

#[test]
fn without_processes_clients_are_refused_in_words_and_the_service_goes_on() {
    needs!(root);
    let pids = Pids::new();
    let Some(pids) = pids else {
        needs!(controller "pids");
        return;
    };
    let server = scene("strict").probe("say hello").listen();
    assert_eq!(server.connect().rest(), "hello\n");
    pids.hold(&server);
    let refused: Vec<String> = (0..3).map(|_| server.connect().rest()).collect();
    assert_eq!(refused, ["", "", ""]);
    server.logs_times("cannot make the sandbox's first process: Resource temporarily unavailable", 3);
    pids.let_go();
    assert_eq!(server.connect().rest(), "hello\n");
}

#[test]
fn an_ordinary_user_without_processes_is_told_and_goes_on() {
    needs!(root);
    let server = scene("strict").unprivileged().probe("say hello").listen();
    let launcher = host::children(server.pid())[0];
    assert_eq!(server.connect().rest(), "hello\n");
    let limits = std::fs::read_to_string(format!("/proc/{launcher}/limits")).expect("it lives");
    let line = limits.lines().find(|line| line.starts_with("Max processes")).expect("it has this limit");
    let before = line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(10_000);
    limit_of_nobody(launcher, 1);
    assert_eq!(server.connect().rest(), "");
    server.logs("Resource temporarily unavailable");
    limit_of_nobody(launcher, before);
    assert_eq!(server.connect().rest(), "hello\n");
}

/// A cgroup with the pids controller, of version 1 or 2, removed at the end.
struct Pids(PathBuf);

impl Pids {
    fn new() -> Option<Pids> {
        let root = host::cgroup_root().filter(|root| {
            std::fs::read_to_string(root.join("cgroup.subtree_control")).is_ok_and(|text| text.contains("pids"))
        });
        let first = PathBuf::from("/sys/fs/cgroup/pids");
        let above = root.or_else(|| first.join("cgroup.procs").exists().then_some(first))?;
        let path = above.join(format!("hostile-{}", std::process::id()));
        std::fs::create_dir(&path).ok().map(|()| Pids(path))
    }

    /// Nothing that these processes make is made from here on.
    fn hold(&self, server: &Server) {
        let all = host::tree(server.pid());
        for pid in &all {
            // One of a session that has just ended needs not be moved.
            let _ = std::fs::write(self.0.join("cgroup.procs"), pid.to_string());
        }
        std::fs::write(self.0.join("pids.max"), "1").expect("the limit can be set");
    }

    fn let_go(&self) {
        std::fs::write(self.0.join("pids.max"), "max").expect("the limit can be set");
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        let path = self.0.clone();
        // The server, which was made later, is gone by now or soon.
        std::thread::spawn(move || {
            let deadline = Instant::now() + a_second();
            while std::fs::remove_dir(&path).is_err() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        })
        .join()
        .expect("it does not panic");
    }
}
