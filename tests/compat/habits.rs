// SPDX-License-Identifier: Apache-2.0
//! What services have always done under spawn(8), and go on doing without a policy: files named by process id, a daemon
//! told by its pid file, shared memory of somebody else's, the mail store.

use super::at::At;
use super::row::{Row, row};
use crate::scene::{NOBODY, outcome};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(super) fn rows() -> Vec<Row> {
    vec![pid_names(), pid_names_in_turn(), pid_file(), shared_memory(), mail_store()]
}

/// A directory of the user's alone, as far as other users go.
fn make_own(at: &At<'_>) -> std::path::PathBuf {
    let directory = at.spool(at.name);
    fs::create_dir(&directory).expect("the spool can be written");
    give(&directory, 0o700);
    directory
}

fn give(path: &Path, mode: u32) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("root may");
}

/// A process of the command's user that no service has started.
fn outside(program: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).uid(NOBODY).gid(NOBODY).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("the program is there")
}

/// What each command puts aside under its process id it finds again, whatever others do meanwhile.
fn pid_names() -> Row {
    row(
        "pid_names_are_unique",
        "Commands that run at the same time have different process ids, by which they name files.",
    )
    .script("cd @spool/@name\nread -r word\necho $word >in.$$\necho done\nread -r end\ncat in.$$; rm in.$$")
    .sees(|at| {
        let directory = make_own(at);
        let clients: Vec<_> = ["one", "two", "three", "four"]
            .map(|word| {
                let mut client = at.client().send(format!("{word}\n").as_bytes());
                assert_eq!(client.line(), "done");
                (word, client)
            })
            .into();
        assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 4);
        for (word, client) in clients {
            assert_eq!(client.send(b"end\n").rest(), format!("{word}\n"));
        }
        assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 0);
    })
}

/// A name that was left behind does not come again at once: a crash is told from a colleague.
fn pid_names_in_turn() -> Row {
    row("pid_names_in_turn", "Commands that run one after another have different process ids.")
        .runs("user=nobody argv=/bin/sh -c { echo $$ }")
        .sees(|at| {
            let mut pids: Vec<String> = (0..10).map(|_| at.answer()).collect();
            pids.sort();
            pids.dedup();
            assert_eq!(pids.len(), 10, "{pids:?}");
        })
}

fn pid_file() -> Row {
    let told = |at: &At<'_>| {
        let daemon = outside("/bin/sleep", &["4711"]);
        fs::write(at.spool(at.name), daemon.id().to_string()).expect("the spool can be written");
        (daemon, at.answer())
    };
    row("signals_a_daemon", "A command signals a daemon of its user by its pid file.")
        .script("kill -HUP $(cat @spool/@name) 2>&1 && echo sent")
        .sees(move |at| {
            let (mut daemon, answer) = told(at);
            let sent = answer == "sent\n";
            if !sent {
                let _ = daemon.kill();
            }
            let ended = outcome::wait(&mut daemon, at.patience, "the daemon");
            assert_eq!((answer.as_str(), ended.signal()), ("sent\n", Some(1)));
        })
        .instead(move |at| {
            let (mut daemon, answer) = told(at);
            assert!(answer.contains("No such process"), "{answer}");
            assert!(daemon.try_wait().expect("it is ours").is_none(), "it was signalled all the same");
            let _ = daemon.kill();
            let _ = daemon.wait();
        })
}

fn shared_memory() -> Row {
    // The key is the script's inode: one for each row of each side.
    row("sysv_memory_made_outside", "A command attaches System V shared memory that a process of its user has made.")
        .script(
            "exec perl -e '\
                 my $id = shmget((stat q(@script))[1], 64, 0) // die qq(cannot attach: $!\\n);\
                 shmread($id, my $text, 0, 5); shmwrite($id, q(reply), 0, 5); print $text'",
        )
        .sees(|at| {
            let perl = |text: &str| {
                let key = format!("my $key = (stat q({}))[1]; {text}", at.path("@name.sh").display());
                outside("/usr/bin/perl", &["-e", &key]).wait().expect("perl is there").success()
            };
            assert!(perl("shmwrite(shmget($key, 64, 01600), q(hello), 0, 5) or die $!"));
            let answer = at.answer();
            let replied = "my $id = shmget($key, 64, 0); shmread($id, my $text, 0, 5); shmctl($id, 0, 0); \
                           exit($text ne q(reply))";
            assert_eq!((answer.as_str(), perl(replied)), ("hello", true));
        })
}

fn mail_store() -> Row {
    row("mail_store", "A command reads and writes what its user alone may: a mail store.")
        .script("cd @spool/@name && cat new/* && echo more >>new/1 && cat new/1 && mv new/1 cur/1 && ls cur && id -u")
        .sees(|at| {
            let store = make_own(at);
            for folder in ["new", "cur"] {
                fs::create_dir(store.join(folder)).expect("the spool can be written");
                give(&store.join(folder), 0o700);
            }
            fs::write(store.join("new/1"), "mail\n").expect("the spool can be written");
            give(&store.join("new/1"), 0o600);
        })
        .prints("mail\nmail\nmore\n1\n65534\n")
}
