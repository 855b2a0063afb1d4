// SPDX-License-Identifier: Apache-2.0
//! What the daemon and master tell each other, with the test in master's place.

use super::at::At;
use super::master::Master;
use super::row::{Row, row};
use crate::postfix::instance::Spawner;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

pub(super) fn rows() -> Vec<Row> {
    [messages(), accepts(), vec![forks()], ends()].into_iter().flatten().collect()
}

const CAT: &str = "-n @name -t unix user=nobody argv=/bin/cat";

fn messages() -> Vec<Row> {
    vec![
        row(
            "status_messages",
            "A message is three ints: pid, generation, 0 taken or 1 available. taken, fork, wait, close, available.",
        )
        .sees(|at| {
            let master = Master::start(at, CAT);
            for _ in 0..3 {
                let client = master.client(6).served();
                assert_eq!(master.hears(), (master.id(), 15, 0));
                assert_eq!(client.finish().rest(), "");
                assert_eq!(master.hears(), (master.id(), 15, 1));
            }
        }),
        row("status_of_a_refusal", "Attributes are checked at the first connection, after the taken message.").sees(
            |at| {
                let master = Master::start(at, "-n @name -t unix user=ghost argv=/bin/cat");
                let client = master.client(6);
                assert_eq!(master.hears(), (master.id(), 15, 0));
                assert_eq!(client.rest(), "");
                assert_eq!(master.end(None).code(), Some(1));
            },
        ),
        row("status_generation_zero", "GENERATION is octal.").sees(|at| {
            let master = Master::with_generation(at, CAT, "0");
            let _client = master.client(6).served();
            assert_eq!(master.hears(), (master.id(), 0, 0));
        }),
        row("refuse_generation", "Not digits: bad generation").sees(|at| {
            let master = Master::with_generation(at, CAT, "one");
            assert_eq!(master.end(None).code(), Some(1));
            at.says("fatal: bad generation: one");
        }),
        row("two_listeners", "-s n: listen on 6 .. 6+n-1").sees(|at| {
            let master = Master::start(at, &format!("-s 2 {CAT}"));
            for listener in [7, 6, 7] {
                assert_eq!(master.client(listener).send(b"x").finish().rest(), "x");
            }
        }),
        row("one_listener", "Without -s there is one listener.").sees(|at| {
            let master = Master::start(at, CAT);
            let other = master.client(7);
            let _client = master.client(6).served();
            assert!(!at.is_over(&other));
        }),
        row(
            "service_name_from_argv0",
            "-n is absent when the name equals the basename of the command: then use argv[0]",
        )
        .alone()
        .settings("@spawn_time_limit = 1")
        .sees(|at| {
            let master = Master::start(at, "-t unix user=nobody argv=/bin/sleep 4711");
            let _client = master.client(6);
            at.says("warning: /bin/sleep: *: command time limit exceeded*");
        }),
    ]
}

fn accepts() -> Vec<Row> {
    let fault = |errno: &str, when: &str| format!("accept,accept4:error={errno}:when={when}");
    let silent = |errno: &'static str| {
        let name = format!("accept_{}", errno.to_lowercase());
        row(&name, "accept: EAGAIN, ECONNRESET, ECONNABORTED and the like are silent").sees(move |at| {
            let master = Master::with_fault(at, CAT, &fault(errno, "1"));
            assert_eq!(master.client(6).served().finish().rest(), "");
            assert!(!at.said().iter().any(|line| line.contains("accept connection")), "{:?}", at.said());
        })
    };
    let told = |errno: &'static str, text: &'static str| {
        let name = format!("accept_{}", errno.to_lowercase());
        row(&name, "accept: others error: accept connection: REASON").sees(move |at| {
            let master = Master::with_fault(at, CAT, &fault(errno, "1..3"));
            assert_eq!(master.client(6).served().finish().rest(), "");
            at.says(&format!("error: accept connection: {text}"));
            assert_eq!(at.said().iter().filter(|line| line.contains("accept connection")).count(), 3);
        })
    };
    let network = ["EAGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "EINTR", "ENETDOWN"];
    let others = ["ENETUNREACH", "ENOTCONN", "ENOBUFS", "ECONNABORTED", "EPROTO"];
    let mut rows: Vec<Row> = network.into_iter().chain(others).map(silent).collect();
    rows.extend([
        told("EMFILE", "Too many open files"),
        told("ENFILE", "Too many open files in system"),
        told("EINVAL", "Invalid argument"),
        told("EPERM", "Operation not permitted"),
        told("ETIMEDOUT", "Connection timed out").instead(|at| {
            let master = Master::with_fault(at, CAT, "accept,accept4:error=ETIMEDOUT:when=1..20");
            assert_eq!(master.client(6).served().finish().rest(), "");
        }),
        row("accept_errors", "accept: the 13th is fatal: too many errors - program terminated").sees(|at| {
            let master = Master::with_fault(at, CAT, "accept,accept4:error=EMFILE");
            let _client = master.client(6);
            assert_eq!(master.end(None).code(), Some(1));
            at.says("fatal: too many errors - program terminated");
            assert_eq!(at.said().iter().filter(|line| line.contains("accept connection")).count(), 13);
        }),
    ]);
    rows
}

fn forks() -> Row {
    // Ours are made by clone3(2), the first of them for its trial.
    let fault = |at: &At<'_>| match at.spawner {
        Spawner::Theirs => "clone,fork,vfork:error=EAGAIN:when=1",
        Spawner::Ours => "clone3:error=EAGAIN:when=2",
    };
    row("fork_fails", "fork: REASON is fatal for the daemon")
        .sees(move |at| {
            let master = Master::with_fault(at, CAT, fault(at));
            assert_eq!(master.client(6).rest(), "");
            at.says("fatal: fork: Resource temporarily unavailable");
            assert_eq!(master.end(None).code(), Some(1));
        })
        .instead(move |at| {
            let master = Master::with_fault(at, CAT, fault(at));
            assert_eq!(master.client(6).rest(), "");
            at.says("warning: command /bin/cat: *: Resource temporarily unavailable");
            assert_eq!(master.client(6).served().finish().rest(), "");
        })
}

fn ends() -> Vec<Row> {
    let by_signal = |name: &str, proves, signal: Signal| {
        row(name, proves).sees(move |at| {
            let master = Master::start(at, CAT);
            let _client = master.client(6).served();
            assert_eq!(master.end(Some(signal)).signal(), Some(signal as i32));
        })
    };
    vec![
        row("channel_ends_idle", "Descriptor 5 becomes readable. Idle: exit 0 at once.").sees(|at| {
            let master = Master::start(at, CAT);
            assert_eq!(master.client(6).served().finish().rest(), "");
            assert_eq!(master.leave().code(), Some(0));
        }),
        row("channel_ends_before_the_first", "Descriptor 5 becomes readable. Idle: exit 0, without a client too.")
            .sees(|at| {
                assert_eq!(Master::start(at, CAT).leave().code(), Some(0));
            }),
        row("max_use_status", "max_use clients, then exit 0, silent").sees(|at| {
            let master = Master::start(at, &format!("-m 1 {CAT}"));
            assert_eq!(master.client(6).served().finish().rest(), "");
            assert_eq!([master.hears().2, master.hears().2], [0, 1]);
            assert_eq!(master.end(None).code(), Some(0));
        }),
        row("max_idle_status", "max_idle: exit 0, silent").sees(|at| {
            let master = Master::start(at, &format!("-i 1 {CAT}"));
            assert_eq!(master.client(6).served().finish().rest(), "");
            assert_eq!(master.end(None).code(), Some(0));
            assert!(!at.said().iter().any(|line| line.contains("warning")));
        }),
        by_signal("term_status", "SIGTERM: default action, at once: also while it serves", Signal::SIGTERM),
        by_signal("hup_status", "SIGHUP: default action, at once: also while it serves", Signal::SIGHUP),
    ]
}
