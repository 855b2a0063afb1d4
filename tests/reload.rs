// SPDX-License-Identifier: Apache-2.0
//! What becomes of services, of their clients and of their sockets while what is served is changed.

use crate::scene::memory::taken;
use crate::scene::{Client, Server, arguments, host, patience, scene, stage};
use crate::serve::{Services, policy};
use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Clients one after the other, until they are told to stop; what each was answered.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Crowd {
    pub(crate) fn at(address: &str) -> Crowd {
        let (address, stop) = (address.to_string(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                answers.push(Client::connect(&address).send(b"\n").rest());
            }
            answers
        });
        Crowd { stop, thread }
    }

    /// Every answer; none where a client was refused, or lost.
    pub(crate) fn answers(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no client is refused")
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("the process is there");
}

#[test]
fn one_service_reads_its_policy_again_too() {
    let services = Services::new();
    services.write("x", "echo ready; read line; echo one");
    let file = services.room.path("x.toml").display().to_string();
    let server = arguments(&["listen", "--print-port", "--policy", &file]).listen_on(&services.socket("x"));
    let mut running = server.connect();
    assert_eq!(running.line(), "ready");
    services.write("x", "read line; echo two");
    server.signal(Signal::SIGHUP);
    server.logs("x: its new policy is in force");
    assert_eq!(server.connect().send(b"\n").rest(), "two\n");
    assert_eq!(running.send(b"\n").rest(), "one\n");
    services.room.file("x.toml", "version = 1\nlimits.tiem = 5\n");
    server.signal(Signal::SIGHUP);
    server.logs("x.toml:2:8: unknown key `tiem`");
    server.logs("x: goes on as it was");
    server.logs_times("services: unchanged 0, changed 0, new 0, gone 0", 1);
    assert_eq!(server.connect().send(b"\n").rest(), "two\n");
    assert!(server.stop().0.success());
}

#[test]
fn the_end_of_its_terminal_is_no_wish_to_reload() {
    needs!(program "setsid");
    let services = Services::new();
    services.listening("x", "echo ready; read line; echo one", &["127.0.0.1:0"]);
    let terminal = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal is left");
    unlockpt(&terminal).expect("it is ours");
    let other_end = ptsname_r(&terminal).expect("it has a name");
    let other_end = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(other_end);
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(stage::program("spawnbox")).args(["listen", "--print-port", "--policy"]);
    command.arg(services.room.path("x.toml")).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(other_end.expect("it is unlocked")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start(command, "127.0.0.1:0");
    let mut running = server.connect();
    assert_eq!(running.line(), "ready");
    drop(terminal);
    server.logs("another signal ends them");
    assert_eq!(running.send(b"\n").rest(), "one\n");
    let (status, log) = server.end();
    assert!(status.success() && !log.contains("services: unchanged"), "{log}");
}

#[test]
fn a_port_of_the_kernels_choice_is_kept() {
    let services = Services::new();
    services.listening("x", "read line; echo one", &["127.0.0.1:0"]);
    let file = services.room.path("x.toml").display().to_string();
    let server = arguments(&["listen", "--print-port", "--policy", &file]).listen_on("127.0.0.1:0");
    services.listening("x", "read line; echo two", &["127.0.0.1:0"]);
    server.signal(Signal::SIGHUP);
    server.logs("x: its new policy is in force");
    assert_eq!(server.connect().send(b"\n").rest(), "two\n");
}

#[test]
fn a_socket_gets_its_new_mode_owner_and_queue_and_stays_the_same() {
    let services = Services::new();
    let path = services.room.path("x.sock");
    let write = |options: &str, backlog: u32| {
        let address = format!("addresses = [\"unix:{}{options}\"]\nbacklog = {backlog}", path.display());
        services.room.file("x.toml", &policy(&address, "echo ready; read line; echo hello"));
    };
    let seen = || {
        let found = path.metadata().expect("it is there");
        (found.ino(), found.mode() & 0o777, found.uid())
    };
    write("", 5);
    let server = services.serve(&["--max-sessions", "1"]);
    let own = nix::unistd::getuid().as_raw();
    let (inode, mode, owner) = seen();
    assert_eq!((mode, owner), (0o600, own));
    write(",mode=0666", 7);
    server.signal(Signal::SIGHUP);
    server.logs("x: its new policy is in force");
    assert_eq!(seen(), (inode, 0o666, own));
    let mut running = Client::connect(&services.socket("x"));
    assert_eq!(running.line(), "ready");
    // The kernel lets in one more than the length of the queue, see unix_recvq_full() in net/unix/af_unix.c.
    assert_eq!(room_in_queue(&path), 8);
    assert_eq!(running.send(b"\n").rest(), "hello\n");
    if host::is_root() {
        write(",mode=0640,user=nobody", 7);
        server.signal(Signal::SIGHUP);
        server.logs_times("x: its new policy is in force", 2);
        assert_eq!(seen(), (inode, 0o640, crate::scene::NOBODY));
        write("", 7);
        server.signal(Signal::SIGHUP);
        server.logs_times("x: its new policy is in force", 3);
        assert_eq!(seen(), (inode, 0o600, own));
    }
    assert_eq!(Client::connect(&services.socket("x")).send(b"\n").rest(), "ready\nhello\n");
}

/// How many clients find room in a UNIX socket's queue.
fn room_in_queue(path: &std::path::Path) -> usize {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let name = SocketAddrUnix::new(path).expect("a short path");
    let client = || {
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).expect("a socket");
        connect(&socket, &name).ok().map(|()| socket)
    };
    let clients: Vec<_> = std::iter::from_fn(client).take(100).collect();
    clients.len()
}

#[test]
fn a_client_that_waits_for_the_launcher_keeps_the_policy_that_it_came_under() {
    let services = Services::new();
    services.write("x", "read line; echo one");
    let server = services.serve(&[]);
    assert_eq!(Client::connect(&services.socket("x")).send(b"\n").rest(), "one\n");
    server.logs("client=");
    host::eventually("its launcher alone is left", patience(), || host::tree(server.pid()).len() == 2);
    let old = host::launcher_of(server.pid());
    signal(old, Signal::SIGSTOP);
    let before = host::descriptors(server.pid());
    let waiting = Client::connect(&services.socket("x")).send(b"\n");
    host::eventually("it is accepted", patience(), || host::descriptors(server.pid()) > before);
    services.write("x", "read line; echo two");
    server.signal(Signal::SIGHUP);
    server.logs("x: its new policy is in force");
    assert_eq!(Client::connect(&services.socket("x")).send(b"\n").rest(), "two\n");
    signal(old, Signal::SIGCONT);
    assert_eq!(waiting.rest(), "one\n");
}

#[test]
fn clients_in_the_kernels_queue_are_served_under_the_new_policy() {
    let services = Services::new();
    services.write("x", "echo ready; read line; echo one");
    let server = services.serve(&["--max-sessions", "1"]);
    let mut running = Client::connect(&services.socket("x"));
    assert_eq!(running.line(), "ready");
    let queued = [(); 3].map(|()| Client::connect(&services.socket("x")).send(b"\n"));
    services.write("x", "read line; echo two");
    server.signal(Signal::SIGHUP);
    for client in queued {
        assert_eq!(client.rest(), "two\n");
    }
    assert_eq!(running.send(b"\n").rest(), "one\n");
}

#[test]
fn no_client_over_tcp_is_refused_while_policies_change_again_and_again() {
    let services = Services::new();
    let port = host::free_address().to_string();
    services.listening("x", "read line; echo 0", &[&port]);
    let server = services.serve(&[]);
    server.logs("services: ");
    let crowds = [(); 3].map(|()| Crowd::at(&port));
    for turn in 1..=5 {
        services.listening("x", &format!("read line; echo {turn}"), &[&port]);
        server.signal(Signal::SIGHUP);
        server.logs_times("x: its new policy is in force", turn);
    }
    for answers in crowds.map(Crowd::answers) {
        assert!(!answers.is_empty() && answers.iter().all(|it| it.len() == 2 && it < &"6".to_string()), "{answers:?}");
        assert!(answers.is_sorted(), "an older policy came after a newer one: {answers:?}");
    }
    assert_eq!(Client::connect(&port).send(b"\n").rest(), "5\n");
}

#[test]
fn a_launcher_that_cannot_be_made_is_told_once_tried_at_a_reload_and_its_return_is_told() {
    needs!(program "prlimit");
    let server = scene("strict").unprivileged().shell("echo hello").listen();
    // Its user has more processes than one already.
    let limit = |most: &str| {
        let (pid, most) = (server.pid().to_string(), format!("--nproc={most}:"));
        // As its own user: for another one's process even root needs CAP_SYS_RESOURCE.
        let own: &[&str] =
            if host::is_root() { &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] } else { &[] };
        let words: Vec<&str> = own.iter().copied().chain(["prlimit", "--pid", &pid, &most]).collect();
        let done = Command::new(words[0]).args(&words[1..]).status().expect("prlimit is there");
        assert!(done.success());
    };
    let before = host::soft_limit(server.pid(), "Max processes");
    limit("1");
    signal(host::launcher_of(server.pid()), Signal::SIGKILL);
    let line = server.logs("accepting nobody until that is better");
    assert!(line.contains("cannot make the launcher") && line.contains("up to 5 minutes"), "{line}");
    limit(&before);
    server.signal(Signal::SIGHUP);
    server.logs("a sandbox can be made again, after attempts that failed: ");
    assert_eq!(server.connect().rest(), "hello\n");
    assert_eq!(server.logs_times("accepting nobody", 1).len(), 1);
}

#[test]
fn a_self_test_that_fails_leaves_no_control_group_that_the_next_one_would_meet() {
    needs!(root);
    needs!(cgroup);
    let services = Services::new();
    services.write("x", "echo never");
    let mut command = Command::new(stage::program("failing"));
    command.args(["session:clone3=EAGAIN", "--", &stage::program("spawnbox").display().to_string()]);
    let server = services.serve_by(command, &[]);
    server.logs("cannot make the sandbox's first process: Resource temporarily unavailable; accepting nobody until");
    let own = format!("/spawnbox-{}-", server.pid());
    let all = host::cgroups_below(&host::cgroup_root().expect("control groups are there"));
    let ours: Vec<String> =
        all.iter().map(|path| path.display().to_string()).filter(|path| path.contains(&own)).collect();
    assert!(!ours.is_empty() && !ours.iter().any(|path| path.ends_with("/0")), "{ours:?}");
}

/// Clients by which it is seen how long one takes.
const LOOKS: u32 = 50;

/// `SPAWNBOX_SERVICES=500` says how many.
#[test]
fn many_services_take_little_memory_and_a_reload_touches_none_that_is_the_same() {
    let text = std::env::var("SPAWNBOX_SERVICES").unwrap_or("40".to_string());
    let many: u64 = text.parse().expect("SPAWNBOX_SERVICES is a number");
    let services = Services::new();
    for number in 0..many {
        services.write(&format!("s{number}"), "read line; echo one");
    }
    let begin = std::time::Instant::now();
    let server = services.serve(&[]);
    let answered = |number: u64| Client::connect(&services.socket(&format!("s{number}"))).send(b"\n").rest();
    assert_eq!(answered(many - 1), "one\n");
    host::eventually("all are there", 10 * patience(), || host::children(server.pid()).len() as u64 == many);
    let started = begin.elapsed();
    let before = host::children(server.pid());
    services.write("s0", "read line; echo two");
    let begin = std::time::Instant::now();
    server.signal(Signal::SIGHUP);
    server.logs(&format!("services: unchanged {}, changed 1, new 0, gone 0", many - 1));
    let loaded = begin.elapsed();
    server.logs("s0: its new policy is in force");
    assert_eq!([answered(0), answered(1)], ["two\n", "one\n"]);
    let after = host::children(server.pid());
    assert!(before.iter().filter(|pid| after.contains(pid)).count() as u64 >= many - 1, "others were touched");
    let memory = host::memory_kib(server.pid());
    assert!(memory < 4096 + 64 * many, "{many} services take {memory} KiB");
    let launchers = taken(&after);
    let begin = std::time::Instant::now();
    (0..LOOKS).for_each(|_| assert_eq!(answered(many - 1), "one\n"));
    let client = begin.elapsed() / LOOKS;
    println!(
        "{many} services: started in {started:?}, reloaded in {loaded:?}, {memory} KiB, launchers {} KiB, a client {client:?}",
        launchers.memory_kib + launchers.tables_kib
    );
    assert!(server.stop().0.success());
}
