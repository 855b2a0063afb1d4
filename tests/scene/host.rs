// SPDX-License-Identifier: Apache-2.0
//! The host as the tests see it from outside: processes, mounts, control groups. Reads, and waits for ends.

use super::a_second;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Which namespace of a kind a process is in.
pub(crate) fn namespace(pid: u32, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("the process lives, and may be looked at")
}

/// Every process that has `mark` somewhere on its command line.
pub(crate) fn processes(mark: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("the tests need /proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| command_line(*pid).contains(mark)).collect()
}

/// Seconds that nobody else on this host sleeps for, though the same tests run there once more; what begins with them
/// does so for `which` that begins so.
pub(crate) fn seconds(which: u32) -> String {
    format!("7{}.{which}", std::process::id())
}

/// The words of a process, separated by blanks; empty for one that is gone.
pub(crate) fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Whether the link `exe` of a process names spawnbox, or what it executes as a sandbox's first process.
pub(crate) fn is_ours(program: &Path) -> bool {
    program.ends_with("spawnbox") || program.ends_with("memfd:spawnbox (deleted)")
}

/// A line of `/proc/PID/status`, by its name.
pub(crate) fn status_of(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let start = format!("{name}:");
    status.lines().find_map(|line| line.strip_prefix(&start)).map(|value| value.trim().to_string())
}

/// Whether a process has a handler for this signal, see proc_pid_status(5).
pub(crate) fn catches(pid: u32, signal: Signal) -> bool {
    let caught = status_of(pid, "SigCgt").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    caught.is_some_and(|mask| mask & 1 << (signal as u32 - 1) != 0)
}

/// The children of a process, its own threads' included. Read until the list is the same twice, or ten times: a child
/// that ends meanwhile can keep another one out of it, see proc_tid_children(5).
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let mut all = children_once(pid);
    for _ in 1..10 {
        let before = std::mem::replace(&mut all, children_once(pid));
        if all == before {
            break;
        }
    }
    all
}

fn children_once(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let files = threads.filter_map(|thread| Some(thread.ok()?.path().join("children")));
    let text: String = files.map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a process is in a PID namespace of its own, as those of sandboxes are.
pub(crate) fn is_inside(pid: u32) -> bool {
    status_of(pid, "NSpid").is_some_and(|pids| pids.split_whitespace().count() > 1)
}

/// The processes below a supervisor that are in sandboxes. Its launchers are not counted: one that is replaced, or has
/// namespaces made ahead, is more than one process for a while.
pub(crate) fn inside(supervisor: u32) -> Vec<u32> {
    tree(supervisor).into_iter().filter(|pid| is_inside(*pid)).collect()
}

/// The launchers of a supervisor: its children that live and are in no sandbox.
pub(crate) fn launchers_of(supervisor: u32) -> Vec<u32> {
    children(supervisor).into_iter().filter(|pid| lives_outside(*pid)).collect()
}

/// The launcher of a supervisor of one service.
pub(crate) fn launcher_of(supervisor: u32) -> u32 {
    *launchers_of(supervisor).first().expect("a service has a launcher")
}

/// Whether a process is in no PID namespace of its own, and has not ended: by one look, for it may end between two.
fn lives_outside(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let lives = value("State:").is_some_and(|state| !state.starts_with(['Z', 'X']));
    lives && value("NSpid:").is_some_and(|pids| !pids.contains(char::is_whitespace))
}

/// A limit of a process, the soft one, as proc_pid_limits(5) names it.
pub(crate) fn soft_limit(pid: u32, name: &str) -> String {
    let all = fs::read_to_string(format!("/proc/{pid}/limits")).expect("the process lives");
    let line = all.lines().find_map(|line| line.strip_prefix(name)).expect("it has that limit");
    line.split_whitespace().next().expect("it has a value").to_string()
}

/// An address on loopback whose port is free now, for who cannot be told to choose.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("loopback is there")
}

/// A process and all that descend from it.
pub(crate) fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&one) = all.get(next) {
        all.extend(children(one));
        next += 1;
    }
    all
}

/// Holds processes by pidfd, so that a number which is used again is not taken for them.
pub(crate) struct Watched(Vec<OwnedFd>);

/// Watches processes; those that are gone already need none.
pub(crate) fn watch(pids: &[u32]) -> Watched {
    Watched(pids.iter().filter_map(|&pid| pidfd(pid)).collect())
}

impl Watched {
    /// How many were there when the watch began.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Sends a signal to those that have not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let signal = rustix::process::Signal::from_named_raw(signal as i32).expect("the kernel has it by that number");
        for process in &self.0 {
            match rustix::process::pidfd_send_signal(process, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => panic!("cannot send a signal: {error}"),
            }
        }
    }

    /// Whether every one of them has ended within this time.
    pub(crate) fn end_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        self.0.iter().all(|process| readable_by(process, deadline))
    }
}

/// Whether a process ends within this time; one that is gone has.
pub(crate) fn ends_within(pid: u32, limit: Duration) -> bool {
    watch(&[pid]).end_within(limit)
}

fn pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid as i32)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

fn readable_by(descriptor: &OwnedFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if Instant::now() >= deadline => return false,
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return true,
            Err(errno) => panic!("cannot poll a pidfd: {errno}"),
        }
    }
}

/// Waits until something is so that the kernel sends no event for, or fails the test. An emulated machine, where a look
/// takes longer, is not kept busy by looking more often than others.
pub(crate) fn eventually(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::park_timeout(a_second() / 500);
    }
}

/// Where cgroup version 2 is mounted, if it is.
pub(crate) fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the tests need /proc");
    let of_line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let words: Vec<&str> = left.split(' ').collect();
        (right.starts_with("cgroup2 ") && words[3] == "/").then(|| PathBuf::from(words[4]))
    };
    mounts.lines().find_map(of_line)
}

/// The cgroup (version 2) of a process, as a directory.
pub(crate) fn cgroup_of(pid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?.to_string();
    Some(cgroup_root()?.join(path))
}

/// Whether nobody is in a cgroup. One that is gone has nobody.
pub(crate) fn is_unpopulated(cgroup: &Path) -> bool {
    fs::read_to_string(cgroup.join("cgroup.events")).map_or(true, |events| events.contains("populated 0"))
}

/// Every cgroup below a directory, itself not counted.
pub(crate) fn cgroups_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all = Vec::new();
    for path in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()) {
        all.extend(cgroups_below(&path));
        all.push(path);
    }
    all
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How many mounts a process sees.
pub(crate) fn mounts(pid: u32) -> usize {
    fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default().lines().count()
}

/// Resident anonymous memory of a process in KiB: what it has allocated itself.
pub(crate) fn memory_kib(pid: u32) -> u64 {
    let text = status_of(pid, "RssAnon").expect("the process lives");
    text.trim_end_matches(" kB").trim().parse().expect("a number of KiB")
}

/// Processor time of a process, in hundredths of a second: see proc_pid_stat(5).
pub(crate) fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default().to_string();
    rest.split_whitespace().skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum()
}
