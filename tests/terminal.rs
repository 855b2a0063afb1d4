// SPDX-License-Identifier: Apache-2.0
//! What a terminal is given: colours where its owner wants them, lines that fit, and never a word of a policy's or of a
//! command's that speaks to it. What is no terminal gets none of that.

use crate::scene::{Outcome, stage};
use std::process::{Command, Stdio};

/// What of the program people read, each with words for it.
const PAGES: [&str; 6] = [
    "explain -- sh",
    "explain --steps -- sh",
    "explain --score -- sh",
    "diff compatible strict -- sh",
    "check strict",
    "check ./no-such.toml",
];

fn program() -> String {
    stage::program("spawnbox").display().to_string()
}

fn shell(words: &str, variables: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", words]).current_dir("/").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Outcome::of(command, b"")
}

/// The program on a terminal with so many columns: all that it shows.
fn on_a_terminal(words: &str, columns: u32, variables: &[(&str, &str)]) -> String {
    let inside = format!("stty cols {columns} rows 25; exec {} {words}", program());
    let all = [&[("TERM", "xterm")], variables].concat();
    shell(&format!("script -qec '{inside}' /dev/null </dev/null"), &all).stdout.replace("\r\n", "\n")
}

fn in_a_pipe(words: &str, variables: &[(&str, &str)]) -> String {
    let outcome = shell(&format!("{} {words}", program()), variables);
    outcome.stdout + &outcome.stderr
}

#[test]
fn a_terminal_is_painted_unless_its_owner_says_no() {
    needs!(program "script");
    for words in PAGES {
        let painted = on_a_terminal(words, 120, &[]);
        assert!(painted.contains("\u{1b}["), "{words}: {painted:?}");
        for no in [[("NO_COLOR", "1")], [("TERM", "dumb")], [("CLICOLOR", "0")]] {
            let plain = on_a_terminal(words, 120, &no);
            assert!(!plain.contains('\u{1b}') && !plain.is_empty(), "{words} with {no:?}: {plain:?}");
        }
        let never = on_a_terminal(&format!("--color never {words}"), 120, &[]);
        assert!(!never.contains('\u{1b}'), "{words}: {never:?}");
    }
}

#[test]
fn a_pipe_is_plain_unless_somebody_insists() {
    for words in PAGES {
        let plain = in_a_pipe(words, &[("TERM", "xterm")]);
        assert!(!plain.contains('\u{1b}') && !plain.is_empty(), "{words}: {plain:?}");
        let forced = in_a_pipe(words, &[("CLICOLOR_FORCE", "1")]);
        assert!(forced.contains("\u{1b}["), "{words}: {forced:?}");
    }
    let always = in_a_pipe("explain --color=always -- sh", &[("NO_COLOR", "1")]);
    assert!(always.contains("\u{1b}["), "{always:?}");
    for words in ["explain --json -- sh", "check --json strict", "explain --seccomp -- sh", "man"] {
        assert!(!in_a_pipe(words, &[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'), "{words}");
    }
}

#[test]
fn pages_fit_the_terminal_and_have_one_width_elsewhere() {
    needs!(program "script");
    for words in ["explain -- sh", "explain --steps -- sh", "explain --score -- sh", "--help", "help run"] {
        for columns in [80, 100] {
            let page = on_a_terminal(words, columns, &[("NO_COLOR", "1")]);
            let long: Vec<&str> = page.lines().filter(|line| line.chars().count() > columns as usize).collect();
            assert!(long.is_empty() && page.lines().count() > 5, "{words} in {columns} columns: {long:#?}");
        }
        let most = if words.contains("help") { 100 } else { 120 };
        for page in [in_a_pipe(words, &[]), on_a_terminal(words, 300, &[("NO_COLOR", "1")])] {
            assert!(page.lines().all(|line| line.chars().count() <= most), "{words}: {page}");
        }
    }
}

#[test]
fn no_word_of_a_policy_or_a_command_speaks_to_the_terminal() {
    let room = stage::room();
    let speech = "\\u001b]0;owned\\u0007\\u009b31m";
    let text = format!(
        "version = 1\nextends = [\"strict\"]\ndescription = \"{speech}\"\n[command]\nargv = [\"/bin/{speech}\", \"{speech}\"]\n\
         environment = [\"A={speech}\"]\n[files]\nread = [{{ path = \"/etc/{speech}\", optional = true }}]\n"
    );
    let file = room.file("loud.toml", &text).display().to_string();
    let calm = |text: &str| {
        // A colour is of ours: introducer, digits, m.
        let mut rest = text.split('\u{1b}');
        let plain = rest.next().unwrap_or_default().to_string();
        let ours = rest.all(|part| {
            part.starts_with('[')
                && part[1..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        });
        ours && !text.contains(|c: char| c.is_control() && c != '\n' && c != '\u{1b}') && !plain.contains('\u{9b}')
    };
    for words in [
        format!("explain -p {file}"),
        format!("explain -p {file} --steps"),
        format!("diff strict {file} -- sh"),
        format!("check {file}"),
        format!("doctor {file}"),
        "explain -- \"$(printf '\\033]0;owned\\007')\"".to_string(),
        "check \"./$(printf '\\033]0;owned\\007')\"".to_string(),
        "explain -p \"$(printf '\\033]0;owned\\007')\"".to_string(),
        "run -s \"$(printf 'a.\\033]0;owned\\007=1')\"".to_string(),
    ] {
        for force in [&[][..], &[("CLICOLOR_FORCE", "1")]] {
            let said = in_a_pipe(&words, force);
            assert!(calm(&said) && !said.is_empty(), "{words}: {said:?}");
        }
    }
}
