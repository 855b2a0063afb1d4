// SPDX-License-Identifier: Apache-2.0
//! Lines that go to postlogd(8): where main.cf says so, and before it is read, where master has said so.

use super::at::At;
use super::master::{ended, hand};
use super::row::{Row, row};
use std::os::unix::net::UnixDatagram;

pub(super) fn rows() -> Vec<Row> {
    [files(), early()].into_iter().flatten().collect()
}

fn files() -> Vec<Row> {
    let to_file = |name: &str, proves, attributes: &str, line: &'static str| {
        row(name, proves).alone().settings("maillog_file = @room/postfix/maillog").runs(attributes).prints("").sees(
            move |at| {
                at.eventually("the line is written", || read(at).contains(line));
                let text = read(at);
                let found = text.lines().find(|found| found.contains(line)).expect("the line is there");
                let (date, rest) = found.split_at(15);
                assert_eq!(date.bytes().filter(|byte| *byte == b':').count(), 2, "{found}");
                assert!(
                    rest.starts_with(&at.fill(" mx @name/@spawn[")) && rest.ends_with(&format!("]: {line}")),
                    "{found}"
                );
                assert!(!at.log.text().contains(line), "it is in syslog too");
            },
        )
    };
    vec![
        to_file(
            "log_file_warning",
            "maillog_file set: no syslog; Mon dd hh:mm:ss HOST TAG[PID]: text, host without domain",
            "user=nobody argv=/bin/sh -c { exit 3 }",
            "warning: command /bin/sh exit status 3",
        ),
        to_file(
            "log_file_fatal",
            "maillog_file: fatal errors too",
            "user=ghost argv=/bin/cat",
            "fatal: unknown user name: ghost",
        ),
        to_file(
            "log_file_exec",
            "maillog_file: the child's fatal line arrives too",
            "user=nobody argv=/no/such",
            "fatal: spawn_comand: execvp /no/such: No such file or directory",
        )
        .instead(move |at| {
            assert_eq!(at.answer(), "");
            at.eventually("the line is written", || {
                read(at).contains(
                    "warning: command /no/such: cannot execute the command /no/such: No such file or directory",
                )
            });
        }),
        to_file(
            "log_file_chroot",
            "maillog_file: connected at start, before chroot",
            "user=ghost argv=/bin/cat",
            "fatal: unknown user name: ghost",
        )
        .columns("unix - n y - 0"),
        row("log_file_forbidden", "maillog_file must start with one of maillog_file_prefixes (fatal)")
            .options("-o maillog_file=/nowhere/log")
            // spawn(8) has no tag at that moment.
            .sees(|at| {
                let _client = at.client();
                let words =
                    "]: fatal: maillog_file value '/nowhere/log' does not match any prefix in maillog_file_prefixes";
                let line = at.line(|line| line.ends_with(words)).expect("the line is there");
                at.master_says(&format!("warning: process *daemons/@spawn pid {} exit status 1", at.pid_of(&line)));
            }),
    ]
}

fn early() -> Vec<Row> {
    vec![
        row("log_file_early", "maillog_file: what is wrong before main.cf is read is told there too")
            .alone()
            .settings("maillog_file = @room/postfix/maillog")
            .options("-Q")
            .sees(|at| {
                let _client = at.client();
                let line = at.fill("/@spawn[");
                at.eventually("the line is written", || {
                    read(at)
                        .lines()
                        .any(|found| found.contains(&line) && found.ends_with("]: fatal: invalid option: Q"))
                });
                assert!(!at.log.text().contains("invalid option"), "it is in syslog too");
            }),
        row("log_postlog_service", "Before main.cf is read the mode comes from POSTLOG_SERVICE in the environment")
            .sees(|at| {
                let path = at.spool(at.name);
                let socket = UnixDatagram::bind(&path).expect("the spool can be written");
                socket.set_read_timeout(Some(at.patience)).expect("a time-out can be set");
                let mut command = hand(at, "-Q");
                command
                    .env("POSTLOG_SERVICE", &path)
                    .env("POSTLOG_HOSTNAME", "there.example")
                    .env("MAIL_LOGTAG", "early");
                assert_eq!(ended(at, command).0, Some(1));
                let mut bytes = [0; 4096];
                let mut line = || {
                    let length = socket.recv(&mut bytes).expect("a line comes");
                    String::from_utf8_lossy(&bytes[..length]).trim_end_matches(['\0', '\n']).to_string()
                };
                // What main.cf is warned of, for other rows, comes first.
                let line = std::iter::repeat_with(&mut line).find(|line| !line.contains("warning: ")).expect("no end");
                let (_date, rest) = line.split_at(15);
                assert!(rest.starts_with(&at.fill(" there early/@spawn[")), "{line}");
                assert!(rest.ends_with("]: fatal: invalid option: Q"), "{line}");
            }),
    ]
}

fn read(at: &At<'_>) -> String {
    std::fs::read_to_string(at.path("postfix/maillog")).unwrap_or_default()
}
