// SPDX-License-Identifier: Apache-2.0
//! The README's transcripts, run as they stand: `cargo run --release --` is the built program, `[..]` is any text, and a
//! server goes on in the background while the transcripts after it speak to it.

use crate::scene::{host, outcome, patience, stage};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// A command of the README and the lines that it says are printed.
struct Transcript {
    command: String,
    expected: Vec<String>,
}

/// A running transcript.
struct Running {
    child: Child,
    lines: Receiver<String>,
    expected: std::vec::IntoIter<String>,
}

#[test]
fn the_transcripts_of_the_readme_are_true() {
    play(false);
}

#[test]
fn the_transcripts_of_the_readme_are_true_for_an_ordinary_user() {
    needs!(root);
    play(true);
}

fn play(unprivileged: bool) {
    // Both tests listen on the README's own port.
    static PORT: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = PORT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).expect("there is a README");
    let mut servers = Vec::new();
    for transcript in transcripts(&text) {
        let serves = transcript.command.contains(" listen ");
        let mut running = Running::start(transcript, unprivileged);
        if serves {
            running.next_line();
            servers.push(running);
        } else {
            running.finish();
        }
    }
    for mut server in servers {
        while server.expected.len() > 0 {
            server.next_line();
        }
        server.child.kill().expect("the server is ours");
        server.child.wait().expect("the server is ours");
    }
}

/// Every block of the README that is marked as a console's.
fn transcripts(text: &str) -> Vec<Transcript> {
    let mut found: Vec<Transcript> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line.strip_prefix("$ ")) {
            _ if line.starts_with("```") => inside = line == "```console",
            (true, Some(command)) => found.push(Transcript { command: command.to_string(), expected: Vec::new() }),
            (true, None) => found.last_mut().expect("a block begins with a command").expected.push(line.to_string()),
            (false, _) => {}
        }
    }
    assert!(found.iter().any(|transcript| transcript.command.contains(" listen ")), "the first command is missing");
    found.retain(|transcript| !transcript.command.starts_with("ci/"));
    found
}

impl Running {
    fn start(transcript: Transcript, unprivileged: bool) -> Running {
        let program = stage::program("spawnbox").display().to_string();
        let line = transcript.command.replace("cargo run --release --", &program);
        let line = line.strip_prefix("spawnbox ").map_or(line.clone(), |rest| format!("{program} {rest}"));
        let mut command = match unprivileged && host::is_root() {
            true => Command::new("setpriv"),
            false => Command::new("/bin/sh"),
        };
        if unprivileged && host::is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh"]);
        }
        // A server becomes the shell's process, so that it is what is killed.
        let line = if line.contains(" listen ") { format!("exec {line}") } else { line };
        command.args(["-c", &format!("exec 2>&1; {line}")]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::piped());
        if unprivileged {
            command.current_dir("/");
        }
        let mut child = command.spawn().expect("a shell is there");
        let (send, lines) = channel();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines, expected: transcript.expected.into_iter() }
    }

    /// The next line that was promised.
    fn next_line(&mut self) {
        let expected = self.expected.next().expect("the README shows a line here");
        let line = self.lines.recv_timeout(patience()).unwrap_or_else(|error| panic!("{error} before {expected:?}"));
        assert!(is_like(&line, &expected), "the README says {expected:?}, the program {line:?}");
    }

    /// Every line that was promised, then the end.
    fn finish(mut self) {
        while self.expected.len() > 0 {
            self.next_line();
        }
        let deadline = Instant::now() + patience();
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => panic!("the transcript does not end"),
            Ok(line) => panic!("a line that the README does not show: {line:?}"),
        }
        outcome::wait(&mut self.child, patience(), "the transcript");
    }
}

/// Whether a line is what the README shows; `[..]` stands for any text, `[..]` alone on a line for any line.
fn is_like(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[test]
fn an_elision_stands_for_any_text() {
    let cases =
        [("a b c", "a [..] c", true), ("a b c", "a [..]", true), ("a b c", "a b", false), ("a c", "b [..]", false)];
    for (line, pattern, like) in cases {
        assert_eq!(is_like(line, pattern), like, "{line:?} and {pattern:?}");
    }
}
