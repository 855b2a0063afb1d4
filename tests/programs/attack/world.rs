// SPDX-License-Identifier: Apache-2.0
//! What the attacks aim at, as the client tells: one line of `name=value`, of which `only=` takes the rest of the line.

use crate::start::Start;
use nix::errno::Errno;
use std::collections::BTreeMap;

/// The targets, and how this program was started.
pub(crate) struct World {
    told: BTreeMap<String, String>,
    only: Option<String>,
    pub(crate) start: Start,
    /// Whether the connection is a TCP socket; else it is a UNIX socket.
    pub(crate) tcp: bool,
}

impl World {
    /// Reads the line, byte by byte: what comes after it is not ours.
    pub(crate) fn hear() -> World {
        let start = Start::look();
        let mut line = Vec::new();
        let mut byte = [0];
        while nix::unistd::read(std::io::stdin(), &mut byte).expect("the client speaks") == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).expect("the client speaks UTF-8");
        let (facts, only) = match line.split_once("only=") {
            Some((facts, only)) => (facts, Some(only.to_string())),
            None => (line.as_str(), None),
        };
        let pairs = facts.split_whitespace().filter_map(|word| word.split_once('='));
        let told = pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        World { told, only, start, tcp: crate::kernel::family(0) != Ok(nix::libc::AF_UNIX) }
    }

    /// The one attempt that is asked for.
    pub(crate) fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// What is to be done instead of attempts.
    pub(crate) fn manner(&self) -> Option<&str> {
        self.told.get("do").map(String::as_str)
    }

    /// What the client has told of this name.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.told.get(name).unwrap_or_else(|| panic!("the client did not tell {name}="))
    }

    /// A number that the client has told.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("{name}= is no number"))
    }

    /// Factor of every alarm: an emulated machine is slow.
    pub(crate) fn patience(&self) -> u32 {
        self.told.get("patience").map_or(1, |text| text.parse().expect("patience= is a number"))
    }
}

/// A line to the client in one write.
pub(crate) fn print(line: &str) {
    let mut bytes = format!("{line}\n").into_bytes();
    while !bytes.is_empty() {
        match nix::unistd::write(std::io::stdout(), &bytes) {
            Ok(length) => drop(bytes.drain(..length)),
            Err(Errno::EINTR) => {}
            Err(_) => std::process::exit(1),
        }
    }
}
