// SPDX-License-Identifier: Apache-2.0
//! What came of a run: status, output, log. Its checks show the whole of it when they fail.

use super::patience;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    /// The command's standard error and the program's log.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Runs `command` to its end, or fails the test.
    pub(crate) fn of(mut command: Command, input: &[u8]) -> Outcome {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let input = input.to_vec();
        let writer = thread::spawn(move || stdin.write_all(&input));
        let stdout = gather(child.stdout.take().expect("standard output is a pipe"));
        let stderr = gather(child.stderr.take().expect("standard error is a pipe"));
        let status = wait(&mut child, patience(), &format!("{command:?}"));
        // A command that reads nothing breaks the pipe: no concern of the scene.
        let _ = writer.join().expect("the writer does not panic");
        Outcome { status, stdout: received(stdout), stderr: received(stderr) }
    }

    /// Standard output is exactly this.
    pub(crate) fn stdout(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "standard output of {self}");
        self
    }

    /// Standard output has this line.
    pub(crate) fn line(self, line: &str) -> Self {
        assert!(self.stdout.lines().any(|found| found == line), "no line {line:?} in {self}");
        self
    }

    /// Standard output contains this.
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} on standard output of {self}");
        self
    }

    /// Standard error contains this.
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} on standard error of {self}");
        self
    }

    /// The exit status.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "exit status of {self}");
        self
    }

    /// What the probe printed after `name: `.
    pub(crate) fn answer(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let found = self.stdout.lines().find_map(|line| line.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no answer to {name:?} in {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { status, stdout, stderr } = self;
        let signal = status.signal().map_or(String::new(), |signal| format!(" by signal {signal}"));
        write!(f, "a run that ended with {status}{signal}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}

/// Waits for a child with a deadline; past it the child is killed and the test fails.
pub(crate) fn wait(child: &mut Child, deadline: Duration, what: &str) -> ExitStatus {
    if !super::host::ends_within(child.id(), deadline) {
        let _ = child.kill();
        let _ = child.wait();
        panic!("still running after {deadline:?}: {what}");
    }
    child.wait().expect("the child is ours to wait for")
}

fn gather(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

/// The output, once every process that could write to it is gone: a process that was left behind fails here.
fn received(from: mpsc::Receiver<String>) -> String {
    from.recv_timeout(patience()).expect("something that was started still holds the output open")
}
