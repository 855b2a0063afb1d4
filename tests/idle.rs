// SPDX-License-Identifier: Apache-2.0
//! The idle limit: a connection that carries nothing is ended, one that carries something now and then is not.

use crate::scene::{a_second, scene};
use std::io::Write;
use std::time::Instant;

#[test]
fn a_connection_that_carries_nothing_is_ended() {
    let server = scene("strict")
        .set("limits.idle=1s")
        .set("connection.hold=true")
        .shell("echo ready; read line; echo never")
        .listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let begin = Instant::now();
    assert_eq!(client.rest(), "");
    assert!(begin.elapsed() < 10 * a_second(), "{:?}", begin.elapsed());
    server.logs("outcome=idle limit=idle:1s");
}

#[test]
fn a_byte_now_and_then_in_either_way_keeps_it() {
    let server = scene("strict")
        .set("limits.idle=3s")
        .set("connection.hold=true")
        .shell("while read line; do echo \"$line\"; done")
        .listen();
    let speaks = scene("strict")
        .set("limits.idle=3s")
        .set("connection.hold=true")
        .shell("for i in 1 2 3 4 5; do sleep 1; echo $i; done")
        .listen();
    let (mut client, listens) = (server.connect(), speaks.connect());
    for number in 0..5 {
        std::thread::sleep(a_second());
        client.write_all(format!("{number}\n").as_bytes()).unwrap();
        assert_eq!(client.line(), number.to_string());
    }
    // Both for longer than the limit.
    assert_eq!(listens.rest(), "1\n2\n3\n4\n5\n");
    drop(client);
    server.logs("outcome=exited");
    speaks.logs("outcome=exited status=0");
}

#[test]
fn what_the_kernel_does_not_count_is_refused() {
    let explained = scene("strict").set("limits.idle=1s").shell("true").explain(&["--connection", "unix"]);
    explained.says("limits.idle cannot be kept: of a UNIX socket the kernel does not know").exits(2);
    scene("strict")
        .set("limits.idle=1s")
        .set("connection.hold=false")
        .shell("true")
        .listen_refused()
        .says("limits.idle needs connection.hold = true")
        .exits(2);
}
