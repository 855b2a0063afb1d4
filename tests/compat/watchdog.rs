// SPDX-License-Identifier: Apache-2.0
//! daemon_timeout: how long a daemon may stand still. Neither an idle daemon does, nor one that waits for its command.

use super::row::{Row, row};
use crate::scene::Client;
use std::os::unix::net::UnixStream;

pub(super) fn rows() -> Vec<Row> {
    let short = |name: &str, proves| row(name, proves).options("-o daemon_timeout=3").columns("unix - n n - 1");
    vec![
        short("watchdog_idle", "daemon_timeout: a daemon that waits for a client does not stand still.").sees(|at| {
            let daemon = {
                let _client = at.served();
                at.daemon()
            };
            std::thread::sleep(std::time::Duration::from_secs(4));
            let _client = at.served();
            assert_eq!(at.daemon(), daemon);
        }),
        short("watchdog_serving", "daemon_timeout covers the loop, not the wait for a command.")
            .script("sleep 4; echo ended")
            .prints("ended\n"),
        short("watchdog_waiting_for_the_lock", "A daemon that waits for the lock does not stand still.")
            .columns("unix - n n - 0")
            .sees(|at| {
                let both = [at.served(), at.served()];
                both.into_iter().for_each(|client| assert_eq!(client.finish().rest(), ""));
                std::thread::sleep(std::time::Duration::from_secs(4));
                assert_eq!(at.daemons().len(), 2);
                assert!(!at.said().iter().any(|line| line.contains("watchdog timeout")), "{:?}", at.said());
            }),
        row("watchdog_too_short", "a time-out below three steps: panic: watchdog_create: timeout 2 is too small")
            .options("-o daemon_timeout=2")
            .sees(|at| {
                let _client = at.client();
                let pid = at.pid_of(&at.says("panic: watchdog_create: timeout 2 is too small"));
                at.master_says(&format!("warning: process *daemons/@spawn pid {pid} killed by signal 6"));
            }),
        short(
            "watchdog_timeout",
            "A daemon that stands still: fatal: watchdog timeout. Waiting for a descriptor is so.",
        )
        .columns("pass - n n - 1")
        .sees(|at| {
            let _silent = silent(at);
            at.says("fatal: watchdog timeout");
        })
        .instead(|at| {
            let silent = silent(at);
            std::thread::sleep(std::time::Duration::from_secs(4));
            drop(silent);
            at.says("warning: pass_accept_attr: cannot receive file descriptor: *");
            assert!(!at.said().iter().any(|line| line.contains("watchdog timeout")), "{:?}", at.said());
        }),
    ]
}

/// Who connects to hand a client over and does not.
fn silent(at: &super::at::At<'_>) -> Client {
    let path = at.postfix.socket(at.name);
    Client::Unix(UnixStream::connect(path.trim_start_matches("unix:")).expect("master listens"))
}
