// SPDX-License-Identifier: Apache-2.0
//! A listening spawnbox: its address, its log as it comes, its end.

use super::{Client, outcome, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// A listening spawnbox. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    address: String,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Server {
    /// Starts the program and waits until it has said which port it listens on, or, for a UNIX socket, until it is
    /// there.
    pub(crate) fn start(command: Command, address: &str) -> Server {
        Server::start_if_it_can(command, address)
            .unwrap_or_else(|(status, log)| panic!("the server did not come up: {status}\n{log}"))
    }

    /// The same for one that may end instead: its status and its log.
    pub(crate) fn start_if_it_can(mut command: Command, address: &str) -> Result<Server, (ExitStatus, String)> {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let keeper = Arc::clone(&log);
        std::thread::spawn(move || keeper.keep(stderr));
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let mut server = Server { child, address: address.to_string(), log };
        match server.wait_for_address(stdout, address) {
            Some(address) => server.address = address,
            None => return Err(server.end()),
        }
        Ok(server)
    }

    /// Starts `serve`, which prints nothing, and waits until it has said what it serves.
    pub(crate) fn start_silent(command: Command) -> Server {
        Server::start_logging(command, "services: ")
    }

    /// Starts the program and waits for this text in its log.
    pub(crate) fn start_logging(mut command: Command, text: &str) -> Server {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let keeper = Arc::clone(&log);
        std::thread::spawn(move || keeper.keep(stderr));
        let server = Server { child, address: String::new(), log };
        server.logs(text);
        server
    }

    /// The program's process id; strace's, where it is traced.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A new client.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Waits for a line of the log that contains `text` and returns it.
    pub(crate) fn logs(&self, text: &str) -> String {
        self.logs_times(text, 1).pop().expect("there is one line")
    }

    /// Waits until `count` lines of the log contain `text`.
    pub(crate) fn logs_times(&self, text: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + patience();
        let mut state = self.log.lines.lock().expect("no holder panics");
        loop {
            let found: Vec<String> = state.0.iter().filter(|line| line.contains(text)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.1 {
                drop(state);
                panic!("the log has not {count} × {text:?}:\n{}", self.log());
            }
            state = self.log.grown.wait_timeout(state, left).expect("no holder panics").0;
        }
    }

    /// The log as it stands.
    pub(crate) fn log(&self) -> String {
        self.log.lines.lock().expect("no holder panics").0.join("\n")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("the server is ours");
    }

    /// Waits for its end, which something else brings about; then the log is complete.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = outcome::wait(&mut self.child, patience(), "the server");
        let deadline = Instant::now() + patience();
        let mut state = self.log.lines.lock().expect("no holder panics");
        while !state.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "something that the server started still holds its standard error");
            state = self.log.grown.wait_timeout(state, left).expect("no holder panics").0;
        }
        (status, state.0.join("\n"))
    }

    /// SIGTERM, then its end.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// None where it has closed its standard output without a word, as it does when it ends.
    fn wait_for_address(&self, stdout: impl Read, address: &str) -> Option<String> {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        match (line.trim(), address.rsplit_once(':')) {
            ("", _) => None,
            (said, Some((host, "0"))) => Some(format!("{host}:{said}")),
            _ => Some(address.to_string()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn keep(&self, stderr: impl Read) {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            self.lines.lock().expect("no holder panics").0.push(String::from_utf8_lossy(&line).into_owned());
            self.grown.notify_all();
        }
        self.lines.lock().expect("no holder panics").1 = true;
        self.grown.notify_all();
    }
}
