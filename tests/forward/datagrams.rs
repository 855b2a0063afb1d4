// SPDX-License-Identifier: Apache-2.0
//! `network.forward` of UDP: each socket has its own answers from its own peer, and nothing of a stranger's.

use super::{forwarding, relay_of};
use crate::scene::{Scene, host, patience};
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};

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
