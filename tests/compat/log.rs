// SPDX-License-Identifier: Apache-2.0
//! How the daemon logs: tag, severity, facility, text; and what of main.cf it refuses.

use super::master::{ended, hand};
use super::row::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    [tags(), texts(), verbose(), settings()].into_iter().flatten().collect()
}

/// A service whose command fails, without a tag of its own.
fn plain(name: &str, proves: &'static str, options: &str, status: u8) -> Row {
    row(name, proves)
        .entries(&format!("@name unix - n n - 0 @spawn {options} user=nobody argv=/bin/sh -c {{ exit {status} }}"))
        .prints("")
}

fn tags() -> Vec<Row> {
    let tagged = |row: Row, start: &'static str, status: u8| {
        row.sees(move |at| {
            let (start, end) = (at.fill(start), format!("]: warning: command /bin/sh exit status {status}"));
            assert!(at.line(|line| line.contains(&start) && line.ends_with(&end)).is_some(), "{start}");
        })
    };
    vec![
        tagged(
            plain("log_tag", "Tag SYSLOG_NAME/BASENAME[PID], syslog_name postfix by default", "", 101),
            " postfix/@spawn[",
            101,
        ),
        tagged(plain("log_syslog_name", "syslog_name: -o works", "-o syslog_name=other", 102), " other/@spawn[", 102),
        tagged(
            plain(
                "log_syslog_name_expanded",
                "$service_name expands in syslog_name",
                "-o { syslog_name = a/$service_name }",
                103,
            ),
            " a/@name/@spawn[",
            103,
        ),
        tagged(
            plain(
                "log_multi_instance_name",
                "syslog_name default ${multi_instance_name?{$multi_instance_name}:{postfix}}",
                "-o multi_instance_name=postfix-two",
                104,
            ),
            " postfix-two/@spawn[",
            104,
        ),
        tagged(plain("log_severity", "warning: syslog severity 4, facility mail", "", 105), "<20>", 105),
        tagged(plain("log_facility", "facility syslog_facility", "-o syslog_facility=local3", 106), "<156>", 106),
        row("log_severity_fatal", "fatal: syslog severity 2").runs("user=ghost argv=/bin/cat").prints("").sees(|at| {
            assert!(at.says("fatal: unknown user name: ghost").starts_with("<18>"));
        }),
        row("log_severity_info", "nothing before the text for info: syslog severity 6").options("-v").prints("").sees(
            |at| {
                assert!(at.says("connection closed").starts_with("<22>"));
            },
        ),
        row("log_pid", "The tag has the process id of the daemon.")
            .columns("unix - n n - 1")
            .script("exit 3")
            .prints("")
            .sees(|at| {
                assert_eq!(at.pid_of(&at.says("warning: command /bin/sh exit status 3")), at.daemon());
            }),
    ]
}

fn texts() -> Vec<Row> {
    vec![
        row("log_unprintable", "Control characters become ?")
            .runs("user=gh\u{1}o\u{7f}st argv=/bin/cat")
            .refused("unknown user name: gh?o?st"),
        row("log_utf8", "Valid UTF-8 stays").runs("user=geïst argv=/bin/cat").refused("unknown user name: geïst"),
        row("log_long", "Text is cut at 2000 bytes")
            .runs(&format!("user={} argv=/bin/cat", "x".repeat(3000)))
            .prints("")
            .sees(|at| {
                let start = format!("unknown user name: {}", "x".repeat(1000));
                let line = at.line(|line| line.contains(&start) && line.contains(at.name)).expect("the line is there");
                let (_, text) = line.split_once("]: ").expect("a tag");
                assert_eq!(text.len(), "fatal: ".len() + 2000);
            }),
        row("log_percent", "What is written in master.cf is no format.")
            .runs("user=%s%n argv=/bin/cat")
            .refused("unknown user name: %s%n"),
    ]
}

fn verbose() -> Vec<Row> {
    let says = |name: &str, proves, line: &'static str| {
        row(name, proves).options("-v").prints("").sees(move |at| drop(at.says(line)))
    };
    vec![
        row("log_verbose_started", "-v, by MAIL_VERBOSE in the environment: daemon started").sees(|at| {
            let mut command = hand(at, "-Q");
            command.env("MAIL_VERBOSE", "1").env("MAIL_LOGTAG", at.name);
            assert_eq!(ended(at, command).0, Some(1));
            at.says("daemon started");
        }),
        says("log_verbose_generation", "-v: process generation: %s (%o)", "process generation: * (*)"),
        says("log_verbose_established", "-v: connection established", "connection established"),
        says("log_verbose_notify", "-v: master_notify: status N", "master_notify: status 0"),
        says(
            "log_verbose_service",
            "-v: spawn_service: service=S, command=FIRSTWORD...",
            "spawn_service: service=@name, command=user=nobody...",
        ),
        says(
            "log_verbose_attributes",
            "-v: get_service_attr: uid U, gid G; time T",
            "get_service_attr: uid 65534, gid 65534; time 1000",
        ),
        says("log_verbose_closed", "-v: connection closed", "connection closed"),
        says("log_verbose_identity", "-v: set_eugid: euid U egid G", "set_eugid: euid * egid *"),
    ]
}

fn settings() -> Vec<Row> {
    let refuse = |name: &str, proves, options: &str, words: &str| row(name, proves).options(options).ends(words);
    vec![
        refuse(
            "refuse_facility",
            "file PATH/main.cf: parameter syslog_facility: unrecognized value: X",
            "-o syslog_facility=nope",
            "file @room/postfix/config/main.cf: parameter syslog_facility: unrecognized value: nope",
        ),
        refuse(
            "refuse_unknown_mail_owner",
            "mail_owner unknown",
            "-o mail_owner=ghost",
            "file @room/postfix/config/main.cf: parameter mail_owner: unknown user name value: ghost",
        ),
        refuse(
            "refuse_mail_owner_root",
            "mail_owner with uid 0",
            "-o mail_owner=root",
            "file @room/postfix/config/main.cf: parameter mail_owner: user root has privileged user ID",
        ),
        row("refuse_bad_main_cf", "PATH/main.cf, line N: missing '=' after attribute name: \"TEXT\"")
            .alone()
            .settings("last_words = x")
            .sees(|at| at.postfix.change("main.cf", "last_words = x", "last words"))
            .ends("@room/postfix/config/main.cf, line *: missing '=' after attribute name: \"last words\""),
        row(
            "main_cf_overriding",
            "Later entries win with a warning: PATH/main.cf, line N: overriding earlier entry: name=old",
        )
        .settings("@name_time_limit = 7\n@name_time_limit = 8")
        .prints("")
        .sees(|at| {
            drop(at.anyone_says(
                "warning: @room/postfix/config/main.cf, line *: overriding earlier entry: @name_time_limit=7",
            ))
        }),
        row("main_cf_expansion_depth", "Recursive expansion, depth 100 then fatal.")
            .settings("@name_loop = $@name_loop\n@name_time_limit = $@name_loop")
            .prints("")
            .says("warning: unreasonable macro call nesting: \"@name_loop\"")
            .says("fatal: dictionary mail_dict: macro processing error"),
        row("main_cf_unbalanced", "A bad expansion is fatal, with a warning that says why.")
            .settings("@name_time_limit = ${@name")
            .prints("")
            .says("warning: truncated macro reference: \"${@name\"")
            .says("fatal: dictionary mail_dict: macro processing error"),
        row("main_cf_young", "A main.cf younger than two seconds is read again until it is older: daemons start late")
            .alone()
            .prints("")
            .sees(|at| {
                at.postfix.signal(nix::sys::signal::Signal::SIGHUP);
                at.eventually("the old process has ended", || at.daemons().is_empty());
                at.postfix.touch("main.cf");
                let began = std::time::Instant::now();
                assert_eq!(at.answer(), "");
                assert!(began.elapsed().as_secs() >= 1);
            }),
        row("refuse_export_unbalanced", "export_environment: missing '}'")
            .alone()
            .settings("export_environment = {A=b")
            .runs("user=nobody argv=/usr/bin/env")
            .refused("*missing '}' in \"{A=b\""),
        row("refuse_export_nameless", "export_environment: =b has no name")
            .options("-o export_environment==b")
            .runs("user=nobody argv=/usr/bin/env")
            .prints("")
            .sees(|at| {
                drop(at.line(|line| line.contains("clean_env: missing attribute name in: =b")).expect("the line"))
            }),
    ]
}
