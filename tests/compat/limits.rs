// SPDX-License-Identifier: Apache-2.0
//! The time limit of the command: which parameter sets it, and what happens when it strikes.

use super::at::At;
use super::differences;
use super::row::{Row, row};
use crate::postfix::instance::{Version, version};
use crate::scene::{Client, host};

pub(super) fn rows() -> Vec<Row> {
    [sources(), units(), strikes()].into_iter().flatten().collect()
}

const SLEEPS: &str = "exec sleep 4711";

/// A command that would sleep for ever, which its limit ends within a second.
fn limited(name: &str, proves: &'static str) -> Row {
    row(name, proves).script("echo started; sleep 4711").sees(|at| {
        let mut client = at.client();
        assert_eq!(client.line(), "started");
        at.says("warning: /bin/sh: *: command time limit exceeded*");
    })
}

/// A command that outlives a second.
fn unlimited(name: &str, proves: &'static str) -> Row {
    row(name, proves).script("sleep 2; echo ended").prints("ended\n")
}

fn sources() -> Vec<Row> {
    vec![
        limited(
            "limit_service",
            "transport_time_limit: a transport-specific override for the command_time_limit parameter value.",
        )
        .settings("@name_time_limit = 1\n"),
        limited("limit_default", "command_time_limit (default: 1000s): the limit of services without their own.")
            .alone()
            .settings("command_time_limit = 1"),
        unlimited("limit_service_wins", "The service's own limit wins over the default.")
            .alone()
            .settings("command_time_limit = 1\n@name_time_limit = 1h"),
        unlimited("limit_of_another", "The limit is that of this service: another's does not count.")
            .settings("x@name_time_limit = 1"),
        unlimited("limit_names_have_case", "Names of parameters have case.").settings("@NAME_time_limit = 1"),
        unlimited("limit_command_time_limit", "NAME_command_time_limit is no parameter.")
            .settings("@name_command_time_limit = 1")
            .instead(|at| {
                let _client = at.client();
                at.says("warning: /bin/sh: *: command time limit exceeded (1s, set by @name_command_time_limit)");
            }),
        limited("limit_option", "-o name=value: override the named main.cf parameter.")
            .options("-o @name_time_limit=1"),
        limited("limit_option_default", "-o command_time_limit: for this service.").options("-o command_time_limit=1"),
        limited("limit_option_braces", "-o { name = value }: with whitespace around name and value.")
            .options("-o { @name_time_limit = 1 }"),
        limited("limit_option_wins", "An override wins over main.cf.")
            .options("-o @name_time_limit=1")
            .settings("@name_time_limit = 1h"),
        limited("limit_option_last", "Of two overrides the last wins.")
            .options("-o @name_time_limit=1h -o @name_time_limit=1s"),
        limited("limit_overriding_entry", "Of two entries in main.cf the last wins.")
            .settings("@name_time_limit = 1h\n@name_time_limit = 1"),
        limited("limit_expanded", "$name: the value of that parameter.")
            .settings("my_limit = 1\n@name_time_limit = ${my_limit}s"),
        limited("limit_default_is_expanded", "The limit may be given by the default of all.")
            .settings("@name_other = 1\n@name_time_limit = ${@name_missing?{7}:{$@name_other}}"),
        limited("limit-dashes", "The name of the parameter is the service's, dashes too.")
            .settings("@name_time_limit = 1"),
        limited("limit_stress", "${stress?{x}:{y}}: without stress, y.")
            .settings("@name_time_limit = ${stress?{1000}:{1}}"),
        row("limit_inet_name", "The name of an inet service is the first column as written.")
            .entries("127.0.0.1:2604 inet n n n - 0 @spawn -o syslog_name=@name user=nobody argv=/bin/sleep 4711")
            .settings("127.0.0.1:2604_time_limit = 1")
            .sees(|at| {
                let _client = Client::connect("127.0.0.1:2604");
                at.says("warning: /bin/sleep: *: command time limit exceeded*");
            }),
    ]
}

fn units() -> Vec<Row> {
    let refuse = |name: &str, value: &str, words: &str| {
        let proves = "invalid NAME_time_limit: 0 (min 1); parameter NAME_time_limit: bad time value or unit: X";
        row(name, proves).settings(&format!("@name_time_limit = {value}")).refused(words)
    };
    let parameter = |why: &str| format!("parameter @name_time_limit: bad time value or unit: {why}");
    vec![
        limited("limit_unit_s", "Time units: s (seconds), m (minutes), h (hours), d (days), w (weeks).")
            .settings("@name_time_limit = 1s"),
        limited("limit_unit_word", "Only the first letter of a unit counts.").settings("@name_time_limit = 1seconds"),
        unlimited("limit_unit_m", "Time units: m (minutes).").settings("@name_time_limit = 1m"),
        unlimited("limit_unit_w", "Time units: w (weeks).").settings("@name_time_limit = 1w"),
        refuse("refuse_limit_zero", "0", "invalid @name_time_limit: 0 (min 1)"),
        refuse("refuse_limit_negative", "-5", &parameter("-5")),
        refuse("refuse_limit_soon", "soon", "invalid @name_time_limit: 0 (min 1)"),
        refuse("refuse_limit_unit", "10y", &parameter("10y")),
        refuse("refuse_limit_capital", "10S", &parameter("10S")),
        refuse("refuse_limit_blank", "1 s", &parameter("1 s")),
        refuse("refuse_limit_word", "never", &parameter("never")),
        refuse("refuse_limit_fraction", "1.5", &parameter("1.5")),
        refuse("refuse_limit_huge", "99999999999", &parameter("99999999999")),
    ]
}

fn strikes() -> Vec<Row> {
    let limited = |name: &str, proves| row(name, proves).script(SLEEPS).settings("@name_time_limit = 1");
    vec![
        limited("limit_words", "warning: ARGV0: process id N: command time limit exceeded")
            .sees(|at| {
                let _client = at.client();
                at.says("warning: /bin/sh: process id *: command time limit exceeded");
            })
            .instead(|at| {
                assert_eq!(at.answer(), "");
                at.says("warning: /bin/sh: session 1: command time limit exceeded (1s, set by @name_time_limit)");
            }),
        kills(version()),
        row("limit_survivors", "The limit covers the direct child only; children that left the session survive.")
            .script("setsid sleep 4711 & echo started; exec sleep 4711")
            .settings("@name_time_limit = 1")
            .sees(|at| {
                let mut client = at.client();
                assert_eq!(client.line(), "started");
                at.says("warning: /bin/sh: *: command time limit exceeded*");
                // Whoever survives has the connection.
                assert!(at.stays(&client), "the connection has ended");
            })
            .instead(|at| assert_eq!(at.answer(), "started\n")),
        row("limit_covers_one_client", "The limit runs from the fork of each command.")
            .columns("unix - n n - 1")
            .script("sleep 2; echo ended")
            .settings("@name_time_limit = 3")
            .prints("ended\n")
            .prints("ended\n"),
        row("limit_is_over_with_the_command", "A command that ends in time is not touched.")
            .script("exit 4")
            .settings("@name_time_limit = 1")
            .prints("")
            .says("warning: command /bin/sh exit status 4"),
    ]
}

/// What the limit does to the command, under spawn(8) of this version.
fn kills(version: Version) -> Row {
    let limited = |proves| row("limit_kills_nothing", proves).script(SLEEPS).settings("@name_time_limit = 1");
    match version < (3, 10) {
        true => limited("Postfix 3.7 to 3.9: the limit is logged, the command lives, the daemon stays taken.")
            .sees(|at| {
                let client = at.client();
                at.says("warning: /bin/sh: *: command time limit exceeded*");
                // Not before it could have been ended.
                assert!(at.stays(&client) && command_lives(at));
            })
            .instead(ends_the_command),
        false => limited("Postfix 3.10 and later: the limit is enforced.").sees(ends_the_command),
    }
}

#[test]
fn the_limit_is_a_difference_before_postfix_310_alone() {
    for (version, differs) in
        [((2, 11), true), ((3, 7), true), ((3, 9), true), ((3, 10), false), ((3, 12), false), ((4, 0), false)]
    {
        let row = kills(version);
        let listed = differences::of(version).iter().any(|one| one.row == row.name);
        assert_eq!((row.twin().is_some(), listed), (differs, differs), "{version:?}");
        assert_eq!(row.proves.contains("3.10 and later"), !differs, "{version:?}");
    }
}

/// The limit ends the command, and its client sees that.
fn ends_the_command(at: &At<'_>) {
    assert_eq!(at.answer(), "");
    at.says("warning: command /bin/sh killed by signal 9");
    at.eventually("the command is gone", || !command_lives(at));
}

/// Whether anything of the row's command is left.
fn command_lives(at: &At<'_>) -> bool {
    host::children(at.daemon())
        .iter()
        .any(|child| host::tree(*child).into_iter().any(|pid| host::command_line(pid).starts_with("sleep 4711")))
}
