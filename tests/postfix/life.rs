// SPDX-License-Identifier: Apache-2.0
//! The life of the daemon under master(8): when it takes clients, what it tells, what ends it.

use super::instance::{Postfix, Spawner};
use super::private::in_private;
use crate::scene::stage::room;
use crate::scene::{Client, a_second, host, patience, soon};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// A service that sends back what it is sent.
const ECHO: &str = "echo unix - n n - 0 spawnbox user=nobody argv=/bin/cat\n";

#[test]
fn a_service_that_cannot_be_served_shows_its_first_client_the_end() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = |spawner: Spawner| {
            let name = spawner.name();
            format!("ghost-{name} unix - n n - 0 {name} user=ghost argv=/bin/cat\n")
        };
        let both = [Spawner::Ours, Spawner::Theirs];
        let postfix = Postfix::start(&room, "", &both.map(entry).concat());
        let clients = both.map(|spawner| Client::connect(&postfix.socket(&format!("ghost-{}", spawner.name()))));
        for client in clients {
            assert_eq!(client.rest(), "");
        }
        for name in both.map(Spawner::name) {
            log.says_all(&[&format!("postfix/{name}["), "]: fatal: unknown user name: ghost"]);
            log.says_all(&["postfix/master[", &format!("/{name}: bad command startup -- throttling")]);
        }
        postfix.stop();
    });
}

#[test]
fn a_policy_that_does_not_exist_is_told_where_postfix_logs() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "lost unix - n n - 0 spawnbox policy=policyd-spv user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entry);
        assert_eq!(Client::connect(&postfix.socket("lost")).rest(), "");
        let line = log.says_all(&["postfix/spawnbox[", "]: fatal: "]);
        assert!(line.contains("policyd-spv") && line.contains("did you mean `policyd-spf`?"), "{line}");
        postfix.stop();
    });
}

#[test]
fn the_time_limit_ends_the_command_with_all_that_it_started() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    // Seconds that nobody else on this host sleeps for.
    let sleep = format!("sleep 4711{}", std::process::id());
    let script = room.file("hang.sh", &format!("trap '' TERM HUP\nsetsid {sleep} &\necho started\n{sleep}\n"));
    in_private(&room.path(""), |log| {
        let entry = format!("hang unix - n n - 0 spawnbox user=nobody argv=/bin/sh {}\n", script.display());
        // Both must be seen before.
        let limit = 2 + a_second().as_secs();
        let postfix = Postfix::start(&room, &format!("hang_time_limit = {limit}\n"), &entry);
        let mut client = Client::connect(&postfix.socket("hang"));
        assert_eq!(client.line(), "started");
        let began = Instant::now();
        let asleep = || host::processes(&format!("{sleep} "));
        host::eventually("both sleep", patience(), || asleep().len() == 2);
        let sleepers = host::watch(&asleep());
        assert_eq!(client.rest(), "");
        assert!(sleepers.end_within(soon()), "something outlived the limit");
        assert!(began.elapsed() < Duration::from_secs(limit) + soon(), "the limit came late");
        log.says(&format!("command time limit exceeded ({limit}s, set by hang_time_limit)"));
        log.says("warning: command /bin/sh killed by signal 9");
        postfix.stop();
    });
}

/// Stopped, nobody in it sees the end of its cord: only the daemon's death itself can end it.
#[test]
fn a_stopped_session_dies_with_its_killed_daemon() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_| {
        let postfix = Postfix::start(&room, "", ECHO);
        let client = Client::connect(&postfix.socket("echo")).served();
        let daemon = postfix.daemons("echo").into_iter().find(|pid| host::tree(*pid).len() > 2).expect("it serves");
        let session: Vec<u32> = host::tree(daemon).into_iter().filter(|pid| *pid != daemon).collect();
        let watched = host::watch(&session);
        let signal = |pid: u32, signal| kill(Pid::from_raw(pid as i32), signal).expect("root may");
        session.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
        signal(daemon, Signal::SIGKILL);
        assert!(watched.end_within(soon()), "it outlived its daemon");
        assert_eq!(client.rest(), "");
        postfix.stop();
    });
}

#[test]
fn two_clients_at_once_have_two_processes() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let postfix = Postfix::start(&room, "", ECHO);
        let address = postfix.socket("echo");
        let clients = [Client::connect(&address).served(), Client::connect(&address).served()];
        assert_eq!(postfix.daemons("echo").len(), 2);
        drop(clients);
        postfix.stop();
    });
}

#[test]
fn clients_one_after_another_are_served_by_a_process_that_is_there() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", ECHO);
        let address = postfix.socket("echo");
        for _ in 0..10 {
            assert_eq!(Client::connect(&address).served().finish().rest(), "");
        }
        // A client sees the end a moment before master hears that the process is free, and may need another one.
        assert!(postfix.daemons("echo").len() < 10);
        log.says_all(&["echo: session=2 policy=compatible@", "outcome=exited status=0"]);
        postfix.stop();
    });
}

#[test]
fn a_reload_leaves_who_is_served_in_peace_and_ends_the_process_after_it() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", ECHO);
        let address = postfix.socket("echo");
        let guest = Client::connect(&address).served();
        let mut client = Client::connect(&address).served();
        let both = host::watch(&postfix.daemons("echo"));
        assert_eq!(guest.finish().rest(), "");
        log.says_all(&["echo: session=1 policy=compatible@", "outcome=exited status=0"]);
        postfix.signal(Signal::SIGHUP);
        log.says("reload -- version");
        assert!(both.end_within(patience()), "a process of before the reload takes clients");
        client = client.send(b"still there\n");
        assert_eq!(client.line(), "still there");
        let newer = Client::connect(&address).served();
        assert_eq!(postfix.daemons("echo").len(), 1);
        assert_eq!(client.finish().rest(), "");
        assert_eq!(newer.finish().rest(), "");
        postfix.stop();
    });
}

#[test]
fn limits_of_main_cf_end_the_process_without_a_word() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entries = "once unix - n n - 0 spawnbox -o max_use=1 user=nobody argv=/bin/cat\n\
                       idle unix - n n - 0 spawnbox -i 1s user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entries);
        for service in ["once", "idle"] {
            let client = Client::connect(&postfix.socket(service)).served();
            let daemon = host::watch(&postfix.daemons(service));
            assert_eq!(daemon.count(), 1, "{service}");
            assert_eq!(client.finish().rest(), "");
            assert!(daemon.end_within(patience()), "{service}");
        }
        postfix.stop();
        log.says("terminating on signal 15");
        assert!(!log.text().contains("warning"), "{}", log.text());
    });
}

#[test]
fn with_maillog_file_the_lines_go_through_postlogd() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let file = room.path("postfix/maillog");
        let entry = "fails unix - n n - 0 spawnbox user=nobody argv=/bin/sh -c { exit 3 }\n";
        let postfix = Postfix::start(&room, &format!("maillog_file = {}\n", file.display()), entry);
        assert_eq!(Client::connect(&postfix.socket("fails")).rest(), "");
        let lines = || std::fs::read_to_string(&file).unwrap_or_default();
        host::eventually("the line is written", patience(), || lines().contains("command /bin/sh exit status 3"));
        let lines = lines();
        let line = lines.lines().find(|line| line.contains("exit status 3")).expect("the line is there");
        assert!(line.contains(" mx postfix/spawnbox["), "{line}");
        postfix.stop();
        assert!(!log.text().contains("spawnbox"), "{}", log.text());
    });
}

#[test]
fn the_tag_of_the_log_and_the_policy_of_services_without_one_can_be_set() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entries = "look unix - n n - 0 spawnbox user=nobody argv=/bin/sh -c { test -e /root || echo hidden; exit 4 }\n\
                       named unix - n n - 0 spawnbox policy=compatible user=nobody argv=/bin/sh -c { exit 5 }\n";
        let settings = "spawnbox_log_name = spawn\nspawnbox_default_policy = strict\n";
        let postfix = Postfix::start(&room, settings, entries);
        assert_eq!(Client::connect(&postfix.socket("look")).rest(), "hidden\n");
        assert_eq!(Client::connect(&postfix.socket("named")).rest(), "");
        log.says("look: no policy is named, so the command runs under \"strict\" (spawnbox_default_policy)");
        log.says_all(&["postfix/spawn[", "]: warning: command /bin/sh exit status 4"]);
        log.says("named: session=1 policy=compatible@");
        assert!(!log.text().contains("postfix/spawnbox["), "{}", log.text());
        postfix.stop();
    });
}

#[test]
fn nothing_outlives_postfix_stop() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let entry = "127.0.0.1:2626 inet n n n - 0 spawnbox user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entry);
        let client = Client::connect("127.0.0.1:2626").served();
        let tree: Vec<u32> = postfix.daemons("127.0.0.1:2626").into_iter().flat_map(host::tree).collect();
        assert!(tree.len() >= 3, "daemon, first process and command: {tree:?}");
        let watched = host::watch(&tree);
        postfix.stop();
        assert!(watched.end_within(soon()));
        assert_eq!(client.rest(), "");
    });
}
