// SPDX-License-Identifier: Apache-2.0
//! Nobody writes our log but we: neither what an operator names, nor what a client or a command does, makes a line that
//! we did not write, speaks to a terminal, or hides one that we did.

use crate::scene::{scene, stage};

/// What must not come through: ends of lines, escapes, the second set of control characters, what turns text round.
const STRANGE: &str = "x\nspawnbox: fake: session=1 \r\u{1b}[2J\u{9b}31m\u{7}\u{85}\u{2028}\u{202e}\u{200b}";

fn is_clean(log: &str) {
    for line in log.lines() {
        assert!(
            line.starts_with("spawnbox: ") && !line.starts_with("spawnbox: fake"),
            "a line of somebody else's: {line:?}"
        );
        let strange = |c: &char| c.is_control() || "\u{2028}\u{2029}\u{202e}\u{200b}\u{2066}\u{feff}".contains(*c);
        assert!(!line.chars().any(|c| strange(&c)), "{line:?}");
        assert!(line.len() < 2100, "{} bytes", line.len());
    }
}

#[test]
fn a_services_name_a_command_and_a_policy_write_no_line_of_their_own() {
    let room = stage::room();
    let policy = room.file(&format!("{}.toml", STRANGE.replace('/', "")), "version = 1\nextends = [\"strict\"]\n");
    let named = scene("strict").option("--service").option(STRANGE).argv(&["/bin/sh", "-c", "exit 3", STRANGE]);
    let written = scene("strict").policy_file(&policy).shell("exit 3");
    let missing = scene("strict").argv(&[&format!("/bin/{STRANGE}")]);
    for scene in [named, written, missing] {
        let server = scene.listen();
        server.connect().rest();
        let (_, log) = server.stop();
        is_clean(&log);
        assert_eq!(log.matches(" session=1 policy=").count(), 1, "{log}");
    }
}

#[test]
fn what_is_refused_at_the_start_is_told_in_lines_of_ours() {
    let long = "y".repeat(100_000);
    for strange in [STRANGE, &long] {
        for setting in
            [format!("command.group=\"{}\"", strange.escape_default()), format!("files.read=[\"/{strange}\"]")]
        {
            let outcome = scene("strict").set(&setting).shell("exit 0").listen_refused();
            assert_ne!(outcome.status.code(), Some(0));
            assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
            assert!(!outcome.stderr.lines().any(|line| line.starts_with("spawnbox: fake")), "{outcome}");
        }
    }
}

#[test]
fn a_thousand_clients_that_hang_up_leave_a_line_each_and_no_more() {
    let server = scene("strict").shell("exit 3").listen();
    let count = 300;
    for _ in 0..count {
        server.connect().reset();
    }
    server.logs_times("session=", count);
    let (_, log) = server.stop();
    assert_eq!(log.lines().filter(|line| line.contains("session=")).count(), count);
    assert!(log.lines().count() < count + 10, "{log}");
}

/// What the log says of time it reads from a clock that never goes back: a step of the host's clock ends no session,
/// gives none more time, and stops no pause; `clock::` takes such steps. Only the time of day on a line of syslog comes
/// from the other clock.
#[test]
fn no_limit_and_no_pause_asks_the_clock_that_can_be_set() {
    let mut files = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut asks = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("the sources are there").flatten().map(|entry| entry.path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if ["SystemTime", "CLOCK_REALTIME", "UNIX_EPOCH"].iter().any(|word| text.contains(word)) {
            let below = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("it is below");
            asks.push(below.display().to_string());
        }
    }
    asks.sort();
    // The first one compares the age of main.cf with the present, as Postfix does, once at its start; the next two
    // write the time down for others.
    assert_eq!(asks, ["front/master/start.rs", "log/json.rs", "supervise/metrics/page.rs", "sys/clock.rs"]);
}
