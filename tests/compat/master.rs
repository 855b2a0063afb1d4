// SPDX-License-Identifier: Apache-2.0
//! In master's place: starts the daemon as master(8) does, with the test at the other end of its descriptors, and hears
//! what it says there. See master/master_spawn.c for the descriptors and master/master_proto.c for the messages.

use super::at::At;
use crate::scene::{Client, outcome};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The shell gives the descriptors their numbers: 5 is the status channel, 6 and 7 are listeners.
const NUMBERS: &str = "exec \"$@\" 5<&0 6<&1 7<&2 0</dev/null 1>/dev/null 2>/dev/null";
/// Octal, as master writes it.
const GENERATION: &str = "17";

/// A daemon, and master's ends of what it has.
pub(super) struct Master {
    daemon: Child,
    status: UnixStream,
    address: String,
    /// Open here too, as they are in master.
    _listeners: [UnixListener; 2],
}

/// What the daemon says: its process id, its generation, and 0 for taken or 1 for available.
pub(super) type Message = (u32, u32, u32);

impl Master {
    /// Starts the daemon with these words, split at blanks.
    pub(super) fn start(at: &At<'_>, words: &str) -> Master {
        Master::with_generation(at, words, GENERATION)
    }

    /// The same in an environment with this generation.
    pub(super) fn with_generation(at: &At<'_>, words: &str, generation: &str) -> Master {
        Master::with_words(at, command_line(at, words), generation)
    }

    /// The same where system calls of the daemon fail as strace(1) is told, `accept,accept4:error=EMFILE:when=1`.
    pub(super) fn with_fault(at: &At<'_>, words: &str, fault: &str) -> Master {
        let inject = format!("inject={fault}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject].map(str::to_string);
        Master::with_words(at, strace.into_iter().chain(command_line(at, words)).collect(), GENERATION)
    }

    fn with_words(at: &At<'_>, words: Vec<String>, generation: &str) -> Master {
        let (status, theirs) = UnixStream::pair().expect("a descriptor is left");
        status.set_read_timeout(Some(at.patience)).expect("a time-out can be set");
        let listen = |number: u32| {
            let listener = UnixListener::bind(at.path(&format!("@name.socket{number}"))).expect("the name is free");
            listener.set_nonblocking(true).expect("master does so");
            listener
        };
        let listeners = [listen(6), listen(7)];
        let [six, seven] =
            listeners.each_ref().map(|one| OwnedFd::from(one.try_clone().expect("a descriptor is left")));
        let daemon = Command::new("/bin/sh")
            .args(["-c", NUMBERS, "sh"])
            .args(words)
            .current_dir(at.path("postfix/queue"))
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin".into()),
                ("MAIL_CONFIG", at.path("postfix/config").into_os_string()),
                ("GENERATION", generation.into()),
            ])
            .stdin(OwnedFd::from(theirs))
            .stdout(six)
            .stderr(seven)
            .spawn()
            .expect("a shell is there");
        let address = format!("unix:{}", at.path("@name.socket").display());
        Master { daemon, status, address, _listeners: listeners }
    }

    /// A client of the first listener, or the second: 6 or 7.
    pub(super) fn client(&self, listener: u32) -> Client {
        Client::connect(&format!("{}{listener}", self.address))
    }

    /// The next message.
    pub(super) fn hears(&self) -> Message {
        let mut bytes = [0; 12];
        (&self.status).read_exact(&mut bytes).expect("a message of twelve bytes");
        let number = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (number(0), number(4), number(8))
    }

    /// The daemon's process id.
    pub(super) fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Reloads, or dies: what the daemon sees of either is the end of its channel. Returns how it ended.
    pub(super) fn leave(mut self) -> ExitStatus {
        drop(self.status);
        outcome::wait(&mut self.daemon, crate::scene::patience(), "the daemon")
    }

    /// Waits for the daemon's end, with this signal or of its own.
    pub(super) fn end(mut self, signal: Option<Signal>) -> ExitStatus {
        kill(Pid::from_raw(self.daemon.id() as i32), signal).expect("the daemon is ours");
        outcome::wait(&mut self.daemon, crate::scene::patience(), "the daemon")
    }
}

/// A daemon that is started by hand, without master, with standard error to read. Its log has the row's tag.
pub(super) fn hand(at: &At<'_>, words: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$@\"", "sh"]).args(command_line(at, words));
    at_hand(at, command)
}

/// The same with exactly these words.
pub(super) fn bare_hand(at: &At<'_>, words: &[&str]) -> Command {
    let mut command = Command::new(at.path("postfix/daemons/@spawn"));
    command.args(words.iter().map(|word| at.fill(word)));
    at_hand(at, command)
}

fn at_hand(at: &At<'_>, mut command: Command) -> Command {
    command.current_dir(at.path("postfix/queue")).env_clear().env("MAIL_CONFIG", at.path("postfix/config"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How it ends, and what it wrote to standard error.
pub(super) fn ended(at: &At<'_>, mut command: Command) -> (Option<i32>, String) {
    let mut daemon = command.spawn().expect("the daemon is there");
    // What the command still has of the caller's must not keep the other side waiting.
    drop(command);
    let status = outcome::wait(&mut daemon, at.patience, "the daemon");
    let mut text = String::new();
    daemon.stderr.take().expect("it is a pipe").read_to_string(&mut text).expect("text");
    (status.code(), text)
}

/// The daemon's path and the words that are given to it.
fn command_line(at: &At<'_>, words: &str) -> Vec<String> {
    let words = at.fill(&format!("@room/postfix/daemons/@spawn -z -o syslog_name=@name {words}"));
    words.split_whitespace().map(str::to_string).collect()
}
