// SPDX-License-Identifier: Apache-2.0
//! The PROXY protocol: a proxy that is trusted says who its client is, and nobody else does. Not one byte of the
//! conversation is taken with the header, and nobody waits for one that does not come.

use crate::scene::{Client, Scene, Server, a_second, patience, scene, stage};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Says who its client is, and then all that the client has said.
fn telling() -> Scene {
    scene("strict")
        .set("clients.proxy-protocol={ from = [\"127.0.0.1\"] }")
        .set("command.client-environment=true")
        .shell("echo \"$TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT\"; cat")
}

fn with(server: &Server, header: &[u8], said: &str) -> String {
    server.connect().send(&[header, said.as_bytes()].concat()).finish().rest()
}

/// What comes of a connection that may be reset before all of this is sent.
fn refused(server: &Server, said: &[u8]) -> String {
    let mut client = server.connect();
    let _ = client.write_all(said);
    client.rest()
}

/// A header of version 2 for 192.0.2.1:4711, which has connected to 192.0.2.9:25.
fn v2(command: u8, values: &[u8]) -> Vec<u8> {
    let ends = [192, 0, 2, 1, 192, 0, 2, 9, 0x12, 0x67, 0, 25];
    let length = u16::try_from(ends.len() + values.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, 0x11], &length, &ends, values].concat()
}

#[test]
fn what_is_no_header_or_comes_from_elsewhere_is_refused() {
    let server = telling().listen();
    assert_eq!(refused(&server, b"EHLO example.com\r\n"), "");
    server.logs("what it sends first is no header of the PROXY protocol");
    let elsewhere = scene("strict").set("clients.proxy-protocol.from=[\"127.0.0.2\"]").shell("echo never").listen();
    assert_eq!(refused(&elsewhere, b"PROXY TCP4 127.0.0.2 127.0.0.2 1 2\r\n"), "");
    elsewhere.logs("clients.proxy-protocol.from does not have it");
}

#[test]
fn the_command_sees_the_proxys_client_and_every_byte_of_the_conversation() {
    let server = telling().listen();
    let said = "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nEHLO\r\n".repeat(500);
    let client = "192.0.2.1 4711 192.0.2.9 25\n";
    let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 25\r\n";
    assert_eq!(with(&server, v1, &said), format!("{client}{said}"));
    assert_eq!(
        with(&server, &v2(0x21, &[4, 0, 200].iter().chain(&[0; 200]).copied().collect::<Vec<u8>>()), &said),
        format!("{client}{said}")
    );
    server.logs_times("client=192.0.2.1:4711 proxy=127.0.0.1:", 2);
    let own = with(&server, &v2(0x20, &[]), "x\n");
    assert!(own.starts_with("127.0.0.1 ") && own.ends_with("\nx\n"), "{own}");
    assert!(with(&server, b"PROXY UNKNOWN\r\n", "").starts_with("127.0.0.1 "));
}

#[test]
fn a_header_may_come_in_pieces() {
    let server = telling().listen();
    for header in [b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 25\r\n".to_vec(), v2(0x21, &[])] {
        let mut client = server.connect();
        let Client::Tcp(stream) = &client else { panic!("it is TCP") };
        stream.set_nodelay(true).unwrap();
        for byte in header {
            client.write_all(&[byte]).unwrap();
            std::thread::yield_now();
        }
        assert_eq!(client.line(), "192.0.2.1 4711 192.0.2.9 25");
        assert_eq!(client.send(b"hello\n").finish().rest(), "hello\n");
    }
}

#[test]
fn a_header_that_does_not_come_keeps_nobody_waiting_and_is_not_waited_for() {
    let server = telling().listen();
    let begin = Instant::now();
    let (silent, half) = (server.connect(), server.connect().send(b"PROXY TCP4"));
    assert_eq!(with(&server, b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 25\r\n", ""), "192.0.2.1 4711 192.0.2.9 25\n");
    assert!(begin.elapsed() < 4 * a_second());
    assert_eq!((silent.rest(), half.rest()), (String::new(), String::new()));
    assert!(begin.elapsed() >= Duration::from_secs(5));
    server.logs("its header did not come within 5 s");
}

#[test]
fn limits_count_the_proxys_clients_and_not_the_proxy() {
    let server = scene("strict")
        .set("clients.proxy-protocol={ from = [\"127.0.0.1\"] }")
        .set("clients.per-source=1")
        .set("clients.deny=[\"192.0.2.66\"]")
        .set("clients.busy=busy")
        .shell("echo ready; read line")
        .listen();
    let come = |from: &str| server.connect().send(format!("PROXY TCP4 {from} 192.0.2.9 4711 25\r\n").as_bytes());
    let (mut one, mut other) = (come("192.0.2.1"), come("192.0.2.2"));
    assert_eq!((one.line(), other.line()), ("ready".to_string(), "ready".to_string()));
    assert_eq!(come("192.0.2.1").rest(), "busy");
    assert_eq!(come("192.0.2.66").rest(), "");
    server.logs("1 connections of 192.0.2.1/32 are there");
    server.logs("refused client=192.0.2.66:4711 proxy=127.0.0.1:");
}

#[test]
fn the_headers_of_haproxy_are_read() {
    needs!(program "haproxy");
    let server = telling().listen();
    let room = stage::room();
    // Nobody else takes a port that was free a moment ago, but by chance.
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"];
    let fronts: Vec<(SocketAddr, &str)> = options.iter().map(|option| (free(), *option)).collect();
    let mut text = "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n".to_string();
    for (at, (front, option)) in fronts.iter().enumerate() {
        let to = server.address();
        text.push_str(&format!("listen l{at}\n bind {front}\n unique-id-format %pid\n server s {to} {option}\n"));
    }
    let file = room.file("haproxy.cfg", &text);
    let haproxy = Command::new("haproxy").arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).spawn();
    let _haproxy = stage::Running(haproxy.unwrap());
    for (front, option) in fronts {
        crate::scene::host::eventually("haproxy listens", patience(), || TcpStream::connect(front).is_ok());
        let client = Client::connect(&front.to_string());
        let Client::Tcp(stream) = &client else { panic!("it is TCP") };
        let own = stream.local_addr().unwrap();
        let expected = format!("{} {} {} {}\nhello\n", own.ip(), own.port(), front.ip(), front.port());
        assert_eq!(client.send(b"hello\n").finish().rest(), expected, "{option}");
    }
}
