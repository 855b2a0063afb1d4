// SPDX-License-Identifier: Apache-2.0
//! What the attacks aim at: `attack targets`, which stands for the host, in the network namespace of whoever starts it.

use crate::scene::host;
use crate::scene::stage::{Room, program};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The targets. Dropping them removes them.
pub(crate) struct Targets {
    child: Child,
    facts: String,
    reached: Receiver<()>,
}

impl Targets {
    /// Makes them in a new directory of this room.
    pub(crate) fn make(room: &Room) -> Targets {
        Targets::make_by(&[], room)
    }

    /// The same, where the program of these words brings them.
    pub(super) fn make_by(words: &[&str], room: &Room) -> Targets {
        let directory = room.directory("targets");
        let attack = program("attack").display().to_string();
        let words = [words, &[&attack]].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg("targets")
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the attack program runs");
        let mut said = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let mut facts = String::new();
        said.read_line(&mut facts).expect("it says what it has made");
        assert!(facts.contains("port="), "the targets could not be made: {facts}");
        let (send, reached) = channel();
        std::thread::spawn(move || said.lines().map_while(Result::ok).all(|_| send.send(()).is_ok()));
        let patience = crate::scene::a_second().as_secs();
        Targets { child, facts: format!("{} patience={patience}", facts.trim_end()), reached }
    }

    /// What a command is told in its first line, with the process id of its server.
    pub(crate) fn facts(&self, server: u32) -> String {
        format!("{} server={server}", self.facts)
    }

    /// A fact that a judge needs too.
    pub(crate) fn fact(&self, name: &str) -> &str {
        let start = format!("{name}=");
        let found = self.facts.split(' ').find_map(|word| word.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.facts))
    }

    /// Whether a signal has come to the process of the command's user, which keeps it waiting, see proc_pid_status(5).
    pub(crate) fn were_signalled(&self) -> bool {
        let peer = self.fact("peer").parse().expect("a process id");
        let waiting = host::status_of(peer, "ShdPnd").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        waiting.expect("it is there for as long as these are") != 0
    }

    /// Whether a command has reached the port since this was last asked, or does so within this time.
    pub(crate) fn were_reached(&self, within: Duration) -> bool {
        self.reached.recv_timeout(within).is_ok()
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Every attempt that the program knows: its name, and on which connection it is made.
pub(crate) fn attempts() -> Vec<(String, String)> {
    let output = Command::new(program("attack")).arg("list").output().expect("the attack program runs");
    let text = String::from_utf8(output.stdout).expect("names are text");
    let pair = |line: &str| line.split_once(" | ").map(|(name, when)| (name.to_string(), when.to_string()));
    text.lines().map(|line| pair(line).expect("a name and when")).collect()
}

/// Reads to the end, or to where the connection was reset or fell silent.
pub(crate) fn whatever(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
