// SPDX-License-Identifier: Apache-2.0
//! Many commands in one process: `NAME_concurrency`, what master makes of it, and what a reload does to it.

use super::instance::Postfix;
use super::private::in_private;
use super::reloaded::lost;
use crate::scene::stage::room;
use crate::scene::{Client, host, patience};
use nix::sys::signal::Signal;
use std::io::Read;
use std::time::{Duration, Instant};

/// A service that sends back what it is sent, as this many processes of this many clients.
fn echo(processes: u32, concurrency: u32) -> String {
    format!("echo unix - n n - {processes} spawnbox -o echo_concurrency={concurrency} user=nobody argv=/bin/cat\n")
}

fn asked(address: &str) -> Client {
    Client::connect(address).send(b"are you there\n")
}

/// Whether nobody answers for a moment.
fn waits(client: &mut Client) -> bool {
    let Client::Unix(stream) = client else { panic!("not a UNIX client") };
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out can be set");
    let nothing = stream.read(&mut [0]).is_err();
    stream.set_read_timeout(Some(patience())).expect("a time-out can be set");
    nothing
}

#[test]
fn fifty_clients_at_once_have_one_process_and_the_next_one_waits_for_room() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", &echo(1, 50));
        let address = postfix.socket("echo");
        let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(&address).served()).collect();
        assert_eq!(postfix.daemons("echo").len(), 1);
        let mut late = asked(&address);
        assert!(waits(&mut late), "more clients than the service allows are served");
        assert_eq!(clients.swap_remove(7).finish().rest(), "");
        assert_eq!(late.line(), "are you there");
        drop((clients, late));
        log.says_all(&["echo: session=51 policy=compatible@", "outcome=exited status=0"]);
        assert!(!log.text().contains("warning"), "{}", log.text());
        postfix.stop();
    });
}

/// spool/in.$$ of one command is no other one's, whichever process has started it.
#[test]
fn commands_of_one_process_and_of_another_have_different_process_ids() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let entry =
            "pids unix - n n - 2 spawnbox -o pids_concurrency=10 user=nobody argv=/bin/sh -c { echo $$; read end }\n";
        let postfix = Postfix::start(&room, "", entry);
        let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(&postfix.socket("pids"))).collect();
        let pids: std::collections::BTreeSet<String> = clients.iter_mut().map(Client::line).collect();
        assert_eq!((pids.len(), postfix.daemons("pids").len()), (20, 2), "{pids:?}");
        postfix.stop();
    });
}

#[test]
fn processes_with_room_take_turns_at_the_lock() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let postfix = Postfix::start(&room, "", &echo(2, 2));
        let address = postfix.socket("echo");
        let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(&address).served()).collect();
        assert_eq!(postfix.daemons("echo").len(), 2);
        let mut late = asked(&address);
        assert!(waits(&mut late));
        // Whichever process gets room first serves the next client, while the other one waits for its turn.
        for turn in 0..8 {
            assert_eq!(clients.remove(turn % 2).finish().rest(), "");
            assert_eq!(late.line(), "are you there");
            clients.push(std::mem::replace(&mut late, asked(&address)));
        }
        drop((clients, late));
        postfix.stop();
    });
}

#[test]
fn a_reload_frees_the_place_of_a_process_that_serves_and_its_command_keeps_its_limit() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "echo unix - n n - 1 spawnbox -o echo_concurrency=2 user=nobody argv=/bin/cat\n\
                     one unix - n n - 1 spawnbox user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "echo_time_limit = 3\none_time_limit = 3\n", entry);
        for service in ["echo", "one"] {
            let address = postfix.socket(service);
            let began = Instant::now();
            let mut old = Client::connect(&address).served();
            let before = host::watch(&postfix.daemons(service));
            postfix.signal(Signal::SIGHUP);
            let newer = Client::connect(&address).served();
            assert!(began.elapsed() < Duration::from_secs(3), "{service}: the new client waited for the old one");
            assert!(before.end_within(patience()), "{service}");
            old = old.send(b"still there\n");
            assert_eq!(old.line(), "still there");
            assert_eq!(old.rest(), "");
            assert!(began.elapsed() >= Duration::from_secs(3), "{service}: the limit came early");
            assert_eq!(newer.finish().rest(), "");
        }
        for service in ["echo", "one"] {
            log.says(&format!("command time limit exceeded (3s, set by {service}_time_limit)"));
        }
        postfix.stop();
    });
}

#[test]
fn what_goes_on_after_a_reload_says_how_it_ended_and_ends_with_postfix() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "ask unix - n n - 1 spawnbox user=nobody argv=/bin/sh -c { read status; exit $status }\n\
                     echo unix - n n - 1 spawnbox user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entry);
        let asker = Client::connect(&postfix.socket("ask"));
        let guest = Client::connect(&postfix.socket("echo")).served();
        host::eventually("the shell is there", patience(), || !host::processes("read status").is_empty());
        let before = host::watch(&[postfix.daemons("ask"), postfix.daemons("echo")].concat());
        postfix.signal(Signal::SIGHUP);
        assert!(before.end_within(patience()));
        assert_eq!(asker.send(b"7\n").rest(), "");
        log.says("warning: command /bin/sh exit status 7");
        log.says_all(&["ask: session=1 policy=compatible@", "outcome=exited status=7"]);
        postfix.stop();
        assert_eq!(guest.rest(), "");
    });
}

#[test]
fn max_use_turns_nobody_away_while_several_are_served() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "echo unix - n n - 1 spawnbox -o max_use=2 -o echo_concurrency=3 user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entry);
        let address = postfix.socket("echo");
        let stays = Client::connect(&address).served();
        let daemon = postfix.daemons("echo");
        for _ in 0..4 {
            assert_eq!(Client::connect(&address).served().finish().rest(), "");
        }
        assert_eq!(postfix.daemons("echo"), daemon);
        let daemon = host::watch(&daemon);
        assert_eq!(stays.finish().rest(), "");
        assert!(daemon.end_within(patience()), "it goes on after its last client");
        assert_eq!(Client::connect(&address).served().finish().rest(), "");
        log.says_all(&["echo: session=5 policy=compatible@"]);
        assert!(!log.text().contains("warning"), "{}", log.text());
        postfix.stop();
    });
}

#[test]
fn no_client_is_lost_to_reloads() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", &echo(2, 50));
        let lost = lost(&postfix, "echo");
        assert!(lost.is_empty(), "{}\n{}", lost.join("\n"), log.text());
        for words in ["panic", "fatal", "throttling"] {
            assert!(!log.text().contains(words), "{}", log.text());
        }
        postfix.stop();
    });
}

/// What waits for a client is no client: it neither keeps a process that is idle, nor counts for master.
#[test]
fn a_process_with_a_sandbox_that_waits_ends_when_it_is_idle_and_when_it_was_used_enough() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let policy = room.file("spares.toml", "version = 1\nextends = [\"strict\"]\nconnection.spares = 2\n");
        let entry = format!(
            "echo unix - n n - 1 spawnbox -o max_idle=2s -o max_use=3 policy={} user=nobody argv=/bin/cat\n",
            policy.display()
        );
        let postfix = Postfix::start(&room, "", &entry);
        let address = postfix.socket("echo");
        let serve = || assert_eq!(asked(&address).finish().rest(), "are you there\n");
        serve();
        let first = postfix.daemons("echo");
        let waits = || first.iter().any(|pid| host::children(*pid).iter().any(|one| !host::children(*one).is_empty()));
        host::eventually("a sandbox waits", patience(), waits);
        let watched = host::watch(&first.iter().flat_map(|pid| host::tree(*pid)).collect::<Vec<_>>());
        assert!(watched.count() >= 4 && watched.end_within(patience()), "it stays though nobody comes");
        // The next one goes with its third client, and its last spare with it.
        serve();
        let second = postfix.daemons("echo");
        assert_eq!(second.len(), 1);
        serve();
        assert_eq!(postfix.daemons("echo"), second);
        let watched = host::watch(&host::tree(second[0]));
        serve();
        assert!(watched.end_within(patience()), "it serves more than it shall");
        serve();
        log.says_all(&["echo: session=", "outcome=exited status=0"]);
        assert!(!log.text().contains("warning"), "{}", log.text());
        postfix.stop();
    });
}
