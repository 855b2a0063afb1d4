// SPDX-License-Identifier: Apache-2.0
//! The daemon's life under master: how many there are, whom they serve, who they are.

use super::at::At;
use super::row::{Row, row};
use crate::scene::{Client, host, patience};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Pid, User};
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

pub(super) fn rows() -> Vec<Row> {
    [counts(), uses(), locks(), identity()].into_iter().flatten().collect()
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
        row("stress_serving", "On reaching the limit master closes the status channel, as at reload: who is served goes on, and the process ends after that.")
            .alone()
            .settings("inet_interfaces = all")
            .entries("2610 inet n n n - 2 @spawn -o syslog_name=@name user=nobody argv=/bin/cat")
            .sees(|at| {
                let first = public(2610);
                let daemon = host::watch(&at.postfix.daemons("2610"));
                // As soon as it starts the last one that it may start.
                let mut second = public(2610);
                at.master_says("warning: service \"2610\" * has reached its process limit \"2\": new clients may experience noticeable delays");
                let mut third = Client::connect("127.0.0.1:2610").send(b"third\n");
                assert!(at.stays(&third), "there are more processes than the limit allows");
                let mut first = first.send(b"still there\n");
                assert_eq!(first.line(), "still there");
                assert_eq!(first.finish().rest(), "");
                assert_eq!(daemon.count(), 1);
                assert!(daemon.end_within(patience()), "the first process goes on");
                assert_eq!(third.line(), "third");
                second = second.send(b"still there\n");
                assert_eq!(second.line(), "still there");
            }),
        row("inet_two_addresses", "master listens on each address of inet_interfaces, and says how many there are: -s n.")
            .alone()
            .settings("inet_protocols = all")
            .entries("2611 inet n n n - 1 @spawn -o syslog_name=@name user=nobody argv=/bin/cat")
            .sees(|at| {
                for address in ["[::1]:2611", "127.0.0.1:2611", "[::1]:2611"] {
                    assert_eq!(Client::connect(address).send(b"x").finish().rest(), "x");
                }
                let [daemon] = at.postfix.daemons("2611")[..] else { panic!("not one daemon") };
                assert!(host::command_line(daemon).contains(" -s 2 "), "{}", host::command_line(daemon));
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

/// A client of this port that is being served.
fn public(port: u16) -> Client {
    let mut client = Client::connect(&format!("127.0.0.1:{port}")).send(b"are you there\n");
    assert_eq!(client.line(), "are you there");
    client
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
        row("lock_file_inet", "The lock file is the transport's, with the name as written: pid/inet.NAME")
            .entries("127.0.0.1:2609 inet n n n - 0 @spawn -o syslog_name=@name user=nobody argv=/bin/cat")
            .sees(|at| {
                assert_eq!(Client::connect("127.0.0.1:2609").send(b"x").finish().rest(), "x");
                assert!(at.path("postfix/queue/pid/inet.127.0.0.1:2609").exists());
            }),
        lock_refused("lock_file_two_names", "file has N hard links", "file has 2 hard links", |file, other| {
            std::fs::write(other, "").and_then(|()| std::fs::hard_link(other, file)).expect("root may write there");
        }),
        lock_refused("lock_file_link", "file is a symbolic link", "file is a symbolic link", |file, other| {
            std::fs::write(other, "").and_then(|()| std::os::unix::fs::symlink(other, file)).expect("root may");
            std::os::unix::fs::lchown(file, Some(65534), None).expect("root may give links away");
        }),
        lock_refused("lock_file_directory", "cannot open file", "cannot open file: Is a directory", |file, _| {
            std::fs::create_dir(file).expect("root may write there");
        }),
        row("lock_file_link_of_root", "A link of root's in a directory of root's may stand for the lock file.").sees(
            |at| {
                std::os::unix::fs::symlink(at.path("@name.other"), at.lock_file()).expect("root may");
                std::fs::write(at.path("@name.other"), "").expect("root may");
                let _client = at.served();
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

/// A service that finds this in its lock file's place.
fn lock_refused(name: &str, proves: &'static str, why: &str, makes: fn(&Path, &Path)) -> Row {
    let words = format!("open lock file pid/unix.@name: {why}");
    row(name, proves).sees(move |at| makes(&at.lock_file(), &at.path("@name.other"))).ends(&words)
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
            let (pid, uid) = (idle(at), owner().uid);
            let expected = format!("0\t{uid}\t0\t{uid}");
            at.eventually("the idle daemon is the mail owner", || ids(pid, "Uid") == expected);
        }),
        row("daemon_group", "Daemon: effective gid mail owner's, no other group but it.").sees(move |at| {
            let (pid, gid) = (idle(at), owner().gid);
            let expected = (format!("0\t{gid}\t0\t{gid}"), gid.to_string());
            at.eventually("the idle daemon has the mail owner's group", || {
                (ids(pid, "Gid"), ids(pid, "Groups")) == expected
            });
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
