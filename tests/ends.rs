// SPDX-License-Identifier: Apache-2.0
//! When a session is over, and when its client sees that: with the command or with the last process it has started,
//! and with or without a copy of the connection in the supervisor's hands.

use crate::scene::{Scene, Server, host, patience, scene};
use std::time::Instant;

/// A command that lets go of its connection and lives on.
const LETS_GO: &str = "exec <&- >&- 2>&-; exec sleep";

/// A command that ends and leaves a process behind, which answers.
const LEAVES: &str = "exec 3<&0; (read line <&3; echo \"$line\") & echo left";

fn command(settings: &[&str], script: &str) -> Server {
    settings.iter().fold(scene("strict"), |scene: Scene, setting| scene.set(setting)).shell(script).listen()
}

#[test]
fn a_connection_that_is_not_held_ends_when_the_command_lets_go_of_it() {
    let server = command(&["connection.hold=false"], &format!("{LETS_GO} 1000"));
    assert_eq!(server.connect().rest(), "");
    // Its end is not the session's.
    assert!(!host::inside(server.pid()).is_empty() && !server.log().contains("session="), "{}", server.log());
}

#[test]
fn a_connection_that_is_held_ends_with_the_command() {
    let server = command(&["connection.hold=true"], &format!("{LETS_GO} 1"));
    let began = Instant::now();
    assert_eq!(server.connect().rest(), "");
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "the client saw the end too early");
}

#[test]
fn a_session_that_ends_with_its_command_leaves_nobody_behind() {
    let server = command(&["connection.ends=command"], LEAVES);
    let mut client = server.connect();
    assert_eq!(client.line(), "left");
    assert_eq!(client.rest(), "");
    server.logs("outcome=exited status=0");
    host::eventually("all are gone", patience(), || host::inside(server.pid()).is_empty());
}

#[test]
fn a_session_that_ends_with_its_last_process_takes_the_place_of_another_until_then() {
    for hold in ["connection.hold=true", "connection.hold=false"] {
        let server = command(&["connection.ends=tree", "connection.concurrency=1", hold], LEAVES);
        let mut client = server.connect();
        assert_eq!(client.line(), "left");
        let mut next = server.connect();
        assert!(!server.log().contains("session="), "{}", server.log());
        assert_eq!(client.send(b"answer\n").rest(), "answer\n");
        // Only now.
        assert_eq!(next.line(), "left");
        let line = server.logs("session=1 ");
        assert!(line.contains("outcome=exited status=0"), "{line}");
    }
}

#[test]
fn what_a_command_leaves_behind_meets_its_time_limit() {
    let server = command(&["connection.ends=tree", "limits.time=1s"], "(trap '' TERM; exec setsid sleep 60) & exit 3");
    assert_eq!(server.connect().rest(), "");
    server.logs("outcome=time-limit limit=1s");
    host::eventually("all are gone", patience(), || host::inside(server.pid()).is_empty());
}
