// SPDX-License-Identifier: Apache-2.0
//! Real programs from Debian's packages: each starts and does its ordinary work under the default policy, or under the
//! profile that is named for it and no more. The work is in tests/programs, and each script says `works` at its end.

use crate::scene::{Scene, scene, stage};
use std::io::{Read, Write};
use std::net::TcpListener;

const SHELL: &str = include_str!("programs/work.sh");
const PERL: &str = include_str!("programs/work.pl");
const PYTHON: &str = include_str!("programs/work.py");
const NODE: &str = include_str!("programs/work.js");
const JAVA: &str = include_str!("programs/keys.sh");
const TLS: &str = include_str!("programs/tls.sh");
const RELAY: &str = include_str!("programs/relay.sh");

/// The work is done, and nothing else is said.
fn works(scene: Scene) {
    let outcome = scene.run().stdout("works\n").exits(0);
    let said: Vec<&str> = outcome.stderr.lines().filter(|line| !line.contains("removed what killed")).collect();
    assert!(said.is_empty(), "it complains: {outcome}");
}

#[test]
fn shells_do_their_work() {
    for shell in ["sh", "dash", "bash"] {
        works(scene("shell").argv(&[shell, "-c", SHELL]));
        works(scene("shell").unprivileged().argv(&[shell, "-c", SHELL]));
    }
}

#[test]
fn the_group_fifo_makes_nothing_else() {
    let made = |arguments: &str| scene("shell").shell(&format!("mknod /tmp/it {arguments} && ls -l /tmp/it")).run();
    made("p").prints("prw").exits(0);
    // A whiteout, which any user may make.
    made("c 0 0").says("Operation not permitted").exits(1);
}

#[test]
fn perl_does_its_work() {
    needs!(program "perl");
    // Debian's library is in a tree that no policy but its profile shows.
    works(scene("perl").argv(&["perl", "-e", PERL]));
    scene("strict").argv(&["perl", "-e", "print 6 * 7"]).run().stdout("42").exits(0);
}

#[test]
fn python_does_its_work() {
    needs!(program "python3");
    works(scene("python3").argv(&["/usr/bin/python3", "-c", PYTHON]));
    works(scene("strict").argv(&["/usr/bin/python3", "-c", PYTHON]));
}

#[test]
fn node_does_its_work() {
    needs!(program "node");
    works(scene("node").argv(&["node", "-e", NODE]));
    works(scene("node").unprivileged().argv(&["node", "-e", NODE]));
}

#[test]
fn java_does_its_work() {
    needs!(program "java");
    works(scene("java").argv(&["sh", "-c", JAVA]));
    scene("java").argv(&["java", "-version"]).run().says("OpenJDK").exits(0);
}

/// On its own loopback, where every port is its own.
fn on_loopback(policy: Scene, script: &str) -> Scene {
    let any = ["connect", "bind", "udp"].map(|key| format!("network.{key}={{ports=\"any\"}}"));
    let scene = any.iter().fold(policy, |scene, ports| scene.set(ports));
    // socat signals to itself by a pair of datagram sockets, as of the last group.
    let scene = scene.set("network.mode=loopback").set("syscalls.allow=[\"network-server\",\"unix-client\"]");
    scene.argv(&["sh", "-c", script])
}

#[test]
fn socat_relays() {
    needs!(program "socat");
    works(on_loopback(scene("shell"), RELAY));
}

#[test]
fn openssl_shakes_hands() {
    needs!(program "openssl");
    let room = stage::room();
    let policy = room.file("tls.toml", "version = 1\nextends = [\"shell\", \"tls\"]\n");
    works(on_loopback(scene("default").policy_file(&policy), TLS));
}

/// A server of one page for each of `times` clients, on this host's loopback; its port.
fn page(times: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming().take(times) {
            let mut client = client.expect("a client");
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nworks\n");
        }
    });
    port
}

#[test]
fn curl_fetches_from_the_port_that_its_policy_names_and_from_no_other() {
    needs!(program "curl");
    needs!(landlock 4);
    let (named, other) = (page(1), page(1));
    let curl = |port: u16| {
        let connect = format!("network.connect={{ports=[{named}]}}");
        let host = scene("strict").set("network.mode=host").set(&connect).set("network.bind={ports=[]}");
        // UDP ports cannot be named before ABI 10, and curl makes no datagram socket for an address.
        let client = host.set("network.udp={ports=\"any\"}").set("syscalls.allow=[\"network-client\"]");
        client.argv(&["curl", "-sS", "--max-time", "10", &format!("http://127.0.0.1:{port}/")]).run()
    };
    curl(named).stdout("works\n").exits(0);
    curl(other).says("Failed to connect to 127.0.0.1 port").exits(7);
}
