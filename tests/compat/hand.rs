// SPDX-License-Identifier: Apache-2.0
//! The daemon without any master: started by hand, or by another super-server.

use super::at::At;
use super::master::{bare_hand, ended, hand};
use super::row::{Row, row};
use crate::scene::Client;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

pub(super) fn rows() -> Vec<Row> {
    [vec![without_main_cf()], refused(), clients(), ends(), debugger()].into_iter().flatten().collect()
}

const CAT: &str = "-n @name -t unix user=nobody argv=/bin/cat";

fn refused() -> Vec<Row> {
    let refuse = |name: &str, proves, options: &'static str, words: &'static str| {
        row(name, proves).sees(move |at| {
            let (status, _) = ended(at, hand(at, &format!("{options} user=nobody argv=/bin/cat")));
            assert_eq!(status, Some(1));
            at.says(&format!("fatal: {words}"));
        })
    };
    vec![
        refuse(
            "refuse_transport",
            "anything else: unsupported transport type: fifo",
            "-n @name -t fifo",
            "unsupported transport type: fifo",
        ),
        refuse(
            "refuse_no_transport",
            "missing: no transport type specified",
            "-n @name",
            "no transport type specified",
        ),
        refuse(
            "refuse_unprivileged_first",
            "Unprivileged is refused before the transport is looked at.",
            "-n @name -u -t fifo",
            "service @name requires privileged operation",
        ),
        refuse(
            "refuse_unprivileged_by_hand",
            "-u is refused with -S too.",
            "-n @name -S -u",
            "service @name requires privileged operation",
        ),
        row(
            "by_hand_terminal",
            "stdin is a terminal and neither -S nor -d: do not run this command by hand, stderr, status 1",
        )
        .sees(|at| {
            let (status, text) = ended_on_a_terminal(at, hand(at, CAT));
            let expected = at.fill("@spawn: fatal: do not run this command by hand\n");
            assert_eq!((status, text), (Some(1), expected));
        }),
        row("by_hand_terminal_verbose", "The same with -V: once, under the program's name.").sees(|at| {
            let (status, text) = ended_on_a_terminal(at, hand(at, &format!("-V {CAT}")));
            let expected = at.fill("@spawn: fatal: do not run this command by hand\n");
            assert_eq!((status, text), (Some(1), expected));
        }),
        row("by_hand_log", "-V: also log to stderr").sees(|at| {
            let (status, text) = ended(at, hand(at, "-V -n @name -t fifo"));
            let expected = at.fill("@name/@spawn: fatal: unsupported transport type: fifo\n");
            assert_eq!((status, text), (Some(1), expected));
        }),
    ]
}

fn without_main_cf() -> Row {
    row("by_hand_without_main_cf", "open PATH/main.cf: No such file or directory").sees(|at| {
        let mut daemon = hand(at, CAT);
        daemon.env("MAIL_CONFIG", at.path("no-@name"));
        assert_eq!(ended(at, daemon).0, Some(1));
        at.anyone_says("fatal: open @room/no-@name/main.cf: No such file or directory");
    })
}

fn clients() -> Vec<Row> {
    let echoes = |name: &str, proves, options: &'static str| {
        row(name, proves).sees(move |at| {
            let (client, daemon) = with_client(at, hand(at, &format!("{options} user=nobody argv=/bin/cat")));
            let client = client.send(b"hello\n").finish();
            assert_eq!(ended(at, daemon).0, Some(0));
            assert_eq!(client.rest(), "hello\n");
        })
    };
    vec![
        echoes("by_hand_client", "-S: client on stdin, one command, exit 0", "-S -n @name -t unix"),
        echoes("by_hand_without_transport", "-S: neither a transport nor a listener is needed.", "-S -n @name"),
        echoes("by_hand_any_transport", "-S: the transport is not looked at.", "-S -n @name -t fifo"),
        row("by_hand_first", "-S, -V and -v may come first, and together.").sees(|at| {
            let words = ["-SVvn@name", "user=nobody", "argv=/bin/cat"];
            let (client, daemon) = with_client(at, bare_hand(at, &words));
            let client = client.send(b"hello\n").finish();
            let (status, text) = ended(at, daemon);
            assert_eq!((status, client.rest().as_str()), (Some(0), "hello\n"));
            let line = at.fill("postfix/@spawn: spawn_service: service=@name, command=user=nobody...\n");
            assert!(text.contains(&line), "{text}");
        }),
        row("by_hand_verbose_environment", "MAIL_VERBOSE in the environment: as -v").sees(|at| {
            let mut daemon = hand(at, "-S -n @name user=nobody argv=/bin/true");
            daemon.env("MAIL_VERBOSE", "");
            assert_eq!(ended(at, daemon).0, Some(0));
            at.says("spawn_service: service=@name, command=user=nobody...");
        }),
        row("by_hand_on_a_terminal", "-S: then standard input may be a terminal.").sees(|at| {
            let daemon = hand(at, "-S -n @name user=nobody argv=/bin/true");
            assert_eq!(ended_on_a_terminal(at, daemon).0, Some(0));
        }),
        row("by_hand_one_descriptor", "-S: the command's standard output is standard input too.").sees(|at| {
            let (read, write) = nix::unistd::pipe().expect("a descriptor is left");
            let mut daemon = hand(at, "-S -n @name user=nobody argv=/bin/echo lost");
            daemon.stdin(read);
            assert_eq!(ended(at, daemon).0, Some(0));
            at.says("warning: command /bin/echo exit status 1");
            drop(write);
        }),
        row("by_hand_lock", "-S: no lock file is made.").sees(|at| {
            assert_eq!(ended(at, hand(at, "-S -n @name user=nobody argv=/bin/true")).0, Some(0));
            assert!(!at.lock_file().exists());
        }),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        row("by_hand_failing_command", "-S: exit 0 whatever the command's status, which is logged.").sees(|at| {
            assert_eq!(ended(at, hand(at, "-S -n @name user=nobody argv=/bin/false")).0, Some(0));
            at.says("warning: command /bin/false exit status 1");
        }),
        row("by_hand_refused", "-S: attributes are refused at once, status 1.").sees(|at| {
            assert_eq!(ended(at, hand(at, "-S -n @name user=ghost argv=/bin/cat")).0, Some(1));
            at.says("fatal: unknown user name: ghost");
        }),
        row("by_hand_limit", "-S: the time limit is the service's.").sees(|at| {
            let words = "-S -n @name -o @name_time_limit=1 user=nobody argv=/bin/sleep 4711";
            let mut daemon = hand(at, words).spawn().expect("the daemon is there");
            at.says("warning: /bin/sleep: *: command time limit exceeded*");
            let _ended = daemon.kill();
            daemon.wait().expect("it is ours");
        }),
    ]
}

fn debugger() -> Vec<Row> {
    let noted = |at: &At<'_>, command: Command| {
        assert_eq!(ended(at, command).0, Some(0));
        let text = std::fs::read_to_string(at.spool(at.name)).expect("the debugger ran");
        let pid = at.pid_of(&at.says("running: echo @spawn * >*"));
        assert_eq!(text, at.fill(&format!("@spawn {pid}\n")));
    };
    let debugged = |name: &str, proves| {
        row(name, proves).settings("@name_debugger = echo $process_name $process_id >@spool/@name")
    };
    const OPTIONS: &str = "-S -n @name -o debugger_command=$@name_debugger";
    vec![
        debugged("debugger", "-D: run debugger_command, a shell command in which $process_id is the daemon's.")
            .sees(move |at| noted(at, hand(at, &format!("-D {OPTIONS} user=nobody argv=/bin/true")))),
        debugged("debugger_environment", "MAIL_DEBUG in the environment: as -D.").sees(move |at| {
            let mut daemon = hand(at, &format!("{OPTIONS} user=nobody argv=/bin/true"));
            daemon.env("MAIL_DEBUG", "");
            noted(at, daemon);
        }),
        row("refuse_debugger", "-D: no debugger_command variable set up").sees(|at| {
            assert_eq!(ended(at, hand(at, &format!("-D {CAT}"))).0, Some(1));
            at.says("fatal: no debugger_command variable set up");
        }),
    ]
}

/// How it ends with a new terminal as its standard input.
fn ended_on_a_terminal(at: &At<'_>, mut daemon: Command) -> (Option<i32>, String) {
    let terminal = nix::pty::openpty(None, None).expect("there are terminals");
    daemon.stdin(terminal.slave);
    let how = ended(at, daemon);
    // Until here: without its master the other end is no terminal.
    drop(terminal.master);
    how
}

/// With a client on standard input.
fn with_client(at: &At<'_>, mut daemon: Command) -> (Client, Command) {
    let (ours, theirs) = UnixStream::pair().expect("a descriptor is left");
    ours.set_read_timeout(Some(at.patience)).expect("a time-out can be set");
    daemon.stdin(OwnedFd::from(theirs));
    (Client::Unix(ours), daemon)
}
