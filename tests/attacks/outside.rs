// SPDX-License-Identifier: Apache-2.0
//! From outside: what the host sees of a command, of its end, and of what it left behind.

use super::aim::whatever;
use super::setting::Setting;
use super::tried::{Found, found, until};
use crate::scene::{Client, a_second, host, patience, soon, stage};
use std::fs;
use std::path::Path;

/// Every attack that is judged from outside.
pub(super) fn everything(setting: &Setting<'_>) -> Vec<Found> {
    let mut all = seen(setting);
    all.extend(of_two(setting));
    all.extend(overtime(setting));
    all.push(forged(setting));
    all.push(sixty(setting));
    all.extend(left(setting));
    all
}

/// A client whose command does this, once it says that it does.
fn doing(connect: &dyn Fn() -> Client, facts: &str, manner: &str) -> Client {
    let mut client = connect().send(format!("{facts} do={manner}\n").as_bytes());
    let line = client.line();
    assert!(line == "holding" || line.starts_with("left"), "the command says {line:?}");
    client
}

/// Whether somebody of this PID namespace is in a cgroup, or anybody in one below it.
fn is_left(cgroup: &Path, namespace: &Path) -> bool {
    let here = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let theirs = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|its| its == namespace);
    here.lines().any(theirs) || host::cgroups_below(cgroup).iter().any(|below| !host::is_unpopulated(below))
}

/// The attacking processes below these servers.
fn commands(servers: &[u32]) -> Vec<u32> {
    let program = stage::program("attack").display().to_string();
    let all = servers.iter().flat_map(|server| host::tree(*server));
    all.filter(|pid| host::command_line(*pid).starts_with(&program)).collect()
}

/// A client that stays, the server of its command, and that command.
fn held(setting: &Setting<'_>) -> (Client, u32, u32) {
    let before = commands(&(setting.servers)());
    let client = doing(setting.connect, &setting.facts(), "hold");
    let servers = (setting.servers)().into_iter();
    let all = servers.flat_map(|server| commands(&[server]).into_iter().map(move |command| (server, command)));
    let new: Vec<(u32, u32)> = all.filter(|(_, command)| !before.contains(command)).collect();
    let [(server, command)] = new[..] else { panic!("the new commands are {new:?}") };
    (client, server, command)
}

/// Waits until no command runs.
fn nobody_is_served(setting: &Setting<'_>) {
    host::eventually("all sessions have ended", patience(), || commands(&(setting.servers)()).is_empty());
}

/// What the kernel says about one command.
fn seen(setting: &Setting<'_>) -> Vec<Found> {
    nobody_is_served(setting);
    let (client, server, command) = held(setting);
    let status = |name: &str| host::status_of(command, name).expect("the command lives");
    let mut all = Vec::new();
    for (kind, name) in [
        ("mnt", "mount"),
        ("pid", "pid"),
        ("net", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("cgroup", "cgroup"),
        ("user", "user"),
    ] {
        let shared = host::namespace(command, kind) == host::namespace(server, kind);
        all.push(found(&format!("seen from the host: shares the {name} namespace"), shared, "by /proc/PID/ns"));
    }
    let mut fact =
        |name: &str, open: bool, why: String| all.push(found(&format!("seen from the host: {name}"), open, why));
    fact("no seccomp filter", status("Seccomp") != "2", status("Seccomp"));
    fact("no no_new_privs", status("NoNewPrivs") != "1", status("NoNewPrivs"));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        fact(&format!("capabilities ({set})"), status(set) != "0000000000000000", status(set));
    }
    fact("root", status("Uid").split('\t').any(|uid| uid == "0"), status("Uid"));
    fact("root's group", status("Gid").split('\t').any(|gid| gid == "0"), status("Gid"));
    // Its own group may be among them.
    let (own, groups) = (status("Gid"), status("Groups"));
    let others = groups.split_whitespace().any(|group| own.split('\t').all(|own| own != group));
    fact("groups", others, groups);
    let descriptors = host::descriptors(command);
    fact("descriptors beyond stdio", descriptors > 3, format!("{descriptors} descriptors"));
    let root = |pid: u32| fs::metadata(format!("/proc/{pid}/root/")).map(|found| identity(&found)).ok();
    fact("root directory is the host's", root(command) == root(server), "by device and inode".to_string());
    let stat = fs::read_to_string(format!("/proc/{command}/stat")).expect("the command lives");
    let terminal = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(4)).expect("see proc_pid_stat(5)");
    fact("controlling terminal", terminal != "0", format!("tty_nr {terminal}"));
    let shared = host::cgroup_of(command) == host::cgroup_of(server);
    fact("control group shared with the server", shared, "by /proc/PID/cgroup".to_string());
    let environment = fs::read(format!("/proc/{command}/environ")).unwrap_or_default();
    let secret = String::from_utf8_lossy(&environment).contains("SPAWNBOX_SECRET");
    fact("a secret in the environment", secret, "by /proc/PID/environ".to_string());
    drop(client);
    all
}

fn identity(found: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

/// Two connections at once, where the server serves two; else one after the other.
fn of_two(setting: &Setting<'_>) -> Vec<Found> {
    let look = || {
        let (client, _, pid) = held(setting);
        let facts = (host::status_of(pid, "Uid"), host::cgroup_of(pid), host::namespace(pid, "ipc"));
        (client, facts)
    };
    let (first, second) = (look(), look());
    let same_group = first.1.1 == second.1.1;
    vec![
        found("identity: two connections share one host uid", first.1.0 == second.1.0, format!("{:?}", second.1.0)),
        found("seen from the host: two connections share a control group", same_group, "by /proc/PID/cgroup"),
        found(
            "seen from the host: two connections share the ipc namespace",
            first.1.2 == second.1.2,
            "by /proc/PID/ns",
        ),
    ]
}

/// Commands that do what they can to outlive the time limit, and a client that never speaks: all at once.
fn overtime(setting: &Setting<'_>) -> Vec<Found> {
    let manners = [
        ("time limit: ignores every signal", "ignore"),
        ("time limit: double fork, own session", "run-away"),
        ("time limit: double fork, stopped", "run-away-stopped"),
        ("time limit: stops its parent", "stop-parent"),
    ];
    let mut known = commands(&(setting.limited_servers)());
    let begun = manners.map(|(name, manner)| {
        let client = doing(setting.limited, &setting.facts(), manner);
        let all = commands(&(setting.limited_servers)());
        let new: Vec<u32> = all.into_iter().filter(|pid| !known.contains(pid)).collect();
        let watched = host::watch(&new);
        assert!(watched.count() > 0, "{name}: no process of the command is to be seen");
        known.extend(new);
        (name, client, watched)
    });
    let silent = (setting.limited)();
    let mut all: Vec<Found> = begun
        .iter()
        .map(|(name, _client, watched)| {
            let ended = watched.end_within(soon());
            found(name, !ended, format!("{} processes against a limit of a few seconds", watched.count()))
        })
        .collect();
    let text = whatever(silent);
    all.push(found("time limit: client that never speaks", !text.is_empty(), "its connection is closed at the limit"));
    all
}

/// Lines that the command would like to have written, in the server's log.
fn forged(setting: &Setting<'_>) -> Found {
    // Again where the line of the session was lost: nobody waits for a log that is full, as it can be on a slow
    // machine.
    host::eventually("a session is in the log", patience(), || {
        let client = (setting.connect)().send(format!("{} do=forge\n", setting.facts()).as_bytes());
        let _ = whatever(client);
        until(patience() / 10, || ["SIGABRT", "signal 6"].iter().any(|signal| (setting.log)().contains(signal)))
    });
    let log = (setting.log)();
    let line = log.lines().find(|line| line.contains("forged") || line.contains('\x1b'));
    found("log: forged line or raw escape", line.is_some(), line.unwrap_or("none in the log").to_string())
}

/// Sixty clients from one address that all stay.
fn sixty(setting: &Setting<'_>) -> Found {
    let clients: Vec<Client> =
        (0..60).map(|_| (setting.connect)().send(format!("{} do=hold\n", setting.facts()).as_bytes())).collect();
    host::eventually("some are served", patience(), || !commands(&(setting.servers)()).is_empty());
    std::thread::park_timeout(a_second());
    let served = commands(&(setting.servers)()).len();
    drop(clients);
    nobody_is_served(setting);
    found("many: sixty connections from one address", served >= 60, format!("{served} at once"))
}

/// What is still there when a command that left things has ended, and when its server was killed.
fn left(setting: &Setting<'_>) -> Vec<Found> {
    nobody_is_served(setting);
    let client = doing(setting.connect, &setting.facts(), "leave");
    let servers = (setting.servers)();
    let session = host::watch(&commands(&servers));
    let one = commands(&servers)[0];
    let cgroup = host::cgroup_of(one).expect("a session has a cgroup");
    let namespace = host::namespace(one, "pid");
    // Its number is nobody else's while it is open.
    let _open = fs::File::open(format!("/proc/{one}/ns/pid")).expect("the command is there until its client leaves");
    let servers_own = servers.iter().any(|server| host::cgroup_of(*server).as_ref() == Some(&cgroup));
    drop(client);
    let ended = session.end_within(soon());
    nobody_is_served(setting);
    std::thread::park_timeout(a_second() / 10);
    let places = [
        "/tmp".to_string(),
        "/var/tmp".to_string(),
        "/dev/shm".to_string(),
        setting.targets.fact("directory").to_string(),
    ];
    let files: Vec<String> =
        places.iter().map(|place| format!("{place}/attack-left-{}", setting.targets.fact("left"))).collect();
    let files: Vec<String> = files.into_iter().filter(|path| fs::remove_file(path).is_ok()).collect();
    let key = format!(" {} ", setting.targets.fact("left"));
    let memory = fs::read_to_string("/proc/sysvipc/shm").expect("the tests need /proc").contains(&key);
    let mut all = vec![
        found("left: processes", !ended, "what has run away ends with its session"),
        // An empty one may be kept, and be another session's by now; where none was made, it is the server's.
        found("left: cgroups", !servers_own && is_left(&cgroup, &namespace), cgroup.display().to_string()),
        found("left: files on the host", !files.is_empty(), files.join(" ")),
        found("left: System V memory", memory, "by /proc/sysvipc/shm"),
    ];
    let client = doing(setting.connect, &setting.facts(), "run-away-stopped");
    let session = host::watch(&commands(&(setting.servers)()));
    assert!(session.count() > 0, "no process of the command is to be seen");
    setting.kill();
    let ended = session.end_within(soon());
    drop(client);
    all.push(found("server: its sudden death ends the command", !ended, "killed by signal 9"));
    all
}
