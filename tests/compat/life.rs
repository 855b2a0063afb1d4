// SPDX-License-Identifier: Apache-2.0
//! The daemon's life under master: how many there are, whom they serve, who they are, what ends them.

use super::at::At;
use super::row::{Row, row};
use crate::scene::{Client, host, patience};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

pub(super) fn rows() -> Vec<Row> {
    [counts(), uses(), locks(), identity(), reloads(), ends()].into_iter().flatten().collect()
}

/// So many are served at once, and the next when one of them has ended.
fn serves(name: &str, proves: &'static str, columns: &str, together: usize) -> Row {
    row(name, proves).columns(columns).sees(move |at| {
        let mut clients: Vec<Client> = (0..together).map(|_| at.served()).collect();
        let mut next = at.client().send(b"next\n");
        assert_eq!(at.daemons().len(), together);
        assert!(!at.is_over(&next));
        assert_eq!(clients.pop().expect("one at least").finish().rest(), "");
        assert_eq!(next.line(), "next");
    })
}

fn counts() -> Vec<Row> {
    vec![
        serves("maxproc_one", "maxproc: the maximum number of processes that may execute this service simultaneously.", "unix - n n - 1", 1),
        serves("maxproc_two", "maxproc: the maximum number of processes that may execute this service simultaneously.", "unix - n n - 2", 2),
        serves("maxproc_dash", "maxproc -: the default_process_limit parameter.", "unix - n n - -", 3).alone().settings("default_process_limit = 3"),
        row("maxproc_zero", "maxproc 0: no process count limit.").sees(|at| {
            let _clients: Vec<Client> = (0..12).map(|_| at.served()).collect();
            assert_eq!(at.daemons().len(), 12);
        }),
        row("stress", "-o stress=: empty at first; yes in processes that are started once all are busy.")
            .alone()
            .settings("inet_interfaces = all")
            .entries("2608 inet n n n - 2 @spawn -o syslog_name=@name -o export_environment=S=<$stress> user=nobody argv=/bin/sh @script")
            .script("echo \"$S\"; read -r end")
            .sees(|at| {
                let connect = || Client::connect("127.0.0.1:2608");
                let (mut first, mut second) = (connect(), connect());
                assert_eq!(first.line(), "<>");
                at.master_says("warning: service \"2608\" * has reached its process limit \"2\": new clients may experience noticeable delays");
                second.line();
                drop(first);
                assert_eq!(connect().line(), "<yes>");
            }),
        row("service_named_like_the_daemon", "-n is absent where the service is named like the daemon; the name is the same.")
            .entries("@spawn unix - n n - 0 @spawn -o syslog_name=@name user=nobody argv=/bin/sleep 4711")
            .settings("@spawn_time_limit = 1")
            .sees(|at| {
                let _client = Client::connect(&at.postfix.socket(at.spawner.name()));
                at.says("warning: /bin/sleep: *: command time limit exceeded*");
            }),
    ]
}

fn uses() -> Vec<Row> {
    let ends_after_two = |name: &str, proves| {
        row(name, proves).columns("unix - n n - 1").sees(|at| {
            let daemon = |client: Client| (at.daemon(), client.finish().rest()).0;
            let all = [(); 5].map(|()| daemon(at.served()));
            assert!(all[0] == all[1] && all[1] != all[2] && all[2] == all[3] && all[3] != all[4], "{all:?}");
            assert!(!at.said().iter().any(|line| line.contains("warning")));
        })
    };
    let ends_idle = |name: &str, proves| {
        row(name, proves).sees(|at| {
            let client = at.served();
            let daemon = host::watch(&at.daemons());
            assert_eq!(client.finish().rest(), "");
            assert!(daemon.end_within(patience()));
            assert!(!at.said().iter().any(|line| line.contains("warning")));
        })
    };
    vec![
        ends_after_two("max_use", "max_use: the maximal number of incoming connections that a process will service before terminating voluntarily.").options("-o max_use=2"),
        ends_after_two("max_use_m", "-m: the same.").options("-m 2"),
        ends_after_two("max_use_main_cf", "max_use in main.cf: the same for all.").alone().settings("max_use = 2"),
        ends_idle("max_idle", "max_idle: the maximum amount of time that an idle process waits for an incoming connection before terminating voluntarily.").options("-o max_idle=1"),
        ends_idle("max_idle_i", "-i: the same.").options("-i 1s"),
        ends_idle("max_idle_main_cf", "max_idle in main.cf: the same for all.").alone().settings("max_idle = 1s"),
        row("max_idle_serving", "Serving is not idle.").options("-i 1").script("sleep 2; echo served").prints("served\n"),
        row("refuse_max_use_zero", "max_use = 0 is refused at start as out of range.").options("-m 0").ends("invalid max_use parameter value 0 < 1"),
        row("refuse_max_use_word", "bad numerical configuration: max_use = zero").options("-m zero").ends("bad numerical configuration: max_use = zero"),
        row("refuse_max_idle_unit", "Time units are lower case only.").options("-i 5S").ends("parameter max_idle: bad time value or unit: 5S"),
    ]
}

fn locks() -> Vec<Row> {
    vec![
        row("lock_file", "Unless -l: pid/TRANSPORT.NAME in the queue directory, made 0600 as root.").sees(|at| {
            let _client = at.served();
            let file = std::fs::metadata(at.lock_file()).expect("the lock file is there");
            assert_eq!((file.permissions().mode() & 0o7777, file.uid()), (0o600, 0));
        }),
        row("lock_file_alone", "-l: the process limit is 1; there is no lock file.").columns("unix - n n - 1").sees(
            |at| {
                let _client = at.served();
                assert!(!at.lock_file().exists());
            },
        ),
        row("lock_held_while_idle", "The lock is held around poll and accept; a serving daemon does not hold it.")
            .sees(|at| {
                let client = at.served();
                let locked = || {
                    let file = File::open(at.lock_file()).expect("the lock file is there");
                    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()
                };
                assert!(!locked(), "a serving daemon holds the lock");
                assert_eq!(client.finish().rest(), "");
                at.eventually("the idle daemon holds the lock", locked);
            }),
    ]
}

fn identity() -> Vec<Row> {
    let idle = |at: &At<'_>| {
        assert_eq!(at.served().finish().rest(), "");
        at.daemon()
    };
    let serving = |name: &str, proves, seen: fn(u32, u32)| {
        row(name, proves).sees(move |at| {
            let _client = at.served();
            seen(at.daemon(), at.postfix.id());
        })
    };
    let ids = |pid, name| host::status_of(pid, name).expect("the daemon lives");
    let owner = || User::from_name("postfix").expect("accounts can be read").expect("the package has an account");
    vec![
        row("daemon_user", "Daemon: real uid 0, effective uid mail owner.").sees(move |at| {
            let uid = owner().uid;
            assert_eq!(ids(idle(at), "Uid"), format!("0\t{uid}\t0\t{uid}"));
        }),
        row("daemon_group", "Daemon: effective gid mail owner's, no other group but it.").sees(move |at| {
            let (pid, gid) = (idle(at), owner().gid);
            assert_eq!((ids(pid, "Gid"), ids(pid, "Groups")), (format!("0\t{gid}\t0\t{gid}"), gid.to_string()));
        }),
        serving("daemon_session", "Daemon: master's session and process group.", |daemon, master| {
            let ids = |pid| {
                (
                    nix::unistd::getsid(Some(Pid::from_raw(pid as i32))),
                    nix::unistd::getpgid(Some(Pid::from_raw(pid as i32))),
                )
            };
            assert_eq!(ids(daemon), ids(master));
        }),
        serving("daemon_directory", "Daemon: in the queue directory.", |daemon, _| {
            let directory = std::fs::read_link(format!("/proc/{daemon}/cwd")).expect("the daemon lives");
            assert!(directory.ends_with("postfix/queue"), "{}", directory.display());
        }),
        serving("daemon_standard_descriptors", "Descriptors: 0-2 /dev/null.", |daemon, _| {
            for number in 0..3 {
                let file = std::fs::read_link(format!("/proc/{daemon}/fd/{number}")).expect("it is open");
                assert_eq!(file.to_str(), Some("/dev/null"));
            }
        }),
        serving(
            "daemon_holds_the_connection",
            "The daemon holds its own copy of the connection until the command ends.",
            |daemon, _| {
                let sockets = |pid| {
                    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
                    files
                        .filter_map(|file| std::fs::read_link(file.path()).ok())
                        .filter(|link| link.to_string_lossy().starts_with("socket:"))
                        .collect::<Vec<_>>()
                };
                let cat = host::tree(daemon).into_iter().find(|pid| host::command_line(*pid).starts_with("/bin/cat"));
                let connection = sockets(cat.expect("cat runs"));
                assert!(sockets(daemon).contains(&connection[0]));
            },
        ),
    ]
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
        row("signal_pipe", "SIGPIPE is ignored.").sees(|at| {
            assert_eq!(at.served().finish().rest(), "");
            let pid = at.daemon();
            kill(Pid::from_raw(pid as i32), Signal::SIGPIPE).expect("root may");
            assert_eq!(at.served().finish().rest(), "");
            assert_eq!(at.daemon(), pid);
        }),
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
