// SPDX-License-Identifier: Apache-2.0
//! The whole path once: what a client of a sandboxed command sees, by each way in, and what the log says afterwards.

use crate::scene::{self, arguments, host, scene, stage};
use nix::sys::signal::Signal;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

#[test]
fn a_command_speaks_with_its_client() {
    let server = scene("strict").shell("read name; echo \"hello $name\"").listen();
    assert_eq!(server.connect().send(b"world\n").rest(), "hello world\n");
    server.logs("outcome=exited");
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn an_ordinary_user_serves_as_root_does() {
    let server = scene("strict").unprivileged().shell("read name; echo \"hello $name\"").listen();
    assert_eq!(server.connect().send(b"world\n").rest(), "hello world\n");
}

#[test]
fn the_default_policy_serves_too() {
    let server = scene("default").shell("echo hello").listen();
    assert_eq!(server.connect().rest(), "hello\n");
}

#[test]
fn a_client_over_version_6_is_served() {
    let server = scene("strict").shell("echo hello").listen_on("[::1]:0");
    assert_eq!(server.connect().rest(), "hello\n");
}

#[test]
fn a_client_over_a_unix_socket_is_served_and_the_socket_goes_with_the_server() {
    let room = stage::room();
    let path = room.path("socket");
    let server = scene("strict").shell("echo hello").listen_on(&format!("unix:{}", path.display()));
    assert_eq!(server.connect().rest(), "hello\n");
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(!path.exists(), "the socket is still there");
}

#[test]
fn run_gives_the_command_what_it_was_given() {
    scene("strict")
        .shell("cat; echo heard >&2; exit 7")
        .input(b"said\n")
        .run()
        .stdout("said\n")
        .says("heard\n")
        .exits(7);
}

#[test]
fn run_ends_as_the_command_ended() {
    scene("strict").shell("kill -TERM $$").run().exits(128 + Signal::SIGTERM as i32);
}

#[test]
fn an_almost_empty_root_is_all_that_a_command_sees() {
    let found = scene("strict")
        .probe("list / , open /etc/shadow , open /etc/passwd , list /proc , list /home , list /tmp")
        .run();
    // The tests' own directory leads to the probe.
    let lists = |name: &str| stage::program("probe").starts_with(Path::new("/").join(name));
    let usual = [".scratch", "bin", "dev", "etc", "lib", "lib64", "tmp", "usr"];
    let mut names = found.answer("list /").split(' ');
    assert!(names.all(|name| usual.contains(&name) || lists(name)), "{found}");
    assert_eq!(found.answer("open /etc/shadow"), "ENOENT", "{found}");
    assert_eq!(found.answer("open /etc/passwd"), "ENOENT", "{found}");
    assert_eq!(found.answer("list /proc"), "ENOENT", "{found}");
    assert_eq!(found.answer("list /home"), "ENOENT", "{found}");
    assert_eq!(found.answer("list /tmp"), "nothing", "{found}");
}

#[test]
fn the_log_has_one_line_for_each_connection() {
    let server = scene("strict").shell("exit 3").listen();
    server.connect().rest();
    let line = server.logs("outcome=exited");
    for part in
        ["policy=strict@", "session=", "client=127.0.0.1:", "outcome=exited status=3", "time=", "cpu=", "memory="]
    {
        assert!(line.contains(part), "no {part} in {line}");
    }
    let (_, log) = server.stop();
    assert_eq!(log.lines().filter(|line| line.contains("session=")).count(), 1, "{log}");
}

#[test]
fn what_a_client_sends_never_reaches_the_log() {
    let server = scene("strict").shell("cat >&2").listen();
    server.connect().send(b"forged\nwarning: forged\x1b[31m\n").finish().rest();
    server.logs("outcome=exited");
    let (_, log) = server.stop();
    assert!(!log.contains("forged"), "{log}");
}

#[test]
fn the_first_sigterm_lets_sessions_end_and_the_second_ends_them() {
    let server = scene("strict").shell("echo ready; read line; echo \"$line\"").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    server.signal(Signal::SIGTERM);
    server.logs("drain");
    assert!(std::net::TcpStream::connect(server.address()).is_err(), "it still accepts");
    assert_eq!(client.send(b"at leisure\n").rest(), "at leisure\n");
    let (status, log) = server.end();
    assert!(status.success(), "{log}");
}

#[test]
fn the_second_sigterm_ends_every_session() {
    let server = scene("strict").shell("echo ready; read line").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    server.signal(Signal::SIGTERM);
    server.logs("drain");
    let session = host::watch(&host::tree(server.pid())[1..]);
    server.signal(Signal::SIGTERM);
    assert!(session.end_within(crate::scene::soon()), "the session lives on");
    assert_eq!(client.rest(), "");
    server.end();
}

#[test]
fn a_unix_socket_has_the_mode_that_was_asked_for() {
    let room = stage::room();
    let path = room.path("socket");
    let _server = scene("strict").shell("echo hello").listen_on(&format!("unix:{},mode=0600", path.display()));
    assert_eq!(Path::new(&path).metadata().expect("the socket is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_unix_socket_has_the_owner_that_was_asked_for() {
    needs!(root);
    let room = stage::room();
    let path = room.path("socket");
    let _server = scene("strict").shell("echo hello").listen_on(&format!("unix:{},user=nobody", path.display()));
    assert_eq!(Path::new(&path).metadata().expect("the socket is there").uid(), crate::scene::NOBODY);
}

#[test]
fn the_program_says_what_it_is() {
    arguments(&["--version"]).run().prints(env!("CARGO_PKG_VERSION")).exits(0);
}

#[test]
fn a_file_that_was_replaced_is_seen_as_it_is_now() {
    let room = stage::room();
    let resolvers = room.file("resolv.conf", "before\n");
    let server = scene("strict")
        .set(&format!("files.read=[{:?}]", resolvers.display().to_string()))
        .shell(&format!("cat {}", resolvers.display()))
        .listen();
    assert_eq!(server.connect().rest(), "before\n");
    std::fs::rename(room.file("resolv.conf.new", "after\n"), &resolvers).unwrap();
    host::eventually("a session sees the new file", scene::patience(), || server.connect().rest() == "after\n");
}

#[test]
fn a_launcher_that_prepares_slowly_holds_nobody_up() {
    needs!(program "strace");
    let room = stage::room();
    let resolvers = room.file("resolv.conf", "before\n");
    // Each part of the root takes 0.2 s to be taken up, and there are more than ten.
    let slow = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=open_tree",
        "-e",
        "inject=open_tree:delay_enter=200ms",
    ];
    let server = scene("strict")
        .set(&format!("files.read=[{:?}]", resolvers.display().to_string()))
        .shell(&format!("cat {}", resolvers.display()))
        .through(&slow)
        .listen();
    assert_eq!(server.connect().rest(), "before\n");
    std::fs::rename(room.file("resolv.conf.new", "after\n"), &resolvers).unwrap();
    let mut served_before = 0;
    host::eventually("a session sees the new file", scene::patience(), || {
        let seen = server.connect().rest();
        served_before += usize::from(seen == "before\n");
        seen == "after\n"
    });
    // The first one finds that the file is another. One that waited for the launcher, which takes more than ten times
    // 0.2 s, would see the new one.
    assert!(served_before > 1, "every session waited for the launcher: {}", server.log());
}
