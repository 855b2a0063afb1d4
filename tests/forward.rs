// SPDX-License-Identifier: Apache-2.0
//! `network.forward`: a relay of the session reaches the peers that the policy names and no others, carries every byte,
//! and ends with its session.

use crate::scene::{Client, NOBODY, Scene, a_second, host, patience, scene};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, channel};

/// A peer of the host: answers each client with how much it has said, and tells the test.
struct Peer {
    address: String,
    heard: Receiver<Vec<u8>>,
}

impl Peer {
    fn at(address: &str) -> Peer {
        Peer::slow(address, std::time::Duration::ZERO)
    }

    /// One that lets each client wait before it listens to it.
    fn slow(address: &str, pause: std::time::Duration) -> Peer {
        let listener = TcpListener::bind(format!("{address}:0")).expect("loopback is there");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                let mut said = Vec::new();
                std::thread::sleep(pause);
                // A client that breaks off has said what it has said.
                let _ = client.read_to_end(&mut said);
                let _ = writeln!(client, "heard {}", said.len());
                if tell.send(said).is_err() {
                    return;
                }
            }
        });
        Peer { address, heard }
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').expect("it has a port").1
    }
}

fn forwarding(peers: &[&str]) -> Scene {
    let list: Vec<String> = peers.iter().map(|peer| format!("\"{peer}\"")).collect();
    scene("strict").set(&format!("network.forward=[{}]", list.join(","))).set("syscalls.allow=[\"tcp-client\"]")
}

/// A script that says `what` to a port of 127.0.0.1 and prints the answer.
fn speaks(scene: Scene, what: &str, port: &str) -> Scene {
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; {what} >&3; exec /usr/bin/env true");
    scene.argv(&["/bin/bash", "-c", &script])
}

#[test]
fn a_forwarded_peer_is_reached_and_no_other() {
    needs!(root);
    let (peer, other) = (Peer::at("127.0.0.1"), Peer::at("127.0.0.1"));
    let reached = format!("connect {} , connect {} , connect 127.0.0.2:{}", peer.address, other.address, peer.port());
    for scene in [forwarding(&[&peer.address]), forwarding(&[&peer.address]).unprivileged()] {
        let outcome = scene.probe(&reached).run().exits(0);
        assert_eq!(outcome.answer(&format!("connect {}", peer.address)), "ok");
        assert_ne!(outcome.answer(&format!("connect {}", other.address)), "ok");
        assert_eq!(peer.heard.recv_timeout(patience()).expect("it was connected to"), b"");
        // The peer's port at an address that is not forwarded: the session's own loopback, and nobody is there.
        assert_eq!(outcome.answer(&format!("connect 127.0.0.2:{}", peer.port())), "ECONNREFUSED");
    }
    assert!(other.heard.try_recv().is_err(), "a peer was reached that is not forwarded");
}

#[test]
fn what_a_command_says_last_reaches_its_peer() {
    needs!(program "bash");
    let peer = Peer::at("127.0.0.1");
    for _ in 0..5 {
        // 3 MB, and the end: more than the sockets on the way hold.
        let lines = "for n in 1 2 3; do printf '%01000000d' 0; done";
        speaks(forwarding(&[&peer.address]), lines, peer.port()).run().exits(0);
        assert_eq!(peer.heard.recv_timeout(patience()).expect("it was connected to").len(), 3_000_000);
    }
}

#[test]
fn what_a_command_says_last_reaches_a_peer_that_is_slow() {
    needs!(program "bash");
    // The command has ended by then, and most of it waits in the session's sockets.
    let peer = Peer::slow("127.0.0.1", a_second() / 2);
    for _ in 0..5 {
        let lines = "for n in 1 2 3; do printf '%01000000d' 0; done";
        speaks(forwarding(&[&peer.address]), lines, peer.port()).run().exits(0);
        assert_eq!(peer.heard.recv_timeout(patience()).expect("it was connected to").len(), 3_000_000);
    }
}

#[test]
fn a_process_that_the_command_leaves_behind_does_not_hold_the_session() {
    needs!(program "bash");
    let peer = Peer::at("127.0.0.1");
    let began = std::time::Instant::now();
    speaks(forwarding(&[&peer.address]), "/bin/sleep 1000 & printf '%01000000d' 0", peer.port()).run().exits(0);
    assert_eq!(peer.heard.recv_timeout(patience()).expect("it was connected to").len(), 1_000_000);
    assert!(began.elapsed() < 10 * a_second(), "the session lasted for as long as the relay has");
}

#[test]
fn a_peer_that_is_not_there_is_an_error_and_no_answer() {
    needs!(program "bash");
    let gone = TcpListener::bind("127.0.0.1:0").expect("loopback is there").local_addr().expect("it is bound");
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; if read -r line <&3; then echo answered; else echo broken; fi",
        gone.port()
    );
    forwarding(&[&gone.to_string()]).argv(&["/bin/bash", "-c", &script]).run().stdout("broken\n");
}

#[test]
fn peers_have_their_own_addresses() {
    needs!(root);
    // Nobody of the host has these; that the connection breaks is the host's answer, that it is made the session's.
    let peers = ["192.0.2.7:25", "192.0.2.7:26", "198.51.100.9:53", "[::1]:25", "[2001:db8::7]:25"];
    let asked: Vec<String> = peers.iter().map(|peer| format!("connect {peer}")).collect();
    let datagrams = ["udp:192.0.2.7:53", "udp:[2001:db8::7]:53"];
    let scene = forwarding(&[&peers[..], &datagrams].concat()).set("syscalls.allow=[\"resolve\"]");
    let outcome = scene.probe(&asked.join(" , ")).run().exits(0);
    for question in asked {
        // Where the relay is quicker than whoever waits in connect(2), the break is what that one hears of.
        let answer = outcome.answer(&question);
        assert!(["ok", "ECONNRESET"].contains(&answer), "{question}: {answer}");
    }
}

/// A peer of the host's that answers each datagram by its length, after somebody else has tried to.
fn datagram_peer(address: &str) -> (String, Receiver<Vec<u8>>) {
    let socket = UdpSocket::bind(format!("{address}:0")).expect("loopback is there");
    let stranger = UdpSocket::bind(format!("{address}:0")).expect("loopback is there");
    let own = socket.local_addr().expect("it is bound").to_string();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut bytes) {
            // It may be gone, and then hears neither.
            let _ = stranger.send_to(b"forged\n", client);
            let _ = socket.send_to(format!("heard {length}\n").as_bytes(), client);
            if tell.send(bytes[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    (own, heard)
}

fn forwarding_datagrams(peers: &[&str]) -> Scene {
    let peers: Vec<String> = peers.iter().map(|peer| format!("udp:{peer}")).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    forwarding(&peers).set("syscalls.allow=[\"resolve\"]")
}

/// Prints one datagram: bash(1) would take a byte of it, and lose the rest.
const HEAR: &str = "dd bs=1500 count=1 status=none";

/// bash(1)'s name of a peer of UDP.
fn device(peer: &str) -> String {
    let (address, port) = peer.rsplit_once(':').expect("it has a port");
    format!("/dev/udp/{}/{port}", address.trim_matches(['[', ']']))
}

#[test]
fn datagrams_reach_their_peer_and_its_answers_come_back() {
    needs!(root);
    needs!(program "bash");
    for address in ["127.0.0.1", "[::1]"] {
        let (peer, heard) = datagram_peer(address);
        let (other, others) = datagram_peer(address);
        let long = "dd if=/dev/zero bs=60000 count=1 status=none >&3";
        let script = format!(
            "exec 3<>{}; echo x >&3; {HEAR} <&3; echo x >&3; {HEAR} <&3; {long}; {HEAR} <&3; echo y >{}",
            device(&peer),
            device(&other)
        );
        for scene in [forwarding_datagrams(&[&peer]), forwarding_datagrams(&[&peer]).unprivileged()] {
            let outcome = scene.argv(&["/bin/bash", "-c", &script]).run();
            assert_eq!(outcome.stdout, "heard 2\nheard 2\nheard 60000\n", "{outcome}");
            assert_eq!(heard.recv_timeout(patience()).expect("it was asked"), b"x\n");
            assert_eq!(heard.recv_timeout(patience()).expect("it was asked"), b"x\n");
            assert_eq!(heard.recv_timeout(patience()).expect("it was asked").len(), 60_000);
        }
        assert!(others.try_recv().is_err(), "a peer was reached that is not forwarded");
    }
}

#[test]
fn each_socket_gets_its_own_answers_and_many_cost_no_more_than_the_table() {
    needs!(root);
    needs!(program "bash");
    let (peer, _heard) = datagram_peer("127.0.0.1");
    let device = device(&peer);
    let two = format!("exec 3<>{device} 4<>{device}; echo 1 >&3; echo 22 >&4; {HEAR} <&4; {HEAR} <&3");
    let many = format!("for n in {{1..150}}; do exec 5<>{device}; echo n >&5; exec 5>&-; done; echo many; read -r _");
    let server = forwarding_datagrams(&[&peer]).argv(&["/bin/bash", "-c", &format!("{two}; {many}; {two}")]).listen();
    let mut client = server.connect();
    assert_eq!([client.line(), client.line()], ["heard 3", "heard 2"]);
    assert_eq!(client.line(), "many");
    let relay = relay_of(server.pid());
    // Up to its channel's number, the reserve, the listener, the connection with its four ends of pipes, and the table.
    assert!(host::descriptors(relay) <= 5 + 1 + 1 + 6 + 64, "{} descriptors", host::descriptors(relay));
    client = client.send(b"\n");
    assert_eq!([client.line(), client.line()], ["heard 3", "heard 2"]);
}

#[test]
fn the_last_datagram_of_a_command_reaches_its_peer() {
    needs!(program "bash");
    let (peer, heard) = datagram_peer("127.0.0.1");
    for _ in 0..5 {
        let script = format!("exec 3<>{}; echo last >&3; kill -9 $$", device(&peer));
        forwarding_datagrams(&[&peer]).argv(&["/bin/bash", "-c", &script]).run();
        assert_eq!(heard.recv_timeout(patience()).expect("it was asked"), b"last\n");
    }
}

/// Everything that the client says comes back, and then the end.
fn comes_back(scene: Scene) {
    let server = scene.argv(&["/bin/cat"]).listen();
    let said: Vec<u8> = (0..2_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = server.connect();
    let mut back = Vec::new();
    std::thread::scope(|threads| {
        let Client::Tcp(stream) = &client else { panic!("it listens on TCP") };
        let mut writer = stream.try_clone().expect("a descriptor is left");
        let said = &said;
        threads.spawn(move || {
            writer.write_all(said).expect("the command reads");
            writer.shutdown(Shutdown::Write).expect("the connection is there");
        });
        client.read_to_end(&mut back).expect("the command ends in order");
    });
    assert!(back == said, "{} bytes came back", back.len());
}

#[test]
fn a_connection_through_the_relay_is_whole() {
    comes_back(forwarding(&["127.0.0.1:1"]));
    comes_back(forwarding(&["127.0.0.1:1"]).set("connection.hold=true").set("connection.stderr=log"));
}

#[test]
fn a_slow_client_hears_the_last_word() {
    let server = forwarding(&["127.0.0.1:1"]).shell("printf '%0300000d' 0").listen();
    let client = server.connect();
    // The command has ended by then, and its relay waits for the client.
    std::thread::sleep(a_second() / 2);
    assert_eq!(client.rest().len(), 300_000);
}

#[test]
fn a_client_that_sends_urgent_data_is_cut_off() {
    let server = forwarding(&["127.0.0.1:1"]).argv(&["/bin/cat"]).listen();
    let client = server.connect();
    let Client::Tcp(stream) = &client else { panic!("it listens on TCP") };
    // What follows the urgent byte would wait for ever: splice(2) does not pass it.
    send(stream.as_raw_fd(), b"x", MsgFlags::MSG_OOB).expect("the connection is there");
    send(stream.as_raw_fd(), b"y", MsgFlags::empty()).expect("the connection is there");
    assert_eq!(client.rest(), "");
    server.logs("session=1 ");
}

#[test]
fn the_connection_is_no_socket_of_the_hosts_network() {
    let server = forwarding(&["127.0.0.1:1"]).probe("tcp-state , listen-connection , peer-name").listen();
    let text = server.connect().rest();
    assert_eq!(text, "tcp-state: EOPNOTSUPP\nlisten-connection: EPERM\npeer-name: ok\n");
}

/// The processes of the sandboxes below a server.
fn session_of(server: u32) -> Vec<u32> {
    let user = NOBODY.to_string();
    let is_theirs =
        |pid: &u32| host::status_of(*pid, "Uid").is_some_and(|ids| ids.split_whitespace().next() == Some(&user));
    host::tree(server).into_iter().filter(is_theirs).collect()
}

#[test]
fn a_relay_ends_with_its_supervisor() {
    needs!(root);
    let server = forwarding(&["127.0.0.1:1"]).probe("say ready , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let session = host::watch(&session_of(server.pid()));
    // Reaper, relay, command.
    assert_eq!(session.count(), 3);
    kill(Pid::from_raw(server.pid() as i32), Signal::SIGKILL).expect("the server is ours");
    assert!(session.end_within(patience()), "a process of the session lives on");
}

#[test]
fn a_relay_that_is_stopped_holds_a_session_no_longer_than_its_limit() {
    needs!(root);
    let server = forwarding(&["127.0.0.1:1"]).set("limits.time=2s").probe("say ready , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    for pid in session_of(server.pid()) {
        // The command as well: which is which does not matter.
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGSTOP);
    }
    server.logs("outcome=time-limit");
    drop(client);
}

/// The relay of the only session of a server: the process that has stayed in the host's network.
fn relay_of(server: u32) -> u32 {
    let host = host::namespace(std::process::id(), "net");
    let relays: Vec<u32> = session_of(server).into_iter().filter(|pid| host::namespace(*pid, "net") == host).collect();
    assert_eq!(relays.len(), 1, "one process is in the host's network");
    relays[0]
}

#[test]
fn a_relay_that_ends_before_its_session_is_said() {
    needs!(root);
    for signal in [Signal::SIGKILL, Signal::SIGXCPU] {
        let server = forwarding(&["127.0.0.1:1"]).probe("say ready , line").listen();
        let mut client = server.connect();
        assert_eq!(client.line(), "ready");
        kill(Pid::from_raw(relay_of(server.pid()) as i32), signal).expect("the relay lives");
        let line = server.logs(" relay=signaled ");
        assert!(
            line.contains(&format!("session=1 relay=signaled signal={signal}: what the policy forwards")),
            "{line}"
        );
        assert_eq!(client.rest(), "", "the connection is cut off");
        server.logs("outcome=exited");
    }
}

#[test]
fn a_command_can_neither_end_its_relay_nor_look_into_it() {
    needs!(root);
    needs!(landlock 6);
    // They are of one user, and the filter lets the command try.
    let scene = forwarding(&["127.0.0.1:1"]).set("syscalls.allow=[\"trace\"]").set("files.proc=subset");
    let asked = "pid , kill 2 0 , kill 2 9 , ptrace 2 , open /proc/2/mem , list /proc/2/fd , read /proc/2/environ";
    let outcome = scene.probe(asked).run().exits(0);
    assert_eq!(outcome.answer("pid"), "3 parent 1", "the relay is the first that the reaper has made");
    for (question, answer) in [
        ("kill 2 0", "EPERM"),
        ("kill 2 9", "EPERM"),
        ("ptrace 2", "EPERM"),
        ("open /proc/2/mem", "EACCES"),
        ("list /proc/2/fd", "EACCES"),
        ("read /proc/2/environ", "EACCES"),
    ] {
        assert_eq!(outcome.answer(question), answer, "{question}");
    }
}

#[test]
fn a_relay_is_held_to_the_limits_of_each_process() {
    needs!(root);
    let limits = ["processor-time=7s", "address-space=300M", "open-files=20", "file-size=3M"];
    let scene = limits.iter().fold(forwarding(&["127.0.0.1:1"]), |scene, limit| scene.set(&format!("limits.{limit}")));
    let server = scene.probe("say ready , line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let relay = relay_of(server.pid());
    let text = std::fs::read_to_string(format!("/proc/{relay}/limits")).expect("the relay lives");
    let limit = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("the kernel lists it");
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max cpu time"), "7 8");
    assert_eq!(limit("Max address space"), format!("{0} {0}", 300 << 20));
    assert_eq!(limit("Max file size"), format!("{0} {0}", 3 << 20));
    // Not the command's: what sixty-four connections take, and as many sockets with datagrams.
    assert_eq!(limit("Max open files"), "476 476");
}

/// A peer that greets whoever comes, and ends.
fn greeter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let _ = writeln!(client, "hello");
        }
    });
    port
}

/// Lets a process of the session have this many descriptors: its own user may, where root has no CAP_SYS_RESOURCE.
fn limit_files(process: u32, most: u64) {
    let words = ["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--pid", &process.to_string()];
    let mut command = std::process::Command::new("setpriv");
    let status = command.args(words).arg(format!("--nofile={most}:476")).status().expect("setpriv is there");
    assert!(status.success(), "{status}");
}

#[test]
fn a_relay_without_a_descriptor_ends_who_comes_and_keeps_no_processor_busy() {
    needs!(root);
    needs!(program "bash");
    let port = greeter();
    let hear = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && read -r line <&3 && echo $line");
    let ask = format!("read -r _; ({hear}) 2>/dev/null || echo ended");
    let server = forwarding(&[&format!("127.0.0.1:{port}")])
        .argv(&["/bin/bash", "-c", &format!("exec 2>&1; echo ready; {ask}; {ask}; {ask}")])
        .listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let relay = relay_of(server.pid());
    let open = host::descriptors(relay) as u64;

    // With the one that it has kept for this.
    limit_files(relay, open);
    client = client.send(b"\n");
    assert_eq!(client.line(), "ended");
    limit_files(relay, 476);
    client = client.send(b"\n");
    assert_eq!(client.line(), "hello");

    // With none but up to its channel's: whoever comes waits until there is one.
    limit_files(relay, 5);
    client = client.send(b"\n");
    let before = host::ticks(relay);
    std::thread::sleep(a_second());
    assert!(host::ticks(relay) < before + 20, "it turns round and round");
    limit_files(relay, 476);
    assert_eq!(client.line(), "hello");
}

#[test]
fn a_session_does_not_begin_beside_a_relay_that_is_not_confined() {
    needs!(root);
    needs!(cgroup);
    // The relay is the first to make each of these calls, or alone in making them.
    for (refusal, says) in [
        ("session:seccomp=ENOMEM", "cannot make the relay's process (filter): Cannot allocate memory"),
        ("session:landlock_restrict_self=E2BIG", "cannot make the relay's process (Landlock): Argument list too long"),
        ("session:prlimit64@1:11=EPERM", "cannot set the resource limit pending-signals 64: Operation not permitted"),
        ("session:prctl@0:24=EPERM", "cannot drop a capability for good (CAP_CHOWN): Operation not permitted"),
        ("session:prctl@0:1=EPERM", "cannot give up every right (parent-death signal): Operation not permitted"),
        ("session:dup3=EBUSY", "cannot make the relay's process (channel): Device or resource busy"),
    ] {
        let outcome = forwarding(&["127.0.0.1:1"]).failing(refusal).shell("echo never").run();
        assert_eq!(outcome.stdout, "", "the command ran: {outcome}");
        outcome.says(says).exits(125);
    }
}

#[test]
fn what_cannot_stand_beside_it_is_refused() {
    for (setting, says) in [
        ("network.mode=host", "network.forward and network.mode = \"host\" exclude each other"),
        ("isolation.unique-pid=true", "network.forward and isolation.unique-pid = true exclude each other"),
        ("isolation.init=false", "network.forward needs isolation.init = true"),
        ("connection.ends=tree", "network.forward needs connection.ends = \"command\""),
        ("limits.open-files=9", "network.forward needs limits.open-files of at least 16"),
        (
            "network.forward=[\"udp:127.0.0.1:1\"]",
            "network.forward needs \"resolve\" or a wider group in syscalls.allow",
        ),
        ("syscalls.deny=[\"connect\"]", "network.forward needs \"tcp-client\" or a wider group in syscalls.allow"),
    ] {
        forwarding(&["127.0.0.1:1"]).set(setting).shell("echo never").run().says(says).exits(2);
    }
}
