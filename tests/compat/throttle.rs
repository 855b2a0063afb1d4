// SPDX-License-Identifier: Apache-2.0
//! What master makes of a daemon's end: after a bad start it leaves the service alone for a while. See
//! master/master_spawn.c, master_reap_child: a process that did not exit with 0 and has not finished one client.

use super::at::At;
use super::row::{Row, row};
use crate::scene::{host, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(super) fn rows() -> Vec<Row> {
    // master's line names the program and no service, so each needs a master of its own.
    let alone = |name: &str, proves| row(name, proves).alone().columns("unix - n n - 1");
    vec![
        alone("throttle_attributes", "Attributes are refused with exit status 1, and master throttles the service.")
            .runs("user=ghost argv=/bin/cat")
            .prints("")
            .sees(is_throttled),
        alone("throttle_options", "Options are refused with exit status 1, and master throttles the service.")
            .options("-m 0")
            .sees(|at| {
                let _client = at.client();
                is_throttled(at);
            }),
        alone("throttle_first_client", "Dying of a signal before the first client is finished throttles.").sees(|at| {
            let _client = at.served();
            end(at, Signal::SIGTERM);
            is_throttled(at);
        }),
        alone("throttle_finished_client", "Dying of a signal after that does not.").sees(|at| {
            assert_eq!(at.served().finish().rest(), "");
            let second = at.served();
            // master hears of the first one's end by a pipe, and sees a death in the same moment before that.
            std::thread::sleep(patience() / 10);
            end(at, Signal::SIGTERM);
            drop(second);
            is_not_throttled(at);
        }),
        alone("throttle_max_use", "max_use clients, then exit 0: that does not.").options("-m 1").sees(|at| {
            (0..3).for_each(|_| assert_eq!(at.served().finish().rest(), ""));
            is_not_throttled(at);
        }),
        alone("throttle_command", "How a command ends is no matter: neither its status nor a signal throttles.")
            .script("read -r how; eval \"$how\"")
            .sees(|at| {
                for how in ["exit 1", "kill -9 $$", "exit 127"] {
                    assert_eq!(at.client().send(format!("{how}\n").as_bytes()).rest(), "");
                }
                assert_eq!(at.client().send(b"echo on\n").rest(), "on\n");
                assert!(!at.log.text().contains("throttling"), "{}", at.log.text());
            }),
    ]
}

fn end(at: &At<'_>, signal: Signal) {
    let (pid, daemon) = (at.daemon(), host::watch(&at.daemons()));
    kill(Pid::from_raw(pid as i32), signal).expect("root may");
    assert!(daemon.end_within(patience() / 4));
}

fn is_throttled(at: &At<'_>) {
    at.master_says("warning: *daemons/@spawn: bad command startup -- throttling");
}

fn is_not_throttled(at: &At<'_>) {
    assert_eq!(at.served().finish().rest(), "");
    assert!(!at.log.text().contains("throttling"), "{}", at.log.text());
}
