// SPDX-License-Identifier: Apache-2.0
//! The client's own connection, which a relay carries beside its peers': whole, to the last byte, and no way to the
//! host.

use super::forwarding;
use crate::scene::{Client, Scene, a_second};
use nix::sys::socket::{MsgFlags, send};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

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
