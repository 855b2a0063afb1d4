// SPDX-License-Identifier: Apache-2.0
//! A client that misbehaves costs only its own session; many good ones are served at once by one process.

use crate::scene::{Client, host, scene, stage};
use std::io::{ErrorKind, Write};

#[test]
fn three_hundred_clients_are_served_at_once_by_one_process() {
    let server = scene("strict").shell("echo ready; read line; echo \"$line\"").listen();
    let mut clients: Vec<Client> = (0..300).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.line(), "ready");
    }
    // Only now does the first one go on: all of them are there at the same time.
    assert_eq!(host::status_of(server.pid(), "Threads").as_deref(), Some("1"));
    for (number, client) in clients.into_iter().enumerate() {
        assert_eq!(client.send(format!("{number}\n").as_bytes()).rest(), format!("{number}\n"));
    }
    server.logs_times("outcome=exited", 300);
}

#[test]
fn a_silent_client_keeps_nobody_waiting_and_meets_its_limit() {
    let server = scene("strict").set("limits.time=\"1s\"").shell("read line; echo \"$line\"").listen();
    let silent = server.connect();
    assert_eq!(server.connect().send(b"hello\n").rest(), "hello\n");
    server.logs("outcome=time-limit");
    assert_eq!(silent.rest(), "");
}

#[test]
fn a_reset_ends_a_session_that_reads() {
    let server = scene("strict").shell("echo ready; cat; echo after").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    client.reset();
    server.logs("session=");
    let mut next = server.connect();
    assert_eq!(next.line(), "ready");
}

#[test]
fn a_half_closed_connection_still_carries_the_answer() {
    let server = scene("strict").shell("cat; echo end").listen();
    assert_eq!(server.connect().send(b"question\n").finish().rest(), "question\nend\n");
}

#[test]
fn a_flood_costs_the_supervisor_nothing() {
    let server = scene("strict")
        .shell("echo ready; read line; while :; do read line; done </dev/null")
        .set("limits.time=\"2s\"")
        .listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let before = host::memory_kib(server.pid());
    let sent = flood(&mut client);
    assert_eq!(server.connect().line(), "ready");
    assert!(host::memory_kib(server.pid()) <= before + 64, "{sent} bytes were taken into memory");
    server.logs("outcome=time-limit");
}

/// Sends until the kernel takes no more, and says how much that was.
fn flood(client: &mut Client) -> usize {
    let Client::Tcp(stream) = client else { panic!("a flood goes over TCP") };
    stream.set_nonblocking(true).expect("a socket can be");
    let bytes = [b'x'; 65536];
    let mut sent = 0;
    loop {
        match stream.write(&bytes) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the flood broke off: {error}"),
        }
    }
    stream.set_nonblocking(false).expect("a socket can be");
    sent
}

#[test]
fn clients_that_come_and_go_leave_no_session_behind() {
    let server = scene("strict").shell("read line; echo \"$line\"").listen();
    for _ in 0..50 {
        drop(server.connect());
    }
    server.logs_times("session=", 50);
    host::eventually("every session has ended", crate::scene::patience(), || host::inside(server.pid()).is_empty());
    assert_eq!(server.connect().send(b"hello\n").rest(), "hello\n");
}

#[test]
fn a_broken_policy_leaves_other_services_alone() {
    let room = stage::room();
    let broken = room.file("broken.toml", "version = 1\n[files]\nraed = []\n");
    let server = scene("strict").shell("echo hello").listen();
    scene("default").policy_file(&broken).command("/bin/true").listen_refused().says("unknown key `raed`").exits(2);
    assert_eq!(server.connect().rest(), "hello\n");
}
