// SPDX-License-Identifier: Apache-2.0
//! Which program runs, and with which arguments.

use super::at::install;
use super::row::{Row, row};
use crate::postfix::instance::NO_TEXT;
use std::os::unix::fs::PermissionsExt;

pub(super) fn rows() -> Vec<Row> {
    [words(), programs(), failures()].into_iter().flatten().collect()
}

/// A command that shows its arguments, and a line of them.
fn arguments(name: &str, proves: &'static str, words: &str, shown: &str) -> Row {
    row(name, proves).runs(&format!("user=nobody argv=/usr/bin/printf <%s>\\n {words}")).prints(shown)
}

fn words() -> Vec<Row> {
    vec![
        arguments("argv_plain", "Arguments are separated by blanks, however many.", "a   b\tc", "<a>\n<b>\n<c>\n"),
        arguments(
            "argv_braces",
            "{ text }: one argument, without the blanks around it.",
            "{ a  b } {c d}",
            "<a  b>\n<c d>\n",
        ),
        arguments("argv_braces_empty", "{} is an empty argument.", "{} {  } x", "<>\n<>\n<x>\n"),
        arguments("argv_braces_inner", "Braces inside stay.", "{ a {b c} d } {{x}}", "<a {b c} d>\n<{x}>\n"),
        arguments("argv_braces_in_word", "A brace within a word keeps its blanks together.", "p{q r}s", "<p{q r}s>\n"),
        arguments("argv_no_dollar", "There is no handling of $.", "$myhostname ${x}", "<$myhostname>\n<${x}>\n"),
        arguments("argv_no_quotes", "There is no handling of quotes.", "\"a b\" 'c'", "<\"a>\n<b\">\n<'c'>\n"),
        arguments("argv_no_backslash", "There is no handling of backslashes.", "a\\ b \\n", "<a\\>\n<b>\n<\\n>\n"),
        arguments(
            "argv_options_after_argv",
            "Options are read up to the first attribute; what follows is the command's.",
            "-o x=y -v",
            "<-o>\n<x=y>\n<-v>\n",
        ),
        arguments("argv_double_dash", "-- among the arguments is an argument.", "-- x", "<-->\n<x>\n"),
        arguments(
            "argv_attributes_after_argv",
            "What follows argv= is the command's, attributes too.",
            "user=root argv=x",
            "<user=root>\n<argv=x>\n",
        ),
        arguments(
            "argv_continuation_lines",
            "A line that starts with whitespace continues a logical line.",
            "a\n   b\n# comment\n\tc",
            "<a>\n<b>\n<c>\n",
        ),
        arguments("argv_hash", "A # within a line is no comment.", "a # b", "<a>\n<#>\n<b>\n"),
        arguments("argv_bytes", "Bytes beyond ASCII arrive as they were written.", "grüße", "<grüße>\n"),
        row("argv_bytes_no_text", "Bytes that are no text arrive as they were written.")
            .runs(&format!("user=nobody argv=/usr/bin/printf <%s>\\n a{NO_TEXT}b"))
            .sees(|at| {
                let client = at.client();
                at.eventually("the client is served", || at.is_over(&client));
                assert_eq!(client.rest(), "<a\u{fffd}b>\n");
            })
            .instead(|at| {
                let _client = at.client();
                at.anyone_says("fatal: argument * is not valid UTF-8");
            }),
        row(
            "argv_braces_around_attribute",
            "{ attribute }: braces may be around an attribute, with blanks inside them.",
        )
        .runs("{ user=nobody } { argv=/bin/echo } x y")
        .prints("x y\n"),
        row("argv_braces_make_one_word", "{ argv=command argument }: that is one word, and names one command.")
            .runs("user=nobody { argv=@spool/@name one }")
            .sees(|at| install("/bin/pwd", &at.spool(&format!("{} one", at.name)), "755"))
            .prints("@room/postfix/queue\n"),
        row("argv_braces_around_command", "argv={ command with blanks }: the braces stay within the word.")
            .runs("user=nobody {argv=/bin/echo} a b")
            .prints("a b\n"),
        row("argv_many", "The number of arguments is not limited.")
            .runs(&format!("user=nobody argv=/bin/sh -c {{ echo $# }} {}", "x ".repeat(500)))
            .prints("499\n"),
        row("argv_first_wins", "Attributes before argv= may come in any order; argv= ends them.")
            .runs("argv=/bin/echo user=nobody")
            .refused("missing user= attribute"),
    ]
}

fn programs() -> Vec<Row> {
    let executable = |at: &super::at::At<'_>| {
        std::fs::set_permissions(at.path("@name.sh"), PermissionsExt::from_mode(0o755)).expect("the script is there");
    };
    vec![
        row("argv_search_path", "A name without a slash is searched for in the compiled-in path.")
            .runs("user=nobody argv=echo found")
            .prints("found\n"),
        row("argv_search_path_is_fixed", "The path of the search is not that which is exported.")
            .options("-o export_environment=PATH=@spool")
            .runs("user=nobody argv=echo found")
            .prints("found\n"),
        row("argv_relative", "A name with a slash is relative to the queue directory.")
            .script("echo relative")
            .runs("user=nobody argv=../../@name.sh")
            .sees(executable)
            .prints("relative\n"),
        row("argv_no_shebang", "What the kernel cannot execute is given to /bin/sh, as execvp(3) does.")
            .script("echo by a shell, $1")
            .runs("user=nobody argv=@script one")
            .sees(executable)
            .prints("by a shell, one\n"),
        row("argv_shebang", "A script runs by its own interpreter.")
            .script("#!/usr/bin/perl -w\nprint \"perl @ARGV\\n\";")
            .runs("user=nobody argv=@script one")
            .sees(executable)
            .prints("perl one\n"),
        row("argv_zero", "argv[0] is the command as written.")
            .runs("user=nobody argv=cat /proc/self/cmdline")
            .prints("cat\0/proc/self/cmdline\0"),
        row("argv_zero_of_path", "argv[0] is the command as written, its path too.")
            .runs("user=nobody argv=/usr/bin/../bin/cat /proc/self/cmdline")
            .prints("/usr/bin/../bin/cat\0/proc/self/cmdline\0"),
    ]
}

fn failures() -> Vec<Row> {
    let failing = |name: &str, proves, command: &str, why: &'static str| {
        let exec = format!("fatal: spawn_comand: execvp {command}: {why}");
        row(name, proves)
            .runs(&format!("user=nobody argv={command}"))
            .prints("")
            .says(&format!("warning: command {command} exit status 1"))
            .sees(move |at| drop(at.half_tagged_says(&exec)))
            .instead(move |at| {
                assert_eq!(at.answer(), "");
                at.says(&format!("warning: command *: cannot execute the command *: {why}"));
            })
    };
    vec![
        failing(
            "exec_missing",
            "A command that is not there is told in the log, and the service goes on.",
            "/no/such/command",
            "No such file or directory",
        ),
        failing(
            "exec_missing_name",
            "A name that the search does not find is told in the log.",
            "nosuchcommand",
            "No such file or directory",
        ),
        failing(
            "exec_forbidden",
            "A command that may not be executed is told in the log.",
            "/etc/passwd",
            "Permission denied",
        ),
        failing("exec_directory", "A directory is no command.", "/usr/bin", "Permission denied"),
        failing("exec_empty", "An empty command is told in the log.", "", "No such file or directory")
            .runs("user=nobody {argv=}"),
        row("exec_failure_goes_on", "A failed exec does not end the service: the next client is served.")
            .script("echo served; rm @spool/@name")
            .runs("user=nobody argv=@spool/@name")
            .prints("")
            .sees(|at| {
                install("/bin/echo", &at.spool(at.name), "755");
                assert_eq!(at.answer(), "\n");
            }),
        row(
            "exec_failure_is_throttled_by_nobody",
            "A failed exec is no bad start: master does not throttle the service.",
        )
        .columns("unix - n n - 1")
        .runs("user=nobody argv=/no/such/command")
        .sees(|at| {
            // One process has served all of them: a bad start would have ended the first.
            let daemons = [(); 3].map(|()| (at.answer(), at.daemon()));
            assert!(daemons.iter().all(|one| *one == (String::new(), daemons[0].1)), "{daemons:?}");
        }),
    ]
}
