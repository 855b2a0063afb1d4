// SPDX-License-Identifier: Apache-2.0
//! `spawnbox learn`: what a command was seen to use becomes a policy that `check` finds good, and under which it does
//! the same. Whatever it does, nothing of it is left.

mod commands;
mod connections;
mod ends;
pub(crate) mod spf;

use crate::scene::stage::{Room, room};
use crate::scene::{Outcome, Scene, arguments};
use std::fs;
use std::path::PathBuf;

/// A room, and a policy in it that is not there yet.
fn place() -> (Room, PathBuf) {
    let room = room();
    let file = room.path("learnt.toml");
    (room, file)
}

/// Learns from one run of a shell script.
fn learning(file: &std::path::Path, script: &str) -> Scene {
    arguments(&["learn", "--out", &file.display().to_string(), "--", "/bin/sh", "-c", script])
}

fn text(file: &std::path::Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// It was verified, and `check` finds it good.
fn is_good(outcome: &Outcome, file: &std::path::Path) -> String {
    let text = text(file);
    assert_eq!(outcome.status.code(), Some(0), "{outcome}\n{text}");
    assert!(outcome.stderr.contains("verified: under the policy it does the same"), "{outcome}\n{text}");
    arguments(&["check", &file.display().to_string()]).run().exits(0);
    text
}
