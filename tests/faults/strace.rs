// SPDX-License-Identifier: Apache-2.0
//! strace(1) on a process of the program: records its system calls, or makes one of them fail.

use crate::scene::{host, patience};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A system call that fails: which of them, counted from one, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Injection {
    pub(super) call: String,
    pub(super) when: usize,
    pub(super) errno: Errno,
}

impl Injection {
    /// For strace, and for whoever reads which one it was.
    pub(super) fn words(&self) -> [String; 4] {
        let Injection { call, when, errno } = self;
        let inject = format!("inject={call}:error={errno:?}:when={when}");
        ["-e".to_string(), format!("trace={call}"), "-e".to_string(), inject]
    }
}

impl Injection {
    /// Whether a line of the log says that it was this.
    pub(super) fn is_told_by(&self, line: &str) -> bool {
        let gone = matches!(self.errno, Errno::EPIPE | Errno::ECONNRESET) && line.contains("the launcher died");
        gone || line.contains(&spawnbox::host::errno_text(self.errno))
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} = {:?}", self.call, self.when, self.errno)
    }
}

/// How often each call was made, from the first to the last of those that are of interest.
pub(super) type Counts = BTreeMap<String, (usize, usize)>;

/// How many of the calls of one name are tried. A proof at the start asks for each number that a descriptor can have.
const OF_ONE_NAME: usize = 60;

/// Every failure of every call that was recorded; of a call that is made very often, see [`thinned`].
pub(super) fn every(counts: &Counts, errnos: impl Fn(&str) -> &'static [Errno]) -> Vec<Injection> {
    let of_call = |(call, &(first, last)): (&String, &(usize, usize))| {
        let (call, errnos) = (call.clone(), errnos(call));
        let made = (first..=last).count();
        let tried = thinned((first..=last).collect());
        if tried.len() < made && !errnos.is_empty() {
            let _ = writeln!(std::io::stderr(), "faults: {call}: {} of its {made} calls", tried.len());
        }
        let of_one = move |when| {
            let call = call.clone();
            errnos.iter().map(move |&errno| Injection { call: call.clone(), when, errno })
        };
        tried.into_iter().flat_map(of_one)
    };
    counts.iter().flat_map(of_call).collect()
}

/// Of too many: a third of those that may be from the beginning, one from the end, and the rest spread between.
fn thinned(all: Vec<usize>) -> Vec<usize> {
    const THIRD: usize = OF_ONE_NAME / 3;
    if all.len() <= OF_ONE_NAME {
        return all;
    }
    let (begin, rest) = all.split_at(THIRD);
    let (between, end) = rest.split_at(rest.len() - THIRD);
    let spread = between.iter().step_by(between.len().div_ceil(THIRD));
    begin.iter().chain(spread).chain(end).copied().collect()
}

/// strace, attached to one process.
pub(super) struct Tracer {
    strace: Child,
    file: PathBuf,
}

impl Tracer {
    /// Attaches; returns when it has.
    pub(super) fn attach(pid: u32, file: &Path, injection: Option<&Injection>) -> Tracer {
        let mut command = Command::new("strace");
        command.args(["-qq", "-e", "signal=none", "-o"]).arg(file).args(["-p", &pid.to_string()]);
        command.args(injection.iter().flat_map(|injection| injection.words()));
        let strace = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace runs");
        host::eventually("strace has attached", patience(), || {
            host::status_of(pid, "TracerPid").is_none_or(|tracer| tracer != "0")
        });
        Tracer { strace, file: file.to_path_buf() }
    }

    /// Lets the process go on without it, and returns what it did.
    pub(super) fn detach(mut self) -> Trace {
        // It has ended already where its process has.
        let _ = kill(Pid::from_raw(self.strace.id() as i32), Signal::SIGTERM);
        let _ = self.strace.wait();
        Trace::read(&self.file)
    }
}

/// What strace has written.
pub(super) struct Trace(String);

impl Trace {
    pub(super) fn read(file: &Path) -> Trace {
        Trace(std::fs::read_to_string(file).unwrap_or_default())
    }

    /// How many calls were made to fail.
    pub(super) fn injected(&self) -> usize {
        self.0.lines().filter(|line| line.ends_with("(INJECTED)")).count()
    }

    /// What was said on standard error by calls that were made to fail, so that nobody could hear it.
    pub(super) fn unheard(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter(|line| line.contains("write(2, ") && line.ends_with("(INJECTED)"))
    }

    /// How often the one process made each call.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for call in self.0.lines().filter_map(call) {
            counts.entry(call.to_string()).or_insert((1, 0)).1 += 1;
        }
        counts
    }

    /// How often a process made each call, for a trace of several: the most of any. In the first process those before
    /// `begin` are not of interest.
    pub(super) fn of_each_process(&self, begin: &str) -> Counts {
        let mut of_each: BTreeMap<&str, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
        let mut first = None;
        let mut begun = false;
        for (pid, call) in self
            .0
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(pid, line)| Some((pid, call(line.trim_start())?)))
        {
            let is_first = *first.get_or_insert(pid) == pid;
            begun |= call == begin;
            let (from, to) = of_each.entry(pid).or_default().entry(call).or_insert((1, 0));
            *to += 1;
            if is_first && !begun {
                *from = *to + 1;
            }
        }
        let mut counts = Counts::new();
        for (&call, &(from, to)) in of_each.values().flatten() {
            let known = counts.entry(call.to_string()).or_insert((from, to));
            *known = (known.0.min(from), known.1.max(to));
        }
        counts
    }
}

/// The name of the call in a line of strace's, unless it is the end of one that was interrupted.
fn call(line: &str) -> Option<&str> {
    let name = line.split('(').next().unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}
