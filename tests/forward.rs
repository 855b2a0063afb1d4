// SPDX-License-Identifier: Apache-2.0
//! `network.forward`: a relay of the session reaches the peers that the policy names and no others, carries every byte,
//! and ends with its session.

mod datagrams;
mod client;
mod process;

use crate::scene::{NOBODY, Scene, a_second, host, patience, scene};
use std::io::{Read, Write};
use std::net::TcpListener;
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

/// The processes of the sandboxes below a server.
fn session_of(server: u32) -> Vec<u32> {
    let user = NOBODY.to_string();
    let is_theirs =
        |pid: &u32| host::status_of(*pid, "Uid").is_some_and(|ids| ids.split_whitespace().next() == Some(&user));
    host::tree(server).into_iter().filter(is_theirs).collect()
}

/// The relay of the only session of a server: the process that has stayed in the host's network.
fn relay_of(server: u32) -> u32 {
    let host = host::namespace(std::process::id(), "net");
    let relays: Vec<u32> = session_of(server).into_iter().filter(|pid| host::namespace(*pid, "net") == host).collect();
    assert_eq!(relays.len(), 1, "one process is in the host's network");
    relays[0]
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
