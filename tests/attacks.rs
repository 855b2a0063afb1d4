// SPDX-License-Identifier: Apache-2.0
//! What was tried on a sandbox and once worked, from inside, from the side of a client, and by whoever may write where
//! a policy looks. All that a command can try is tried by `programs/attack` in each setting; `attacks/open.txt` lists
//! what is known to work there.

pub(crate) mod aim;
pub(crate) mod tried;
mod outside;
pub(crate) mod open;
mod setting;
mod peers;
mod systemd;

use crate::postfix::instance::Spawner;
use crate::scene::{host, outcome, patience, scene, stage};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, ExitStatus, Stdio};

/// Tries and judges everything in one setting, and collects what is not as listed.
fn attacked(setting: &setting::Setting<'_>) -> Vec<String> {
    let mut all = tried::everything(setting.connect, &setting.facts(), setting.targets);
    all.extend(outside::everything(setting));
    open::judge(setting.name, &all)
}

pub(crate) fn as_listed(wrong: &[String]) {
    assert!(wrong.is_empty(), "not as attacks/open.txt has it:\n{}", wrong.join("\n"));
}

#[test]
fn no_attack_works_on_a_tcp_connection_but_what_is_listed() {
    needs!(root);
    setting::standing_alone("strict/tcp", setting::Users::Each, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_on_a_unix_connection_but_what_is_listed() {
    needs!(root);
    setting::standing_alone("strict/unix", setting::Users::Each, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_on_what_has_the_same_user_but_what_is_listed() {
    needs!(root);
    setting::standing_alone("one-user/tcp", setting::Users::One, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_where_the_level_is_userns_but_what_is_listed() {
    needs!(root);
    setting::at_level(setting::Level::Userns, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_where_the_level_is_landlock_only_but_what_is_listed() {
    needs!(root);
    needs!(landlock 6);
    setting::at_level(setting::Level::LandlockOnlyOfRoot, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_where_the_level_is_landlock_only_of_an_ordinary_user_but_what_is_listed() {
    needs!(root);
    needs!(landlock 6);
    setting::at_level(setting::Level::LandlockOnlyOfUser, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_where_denied_calls_are_named_but_what_is_listed() {
    needs!(root);
    let named = ["syscalls.on-deny=report"];
    setting::with_grants("strict/tcp", setting::Users::Each, &named, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_where_sandboxes_wait_for_their_clients_but_what_is_listed() {
    needs!(root);
    let spares = ["connection.spares=3"];
    setting::with_grants("strict/tcp", setting::Users::Each, &spares, |setting| as_listed(&attacked(setting)));
}

#[test]
fn no_attack_works_under_master_but_what_is_listed() {
    needs!(root);
    needs!(program "postfix");
    setting::under_master(Spawner::Ours, setting::Policy::Strict, |setting| as_listed(&attacked(setting)));
}

#[test]
fn what_works_under_the_policy_compatible_is_listed() {
    needs!(root);
    needs!(program "postfix");
    setting::under_master(Spawner::Ours, setting::Policy::Unnamed, |setting| as_listed(&attacked(setting)));
}

/// The least number of the same attacks that must work where nothing is done against them: these are no checks that
/// cannot fail. The kernel decides on the last twenty.
const WORK_ON_NOTHING: usize = 180;

fn are_many(name: &str, all: &[tried::Found]) {
    let open = open::count(name, all);
    assert!(open >= WORK_ON_NOTHING, "only {open} attacks work on {name}");
}

#[test]
fn the_same_attacks_work_on_an_inetd() {
    needs!(root);
    needs!(program "setpriv");
    setting::inetd(&[], |connect, targets| {
        are_many("inetd", &tried::everything(connect, &targets.facts(std::process::id()), targets));
    });
}

#[test]
fn the_same_attacks_work_on_spawn() {
    needs!(root);
    needs!(program "postfix");
    setting::under_master(Spawner::Theirs, setting::Policy::Unnamed, |setting| {
        are_many("spawn", &tried::everything(setting.connect, &setting.facts(), setting.targets));
    });
}

#[test]
fn a_connection_stays_locked_where_a_policy_grants_ports() {
    needs!(root);
    needs!(landlock 4);
    let grants = [
        "syscalls.allow=[\"network-client\"]",
        "network.mode=host",
        "network.connect.ports=[1]",
        "network.bind.ports=[1]",
        "network.udp.ports=any",
    ];
    setting::with_grants("strict/tcp", setting::Users::One, &grants, |setting| {
        for name in [
            "connection: turned into a client of a host port",
            "connection: turned into a listener on a host port",
            "connection: listens on a host port without bind",
        ] {
            let found = tried::alone(name, "alone", setting.connect, &setting.facts(), setting.targets);
            assert_eq!(found.verdict, tried::Verdict::Blocked, "{found:?}");
        }
    });
}

/// What lets a command connect, with a peer whose port is the one that the attacks aim at, at another address.
const FORWARDS: [&str; 2] = ["syscalls.allow=[\"tcp-client\"]", "network.forward=[\"127.0.0.2:{port}\"]"];

#[test]
fn no_attack_works_beside_a_relay_but_what_is_listed() {
    needs!(root);
    setting::with_grants("strict/forward", setting::Users::Each, &FORWARDS, |setting| as_listed(&attacked(setting)));
}

/// Ways of using a connection that no lock may break, in the words of the probe. The client has sent enough to read.
const USES: &str = "peer-name , own-name , pending-error , keep-alive , receive-timeout , linger , poll , epoll , peek , \
                    how-much , receive , receive-message , send , send-message , write-vector , without-blocking , splice";

#[test]
fn a_locked_connection_is_used_as_any_other() {
    let file = std::path::Path::new("/usr/bin/env");
    let sixteen = std::fs::read(file).expect("coreutils are there")[..16].to_vec();
    let room = stage::room();
    let unix = format!("unix:{}", room.path("socket").display());
    for (address, own) in [("127.0.0.1:0", "no-delay , cork , tcp-state"), (unix.as_str(), "peer-credentials")] {
        let end = format!("send-file {} , half-close , exit-as-told", file.display());
        let server = scene("strict").probe(&format!("{USES} , {own} , {end}")).listen_on(address);
        let mut client = server.connect().send(b"r2splice8,");
        let mut seen = Vec::new();
        // To the end of the command's half.
        std::io::Read::read_to_end(&mut client, &mut seen).expect("the command closes its half");
        let text = String::from_utf8_lossy(&seen).into_owned();
        for word in USES.split(" , ").chain(own.split(" , ")) {
            assert!(text.contains(&format!("{word}: ok\n")), "{word} over {address}: {text}");
        }
        assert!(text.contains("sent\nsend: ok\nsent\nsend-message: ok\nvector\n"), "{text}");
        assert!(text.contains("splice8,splice: ok\n"), "{text}");
        assert!(seen.windows(16).any(|window| window == sixteen), "no sixteen bytes of {}: {text}", file.display());
        // The client's half is open still.
        client.send(b"7\n").finish();
        server.logs("status=7");
    }
}

#[test]
fn a_socket_that_is_only_shown_cannot_be_spoken_to() {
    let room = stage::room();
    let path = room.path("socket");
    let receiver = UnixDatagram::bind(&path).expect("the room can be written");
    stage::mode(&path, 0o666);
    receiver.set_nonblocking(true).expect("a socket can be made non-blocking");
    let datagram = format!("datagram {}", path.display());
    let shown = scene("strict").set(&format!("files.read=[\"{}\"]", room.whole().display()));
    assert_eq!(shown.clone().probe(&datagram).run().answer(&datagram), "EPERM");
    assert_eq!(receiver.recv(&mut [0; 8]).expect_err("nothing was sent").kind(), ErrorKind::WouldBlock);
    // The grant is what decides, not something else on the way.
    let client = shown.set("syscalls.allow=[\"unix-client\"]");
    // Before Landlock ABI 4 the same call makes the connection itself a client of any port.
    let granted = client.set("network.connect={ports=\"any\"}").probe(&datagram).run();
    assert_ne!(granted.answer(&datagram), "EPERM", "{granted}");
}

#[test]
fn a_file_that_may_only_be_read_is_not_held_up_and_its_directory_not_watched() {
    let room = stage::room();
    let file = room.file("own", "");
    if host::is_root() {
        // A lease asks for the owner: an ordinary user's command has the uid of the user's own files.
        std::os::unix::fs::chown(&file, Some(crate::scene::NOBODY), None).expect("root may");
    }
    let (lease, watch) =
        (format!("read-lease {}", file.display()), format!("watch-directory {}", room.whole().display()));
    let found = scene("strict")
        .unprivileged()
        .set(&format!("files.read=[\"{}\"]", room.whole().display()))
        .probe(&format!("{lease} , {watch}"))
        .run();
    assert_eq!([found.answer(&lease), found.answer(&watch)], ["EPERM", "EPERM"]);
}

#[test]
fn the_hosts_device_nodes_keep_their_times() {
    let found = scene("strict").probe("touch /dev/null , write /dev/null x").run();
    assert_eq!([found.answer("touch /dev/null"), found.answer("write /dev/null x")], ["EROFS", "ok"]);
}

#[test]
fn a_link_that_takes_the_place_of_a_shown_directory_is_not_followed() {
    let room = stage::room();
    room.directory("shown");
    room.directory("hidden");
    room.file("shown/file", "meant");
    room.file("hidden/file", "not meant");
    let file = room.path("shown/file");
    let server = scene("strict")
        .set(&format!("files.read=[\"{}\"]", room.path("shown").display()))
        .shell(&format!("cat {}", file.display()))
        .listen();
    assert_eq!(server.connect().rest(), "meant");
    std::fs::rename(room.path("shown"), room.path("aside")).expect("the room can be written");
    symlink("hidden", room.path("shown")).expect("the room can be written");
    host::eventually("the change is noticed", crate::scene::patience(), || {
        assert_eq!(server.connect().rest(), "meant");
        server.log().contains("a symbolic link has taken the place")
    });
    assert_eq!(server.connect().rest(), "meant");
}

/// `spawnbox run -- cat` with this as standard input and output.
fn run_on(socket: impl Into<OwnedFd>) -> (ExitStatus, String) {
    let socket: OwnedFd = socket.into();
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["run", "--", "/bin/cat"]).current_dir("/").env_clear();
    command.stdin(socket.try_clone().expect("a socket can be copied")).stdout(socket).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program is there");
    drop(command);
    let status = outcome::wait(&mut child, patience(), "a run on a socket");
    let mut stderr = child.stderr.take().expect("standard error is a pipe");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).expect("it is text");
    (status, said)
}

#[test]
fn a_socket_that_is_no_connection_is_not_handed_over() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let sockets: [OwnedFd; 3] = [
        UdpSocket::bind("127.0.0.1:0").expect("loopback is there").into(),
        UnixDatagram::unbound().expect("sockets can be made").into(),
        listener.into(),
    ];
    for socket in sockets {
        let (status, said) = run_on(socket);
        assert_eq!(status.code(), Some(125), "{said}");
        assert!(said.contains("cannot hand over standard input: it is a socket but no connection"), "{said}");
    }
}

#[test]
fn a_client_of_run_hands_the_command_no_descriptor() {
    needs!(kernel 6, 16);
    let (client, server) = UnixStream::pair().expect("socket pairs can be made");
    let descriptor = || OwnedFd::from(server.try_clone().expect("a socket can be copied"));
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["run", "--", "/bin/sh", "-c", "echo ready; read line"]).current_dir("/").env_clear();
    command.stdin(descriptor()).stdout(descriptor()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program is there");
    drop((command, server));
    client.set_read_timeout(Some(patience())).expect("a time-out can be set");
    std::io::Read::read_exact(&mut &client, &mut [0; 6]).expect("the command speaks");
    let sent = pass(&client);
    drop(client);
    outcome::wait(&mut child, patience(), "a run without its client");
    assert_eq!(sent, Err(nix::errno::Errno::EPERM));
}

/// Sends the descriptor of the host's root directory.
fn pass(socket: &UnixStream) -> Result<(), nix::errno::Errno> {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
    use std::os::fd::AsRawFd;
    let root = std::fs::File::open("/").expect("there is a root directory");
    let rights = [root.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&rights)];
    let byte = [std::io::IoSlice::new(b"x")];
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &byte, &message, MsgFlags::empty(), None).map(drop)
}

#[test]
fn a_client_that_waits_before_its_daemon_starts_hands_it_no_descriptor() {
    use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
    needs!(root);
    needs!(program "postfix");
    needs!(kernel 6, 16);
    let room = stage::room();
    crate::postfix::private::in_private(&room.path(""), |log| {
        let entry = "early unix - n n - 1 spawnbox user=nobody argv=/bin/cat\n";
        let postfix = crate::postfix::instance::Postfix::start(&room, "", entry);
        let path = postfix.socket("early");
        let path = path.strip_prefix("unix:").expect("it is a UNIX socket");
        postfix.signal(SIGSTOP);
        let [clean, burdened] = [(); 2].map(|()| UnixStream::connect(path).expect("master has the socket"));
        std::io::Write::write_all(&mut &burdened, &[b'x'; 10_000]).expect("there is room");
        assert_eq!(pass(&burdened), Ok(()), "nobody refuses it yet");
        postfix.signal(SIGCONT);
        // The one is served, the other is not.
        std::io::Write::write_all(&mut &clean, b"hello").expect("the daemon reads");
        clean.shutdown(std::net::Shutdown::Write).expect("it is connected");
        clean.set_read_timeout(Some(patience())).expect("a time-out can be set");
        assert_eq!(std::io::read_to_string(&clean).expect("the command answers"), "hello");
        log.says("its client has sent descriptors with it");
        burdened.set_read_timeout(Some(patience())).expect("a time-out can be set");
        assert_eq!(std::io::read_to_string(&burdened).unwrap_or_default(), "");
        postfix.stop();
    });
}

#[test]
fn a_start_that_fails_leaves_no_cgroup() {
    needs!(cgroup);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["listen", &address, "--", "/bin/cat"]).current_dir("/").stderr(Stdio::null());
    let mut child = command.spawn().expect("the program is there");
    let status = outcome::wait(&mut child, patience(), "a start on a taken port");
    assert_eq!(status.code(), Some(1));
    let name = format!("spawnbox-{}-", child.id());
    let all = host::cgroups_below(&host::cgroup_root().expect("needed above"));
    let left: Vec<_> = all.iter().filter(|path| path.to_string_lossy().contains(&name)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_command_that_is_process_1_cannot_cut_itself_loose_from_its_supervisor() {
    let server = scene("strict").set("isolation.init=false").probe("ignore , loose , say ready , wait").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "loose: EPERM");
    assert_eq!(client.line(), "ready");
    let session = host::watch(&host::tree(server.pid())[1..]);
    assert_eq!(session.count(), 2, "the launcher and the command");
    server.signal(nix::sys::signal::Signal::SIGKILL);
    assert!(session.end_within(crate::scene::soon()), "something outlived the supervisor");
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_client_and_no_time_limit() {
    let (read, write) = std::io::pipe().expect("pipes can be made");
    // Full but for less than a line, however large the kernel's pipes are.
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&write, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("a pipe can be made non-blocking");
    while nix::unistd::write(&write, &[b'x'; 4096]).is_ok() {}
    nix::fcntl::fcntl(&write, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).expect("and blocking again");
    let room = stage::room();
    let path = room.path("socket");
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["listen", &format!("unix:{}", path.display()), "--print-port", "-slimits.time=1s"]);
    command.args(["--", "/bin/sleep", "60"]).current_dir("/").stdout(Stdio::piped()).stderr(write);
    let mut child = command.spawn().expect("the program is there");
    drop(command);
    let mut stdout = child.stdout.take().expect("standard output is a pipe");
    std::io::Read::read_exact(&mut stdout, &mut [0]).expect("it says where it listens");
    let client = UnixStream::connect(&path).expect("it listens");
    client.set_read_timeout(Some(patience())).expect("a time-out can be set");
    let ended = std::io::Read::read(&mut &client, &mut [0]);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(ended.expect("the time limit ends the session"), 0);
    drop(read);
}
