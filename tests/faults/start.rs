// SPDX-License-Identifier: Apache-2.0
//! A call that fails while the program starts: either it ends with a sentence and leaves nothing, or it serves, and
//! then nobody gets another sandbox than ever.

use super::bench::{sandbox, service, settles};
use super::strace::{Counts, Injection, Trace};
use super::tally::Tally;
use crate::scene::left::Left;
use crate::scene::stage::Room;
use crate::scene::{Server, host, stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::ExitStatus;

/// How a program ends whose libraries cannot be loaded: see ld.so(8).
const LOADER: i32 = 127;

/// A program that is started again and again.
pub(super) struct Starts {
    room: Room,
    expected: String,
    pub(super) tally: Tally,
}

/// What came of a start: a server, or a status and a log.
type Start = Result<Server, (ExitStatus, String)>;

impl Starts {
    pub(super) fn new() -> Starts {
        let server = service().listen();
        let expected = sandbox(&server).expect("a service without faults answers");
        Starts { room: stage::room(), expected, tally: Tally::new() }
    }

    /// How often a process of the program makes each call before it listens, from where its own code begins: what the
    /// dynamic loader does is no concern of ours.
    pub(super) fn record(&self) -> Counts {
        let started = self.start(None).unwrap_or_else(|(status, log)| panic!("without faults: {status}\n{log}"));
        drop(started);
        self.trace().of_each_process("sigaltstack")
    }

    /// One call fails, in each process of the program that makes it so often.
    pub(super) fn inject(&mut self, injection: &Injection) {
        let started = self.start(Some(injection));
        let trace = self.trace();
        let injected = trace.injected();
        let mut faults = Vec::new();
        let (log, refused) = match started {
            Ok(server) => {
                faults.extend(self.serves(&server, injection).err());
                let (status, log) = server.stop();
                if status.code() != Some(0) {
                    faults.push(format!("it served, then ended with {status}"));
                }
                (log, false)
            }
            Err((status, log)) => {
                if !matches!(status.code(), Some(1 | 2 | LOADER))
                    || !log.lines().chain(trace.unheard()).any(is_a_sentence)
                {
                    faults.push(format!("it ended with {status}, and no sentence says why"));
                }
                (log, true)
            }
        };
        if log.contains("panicked at") {
            faults.push("it panicked".to_string());
        }
        self.tally.add(&format!("start: {injection}"), (injected, 0), &faults, &log);
        if refused {
            self.tally.refused();
        }
    }

    fn serves(&self, server: &Server, injection: &Injection) -> Result<(), String> {
        let before = Left::of(server).but_for_mounts();
        match sandbox(server) {
            Ok(text) if text == self.expected || looks_like_no_cgroups(injection, &text, &self.expected) => {
                settles(server, &before)
            }
            Ok(text) if looks_like_no_path(injection, &text, &self.expected) => {
                if text.trim().is_empty() {
                    server.logs("cannot execute the command");
                }
                settles(server, &before)
            }
            other => Err(format!("it serves another sandbox: {other:?}")),
        }
    }

    /// Starts it under strace, which lets go of it when it listens.
    fn start(&self, injection: Option<&Injection>) -> Start {
        let file = self.room.path("trace").display().to_string();
        let mut words = vec!["strace".to_string(), "-D".to_string(), "-f".to_string(), "-qq".to_string()];
        words.extend(["-s", "4096", "-e", "signal=none", "-o"].map(str::to_string));
        words.push(file);
        words.extend(injection.iter().flat_map(|injection| injection.words()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let server = service().through(&words).listen_if_it_can()?;
        let tracer = host::status_of(server.pid(), "TracerPid").and_then(|pid| pid.parse().ok()).unwrap_or(0);
        if tracer != 0 {
            // Whatever it traces goes on when it is gone: see ptrace(2).
            kill(Pid::from_raw(tracer), Signal::SIGKILL).expect("strace is ours");
            host::eventually("strace has let go", crate::scene::patience(), || {
                host::status_of(server.pid(), "TracerPid").is_none_or(|pid| pid == "0")
            });
        }
        Ok(server)
    }

    fn trace(&self) -> Trace {
        Trace::read(&self.room.path("trace"))
    }
}

/// Where the host seems to give us no control group to make others in, a policy that names no limit of theirs is served
/// without, and `explain` lists that as off.
fn looks_like_no_cgroups(injection: &Injection, text: &str, expected: &str) -> bool {
    let without = expected.replace("control group=its own", "control group=the supervisor's");
    ["faccessat2", "statx"].contains(&injection.call.as_str()) && text == without
}

/// Where an optional path seems to be closed to us, nothing of it is shown: the command finds less, or not even its
/// loader, which its session says.
fn looks_like_no_path(injection: &Injection, text: &str, expected: &str) -> bool {
    let looks = ["readlink", "statx", "newfstatat"].contains(&injection.call.as_str());
    let expected: Vec<&str> = expected.split_whitespace().collect();
    looks && text.split_whitespace().all(|word| expected.contains(&word))
}

/// Whether a line says what cannot be done.
fn is_a_sentence(line: &str) -> bool {
    ["cannot ", "error: ", "fatal: ", "error while loading"].iter().any(|words| line.contains(words))
}
