// SPDX-License-Identifier: Apache-2.0
//! Looks around from inside a sandbox and tries things there; what it finds goes to standard output, a line each.
//!
//! `probe ids , open /etc/shadow , fork 40` does three things in that order. A fact prints `ids: ...`, an attempt
//! `open /etc/shadow: ok` or the errno's name. Nothing here knows what it ought to find: the tests do.
// Test program, never installed: it asks the kernel things that safe wrappers rightly do not offer.
#![allow(unsafe_code)]

mod attempts;
mod control;
mod corners;
mod each;
mod facts;
mod ordinary;

use nix::errno::Errno;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    for action in words.split(|word| word == ",") {
        let (name, arguments) = action.split_first().expect("an action between commas");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if let Some(line) = perform(name, &arguments) {
            print(&format!("{}: {line}", action.join(" ")));
        }
    }
}

fn perform(name: &str, arguments: &[&str]) -> Option<String> {
    if let Some(fact) = facts::look(name) {
        return Some(fact);
    }
    let corner = || corners::attempt(name, arguments).or_else(|| ordinary::attempt(name, arguments));
    match attempts::attempt(name, arguments).or_else(corner) {
        Some(Ok(said)) if said.is_empty() => Some("ok".to_string()),
        Some(Ok(said)) => Some(said),
        Some(Err(errno)) => Some(format!("{errno:?}")),
        None => control::act(name, arguments),
    }
}

/// A line to standard output in one write, so that forked processes do not repeat what is buffered.
fn print(line: &str) {
    let mut bytes = format!("{line}\n").into_bytes();
    while !bytes.is_empty() {
        match nix::unistd::write(std::io::stdout(), &bytes) {
            Ok(length) => drop(bytes.drain(..length)),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}
