// SPDX-License-Identifier: Apache-2.0
//! A host's clock that is set while the program serves: it ends no session early, gives none more time, and keeps no
//! line from the log. Only for a machine whose clock is its own, where nothing else runs meanwhile: see ci/kernels.

use crate::scene::{Server, a_second, patience, scene};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the clock is set, in seconds.
const HOUR: i64 = 3600;

/// Sets the clock to what it shows, and so many seconds.
fn step(seconds: i64) {
    let shown = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs() as i64;
    let to = shown() + seconds;
    let set = Command::new("date").args(["-u", "-s", &format!("@{to}")]).output().expect("date runs");
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    assert!((0..60).contains(&(shown() - to)), "the clock was not set");
}

/// A client of a session that says a line, lives through a step, says another, and waits for its limit; how long it
/// took by the clock that is never set.
fn session_through(server: &Server, number: usize, step_by: i64) -> Duration {
    let begun = Instant::now();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    step(step_by);
    let mut client = client.send(b"x\n");
    assert_eq!(client.line(), "x", "ended by a step of {step_by} seconds");
    assert_eq!(client.rest(), "");
    let took = begun.elapsed();
    server.logs(&format!("session={number} stderr=\"before\""));
    server.logs(&format!("session={number} stderr=\"after\""));
    took
}

#[test]
fn a_clock_that_is_set_an_hour_on_or_back_ends_no_session_early_and_none_late() {
    needs!(clock);
    let limit = a_second();
    let talk = "echo before >&2; echo ready; read -r line; echo after >&2; echo $line; sleep 600";
    let limited = scene("shell").set(&format!("limits.time=\"{}s\"", limit.as_secs())).set("connection.stderr=log");
    let server = limited.shell(talk).listen();
    for (at, step_by) in [HOUR, -HOUR].into_iter().enumerate() {
        let took = session_through(&server, at + 1, step_by);
        assert!(took >= limit && took < limit + patience() / 2, "a step of {step_by} s: {took:?}, not {limit:?}");
        let line = server.logs_times("outcome=time-limit", at + 1).pop().expect("there is one");
        let time = line.split(" time=").nth(1).and_then(|rest| rest.split('s').next()).expect("it says how long");
        let time: f64 = time.parse().expect("a number of seconds");
        assert!((time - took.as_secs_f64()).abs() < limit.as_secs_f64(), "{line}: {took:?}");
    }
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(log.lines().filter(|line| line.contains("outcome=")).count(), 2, "{log}");
}
