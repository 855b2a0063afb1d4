// SPDX-License-Identifier: Apache-2.0
//! Limits on clients: whoever comes too often or must not come is refused, and everybody else is served as before.

use crate::scene::{Client, Server, host, patience, scene, stage};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// From another address of this host's loopback network.
fn from(source: [u8; 4], server: &Server) -> Client {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket is there");
    bind(&socket, &SocketAddr::from((source, 0))).expect("the address is this host's");
    let port = server.address().parse::<SocketAddr>().expect("it is an address").port();
    connect(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).expect("the server listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(patience())).expect("a socket can wait");
    Client::Tcp(stream)
}

#[test]
fn two_hundred_at_once_from_one_address_harm_no_other_one() {
    let server = scene("strict")
        .set("clients.per-source=5")
        .set("clients.busy=\"421 too busy\\r\\n\"")
        .shell("echo ready; read line; echo \"$line\"")
        .listen();
    let clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    let mut other = from([127, 0, 0, 9], &server);
    assert_eq!(other.line(), "ready");
    let (mut served, mut refused) = (Vec::new(), 0);
    for mut client in clients {
        match client.line().as_str() {
            "ready" => served.push(client),
            "421 too busy\r" => refused += 1,
            line => panic!("{line:?}"),
        }
    }
    assert_eq!((served.len(), refused), (5, 195));
    server.logs_times("clients.per-source has no more", 1);
    // Their places are there again when they have left.
    for client in served {
        assert_eq!(client.send(b"bye\n").rest(), "bye\n");
    }
    server.logs_times("outcome=exited", 5);
    assert_eq!(server.connect().line(), "ready");
    assert_eq!(other.send(b"still here\n").rest(), "still here\n");
}

#[test]
fn a_busy_line_comes_to_whoever_has_sent_something_already() {
    let server = scene("strict")
        .set("clients.per-source=1")
        .set("clients.busy=\"421 too busy\\r\\n\"")
        .shell("echo ready; read line")
        .listen();
    let mut first = server.connect();
    assert_eq!(first.line(), "ready");
    for _ in 0..20 {
        // Unread bytes have the kernel reset a connection that is closed.
        let late = server.connect().send(&[b'x'; 20_000]);
        assert_eq!(late.finish().rest(), "421 too busy\r\n");
    }
}

#[test]
fn whoever_stays_after_a_busy_line_is_left_all_the_same() {
    let server =
        scene("strict").set("clients.per-source=1").set("clients.busy=busy").shell("echo ready; read line").listen();
    let mut first = server.connect();
    assert_eq!(first.line(), "ready");
    // The first one's session may not have all of its own yet, or more than it keeps.
    let few = host::descriptors(server.pid()) + 100;
    let stay: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    server.logs("clients.per-source has no more");
    host::eventually("no refused client is held", patience(), || host::descriptors(server.pid()) < few);
    stay.into_iter().for_each(|client| assert_eq!(client.rest(), "busy"));
}

#[test]
fn whoever_comes_too_often_is_refused_and_nobody_else() {
    let server = scene("strict").set("clients.rate-per-source=\"3/1h\"").shell("echo ready").listen();
    let answers: Vec<String> = (0..10).map(|_| server.connect().rest()).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "ready\n").count(), 3, "{answers:?}");
    assert_eq!(answers[..3], ["ready\n"; 3]);
    assert_eq!(from([127, 0, 0, 9], &server).rest(), "ready\n");
    server.logs_times("connects more often than clients.rate-per-source, 3/3600s", 1);
}

#[test]
fn a_thousand_failing_connections_in_a_row_turn_no_service_off() {
    let server = scene("strict").set("clients.rate=\"500/1s\"").shell("exit 1").listen();
    let begin = Instant::now();
    for _ in 0..1000 {
        assert_eq!(server.connect().rest(), "");
    }
    server.logs_times("outcome=exited status=1", 1000);
    assert_eq!(server.connect().rest(), "");
    // The half that may not come at once fills up in a second.
    assert!(begin.elapsed() > Duration::from_secs(1));
}

#[test]
fn a_service_that_is_called_too_often_has_its_clients_wait() {
    let server = scene("strict").set("clients.rate=\"2/2s\"").shell("echo ready").listen();
    let begin = Instant::now();
    let clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    clients.into_iter().for_each(|client| assert_eq!(client.rest(), "ready\n"));
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    server.logs_times("connections come more often than clients.rate, 2/2s: they wait", 1);
}

#[test]
fn a_network_that_is_denied_or_not_allowed_is_kept_out() {
    let server = scene("strict")
        .set("clients.allow=[\"127.0.0.0/24\"]")
        .set("clients.deny=[\"127.0.0.9\"]")
        .shell("echo ready")
        .listen();
    assert_eq!(server.connect().rest(), "ready\n");
    assert_eq!(from([127, 0, 0, 9], &server).rest(), "");
    assert_eq!(from([127, 0, 1, 1], &server).rest(), "");
    server.logs_times("clients.deny has it", 1);
}

#[test]
fn users_are_let_in_by_their_ids_over_a_unix_socket() {
    let room = stage::room();
    let path = room.path("socket");
    let server = scene("strict")
        .set("clients.deny=[\"uid:0\"]")
        .shell("echo ready")
        .listen_on(&format!("unix:{}", path.display()));
    assert_eq!(server.connect().rest(), "");
    server.logs("clients.deny has it");
}
