// SPDX-License-Identifier: Apache-2.0
//! One connection, from the first byte to what the log says of its end.

use super::at::At;
use super::row::{Row, row};
use crate::scene::Client;
use crate::scene::host;
use std::time::{Duration, Instant};

pub(super) fn rows() -> Vec<Row> {
    [stream(), ends(), clients()].into_iter().flatten().collect()
}

fn stream() -> Vec<Row> {
    vec![
        row("half_close", "The daemon never shuts the connection down: a client that has sent its last still gets the answer.")
            .script("while read -r line; do last=$line; done; echo last $last")
            .sees(|at| assert_eq!(at.client().send(b"a\nb\n").finish().rest(), "last b\n")),
        row("data_before_accept", "The daemon never reads: early data all reach the command.")
            .sees(|at| assert_eq!(at.client().send(&[b'x'; 5000]).finish().rest().len(), 5000)),
        row("dialogue", "A command that answers line by line is heard line by line.").sees(|at| {
            let mut client = at.served().send(b"two\n");
            assert_eq!(client.line(), "two");
            assert_eq!(client.finish().rest(), "");
        }),
        row("command_shutdown", "A command that shuts the connection down shows its client the end while it runs on.")
            .runs("user=nobody argv=/usr/bin/perl -e {print \"x\"; close STDOUT; shutdown STDIN, 2; sleep 4711}")
            .sees(|at| {
                assert_eq!(at.client().rest(), "x");
                assert_eq!(at.daemons().len(), 1);
            }),
        row("command_closes", "The daemon holds its copy: a command that closes 0, 1 and 2 does not close the connection.")
            .script("echo closing; exec 0<&- 1>&- 2>&-; touch @spool/@name; sleep 4711")
            .sees(|at| {
                let mut client = at.client();
                assert_eq!(client.line(), "closing");
                at.eventually("the command has closed all", || at.spool(at.name).exists());
                assert!(!at.is_over(&client));
            }),
        row("big_output", "However much a command writes, the client gets it.")
            .runs("user=nobody argv=/usr/bin/head -c 5000000 /dev/zero")
            .sees(|at| assert_eq!(at.answer().len(), 5_000_000)),
        row("big_input", "However much a client sends, the command gets it.")
            .runs("user=nobody argv=/usr/bin/wc -c")
            .sees(|at| assert_eq!(at.client().send(&vec![b'x'; 5_000_000]).finish().rest(), "5000000\n")),
        row("binary", "Bytes are not looked at.").sees(|at| {
            let bytes: Vec<u8> = (1..128).collect();
            assert_eq!(at.client().send(&bytes).finish().rest().as_bytes(), bytes);
        }),
        row("unread_input", "A command may end without having read what it was sent.")
            .runs("user=nobody argv=/bin/true")
            .sees(|at| assert_eq!(at.client().send(b"never read").rest(), "")),
        row("output_before_the_end", "What the command wrote before it ended arrives before the end.")
            .script("printf all; exit 0")
            .prints("all"),
        row("peer_unix", "The command can ask whose process is at the other end.")
            .runs("user=nobody argv=/usr/bin/perl -MSocket -e {print join ' ', (unpack 'iii', getsockopt(STDIN, SOL_SOCKET, 17))[1,2]}")
            .prints("0 0"),
    ]
}

fn ends() -> Vec<Row> {
    let exits = |name: &str, proves, script: &str, says: &str| row(name, proves).script(script).prints("").says(says);
    vec![
        row("log_exit_0", "exit 0: silent")
            .runs("user=nobody argv=/bin/true")
            .prints("")
            .prints("")
            .sees(|at| assert_eq!(at.said(), [""; 0]))
            .instead(|at| {
                assert_eq!(at.answer(), "");
                at.says("*: session=1 policy=compatible@* outcome=exited status=0 *");
                assert!(!at.said().iter().any(|line| line.contains("warning")));
            }),
        exits("log_exit_1", "Otherwise: command ARGV0 exit status N", "exit 1", "warning: command /bin/sh exit status 1"),
        exits("log_exit_75", "Otherwise: command ARGV0 exit status N", "exit 75", "warning: command /bin/sh exit status 75"),
        exits("log_exit_255", "Otherwise: command ARGV0 exit status N", "exit 255", "warning: command /bin/sh exit status 255"),
        exits("log_signal_9", "... killed by signal N", "kill -9 $$", "warning: command /bin/sh killed by signal 9"),
        exits("log_signal_15", "... killed by signal N", "kill $$", "warning: command /bin/sh killed by signal 15"),
        exits("log_signal_11", "... killed by signal N", "kill -11 $$", "warning: command /bin/sh killed by signal 11"),
        row("log_argv0_as_written", "ARGV0 is the command as written.")
            .runs("user=nobody argv=sh -c { exit 3 }")
            .prints("")
            .says("warning: command sh exit status 3"),
        row("exec_failure_takes_a_second", "exec failure: the child sleeps 1 s, then exits 1.")
            .runs("user=nobody argv=/no/such/command")
            // The shortest of some: a busy machine makes others longer.
            .sees(|at| assert!((0..4).map(|_| ended_after(at)).min() >= Some(Duration::from_secs(1))))
            .instead(|at| assert!(ended_after(at) < crate::scene::patience())),
        row("survivors_after_exit", "A command that leaves children behind is finished when it exits itself: they live on and keep the connection.")
            .script("setsid sleep 4711 & echo started")
            .sees(|at| {
                let mut client = at.client();
                assert_eq!(client.line(), "started");
                at.served_by_another();
                assert!(!at.is_over(&client), "the connection has ended");
            })
            .instead(|at| assert_eq!(at.client().rest(), "started\n")),
        row("command_stopped", "A stopped command keeps its daemon taken.")
            .columns("unix - n n - 1")
            .script("echo $$; kill -STOP $$")
            .sees(|at| {
                let mut client = at.client();
                client.line();
                let second = at.client();
                at.eventually("the daemon waits", || at.daemons().len() == 1);
                assert!(!at.is_over(&client) && !at.is_over(&second));
            }),
        row("reuse", "One process serves one client after another.").columns("unix - n n - 1").sees(|at| {
            let daemon = |client: Client| (at.daemon(), client.finish().rest()).0;
            let first = daemon(at.served());
            assert!((0..5).all(|_| daemon(at.served()) == first));
        }),
    ]
}

fn ended_after(at: &At<'_>) -> Duration {
    let began = Instant::now();
    assert_eq!(at.answer(), "");
    began.elapsed()
}

fn clients() -> Vec<Row> {
    vec![
        row("client_leaves", "A client that leaves is not noticed; the command runs on.")
            .script("read -r line; read -r end; touch @spool/@name; sleep 4711")
            .sees(|at| {
                drop(at.client().send(b"go\n"));
                at.eventually("the command goes on", || at.spool(at.name).exists());
                assert_eq!(at.daemons().len(), 1);
                assert!(!host::processes(&at.path("@name.sh").display().to_string()).is_empty());
            }),
        row("early_close_storm", "Clients that leave before they are accepted are no trouble, and not told.").sees(
            |at| {
                (0..50).for_each(|_| drop(at.client()));
                assert_eq!(at.served().finish().rest(), "");
                assert!(!at.said().iter().any(|line| line.contains("accept")), "{}", at.said().join("\n"));
            },
        ),
        row("client_resets", "A client that resets its connection is the command's concern.")
            .entries("127.0.0.1:2603 inet n n n - 1 @spawn -o syslog_name=@name user=nobody argv=/bin/cat")
            .sees(|_| {
                let connect = || Client::connect("127.0.0.1:2603");
                let mut client = connect().send(b"x\n");
                assert_eq!(client.line(), "x");
                client.reset();
                assert_eq!(connect().send(b"y\n").finish().rest(), "y\n");
            }),
        row("wakeup_column", "Wake up time: master connects and writes W; a command runs for that.")
            .columns("unix - n n 600 0")
            .script("head -c 1 >@spool/@name")
            .sees(|at| {
                at.eventually("a command ran", || std::fs::read(at.spool(at.name)).is_ok_and(|seen| seen == b"W"))
            }),
    ]
}
