// SPDX-License-Identifier: Apache-2.0
//! The README's transcripts, run as they stand: `cargo run --release --` is the built program, `[..]` is any text,
//! `[...]` any lines, and a server goes on in the background while the transcripts after it speak to it.

use crate::learn::spf;
use crate::postfix::private::in_private;
use crate::postfix::resolver::Resolver;
use crate::scene::{host, outcome, patience, scene, stage};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// A command of the README and the lines that it says are printed.
pub(crate) struct Transcript {
    pub(crate) command: String,
    expected: Vec<String>,
}

/// A running transcript.
pub(crate) struct Running {
    child: stage::Running,
    lines: Receiver<String>,
    expected: std::vec::IntoIter<String>,
    /// The transcript ends with any lines.
    open_end: bool,
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
    // The README's port may be taken: by another of these tests, or by somebody who has just read it.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    let text = readme().replace("7000", &free.port().to_string());
    let (mut servers, transcripts) = (Vec::new(), transcripts(&text, "```console"));
    assert!(
        transcripts.iter().any(|transcript| transcript.command.contains(" listen ")),
        "the first command is missing"
    );
    for transcript in transcripts {
        let serves = transcript.command.contains(" listen ");
        let mut running = Running::start(transcript, unprivileged);
        match serves {
            true => {
                running.promised();
                servers.push(running);
            }
            false => running.finish(),
        }
    }
}

#[test]
fn what_the_readme_learns_is_true() {
    needs!(root);
    needs!(program "policyd-spf");
    let room = stage::room();
    let own = room.directory("spawnbox").display().to_string();
    in_private(&room.path(""), |_| {
        let _resolver = Resolver::start(spf::NAMES);
        // A machine of another release has another Python.
        let text = readme().replace("/etc/spawnbox", &own).replace("python3.11", "python3.[..]");
        for transcript in transcripts(&text, "```console policyd-spf") {
            let mut running = Running::start(transcript, false);
            // Whoever reads this asks when they are told to.
            running.promised_to(|line| {
                if line.contains("nc 127.0.0.1 7000") {
                    let answer = spf::ask(&mut spf::connect("127.0.0.1:7000"), 0);
                    assert!(answer.contains("Received-SPF: Pass"), "{answer}");
                }
            });
            running.finish();
        }
    });
}

#[test]
fn the_log_line_of_the_readme_is_true() {
    let server = scene("strict").shell("exit 0").listen();
    server.connect().rest();
    let line = server.logs("session=");
    let shown = readme().lines().find(|line| line.contains("session=")).expect("it shows one").to_string();
    let words = |line: &str| -> Vec<String> {
        let keys = line.split(' ').filter_map(|word| word.split_once('='));
        keys.map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(words(&line), words(&shown), "{line}\n{shown}");
}

#[test]
fn the_policy_of_the_readme_works() {
    needs!(root);
    let text = readme();
    let (_, rest) = text.split_once("```toml\n").expect("it shows one");
    let (policy, _) = rest.split_once("```").expect("a block has an end");
    let room = stage::room();
    let file = room.file("hello.toml", policy);
    scene("default").policy_file(&file).input(b"world\n").run().stdout("hello world\n").exits(0);
}

fn readme() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    std::fs::read_to_string(path).expect("there is a README")
}

/// Every block of the README that begins with this line.
pub(crate) fn transcripts(text: &str, mark: &str) -> Vec<Transcript> {
    let mut found: Vec<Transcript> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line.strip_prefix("$ ")) {
            _ if line.starts_with("```") => inside = line == mark,
            (true, Some(command)) => found.push(Transcript { command: command.to_string(), expected: Vec::new() }),
            (true, None) => found.last_mut().expect("a block begins with a command").expected.push(line.to_string()),
            (false, _) => {}
        }
    }
    assert!(!found.is_empty(), "no block begins with {mark}");
    found.retain(|transcript| !transcript.command.starts_with("ci/"));
    found
}

impl Running {
    fn start(transcript: Transcript, unprivileged: bool) -> Running {
        Running::start_in(Path::new(env!("CARGO_MANIFEST_DIR")), transcript, unprivileged)
    }

    /// In this directory.
    pub(crate) fn start_in(directory: &Path, transcript: Transcript, unprivileged: bool) -> Running {
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
        let line =
            if [" listen ", " serve "].iter().any(|verb| line.contains(verb)) { format!("exec {line}") } else { line };
        command.args(["-c", &format!("exec 2>&1; {line}")]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
        if unprivileged {
            command.current_dir("/");
        }
        let mut child = command.spawn().expect("a shell is there");
        let (send, lines) = channel();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Other tests kill supervisors, and whoever starts next says so.
            for line in lines.filter(|line| !line.starts_with("spawnbox: removed what killed supervisors")) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child: stage::Running(child), lines, expected: transcript.expected.into_iter(), open_end: false }
    }

    /// Every line that was promised.
    pub(crate) fn promised(&mut self) {
        self.promised_to(|_| ());
    }

    /// The same, for somebody who acts on them.
    fn promised_to(&mut self, mut reader: impl FnMut(&str)) {
        let mut skips = false;
        for expected in self.expected.by_ref() {
            if expected == "[...]" {
                skips = true;
                continue;
            }
            loop {
                let line = self.lines.recv_timeout(patience());
                let line = line.unwrap_or_else(|error| panic!("{error} before {expected:?}"));
                if is_like(&line, &expected) {
                    reader(&line);
                    break;
                }
                assert!(skips, "the README says {expected:?}, the program {line:?}");
            }
            skips = false;
        }
        self.open_end = skips;
    }

    /// Every line that was promised, then the end.
    pub(crate) fn finish(mut self) {
        self.promised();
        loop {
            match self.lines.recv_timeout(patience()) {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the transcript does not end"),
                Ok(line) => assert!(self.open_end, "a line that the README does not show: {line:?}"),
            }
        }
        outcome::wait(&mut self.child.0, patience(), "the transcript");
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
