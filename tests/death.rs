// SPDX-License-Identifier: Apache-2.0
//! Nothing outlives a session: not what has run away, not what is stopped, not after the supervisor itself is killed.
//! And what hangs on its way delays nobody else.

use crate::scene::{Scene, Server, a_second, host, patience, scene, soon, stage};
use nix::sys::signal::Signal;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Every process of the session, by its mark, but for the supervisor and its launcher, whose command lines name it too.
fn session_of(server: &Server, mark: &str) -> Vec<u32> {
    let ours = host::tree(server.pid());
    let probe = stage::program("probe").display().to_string();
    let marked = host::processes(mark).into_iter();
    marked.filter(|pid| host::command_line(*pid).starts_with(&probe) && ours.contains(pid)).collect()
}

/// Starts a server whose command does `actions`, says `ready` and waits; the client has heard it.
fn with_session(scene: Scene, actions: &str, mark: &str) -> (Server, crate::scene::Client, Vec<u32>) {
    let server = scene.probe(&format!("{actions} , say ready {mark} , wait")).listen();
    let mut client = server.connect();
    assert_eq!(client.line(), format!("ready {mark}"));
    let session = session_of(&server, mark);
    assert!(!session.is_empty(), "no process of the session is to be seen");
    (server, client, session)
}

/// A session with a time limit that is over after it was looked at, however slow this machine is: the client, all its
/// processes, and their control group.
fn with_limited_session(
    scene: &Scene,
    actions: &str,
    mark: &str,
    processes: usize,
) -> (Server, crate::scene::Client, host::Watched, Option<PathBuf>) {
    for limit in [1, 4, 16] {
        let limited = scene.clone().set(&format!("limits.time=\"{limit}s\""));
        let server = limited.probe(&format!("{actions} , say ready {mark} , wait")).listen();
        let mut client = server.connect();
        let ready = client.line() == format!("ready {mark}");
        let session = session_of(&server, mark);
        let (watched, cgroup) = (host::watch(&session), session.first().and_then(|pid| host::cgroup_of(*pid)));
        if ready && watched.count() == processes {
            return (server, client, watched, cgroup);
        }
        server.logs("outcome=time-limit");
    }
    panic!("no session lasted for long enough to be looked at");
}

/// The promise of the time limit, kept against a command that does `actions` first.
fn ends_with_its_limit(actions: &str, mark: &str, processes: usize) {
    needs!(root);
    let (server, client, watched, cgroup) = with_limited_session(&scene("strict"), actions, mark, processes);
    let cgroup = cgroup.expect("a session has a cgroup");
    let line = server.logs("outcome=time-limit");
    assert!(watched.end_within(soon()), "still there long after: {line}");
    assert_eq!(client.rest(), "");
    host::eventually("the cgroup is removed", soon(), || !cgroup.exists());
}

#[test]
fn a_command_that_ignores_every_signal_dies_with_the_time_limit() {
    ends_with_its_limit("ignore", "mark-ignore", 1);
}

#[test]
fn a_double_forked_child_dies_with_the_time_limit() {
    ends_with_its_limit("ignore , escape running", "mark-escape", 2);
}

#[test]
fn a_stopped_runaway_dies_with_the_time_limit() {
    ends_with_its_limit("ignore , escape stopped", "mark-stopped", 2);
}

#[test]
fn an_ordinary_users_runaway_dies_with_the_time_limit() {
    let ordinary = scene("strict").unprivileged();
    let (server, client, watched, _) = with_limited_session(&ordinary, "ignore , escape stopped", "mark-ordinary", 2);
    server.logs("outcome=time-limit");
    assert!(watched.end_within(soon()), "still there long after the limit");
    assert_eq!(client.rest(), "");
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let server = scene("strict").probe("escape running , say ready mark-left , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready mark-left");
    let watched = host::watch(&session_of(&server, "mark-left"));
    assert_eq!(watched.count(), 2);
    client.send(b"\n").rest();
    assert!(watched.end_within(soon()), "the runaway lives on");
}

/// `kill -9` of the supervisor ends every process that it had.
fn ends_with_its_supervisor(scene: Scene, mark: &str) {
    let (server, client, session) = with_session(scene, "ignore , escape stopped", mark);
    let tree = host::tree(server.pid());
    assert!(session.iter().all(|pid| tree.contains(pid)));
    let watched = host::watch(&tree);
    server.signal(Signal::SIGKILL);
    assert!(watched.end_within(soon()), "something outlived the supervisor");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_killed_supervisor_takes_everything_along() {
    needs!(root);
    ends_with_its_supervisor(scene("strict"), "mark-killed");
}

#[test]
fn an_ordinary_users_killed_supervisor_takes_everything_along() {
    ends_with_its_supervisor(scene("strict").unprivileged(), "mark-killed-user");
}

#[test]
fn a_killed_supervisor_takes_everything_along_without_a_pid_namespace() {
    needs!(root);
    needs!(cgroup);
    let namespaces = "isolation.namespaces=[\"mount\", \"ipc\", \"uts\", \"cgroup\", \"user\"]";
    ends_with_its_supervisor(scene("strict").set(namespaces), "mark-killed-no-pid");
}

/// Without clone3 the first process enters its control group by itself, before anything else.
#[test]
fn where_clone3_is_hidden_a_session_ends_with_its_control_group_all_the_same() {
    needs!(root);
    needs!(cgroup);
    let hidden = scene("strict").failing("clone3=ENOSYS");
    let (server, client, watched, cgroup) = with_limited_session(&hidden, "ignore , escape stopped", "mark-clone", 2);
    let cgroup = cgroup.expect("a session has a cgroup");
    assert!(cgroup.display().to_string().contains("spawnbox-"), "{}", cgroup.display());
    let line = server.logs("outcome=time-limit");
    assert!(watched.end_within(soon()), "still there long after: {line}");
    assert_eq!(client.rest(), "");
    host::eventually("the cgroup is removed", soon(), || !cgroup.exists());
    let namespaces = "isolation.namespaces=[\"mount\", \"ipc\", \"uts\", \"cgroup\", \"user\"]";
    ends_with_its_supervisor(scene("strict").failing("clone3=ENOSYS").set(namespaces), "mark-clone-no-pid");
}

#[test]
fn the_next_start_removes_what_a_killed_supervisor_left() {
    needs!(root);
    needs!(cgroup);
    let (server, _client, session) = with_session(scene("strict"), "ignore", "mark-swept");
    let cgroup = host::cgroup_of(session[0]).expect("a session has a cgroup");
    let watched = host::watch(&session);
    server.signal(Signal::SIGKILL);
    server.end();
    assert!(watched.end_within(soon()), "something outlived the supervisor");
    assert!(cgroup.exists(), "nobody was left to remove it");
    let _next = scene("strict").shell("echo hello").listen();
    host::eventually("the left cgroup is removed", soon(), || !cgroup.exists());
}

/// Another process of the command's user stops all of a session, so that nobody in it sees the end of its cord.
fn ends_though_it_is_stopped(scene: Scene, mark: &str) {
    let (server, client, session) = with_session(scene, "ignore", mark);
    let tree = host::tree(server.pid());
    let inside = |pid: &&u32| host::status_of(**pid, "NSpid").is_some_and(|pids| pids.split_whitespace().count() > 1);
    let inside: Vec<String> = tree.iter().filter(inside).map(u32::to_string).collect();
    assert_eq!(inside.len(), 2, "a reaper and its command {session:?}");
    let stopped = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "kill", "-STOP"])
        .args(&inside)
        .status();
    assert!(stopped.expect("setpriv runs").success(), "a process of the same user may stop them");
    let watched = host::watch(&tree);
    server.signal(Signal::SIGKILL);
    assert!(watched.end_within(soon()), "something outlived the supervisor");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_killed_supervisor_takes_along_a_session_that_its_user_has_stopped() {
    needs!(root);
    ends_though_it_is_stopped(scene("strict"), "mark-halted");
}

#[test]
fn an_ordinary_users_killed_supervisor_takes_along_a_session_that_is_stopped() {
    needs!(root);
    ends_though_it_is_stopped(scene("strict").unprivileged(), "mark-halted-user");
}

/// A directory with a program whose execution hangs as on a dead file system: opening a file with a write lease on it
/// waits until the lease is given up, or for /proc/sys/fs/lease-break-time, which is 45 seconds; see fcntl(2).
pub(crate) struct Hanging {
    room: stage::Room,
    lease: Option<std::process::Child>,
}

impl Hanging {
    pub(crate) fn new() -> Hanging {
        let room = stage::room();
        let hanging = Hanging { room, lease: None };
        hanging.install();
        hanging
    }

    fn directory(&self) -> PathBuf {
        self.room.path("bin")
    }

    /// Puts a fresh program there: those that hang in the old one go on hanging.
    pub(crate) fn install(&self) {
        let directory = self.directory();
        if !directory.exists() {
            self.room.directory("bin");
        }
        let fresh = directory.join("fresh");
        std::fs::copy(stage::program("probe"), &fresh).expect("the stage can be written");
        std::fs::rename(&fresh, directory.join("program")).expect("a file can be renamed");
    }

    /// From now on whoever executes the program hangs.
    pub(crate) fn hold(&mut self) {
        // Where somebody still has it open, from a session that has just ended, there is no lease yet.
        host::eventually("there is a lease", patience(), || self.lease().is_some());
    }

    fn lease(&mut self) -> Option<()> {
        use std::io::{BufRead, BufReader};
        let mut holder = std::process::Command::new(stage::program("probe"))
            .args(["lease"])
            .arg(self.directory().join("program"))
            .args([",", "wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the probe runs");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("standard output is a pipe"))
            .read_line(&mut said)
            .expect("it speaks");
        if said.ends_with(": EAGAIN\n") {
            holder.kill().expect("it is our own child");
            holder.wait().expect("it is our own child");
            return None;
        }
        assert!(said.ends_with(": ok\n"), "{said}");
        self.lease = Some(holder);
        Some(())
    }

    /// Waits until somebody hangs: the kernel lists a lease that is being broken, see proc_locks(5).
    pub(crate) fn wait_for_victim(&self) {
        let inode = std::fs::metadata(self.directory().join("program")).expect("it is there").ino();
        host::eventually("somebody executes it", patience(), || {
            let locks = std::fs::read_to_string("/proc/locks").expect("the tests need /proc");
            locks.lines().any(|line| line.contains("BREAKING") && line.contains(&format!(":{inode} ")))
        });
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        for holder in self.lease.iter_mut() {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// With a time limit that is long enough to stop what hangs.
pub(crate) fn serving(hanging: &Hanging) -> Server {
    let directory = hanging.directory().display().to_string();
    let program = format!("{directory}/program");
    let shown = format!("files.execute=[\"{directory}\"]");
    let limit = format!("limits.time=\"{}s\"", 2 * a_second().as_secs());
    scene("strict").set(&shown).set(&limit).argv(&[&program, "say", "hello"]).listen()
}

#[test]
fn a_command_that_hangs_in_exec_delays_nobody_and_dies_with_its_limit() {
    needs!(root);
    let mut hanging = Hanging::new();
    let server = serving(&hanging);
    assert_eq!(server.connect().rest(), "hello\n");
    hanging.hold();
    let stuck = server.connect();
    hanging.wait_for_victim();
    hanging.install();
    assert_eq!(server.connect().rest(), "hello\n");
    server.logs("outcome=time-limit");
    assert_eq!(stuck.rest(), "");
    // The launcher went on as a copy, and what it was is no zombie.
    host::eventually("there is a launcher and nothing else", patience(), || host::children(server.pid()).len() == 1);
    assert_eq!(server.connect().rest(), "hello\n");
}

#[test]
fn a_child_that_another_process_of_its_user_stops_delays_nobody_and_dies_with_its_limit() {
    needs!(root);
    let mut hanging = Hanging::new();
    let server = serving(&hanging);
    let idle = host::tree(server.pid());
    hanging.hold();
    let stuck = server.connect();
    let of_nobody = || -> Vec<u32> {
        let fresh = host::tree(server.pid()).into_iter().filter(|pid| !idle.contains(pid));
        fresh.filter(|&pid| host::status_of(pid, "Uid").is_some_and(|uids| uids.contains("65534"))).collect()
    };
    hanging.wait_for_victim();
    host::eventually("reaper and command are there", patience(), || of_nobody().len() == 2);
    for pid in of_nobody() {
        let line =
            ["--reuid=65534", "--regid=65534", "--clear-groups", "kill", "-STOP", &pid.to_string()].map(str::to_string);
        let stopped = std::process::Command::new("setpriv").args(line).status().expect("setpriv runs");
        assert!(stopped.success(), "a process of the same user may stop it");
    }
    hanging.install();
    assert_eq!(server.connect().rest(), "hello\n");
    server.logs("outcome=time-limit");
    assert_eq!(stuck.rest(), "");
}

/// The reaper sleeps until its command executes: it does not see the end of the cord.
fn ends_before_its_exec(stopped: bool) {
    let mut hanging = Hanging::new();
    let server = serving(&hanging);
    hanging.hold();
    let stuck = server.connect();
    hanging.wait_for_victim();
    // Not a launcher that has moved from memory it has lent.
    let session = host::inside(server.pid());
    assert_eq!(session.len(), 2, "a reaper and its command");
    for pid in session.iter().filter(|_| stopped) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid as i32), Signal::SIGSTOP).expect("root may");
    }
    let watched = host::watch(&host::tree(server.pid()));
    server.signal(Signal::SIGKILL);
    assert!(watched.end_within(soon()), "something outlived the supervisor");
    assert_eq!(stuck.rest(), "");
}

#[test]
fn a_killed_supervisor_takes_along_a_command_that_hangs_in_exec() {
    needs!(root);
    ends_before_its_exec(false);
}

#[test]
fn a_killed_supervisor_takes_along_a_command_that_hangs_in_exec_and_is_stopped() {
    needs!(root);
    ends_before_its_exec(true);
}

/// As under a unit that withholds CAP_KILL and shows no control groups: root may signal nobody but root then.
#[test]
fn a_stopped_session_dies_with_its_limit_though_its_supervisor_has_neither_control_groups_nor_the_right_to_kill() {
    needs!(root);
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec setpriv --inh-caps=-kill --bounding-set=-kill \"$@\"";
    let limit = format!("limits.time=\"{}s\"", 2 * a_second().as_secs());
    let around = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh"];
    let server = scene("strict").set(&limit).through(&around).shell("echo ready; read line").listen();
    let capabilities = host::status_of(server.pid(), "CapEff").expect("it lives");
    let capabilities = u64::from_str_radix(&capabilities, 16).expect("a hexadecimal number");
    assert_eq!(capabilities & 1 << 5, 0, "it has CAP_KILL");
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    // Not a launcher that has moved from memory it has lent.
    let session = host::inside(server.pid());
    assert!(session.len() >= 2, "reaper and command: {session:?}");
    for pid in &session {
        assert!(host::cgroup_of(*pid).is_none_or(|path| !path.display().to_string().contains("spawnbox-")));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid as i32), Signal::SIGSTOP).expect("root may");
    }
    let watched = host::watch(&session);
    server.logs("outcome=time-limit");
    assert!(watched.end_within(soon()), "still there long after the limit");
    assert_eq!(client.rest(), "");
    assert!(!server.log().contains("cannot"), "{}", server.log());
}

#[test]
fn a_launcher_that_is_stopped_is_replaced() {
    needs!(root);
    let server = scene("strict").shell("echo hello").listen();
    let launcher = host::children(server.pid());
    assert_eq!(launcher.len(), 1, "one launcher and no session");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(launcher[0] as i32), Signal::SIGSTOP).expect("root may");
    server.connect().rest();
    assert_eq!(server.connect().rest(), "hello\n");
    assert_ne!(host::children(server.pid()), launcher);
}
