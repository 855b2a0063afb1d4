// SPDX-License-Identifier: Apache-2.0
//! The manual pages, as the program prints them. What must be in them is tested beside the code that embeds them.

use crate::scene::{Outcome, arguments, stage};
use std::process::{Command, Stdio};

/// Complaints that stand, each with its reason.
const ACCEPTED: &[&str] = &[
    // Which other manuals are installed is no matter of ours.
    "referenced manual not found",
    // Postfix's order of sections, which its readers know, is not that of mdoc(7).
    "sections out of conventional order: Sh FILES",
];

#[test]
fn the_pages_are_printed() {
    arguments(&["man"]).run().prints(".Dt SPAWNBOX 8\n").exits(0);
    arguments(&["man", "spawnbox-policy"]).run().prints(".Dt SPAWNBOX-POLICY 5\n").exits(0);
    arguments(&["man", "spawn"]).run().says("invalid value 'spawn'").exits(2);
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, word) in [
        ("bash", "complete -F _spawnbox"),
        ("zsh", "#compdef spawnbox"),
        ("fish", "complete -c spawnbox"),
        ("elvish", "edit:completion:arg-completer[spawnbox]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let outcome = arguments(&["completions", shell]).run().prints(word).exits(0);
        assert!(outcome.stdout.contains("min-score"), "{shell}");
    }
    let room = stage::room();
    let script = room.file("completions", &arguments(&["completions", "bash"]).run().stdout);
    let words = format!(
        "source {} && COMP_WORDS=(spawnbox che) COMP_CWORD=1 && _spawnbox spawnbox che && echo ${{COMPREPLY[*]}}",
        script.display()
    );
    let outcome = Outcome::of(shell(&words), b"").exits(0);
    assert_eq!(outcome.stdout, "check\n", "{outcome}");
}

fn shell(words: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", words]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn mandoc_has_nothing_to_say_about_the_pages() {
    needs!(program "mandoc");
    let room = stage::room();
    for page in ["spawnbox", "spawnbox-policy"] {
        let file = room.file(page, &arguments(&["man", page]).run().exits(0).stdout);
        let mut command = Command::new("mandoc");
        command.arg("-Tlint").arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let outcome = Outcome::of(command, b"");
        let complaints = outcome.stdout.lines().filter(|line| !ACCEPTED.iter().any(|accepted| line.contains(accepted)));
        assert_eq!(complaints.collect::<Vec<_>>(), [""; 0], "{page}");
    }
}
