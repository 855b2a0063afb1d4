// SPDX-License-Identifier: Apache-2.0
//! The log of a server where it is not text on standard error: objects, entries of the journal, lines of syslog; and
//! what a journal costs that is full or dead.

use crate::scene::{arguments, patience, scene, stage};
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

#[test]
fn a_line_is_one_object_with_what_it_is_about() {
    let server = scene("strict").option("--log-format=json").shell("exit 3").listen();
    assert_eq!(server.connect().rest(), "");
    let line = server.logs("\"outcome\":\"exited\"");
    let object: Value = serde_json::from_str(&line).expect("a line is one object");
    assert_eq!((&object["service"], &object["status"], &object["level"]), (&"sh".into(), &3.into(), &"warning".into()));
    assert!(object["message"].as_str().is_some_and(|text| text.starts_with("sh: session=")), "{line}");
    assert!(object["time_s"].is_f64() && object["session"].is_u64() && object["client"].is_string(), "{line}");
    let (_, log) = server.stop();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
}

/// Waits for an entry that has this, and returns it.
fn entry(journald: &UnixDatagram, text: &str) -> String {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = journald.recv(&mut bytes).unwrap_or_else(|error| panic!("no entry with {text:?}: {error}"));
        let entry = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if entry.contains(text) {
            return entry;
        }
    }
}

#[test]
fn the_journal_can_be_asked_for_an_outcome() {
    let room = stage::room();
    let socket = room.path("journal");
    let journald = UnixDatagram::bind(&socket).expect("it can be made");
    journald.set_read_timeout(Some(patience())).expect("a time-out can be set");
    let to = format!("--log-to=journal:{}", socket.display());
    let server = scene("strict").option(&to).set("limits.time=1s").shell("sleep 60").listen();
    let client = server.connect();
    let entry = entry(&journald, "SPAWNBOX_OUTCOME=");
    for line in [
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=spawnbox",
        "SPAWNBOX_SERVICE=sh",
        "SPAWNBOX_SESSION=1",
        "SPAWNBOX_OUTCOME=time-limit",
        "SPAWNBOX_LIMIT=1s",
    ] {
        assert!(entry.lines().any(|found| found == line), "{line}\n{entry}");
    }
    assert!(entry.contains("\nMESSAGE=sh: session=1 "), "{entry}");
    assert!(entry.contains("\nMESSAGE_ID="), "{entry}");
    drop(client);
    assert_eq!(server.log(), "", "nothing is told twice");
}

#[test]
fn a_journal_that_is_full_or_dies_keeps_nobody_waiting_and_is_counted() {
    let room = stage::room();
    let socket = room.path("journal");
    let journald = UnixDatagram::bind(&socket).expect("it can be made");
    journald.set_read_timeout(Some(patience())).expect("a time-out can be set");
    let metrics = room.path("metrics");
    let options = [format!("--log-to=journal:{}", socket.display()), format!("--metrics=unix:{}", metrics.display())];
    let server = scene("strict").option(&options[0]).option(&options[1]).shell("echo hello").listen();
    // More than the queue of a datagram socket takes, which nobody empties.
    (0..40).for_each(|_| assert_eq!(server.connect().rest(), "hello\n"));
    let lost = || {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(&metrics).expect("the supervisor listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let line = text.lines().find_map(|line| line.strip_prefix("spawnbox_log_lines_dropped_total "));
        line.and_then(|count| count.parse::<u64>().ok()).expect("it is told")
    };
    crate::scene::host::eventually("lines are lost", patience(), || {
        assert_eq!(server.connect().rest(), "hello\n");
        lost() > 0
    });
    drop(journald);
    let began = Instant::now();
    (0..5).for_each(|_| assert_eq!(server.connect().rest(), "hello\n"));
    assert!(began.elapsed() < patience());
}

#[test]
fn what_is_wrong_with_a_passed_socket_is_told_in_the_journal() {
    let room = stage::room();
    let socket = room.path("journal");
    let journald = UnixDatagram::bind(&socket).expect("it can be made");
    journald.set_read_timeout(Some(patience())).expect("a time-out can be set");
    let policies = room.directory("policies");
    // The number is free for whatever is opened first.
    let pass = "LISTEN_PID=$$ exec \"$@\" 3<&-";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", pass, "sh"]).arg(stage::program("spawnbox")).arg("serve").arg(policies);
    command.arg("--log-to").arg(format!("journal:{}", socket.display())).env("LISTEN_FDS", "1");
    let output = command.output().expect("a shell is there");
    assert!(!output.status.success(), "there is no policy");
    let entry = entry(&journald, "(descriptor 3)");
    assert!(entry.contains("cannot take the socket `unknown` (descriptor 3): Bad file descriptor"), "{entry}");
}

#[test]
fn a_journal_that_is_not_there_is_no_start() {
    arguments(&["listen", "127.0.0.1:0", "--log-to", "journal:/no/such/socket", "--", "/bin/cat"])
        .run()
        .says("cannot write to the journal at /no/such/socket: No such file or directory")
        .exits(1);
    arguments(&["listen", "127.0.0.1:0", "--log-to", "syslog", "--log-format", "json", "--", "/bin/cat"])
        .run()
        .says("--log-format json is for standard error")
        .exits(2);
}
