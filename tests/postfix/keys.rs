// SPDX-License-Identifier: Apache-2.0
//! What a policy can choose for a connection under master(8), where the defaults are spawn(8)'s: whether the daemon
//! holds its copy, when the session ends, and where standard error goes.

use super::instance::Postfix;
use super::private::in_private;
use crate::scene::stage::{Room, room};
use crate::scene::{Client, a_second, host, patience};
use nix::sys::signal::Signal;
use std::time::Instant;

/// A policy file that is `compatible` but for these lines, and an entry of master.cf that names it.
fn entry(room: &Room, name: &str, connection: &str, script: &str) -> String {
    let text = format!("version = 1\nextends = [\"compatible\"]\n\n[connection]\n{connection}\n");
    let policy = room.file(&format!("{name}.toml"), &text);
    let script = room.file(&format!("{name}.sh"), script);
    let (policy, script) = (policy.display(), script.display());
    format!("{name} unix - n n - 1 spawnbox policy={policy} user=nobody argv=/bin/sh {script}\n")
}

#[test]
fn a_policy_says_whether_the_daemon_holds_the_connection() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let lets_go = "exec <&- >&- 2>&-\nsleep 2\n";
    let entries =
        [("held", "hold = true"), ("free", "hold = false")].map(|(name, key)| entry(&room, name, key, lets_go));
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", &entries.concat());
        let time = |service: &str| {
            let began = Instant::now();
            assert_eq!(Client::connect(&postfix.socket(service)).rest(), "");
            began.elapsed()
        };
        // Whoever is the first also waits for the daemon to start.
        let (free, held) = (time("free"), time("held"));
        assert!(free < held && held >= 2 * std::time::Duration::from_secs(1), "{free:?}, {held:?}");
        for service in ["free", "held"] {
            let line = log.says_all(&[&format!("{service}: session=1 policy={service}@"), "outcome=exited status=0"]);
            assert!(line.contains(" time=2."), "{line}");
        }
        postfix.stop();
    });
}

#[test]
fn a_policy_says_that_what_a_command_leaves_behind_is_served_on_as_under_spawn() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let leaves = "exec 3<&0\n(read -r line <&3; echo \"$line\") &\necho left\n";
    let entries = [("whole", "ends = \"tree\""), ("first", "ends = \"command\"")];
    let entries = entries.map(|(name, key)| entry(&room, name, key, leaves)).concat();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "whole_time_limit = 3\n", &entries);
        let client = |service: &str| {
            let mut client = Client::connect(&postfix.socket(service));
            assert_eq!(client.line(), "left");
            client
        };
        assert_eq!(client("first").rest(), "");
        let left = client("whole");
        // Through a reload, and without a word until it is over.
        let before = host::watch(&postfix.daemons("whole"));
        postfix.signal(Signal::SIGHUP);
        assert!(before.end_within(patience()));
        assert!(!log.text().contains("whole: session=1"), "{}", log.text());
        assert_eq!(left.send(b"answer\n").rest(), "answer\n");
        log.says_all(&["whole: session=1 policy=whole@", "outcome=exited status=0"]);
        // And not for longer than the limit.
        assert_eq!(client("whole").rest(), "");
        log.says("command time limit exceeded (3s, set by whole_time_limit)");
        postfix.stop();
    });
}

#[test]
fn standard_error_is_in_the_log_and_goes_on_there_after_a_reload() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let says = "echo before >&2\necho ready\nread -r line\necho \"Traceback: $line\" >&2\nprintf end >&2\nexit 3\n";
    let entries = [("told", "stderr = \"log\""), ("mute", "stderr = \"none\""), ("open", "stderr = \"connection\"")];
    let entries = entries.map(|(name, key)| entry(&room, name, key, says)).concat();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", &entries);
        let served = |service: &str| Client::connect(&postfix.socket(service));
        assert_eq!(served("open").send(b"x\n").rest(), "before\nready\nTraceback: x\nend");
        assert_eq!(served("mute").send(b"x\n").rest(), "ready\n");
        let mut told = served("told");
        assert_eq!(told.line(), "ready");
        log.says_all(&["postfix/spawnbox[", "]: told: session=1 stderr=\"before\""]);
        let before = host::watch(&postfix.daemons("told"));
        postfix.signal(Signal::SIGHUP);
        assert!(before.end_within(patience()));
        assert_eq!(told.send(b"late\n").rest(), "");
        log.says("warning: command /bin/sh exit status 3");
        log.says_all(&["told: session=1 policy=told@", "outcome=exited status=3"]);
        let text = log.text();
        let said: Vec<_> = text.lines().filter_map(|line| line.split_once(" stderr=")).map(|(_, said)| said).collect();
        assert_eq!(said, [r#""before""#, r#""Traceback: late""#, r#""end""#]);
        postfix.stop();
    });
}

#[test]
fn a_syslogd_that_hangs_holds_up_no_command_that_fills_the_log() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let floods = "yes $(printf %400d 0) | head -c 300000 >&2\necho done\n";
    let entries = entry(&room, "flood", "stderr = \"log\"", floods);
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", &entries);
        let client = || Client::connect(&postfix.socket("flood"));
        assert_eq!(client().rest(), "done\n");
        log.says_all(&["flood: session=1 stderr-lines-left-out="]);
        log.hang(|| {
            for _ in 0..5 {
                let began = Instant::now();
                assert_eq!(client().rest(), "done\n");
                assert!(began.elapsed() < 5 * a_second(), "{:?}", began.elapsed());
            }
        });
        assert_eq!(client().rest(), "done\n");
        log.says("lines of the log were lost here: there was no room for them");
        postfix.stop();
    });
}
