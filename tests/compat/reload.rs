// SPDX-License-Identifier: Apache-2.0
//! What ends a daemon, or leaves it alone: reload, stop, signals, the end of master.

use super::at::At;
use super::row::{Row, row};
use crate::postfix::reloaded::lost;
use crate::scene::{Client, host, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(super) fn rows() -> Vec<Row> {
    [reloads(), ends()].into_iter().flatten().collect()
}

fn reloads() -> Vec<Row> {
    let reload = |at: &At<'_>| {
        at.postfix.signal(Signal::SIGHUP);
        at.master_says("reload -- version *");
    };
    vec![
        row("reload_idle", "Reload: descriptor 5 becomes readable. Idle: exit 0 at once.").alone().sees(move |at| {
            let client = at.served();
            let daemon = host::watch(&at.daemons());
            assert_eq!(client.finish().rest(), "");
            reload(at);
            assert!(daemon.end_within(patience()));
        }),
        row("reload_serving", "Serving: finish, exit at the next available.").alone().sees(move |at| {
            let client = at.served();
            let daemon = host::watch(&at.daemons());
            reload(at);
            let mut client = client.send(b"still there\n");
            assert_eq!(client.line(), "still there");
            assert_eq!(client.finish().rest(), "");
            assert!(daemon.end_within(patience()));
            assert_eq!(at.served().finish().rest(), "");
        }),
        row("reload_loses_nobody", "Reload: master keeps the listener, and the next process serves who waits there.")
            .alone()
            .columns("unix - n n - 2")
            .sees(|at| {
                let lost = lost(at.postfix, at.name);
                assert!(lost.is_empty(), "{}\n{}", lost.join("\n"), at.log.text());
            }),
        row("reload_counts_old", "After reload the old process still counts against the limit.")
            .alone()
            .columns("unix - n n - 1")
            .sees(move |at| {
                let client = at.served();
                reload(at);
                let mut next = at.client().send(b"next\n");
                assert!(at.stays(&next));
                assert_eq!(client.finish().rest(), "");
                assert_eq!(next.line(), "next");
            })
            .instead(move |at| {
                let mut old = at.served();
                reload(at);
                assert_eq!(at.served().finish().rest(), "");
                old = old.send(b"still there\n");
                assert_eq!(old.line(), "still there");
                assert_eq!(old.finish().rest(), "");
            }),
        row(
            "reload_counts_old_public",
            "After reload the old process of a public service still counts against the limit.",
        )
        .alone()
        .settings("inet_interfaces = all")
        .entries("2612 inet n n n - 2 @spawn -o syslog_name=@name user=nobody argv=/bin/cat")
        .sees(move |at| {
            let connect = |word: &str| Client::connect("127.0.0.1:2612").send(word.as_bytes());
            let mut first = connect("first\n");
            assert_eq!(first.line(), "first");
            reload(at);
            let mut second = connect("second\n");
            assert_eq!(second.line(), "second");
            let mut third = connect("third\n");
            assert!(at.stays(&third), "there are more processes than the limit allows");
            assert_eq!(first.finish().rest(), "");
            assert_eq!(third.line(), "third");
            assert_eq!(second.finish().rest(), "");
        }),
        row("reload_new_settings", "main.cf is read once per process.")
            .alone()
            .columns("unix - n n - 1")
            .settings("export_environment = A=old")
            .runs("user=nobody argv=/usr/bin/env")
            .sees(move |at| {
                assert_eq!(at.answer(), "A=old\nPATH=/usr/bin:/bin\n");
                at.postfix.change("main.cf", "A=old", "A=new");
                assert_eq!(at.answer(), "A=old\nPATH=/usr/bin:/bin\n");
                reload(at);
                at.eventually("the old process has ended", || at.daemons().is_empty());
                assert_eq!(at.answer(), "A=new\nPATH=/usr/bin:/bin\n");
            }),
        row("reload_new_command", "master.cf is read at reload: the service has its new command.")
            .alone()
            .runs("user=nobody argv=/bin/echo old")
            .prints("old\n")
            .sees(move |at| {
                at.postfix.change("master.cf", "echo old", "echo new");
                reload(at);
                at.eventually("the old process has ended", || at.daemons().is_empty());
                assert_eq!(at.answer(), "new\n");
            }),
        row("service_removed", "When a service disappears at reload, its processes get SIGTERM, and die at once.")
            .alone()
            .sees(move |at| {
                let _client = at.served();
                let daemon = host::watch(&at.daemons());
                at.postfix.change("master.cf", at.name, "else");
                reload(at);
                assert!(daemon.end_within(patience() / 4));
            }),
        row(
            "throttle_recovers",
            "master does not start a service for service_throttle_time after a bad start; then it does.",
        )
        .alone()
        .settings("service_throttle_time = 1s")
        .options("-o export_environment=PATH")
        .runs("user=ghost argv=/bin/echo fixed")
        .refused("unknown user name: ghost")
        .sees(move |at| {
            at.postfix.change("master.cf", "user=ghost", "user=nobody");
            reload(at);
            assert_eq!(at.answer(), "fixed\n");
        }),
    ]
}

fn ends() -> Vec<Row> {
    let ended_by = |name: &str, proves, signal: Signal| {
        row(name, proves).sees(move |at| {
            assert_eq!(at.served().finish().rest(), "");
            let (pid, daemon) = (at.daemon(), host::watch(&at.daemons()));
            kill(Pid::from_raw(pid as i32), signal).expect("root may");
            assert!(daemon.end_within(patience() / 4));
            at.master_says(&format!("warning: process *daemons/@spawn pid {pid} killed by signal {}", signal as i32));
        })
    };
    vec![
        ended_by("signal_term", "SIGTERM: default action, at once.", Signal::SIGTERM),
        ended_by("signal_hup", "SIGHUP: default action, at once.", Signal::SIGHUP),
        ended_by("signal_int", "SIGINT: default action.", Signal::SIGINT),
        row("signal_serving", "SIGTERM must end the daemon at once, whatever it is doing.").sees(|at| {
            let _client = at.served();
            let daemon = host::watch(&at.daemons());
            kill(Pid::from_raw(at.daemon() as i32), Signal::SIGTERM).expect("root may");
            assert!(daemon.end_within(patience() / 4));
        }),
        row("signal_pipe", "SIGPIPE is ignored.").columns("unix - n n - 1").sees(|at| {
            assert_eq!(at.served().finish().rest(), "");
            let pid = at.daemon();
            kill(Pid::from_raw(pid as i32), Signal::SIGPIPE).expect("root may");
            assert_eq!(at.served().finish().rest(), "");
            assert_eq!(at.daemon(), pid);
        }),
        row("signal_alarm", "SIGALRM is the watchdog's: a stray one ends nothing.").columns("unix - n n - 1").sees(
            |at| {
                assert_eq!(at.served().finish().rest(), "");
                let pid = at.daemon();
                for _ in 0..4 {
                    kill(Pid::from_raw(pid as i32), Signal::SIGALRM).expect("root may");
                    assert_eq!(at.served().finish().rest(), "");
                }
                assert_eq!(at.daemon(), pid);
            },
        ),
        row("stop_keeps_the_command", "The command survives postfix stop: it keeps the connection.")
            .alone()
            .sees(|at| {
                let client = stopped(at);
                assert!(at.stays(&client));
            })
            .instead(|at| assert_eq!(stopped(at).rest(), "")),
        row("master_killed", "Death of master: descriptor 5 becomes readable. Idle: exit 0 at once.").alone().sees(
            |at| {
                let client = at.served();
                let daemon = host::watch(&at.daemons());
                assert_eq!(client.finish().rest(), "");
                at.postfix.signal(Signal::SIGKILL);
                assert!(daemon.end_within(patience()));
            },
        ),
        row("master_killed_serving", "Death of master: serving: finish, exit at the next available.").alone().sees(
            |at| {
                let client = at.served();
                let daemon = host::watch(&at.daemons());
                at.postfix.signal(Signal::SIGKILL);
                let mut client = client.send(b"still there\n");
                assert_eq!(client.line(), "still there");
                assert_eq!(client.finish().rest(), "");
                assert!(daemon.end_within(patience()));
            },
        ),
    ]
}

/// A client that was being served when the mail system was stopped.
fn stopped(at: &At<'_>) -> Client {
    let client = at.served();
    let daemon = host::watch(&at.daemons());
    at.postfix.signal(Signal::SIGTERM);
    assert!(daemon.end_within(patience() / 4));
    client
}
