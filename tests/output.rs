// SPDX-License-Identifier: Apache-2.0
//! Standard output of every subcommand that prints: where it cannot be written the program says so and fails, and a
//! reader that has seen enough is no failure.

use crate::scene::{outcome, patience, stage};
use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};

/// Status and standard error of the program with this standard output.
fn run(words: &[&str], stdout: impl Into<Stdio>) -> (ExitStatus, String) {
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(words).current_dir("/").stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program is there");
    drop(command);
    let status = outcome::wait(&mut child, patience(), "a program whose output nobody reads");
    let mut said = String::new();
    child.stderr.take().expect("it is a pipe").read_to_string(&mut said).expect("it is text");
    (status, said)
}

fn is_told_or_no_failure(words: &[&str]) {
    let device = |name: &str| OpenOptions::new().write(true).open(name).expect("it is there");
    let (usual, _) = run(words, device("/dev/null"));
    let (status, said) = run(words, device("/dev/full"));
    assert_eq!(status.code(), Some(1), "{words:?}: {said}");
    assert!(said.contains("cannot write to standard output: No space left on device"), "{words:?}: {said}");
    let (read, write) = std::io::pipe().expect("pipes can be made");
    drop(read);
    let (status, said) = run(words, write);
    assert_eq!(status, usual, "{words:?}: {said}");
    assert!(!said.contains("standard output") && !said.contains("panicked"), "{words:?}: {said}");
}

#[test]
fn a_full_output_is_told_and_a_closed_one_is_no_failure() {
    let room = stage::room();
    let unit = room.file("some.service", "[Service]\nExecStart=/bin/cat\nPrivateNetwork=yes\n").display().to_string();
    let rows: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["man"],
        &["completions", "bash"],
        &["explain", "--", "/bin/cat"],
        &["explain", "--score", "--", "/bin/cat"],
        &["diff", "strict", "compatible"],
        &["check", "strict"],
        &["check", "--json", "strict"],
        &["doctor"],
        &["import", &unit],
    ];
    for words in rows {
        is_told_or_no_failure(words);
    }
}

#[test]
fn so_it_is_of_what_an_installation_would_do() {
    needs!(program "postfix");
    let room = stage::room();
    let daemons = room.directory("daemons");
    room.file("main.cf", &format!("compatibility_level = 3.6\ndaemon_directory = {}\n", daemons.display()));
    room.file("master.cf", "");
    let config = room.whole().display().to_string();
    is_told_or_no_failure(&["install-postfix", "--dry-run", "-c", &config, "--unit-directory", &config]);
}
