// SPDX-License-Identifier: Apache-2.0
//! `network.forward`: a relay of the session reaches the peers that the policy names and no others, carries every byte,
//! and ends with its session.

use crate::scene::{Client, NOBODY, Scene, a_second, host, patience, scene};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, channel};

/// A peer of the host: answers each client with how much it has said, and tells the test.
struct Peer {
    address: String,
    heard: Receiver<Vec<u8>>,
}

impl Peer {
    fn at(address: &str) -> Peer {
        let listener = TcpListener::bind(format!("{address}:0")).expect("loopback is there");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                let mut said = Vec::new();
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
    let outcome = forwarding(&peers).probe(&asked.join(" , ")).run().exits(0);
    for question in asked {
        // Where the relay is quicker than whoever waits in connect(2), the break is what that one hears of.
        let answer = outcome.answer(&question);
        assert!(["ok", "ECONNRESET"].contains(&answer), "{question}: {answer}");
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

#[test]
fn what_cannot_stand_beside_it_is_refused() {
    for (setting, says) in [
        ("network.mode=host", "network.forward and network.mode = \"host\" exclude each other"),
        ("isolation.unique-pid=true", "network.forward and isolation.unique-pid = true exclude each other"),
        ("isolation.init=false", "network.forward needs isolation.init = true"),
        ("connection.ends=tree", "network.forward needs connection.ends = \"command\""),
        ("limits.open-files=9", "network.forward needs limits.open-files of at least 16"),
        ("syscalls.deny=[\"connect\"]", "network.forward needs \"tcp-client\" or a wider group in syscalls.allow"),
    ] {
        forwarding(&["127.0.0.1:1"]).set(setting).shell("echo never").run().says(says).exits(2);
    }
}
