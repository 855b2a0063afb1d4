// SPDX-License-Identifier: Apache-2.0
//! A scene: one run of the program that reads as a sentence. Every wait in it is bounded, and waits for the event.

#[macro_use]
pub(crate) mod needs;
pub(crate) mod client;
pub(crate) mod host;
pub(crate) mod left;
pub(crate) mod memory;
pub(crate) mod outcome;
pub(crate) mod server;
pub(crate) mod stage;

pub(crate) use client::Client;
pub(crate) use outcome::Outcome;
pub(crate) use server::Server;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The account without rights that scenes run as, and that commands of root's scenes get: `nobody` of every Debian.
pub(crate) const NOBODY: u32 = 65534;

/// How long anything may take that takes a moment.
pub(crate) fn patience() -> Duration {
    20 * a_second()
}

/// A second of a real machine: what is promised within one second is promised for those, not for emulated ones.
pub(crate) fn a_second() -> Duration {
    let factor =
        std::env::var("SPAWNBOX_PATIENCE").map_or(1, |text| text.parse().expect("SPAWNBOX_PATIENCE is a number"));
    Duration::from_secs(1) * factor
}

/// How long what happens at once may take on a machine that others keep busy: shorter than what else would end it.
pub(crate) fn soon() -> Duration {
    8 * a_second()
}

/// A run of the program under the policy of this name; `default` names none.
pub(crate) fn scene(policy: &str) -> Scene {
    let policy = match policy {
        "default" => Vec::new(),
        name => vec![format!("--policy={name}")],
    };
    Scene { policy, ..Scene::default() }
}

/// A run of the program with exactly these arguments.
pub(crate) fn arguments(words: &[&str]) -> Scene {
    Scene { exact: Some(words.iter().map(|word| word.to_string()).collect()), ..Scene::default() }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    policy: Vec<String>,
    settings: Vec<String>,
    command: Vec<String>,
    exact: Option<Vec<String>>,
    refusals: Vec<String>,
    trace: Option<PathBuf>,
    ordinary: bool,
    guarded: bool,
    wrapping: Vec<String>,
    user: Option<String>,
    range: Option<String>,
    input: Vec<u8>,
    variables: Vec<(String, String)>,
}

impl Scene {
    /// Uses the policy in this file.
    pub(crate) fn policy_file(mut self, path: &Path) -> Self {
        self.policy = vec![format!("--policy={}", path.display())];
        self
    }

    /// `-s KEY=VALUE`.
    pub(crate) fn set(mut self, setting: &str) -> Self {
        self.settings.push(format!("-s{setting}"));
        self
    }

    /// An option of the program itself.
    pub(crate) fn option(mut self, word: &str) -> Self {
        self.settings.push(word.to_string());
        self
    }

    /// The command line, split at blanks.
    pub(crate) fn command(self, words: &str) -> Self {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.argv(&words)
    }

    /// The command line, word by word.
    pub(crate) fn argv(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|word| word.to_string()).collect();
        self
    }

    /// A shell script as the command.
    pub(crate) fn shell(self, script: &str) -> Self {
        self.argv(&["/bin/sh", "-c", script])
    }

    /// A script of perl(1) as the command: it makes any call, by its number.
    pub(crate) fn perl(self, script: &str) -> Self {
        self.argv(&["/usr/bin/perl", "-e", script])
    }

    /// The probe as the command, shown to the sandbox; actions are separated by ` , `.
    pub(crate) fn probe(self, actions: &str) -> Self {
        let probe = stage::program("probe");
        let shown = format!("files.execute=[\"{}\"]", probe.display());
        self.set(&shown).command(&format!("{} {actions}", probe.display()))
    }

    /// As this user; root's scenes use `nobody` where they do not say.
    pub(crate) fn user(mut self, name: &str) -> Self {
        self.user = Some(name.to_string());
        self
    }

    /// Each session as a user of its own; for root's scenes.
    pub(crate) fn users(mut self, range: &str) -> Self {
        self.range = Some(range.to_string());
        self
    }

    /// Started by another program, which becomes spawnbox by exec: `through("nice -n 5")`.
    pub(crate) fn through(mut self, words: &[&str]) -> Self {
        self.wrapping.extend(words.iter().map(|word| word.to_string()));
        self
    }

    /// As an ordinary user: the tests' own, or `nobody` where that is root.
    pub(crate) fn unprivileged(mut self) -> Self {
        self.ordinary = true;
        self
    }

    /// Makes system calls of the program fail, in the words of `tests/programs/failing/main.rs`.
    pub(crate) fn failing(mut self, refusals: &str) -> Self {
        self.refusals.extend(refusals.split_whitespace().map(str::to_string));
        self
    }

    /// Writes every system call of the program and its children to `file`.
    pub(crate) fn traced(mut self, file: &Path) -> Self {
        self.trace = Some(file.to_path_buf());
        self
    }

    /// Under the allocator that aborts between clone and exec.
    pub(crate) fn guarded(mut self) -> Self {
        self.guarded = true;
        self
    }

    /// What the command finds on its standard input.
    pub(crate) fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    /// A variable in the environment of the program, which otherwise has only a PATH.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_string(), value.to_string()));
        self
    }

    /// `spawnbox run`, to its end.
    pub(crate) fn run(self) -> Outcome {
        let words = self.words("run", &[]);
        Outcome::of(self.program(&words), &self.input)
    }

    /// `spawnbox trace`, to its end.
    pub(crate) fn trace(self) -> Outcome {
        let words = self.words("trace", &[]);
        Outcome::of(self.program(&words), &self.input)
    }

    /// `spawnbox trace` on a port of the system's choice on 127.0.0.1.
    pub(crate) fn trace_connections(self, most: u32) -> Server {
        let words = self.words("trace", &["127.0.0.1:0", "--print-port", "--connections", &most.to_string()]);
        Server::start(self.program(&words), "127.0.0.1:0")
    }

    /// `spawnbox explain` for what would run.
    pub(crate) fn explain(self, options: &[&str]) -> Outcome {
        let words = self.words("explain", options);
        Outcome::of(self.program(&words), &self.input)
    }

    /// `spawnbox listen` on a port of the system's choice on 127.0.0.1.
    pub(crate) fn listen(self) -> Server {
        self.listen_on("127.0.0.1:0")
    }

    /// `spawnbox listen` on this address; returns when it listens.
    pub(crate) fn listen_on(self, address: &str) -> Server {
        let words = self.words("listen", &[address, "--print-port"]);
        Server::start(self.program(&words), address)
    }

    /// `spawnbox listen` that may come up or not; else how it ended, and what it said.
    pub(crate) fn listen_if_it_can(self) -> Result<Server, (std::process::ExitStatus, String)> {
        let words = self.words("listen", &["127.0.0.1:0", "--print-port"]);
        Server::start_if_it_can(self.program(&words), "127.0.0.1:0")
    }

    /// `spawnbox listen` that does not come up: what it says instead.
    pub(crate) fn listen_refused(self) -> Outcome {
        let words = self.words("listen", &["127.0.0.1:0"]);
        Outcome::of(self.program(&words), &[])
    }

    fn words(&self, verb: &str, arguments: &[&str]) -> Vec<String> {
        if let Some(exact) = &self.exact {
            return exact.clone();
        }
        let mut words = vec![verb.to_string()];
        words.extend(arguments.iter().map(|word| word.to_string()));
        words.extend(self.policy.iter().chain(&self.settings).cloned());
        // uid 0 is refused, so root's commands are someone else's.
        if host::is_root() && !self.ordinary {
            words.push(match &self.range {
                Some(range) => format!("-scommand.user.range={range}"),
                None => format!("-scommand.user=\"{}\"", self.user.as_deref().unwrap_or("nobody")),
            });
        }
        if !self.command.is_empty() {
            words.push("--".to_string());
            words.extend(self.command.iter().cloned());
        }
        words
    }

    fn program(&self, words: &[String]) -> Command {
        let mut line = self.wrapping();
        line.push(stage::program(if self.guarded { "guarded" } else { "spawnbox" }).into());
        line.extend(words.iter().map(OsString::from));
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).current_dir("/").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What stands before the program: each of these becomes the next by exec, so that the process id is the program's,
    /// but for strace, which is its parent.
    fn wrapping(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = Vec::new();
        if let Some(file) = &self.trace {
            line.extend(["strace", "-f", "-qq", "-e", "signal=none", "-o"].map(OsString::from));
            line.push(file.into());
        }
        if self.ordinary && host::is_root() {
            line.extend(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(OsString::from));
        }
        line.extend(self.wrapping.iter().map(OsString::from));
        if !self.refusals.is_empty() {
            line.push(stage::program("failing").into());
            line.extend(self.refusals.iter().map(OsString::from));
            line.push("--".into());
        }
        line
    }
}
