// SPDX-License-Identifier: Apache-2.0
//! Two connections of one service, side by side: what one has, the other has not. Without the filter of system calls,
//! which would deny most of these attempts before the walls behind it are reached.

use crate::scene::stage::program;
use crate::scene::{Client, Scene, Server, host, patience, scene};
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

/// Not used by any other test, and nobody's on a Debian machine.
const RANGE: &str = "61200-61299";

/// Each line that a client sends is a line of a shell script; `$probe` is the probe.
fn interpreter(scene: Scene) -> Scene {
    let probe = program("probe").display().to_string();
    scene
        .set(&format!("files.execute=[\"{probe}\"]"))
        .shell(&format!("probe={probe}; while read -r line; do eval \"$line\"; done"))
}

/// `strict` without its filter.
fn bare() -> Scene {
    interpreter(scene("strict"))
        .set("isolation.seccomp=off")
        .set("isolation.memory-deny-write-execute=false")
        .set("network.connect.ports=any")
        .set("network.bind.ports=any")
}

/// Has a session do something, and returns its answer.
fn ask(client: &mut Client, line: &str) -> String {
    use std::io::Write;
    writeln!(client, "{line}").expect("the session reads");
    client.line()
}

fn two(server: &Server) -> (Client, Client) {
    (server.connect(), server.connect())
}

/// The host's number of the shell of a session, which ran this command line.
fn shells(server: &Server, count: usize) -> Vec<u32> {
    let all = || -> Vec<u32> {
        let tree = host::tree(server.pid()).into_iter();
        tree.filter(|pid| host::command_line(*pid).starts_with("/bin/sh ")).collect()
    };
    host::eventually("the sessions' shells are there", patience(), || all().len() == count);
    all()
}

/// Real, effective, saved and file ids of a process, seen from the host.
fn ids(pid: u32, which: &str) -> Vec<u32> {
    let line = host::status_of(pid, which).expect("the process lives");
    line.split_whitespace().map(|id| id.parse().expect("a number")).collect()
}

/// Where systemd claims the ids of its dynamic users: see `pick_uid` in its src/core/dynamic-user.c.
const CLAIMS: &str = "/run/systemd/dynamic-uid";

/// Claims an id as systemd does: the lock, if nobody has it.
fn claim_as_systemd(id: u32) -> Option<Flock<File>> {
    std::fs::create_dir_all(CLAIMS).expect("root may make it");
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let file = options.open(format!("{CLAIMS}/{id}")).expect("root may make it");
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

#[test]
fn a_session_and_a_dynamic_user_of_systemd_never_have_the_same_id() {
    needs!(root);
    let systemds = claim_as_systemd(61400).expect("nobody has it");
    let server = interpreter(scene("strict")).users("61400-61402").listen();
    let (mut first, mut second) = two(&server);
    assert_eq!([&mut first, &mut second].map(|client| ask(client, "echo ready")), ["ready"; 2]);
    let given =
        |count| -> BTreeSet<u32> { shells(&server, count).into_iter().flat_map(|shell| ids(shell, "Uid")).collect() };
    assert_eq!(given(2), BTreeSet::from([61401, 61402]));
    assert!(claim_as_systemd(61401).is_none(), "systemd would give it away again");
    // The next one waits for the id that systemd has.
    let mut third = server.connect();
    drop(systemds);
    ask(&mut third, "echo ready");
    assert_eq!(given(3), BTreeSet::from([61400, 61401, 61402]));
}

#[test]
fn they_share_no_user_id_and_no_group_id_on_the_host() {
    needs!(root);
    let server = interpreter(scene("strict")).users(RANGE).listen();
    let (mut first, mut second) = two(&server);
    let said = [ask(&mut first, "$probe ids"), ask(&mut second, "$probe ids")];
    let mut seen: Vec<u32> = shells(&server, 2)
        .into_iter()
        .map(|pid| {
            let (uids, gids) = (ids(pid, "Uid"), ids(pid, "Gid"));
            assert!(uids.iter().chain(&gids).all(|id| *id == uids[0]), "{uids:?} {gids:?}");
            assert!((61200..=61299).contains(&uids[0]), "{uids:?}");
            uids[0]
        })
        .collect();
    assert_ne!(seen[0], seen[1]);
    seen.sort_unstable();
    let mut inside: Vec<String> = seen.iter().map(|id| format!("ids: uid {id} {id} {id} gid {id} {id} {id}")).collect();
    inside.sort();
    let mut said = said.to_vec();
    said.sort();
    assert_eq!(said, inside);
    drop((first, second));
    seen.iter().for_each(|id| drop(server.logs(&format!(" uid={id} outcome=exited"))));
}

#[test]
fn an_id_is_not_used_again_while_its_session_lives_and_connections_wait_for_it() {
    needs!(root);
    let server = interpreter(scene("strict")).users("61300-61301").listen();
    let (mut first, mut second) = two(&server);
    let uid = |answer: String| answer.split(' ').nth(2).map(str::to_string).expect("the probe says its ids");
    let (one, other) = (uid(ask(&mut first, "$probe ids")), uid(ask(&mut second, "$probe ids")));
    assert_ne!(one, other);
    let mut third = server.connect();
    {
        use std::io::Write;
        writeln!(third, "$probe ids").expect("the kernel has room for a line");
    }
    // It answers only when one of them has ended, with the id that this one had.
    assert_eq!(first.finish().rest(), "");
    assert_eq!(uid(third.line()), one);
    assert_eq!(uid(ask(&mut second, "$probe ids")), other);
}

#[test]
fn two_supervisors_with_one_range_share_it() {
    needs!(root);
    let start = || interpreter(scene("strict")).users("61310-61311").listen();
    let (server, other) = (start(), start());
    let (mut first, mut second) = (server.connect(), other.connect());
    let said = [ask(&mut first, "$probe ids"), ask(&mut second, "$probe ids")];
    assert_ne!(said[0], said[1]);
    let waiting = server.connect().send(b"echo served\n").finish();
    server.logs("cannot claim a user id from 61310-61311: every one is in use");
    drop(other);
    assert_eq!(waiting.rest(), "served\n");
}

#[test]
fn they_share_no_keyring() {
    needs!(root);
    for scene in [bare(), bare().users(RANGE)] {
        let server = scene.listen();
        let (mut first, mut second) = two(&server);
        for keyring in [-3, -4, -5] {
            let name = format!("spawnbox-apart-{}", std::process::id());
            assert_eq!(
                ask(&mut first, &format!("$probe add-key {keyring} {name}")),
                format!("add-key {keyring} {name}: ok")
            );
            let own = ask(&mut first, &format!("$probe find-key {keyring} {name}"));
            assert_eq!(own, format!("find-key {keyring} {name}: ok"));
            let found = ask(&mut second, &format!("$probe find-key {keyring} {name}"));
            assert_eq!(found, format!("find-key {keyring} {name}: ENOKEY"));
        }
    }
}

#[test]
fn they_share_no_system_v_object() {
    let server = bare().listen();
    let (mut first, mut second) = two(&server);
    // Made with the same key, exclusively: in one namespace the second one would meet the first one's.
    assert_eq!([ask(&mut first, "$probe queue"), ask(&mut second, "$probe queue")], ["queue: ok", "queue: ok"]);
    assert_eq!(ask(&mut second, "$probe queue"), "queue: EEXIST");
}

#[test]
fn they_share_no_scratch_file() {
    let server = interpreter(scene("strict")).listen();
    let (mut first, mut second) = two(&server);
    assert_eq!(ask(&mut first, "$probe write /tmp/mine x"), "write /tmp/mine x: ok");
    assert_eq!(ask(&mut first, "$probe list /tmp"), "list /tmp: mine");
    assert_eq!(ask(&mut second, "$probe list /tmp"), "list /tmp: nothing");
}

#[test]
fn they_share_no_cgroup() {
    needs!(cgroup);
    let server = interpreter(scene("strict")).listen();
    let (mut first, mut second) = two(&server);
    assert_eq!([ask(&mut first, "echo a"), ask(&mut second, "echo b")], ["a", "b"]);
    let of = |pid: u32| host::cgroup_of(pid).expect("version 2 is there");
    let cgroups: Vec<_> = shells(&server, 2).into_iter().map(of).collect();
    assert_ne!(cgroups[0], cgroups[1]);
    for cgroup in cgroups {
        assert_ne!(cgroup, of(server.pid()));
        assert!(cgroup.parent().is_some_and(|parent| parent.to_string_lossy().contains("spawnbox-")), "{cgroup:?}");
    }
}

#[test]
fn they_share_no_abstract_socket() {
    let server = bare().listen();
    let (mut first, mut second) = two(&server);
    assert_eq!(ask(&mut first, "$probe abstract-listen apart , wait &"), "abstract-listen apart: ok");
    assert_eq!(ask(&mut first, "$probe abstract apart"), "abstract apart: ok");
    assert_eq!(ask(&mut second, "$probe abstract apart"), "abstract apart: ECONNREFUSED");
}

#[test]
fn in_the_hosts_network_they_share_no_abstract_socket_either() {
    needs!(landlock 6);
    let server = bare().set("network.mode=host").set("network.udp.ports=any").listen();
    let (mut first, mut second) = two(&server);
    let name = format!("spawnbox-apart-{}", std::process::id());
    let listens = ask(&mut first, &format!("$probe abstract-listen {name} , wait &"));
    assert_eq!(listens, format!("abstract-listen {name}: ok"));
    assert_eq!(ask(&mut second, &format!("$probe abstract {name}")), format!("abstract {name}: EPERM"));
}

#[test]
fn they_see_no_process_of_each_other() {
    let server = bare().listen();
    let (mut first, mut second) = two(&server);
    assert_eq!(ask(&mut first, "$probe wait & echo $!"), ask(&mut second, "echo 3"));
    assert_eq!(ask(&mut first, "kill -0 3 && echo there"), "there");
    assert_eq!(ask(&mut second, "kill -0 3 2>/dev/null || echo nobody"), "nobody");
}

/// Kinds of namespaces that a launcher may keep.
const KEPT: [&str; 3] = ["net", "ipc", "user"];

/// Those of a session's shell, whose numbers are not used again for others while these are open, and how many sockets
/// the kernel counts in its network.
fn kept(server: &Server) -> ([File; 3], String) {
    let shell = shells(server, 1)[0];
    let counted = std::fs::read_to_string(format!("/proc/{shell}/net/sockstat")).expect("the session lives");
    let namespace = |kind| File::open(format!("/proc/{shell}/ns/{kind}")).expect("the session lives");
    (KEPT.map(namespace), counted.lines().next().unwrap_or_default().to_string())
}

/// The kept kinds of sessions one after the other, each of which does this, and is dead before the next.
fn in_turn(server: &Server, line: &str, answer: &str) -> [BTreeSet<u64>; 3] {
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect();
        assert_eq!(ask(&mut client, "echo ready"), "ready");
        let (namespaces, counted) = kept(server);
        assert_eq!(counted, "sockets: used 0", "somebody else's");
        let shell = shells(server, 1)[0];
        let reaper = host::status_of(shell, "PPid").and_then(|pid| pid.parse().ok()).expect("the session lives");
        assert_ne!(reaper, host::launcher_of(server.pid()));
        assert_eq!(ask(&mut client, line), answer);
        drop(client);
        // Not counted: the launcher may have a process that makes a namespace for the next one.
        let lives = || host::tree(server.pid()).iter().any(|pid| [shell, reaper].contains(pid));
        host::eventually("the session is over", patience(), || !lives());
        open.push(namespaces);
    }
    let number = |namespace: &File| std::os::unix::fs::MetadataExt::ino(&namespace.metadata().expect("it is open"));
    [0, 1, 2].map(|kind| open.iter().map(|namespaces| number(&namespaces[kind])).collect())
}

/// How many user namespaces four sessions have. Older kernels do not say when a process is reaped.
fn users() -> usize {
    if crate::scene::needs::kernel(6, 9).is_there() { 1 } else { 4 }
}

fn different(seen: [BTreeSet<u64>; 3]) -> [usize; 3] {
    seen.map(|namespaces| namespaces.len())
}

#[test]
fn who_has_a_namespace_after_another_finds_nothing_in_it() {
    needs!(root);
    let server = interpreter(scene("strict")).listen();
    assert_eq!(different(in_turn(&server, "echo nothing", "nothing")), [1, 1, users()], "none was used again");
    // What is in flight is freed whenever the kernel comes to it; what is asserted is that nobody meets it.
    let left = in_turn(&server, "$probe abandon-sockets", "abandon-sockets: ok");
    for (kind, left) in KEPT.iter().zip(left) {
        let own = std::fs::metadata(format!("/proc/self/ns/{kind}")).expect("this process has one");
        assert!(!left.contains(&std::os::unix::fs::MetadataExt::ino(&own)), "{kind}");
    }
}

#[test]
fn what_sessions_have_is_counted_for_the_commands_user_and_not_for_ours() {
    needs!(root);
    needs!(program "python3");
    let server = interpreter(scene("strict")).listen();
    let mut client = server.connect();
    assert_eq!(ask(&mut client, "echo ready"), "ready");
    // NS_GET_OWNER_UID, see ioctl_nsfs(2): the kernel counts for who made a namespace, all the way up.
    let owner = "import fcntl,sys; print(int.from_bytes(fcntl.ioctl(open(sys.argv[1]), 0xb704, bytes(4)), 'little'))";
    let namespace = format!("/proc/{}/ns/user", shells(&server, 1)[0]);
    let told = std::process::Command::new("python3").args(["-c", owner, &namespace]).output().expect("it can be run");
    assert_eq!(String::from_utf8_lossy(&told.stdout), "65534\n", "{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn two_at_once_share_no_kept_namespace() {
    needs!(root);
    let server = interpreter(scene("strict")).listen();
    let clients = two(&server);
    let shells = shells(&server, 2);
    for kind in KEPT {
        assert_ne!(host::namespace(shells[0], kind), host::namespace(shells[1], kind), "{kind}");
    }
    drop(clients);
}

#[test]
fn where_something_could_be_left_each_session_has_fresh_namespaces() {
    needs!(root);
    // A listener that was sent to the client lives on with it.
    let room = crate::scene::stage::room();
    let over_unix = interpreter(scene("strict")).listen_on(&format!("unix:{}", room.path("socket").display()));
    let loopback = interpreter(scene("strict")).set("network.mode=loopback").listen();
    let client = interpreter(scene("strict")).set("syscalls.allow=[\"network-client\"]");
    // An older Landlock keeps neither from any port, which is to be said.
    let client = client.set("network.connect.ports=any").set("network.bind.ports=any").listen();
    let queues = interpreter(scene("strict")).set("syscalls.allow=[\"msgget\"]").listen();
    for (server, fresh) in
        [(&over_unix, [4, 4, 4]), (&loopback, [4, 1, users()]), (&client, [4, 1, users()]), (&queues, [1, 4, users()])]
    {
        assert_eq!(different(in_turn(server, "echo nothing", "nothing")), fresh);
    }
}
