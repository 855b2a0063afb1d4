// SPDX-License-Identifier: Apache-2.0
//! What each step of the child isolates, seen from inside; and, where a policy can switch the step off, that the
//! difference is the step's.

use crate::scene::{NOBODY, Scene, host, needs, scene, stage};
use spawnbox::plan::Step;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn every_step_isolates_what_it_says() {
    needs!(root);
    let failed: Vec<&str> = Step::ALL
        .iter()
        .filter(|step| catch_unwind(AssertUnwindSafe(|| proof(**step)())).is_err())
        .map(|step| step.name())
        .collect();
    assert!(failed.is_empty(), "not isolated: {}", failed.join(", "));
}

#[test]
fn the_kernel_is_the_expected_one() {
    let expected =
        std::env::var("SPAWNBOX_LANDLOCK_ABI").map(|abi| abi.parse().expect("SPAWNBOX_LANDLOCK_ABI is a number"));
    let found = needs::landlock_abi();
    assert_eq!(found, expected.unwrap_or(found), "the Landlock ABI of this kernel");
}

/// No wildcard: a new step does not compile without its proof.
fn proof(step: Step) -> fn() {
    match step {
        Step::Clone => namespaces,
        Step::Keyring => keyring,
        Step::Loopback => loopback,
        Step::Scratch => scratch,
        Step::Proc => proc,
        Step::PidLimits => pid_limits,
        Step::Directory => directory,
        Step::Umask => umask,
        Step::Identity => identity,
        Step::UserNamespace => user_namespace,
        Step::Relay => relay,
        Step::Network => network,
        Step::Exchange => exchange,
        Step::Limits => limits,
        Step::BoundingSet => bounding_set,
        Step::Securebits => securebits,
        Step::Rights => rights,
        Step::NoNewPrivileges => no_new_privileges,
        Step::WriteExecute => write_execute,
        Step::Landlock => landlock,
        Step::CloseFds => descriptors,
        Step::Fork => reaper,
        Step::Domain => domain,
        Step::Session => session,
        Step::Signals => signals,
        Step::Handover => handover,
        Step::Stdio => stdio,
        Step::Seccomp => seccomp,
        Step::Exec => exec,
    }
}

/// Strict without its filter, so that a question of the probe is answered by the layer that is asked about.
pub(crate) fn unfiltered() -> Scene {
    // Without a filter the connection could become a client or a listener of the host's, which has to be said.
    let any = ["connect", "bind", "udp"].map(|key| format!("network.{key}={{ports=\"any\"}}"));
    // Before Linux 6.3 the filter is also what denies writable and executable memory.
    let off = scene("strict").set("isolation.seccomp=off").set("isolation.memory-deny-write-execute=false");
    any.iter().fold(off, |scene, ports| scene.set(ports))
}

fn asked(scene: Scene, question: &str) -> String {
    scene.probe(question).run().exits(0).answer(question).to_string()
}

/// The kinds of namespace that the command does not share with the host, as the host sees it.
fn own_namespaces(scene: Scene) -> Vec<&'static str> {
    let server = scene.probe("say ready mark-namespaces , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready mark-namespaces");
    let probe = stage::program("probe").display().to_string();
    let mut marked = host::tree(server.pid()).into_iter().filter(|pid| host::command_line(*pid).starts_with(&probe));
    let command = marked.next().expect("the command is there");
    let kinds = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    kinds
        .into_iter()
        .filter(|kind| host::namespace(command, kind) != host::namespace(std::process::id(), kind))
        .collect()
}

#[test]
fn where_clone3_is_hidden_the_namespaces_are_its_own_all_the_same() {
    needs!(root);
    let all = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    assert_eq!(own_namespaces(scene("strict").failing("clone3=ENOSYS")), all);
    assert_eq!(own_namespaces(scene("strict").failing("clone3=ENOSYS").unprivileged()), all);
}

fn namespaces() {
    assert_eq!(own_namespaces(scene("strict")), ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"]);
    assert_eq!(own_namespaces(scene("compatible")), ["mnt", "pid", "uts", "cgroup"]);
    let own = std::process::id();
    // A pid of the host is no process in here; with the host's pids it is one that may not be signalled.
    assert_eq!(asked(unfiltered(), &format!("kill {own} 0")), "ESRCH");
    assert_eq!(asked(unfiltered(), "interfaces"), "lo");
    // The same System V key twice: a queue that another session made would be there already, EEXIST.
    assert_eq!(asked(unfiltered(), "queue"), "ok");
    assert_eq!(asked(unfiltered(), "queue"), "ok");
    assert_eq!(asked(unfiltered(), "open /etc/shadow"), "ENOENT");
}

/// In a PID namespace the first process is out of reach by that alone.
fn domain() {
    needs!(landlock 6);
    let found = scene("strict").set("isolation.level=landlock-only").shell("kill -0 $PPID || echo refused").run();
    found.says("Operation not permitted").stdout("refused\n");
}

fn keyring() {
    let probe = stage::program("probe").display().to_string();
    // The supervisor is given a keyring of a name; the command must have another.
    let outer = [probe.as_str(), "join-keyring", "outer", ",", "become"];
    let described = asked(unfiltered().through(&outer), "keyring");
    assert!(!described.contains("outer"), "{described}");
}

fn loopback() {
    let network = |mode: &str| {
        let calls = scene("strict").set("syscalls.allow=[\"network-server\",\"network-client\"]");
        let any = ["connect", "bind", "udp"].map(|key| format!("network.{key}={{ports=\"any\"}}"));
        any.iter().fold(calls.set(&format!("network.mode={mode}")), |scene, ports| scene.set(ports))
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("the host has a loopback");
    let question = format!("connect {}", listener.local_addr().expect("it is bound"));
    assert_eq!(asked(network("none"), &question), "ENETUNREACH");
    assert_eq!(asked(network("loopback"), &question), "ECONNREFUSED");
    assert_eq!(asked(network("host"), &question), "ok");
}

/// A command that may connect to this port alone, through a relay; that peers are reached whole is tested in `forward`.
fn forwarding(port: u16) -> Scene {
    let calls = scene("strict").set("syscalls.allow=[\"network-client\"]");
    calls.set(&format!("network.forward=[\"127.0.0.1:{port}\"]"))
}

fn relay() {
    let peer = TcpListener::bind("127.0.0.1:0").expect("the host has a loopback");
    let address = peer.local_addr().expect("it is bound");
    assert_eq!(asked(forwarding(address.port()), &format!("connect {address}")), "ok");
    assert_ne!(asked(forwarding(1), &format!("connect {address}")), "ok");
}

fn network() {
    assert_eq!(own_namespaces(forwarding(1)), ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"]);
}

/// The command has a UNIX socket, and the relay its connection.
fn exchange() {
    let server = forwarding(1).probe("tcp-state").listen();
    assert_eq!(server.connect().rest(), "tcp-state: EOPNOTSUPP\n");
}

fn scratch() {
    let small = || scene("strict").set("files.scratch=[{path=\"/tmp\",size=\"64K\",inodes=8}]");
    assert_eq!(asked(small(), "write /tmp/mine x"), "ok");
    assert_eq!(asked(small(), "list /tmp"), "nothing", "another session's file is there");
    assert!(!std::path::Path::new("/tmp/mine").exists(), "the host's /tmp was written");
    assert_eq!(asked(small(), "fill /tmp/large 1000000"), "ENOSPC");
    assert_eq!(asked(small(), "files /tmp 100"), "7 made");
}

fn proc() {
    assert_eq!(asked(scene("strict"), "list /proc"), "ENOENT");
    let shown = asked(scene("strict").set("files.proc=\"subset\""), "list /proc");
    assert!(shown.split(' ').all(|name| ["1", "2", "self", "thread-self"].contains(&name)), "{shown}");
}

fn pid_limits() {
    needs!(kernel 6, 14);
    let limited = unfiltered().set("isolation.pid-max=310").set("limits.tasks=1000");
    let made = asked(limited, "fork 400");
    assert!(made.ends_with("EAGAIN"), "{made}");
    assert_eq!(asked(unfiltered().set("isolation.memfd-noexec=true"), "memfd-execute"), "EACCES");
}

fn directory() {
    assert_eq!(asked(scene("strict"), "directory"), "/");
    assert_eq!(asked(scene("strict").set("command.directory=\"/usr\""), "directory"), "/usr");
}

fn umask() {
    assert_eq!(asked(scene("strict"), "umask"), "077");
    assert_eq!(asked(scene("strict").set("command.umask=\"027\""), "umask"), "027");
}

fn identity() {
    let found = scene("strict").probe("ids , groups , setuid 0 , setgid 0").run();
    assert_eq!(found.answer("ids"), format!("uid {NOBODY} {NOBODY} {NOBODY} gid {NOBODY} {NOBODY} {NOBODY}"));
    // 65534 is also how an id without a name in this user namespace is shown.
    assert!(["none", "65534"].contains(&found.answer("groups")), "{found}");
    assert_ne!(found.answer("setuid 0"), "ok", "{found}");
    assert_ne!(found.answer("setgid 0"), "ok", "{found}");
}

fn user_namespace() {
    // Another user namespace would give all rights inside it: none can be made.
    let another = asked(unfiltered(), "unshare 0x10000000");
    assert!(["ENOSPC", "EPERM"].contains(&another.as_str()), "{another}");
    // Tasks are counted in it, so what else runs as this user does not matter.
    let made = asked(scene("strict").set("limits.tasks=10"), "fork 40");
    assert!(made.ends_with("then EAGAIN"), "{made}");
}

fn limits() {
    let set =
        scene("strict").set("limits.open-files=48").set("limits.file-size=\"1M\"").set("limits.processor-time=\"7s\"");
    let found = set.probe("limits , raise-limit").run();
    for limit in ["open-files=48/48", "file-size=1048576/1048576", "processor-time=7/8"] {
        assert!(found.answer("limits").split(' ').any(|word| word == limit), "no {limit} in {found}");
    }
    assert_ne!(found.answer("raise-limit"), "ok");
}

#[test]
fn sessions_inherit_the_larger_part_of_their_filter_from_a_launcher_that_is_under_it() {
    needs!(root);
    // Who runs this may be under filters already.
    let own = host::status_of(std::process::id(), "Seccomp_filters").and_then(|number| number.parse().ok());
    let own: u32 = own.expect("the kernel says so");
    let serving = |spares: usize| {
        let server = scene("strict").set(&format!("connection.spares={spares}")).probe("say ready , line").listen();
        let mut client = server.connect();
        assert_eq!(client.line(), "ready");
        let probe = stage::program("probe").display().to_string();
        let tree = host::tree(server.pid());
        let filters = |pid: &u32| host::status_of(*pid, "Seccomp_filters").expect("the process lives");
        let command =
            tree.iter().find(|pid| host::command_line(**pid).starts_with(&probe)).expect("the command is there");
        let launchers = host::launchers_of(server.pid()).iter().map(filters).collect();
        (launchers, filters(command))
    };
    for spares in [0, 1] {
        let expected = (vec![(own + 1).to_string()], (own + 2).to_string());
        assert_eq!(serving(spares), expected, "{spares} spares");
    }
}

fn bounding_set() {
    assert_eq!(asked(unfiltered(), "bounding"), "none");
}

fn securebits() {
    // Each bit and its lock, but for keep-caps, which is locked at zero: see capabilities(7).
    assert_eq!(asked(unfiltered(), "securebits"), 0b1110_1111.to_string());
}

fn rights() {
    let found = unfiltered().probe("capabilities , ambient , mount /tmp , chroot /usr").run();
    assert_eq!(found.answer("capabilities"), "none");
    assert_eq!(found.answer("ambient"), "none");
    assert_eq!(found.answer("mount /tmp"), "EPERM");
    assert_eq!(found.answer("chroot /usr"), "EPERM");
}

fn no_new_privileges() {
    assert_eq!(asked(unfiltered(), "no-new-privs"), "1");
}

fn write_execute() {
    // PR_SET_MDWE says EACCES; before Linux 6.3 the filter says EPERM.
    let denied = asked(scene("strict"), "rwx");
    assert!(["EACCES", "EPERM"].contains(&denied.as_str()), "{denied}");
    assert_eq!(asked(scene("strict").set("isolation.memory-deny-write-execute=false"), "rwx"), "ok");
}

fn landlock() {
    needs!(landlock 5);
    // Its rights on files alone: the device may be read, no filter is on, and the kernel has an answer of its own.
    assert_eq!(asked(unfiltered(), "device-ioctl /dev/null"), "EACCES");
    assert_eq!(asked(unfiltered().set("isolation.landlock=off"), "device-ioctl /dev/null"), "ENOTTY");
    let listener = TcpListener::bind("127.0.0.1:0").expect("the host has a loopback");
    let address = listener.local_addr().expect("it is bound");
    let network = |ports: &str| {
        let allow = "syscalls.allow=[\"network-client\"]";
        scene("strict")
            .set("network.mode=host")
            .set("network.udp={ports=\"any\"}")
            .set(allow)
            .set(&format!("network.connect={{ports={ports}}}"))
    };
    assert_eq!(asked(network("[1]"), &format!("connect {address}")), "EACCES");
    assert_eq!(asked(network(&format!("[{}]", address.port())), &format!("connect {address}")), "ok");
}

fn descriptors() {
    // The supervisor is started with a descriptor that no one closed.
    let open = ["/bin/sh", "-c", "exec 7</etc/hostname; exec \"$0\" \"$@\""];
    assert_eq!(asked(scene("strict").through(&open), "descriptors"), "0 1 2");
}

fn reaper() {
    assert_eq!(asked(scene("strict"), "pid"), "2 parent 1");
    // A process that ends by its own signal, which PID 1 could not.
    scene("strict").probe("die 6").run().exits(128 + 6);
    // An orphan is reaped, or its number would still be a process.
    let script = "(sh -c 'exit 3' & echo $!) | { read orphan; while kill -0 $orphan 2>&-; do :; done; echo reaped; }";
    scene("strict").shell(script).run().line("reaped");
}

fn session() {
    assert_eq!(asked(unfiltered(), "session"), "leader true group leader true terminal false");
}

fn signals() {
    // The supervisor is started with signals ignored, the last of them too, and Rust ignores SIGPIPE in it.
    let deaf = ["/bin/sh", "-c", "trap '' INT HUP USR1 64; exec \"$0\" \"$@\""];
    let found = scene("strict").through(&deaf).probe("ignored , blocked").run();
    assert_eq!(found.answer("ignored"), "none", "{found}");
    assert_eq!(found.answer("blocked"), "none", "{found}");
    scene("strict").shell("kill -PIPE $$; echo alive").run().exits(128 + 13);
    scene("strict").set("command.ignore-signals=[\"PIPE\"]").shell("kill -PIPE $$; echo alive").run().line("alive");
}

#[test]
fn the_hosts_name_is_hidden_but_where_a_policy_shows_it() {
    let own = nix::unistd::gethostname().expect("the host has a name").to_string_lossy().into_owned();
    assert_eq!(asked(scene("strict").unprivileged(), "hostname"), "localhost");
    assert_eq!(asked(scene("strict").unprivileged().set("isolation.hostname=host"), "hostname"), own);
}

fn handover() {
    let server = scene("strict").set("command.client-environment=true").probe("environment").listen();
    let mut client = server.connect();
    let environment = client.line();
    assert!(environment.contains("TCPREMOTEIP=127.0.0.1"), "{environment}");
    let quiet = scene("strict").set("command.client-environment=false").probe("environment").listen();
    let environment = quiet.connect().line();
    assert!(!environment.contains("TCPREMOTEIP"), "{environment}");
}

fn stdio() {
    // The connection can be turned into a listener of the host's, whatever network namespace the command is in.
    let server = scene("strict").probe("descriptors , listen-connection").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "descriptors: 0 1 2");
    assert_eq!(client.line(), "listen-connection: EPERM");
}

fn seccomp() {
    // The filter answers its own question with EPERM; the kernel's, in /proc, is that there is one.
    let shown = |scene: Scene| scene.set("files.proc=subset").probe("read /proc/self/status").run();
    shown(scene("strict")).line("Seccomp:\t2");
    shown(unfiltered()).line("Seccomp:\t0");
    // A call that no ordinary program makes ends the command; libc's newer ones are answered so that it falls back.
    scene("strict").probe("unshare 0x20000").run().exits(128 + 31);
    // clone3, whose flags no filter can see.
    assert_eq!(asked(scene("strict"), "system-call 435"), "ENOSYS");
}

fn exec() {
    let given = scene("strict").variable("SECRET", "of the supervisor").probe("environment").run();
    assert!(!given.answer("environment").contains("SECRET"), "{given}");
    let added = scene("strict").set("command.environment={A=\"1\"}").probe("environment").run();
    assert!(added.answer("environment").split(' ').any(|word| word == "A=1"), "{added}");
}
