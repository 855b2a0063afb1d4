// SPDX-License-Identifier: Apache-2.0
//! The command of every server: a program without a C library that writes a line. Built here, since nothing that a
//! distribution ships is as small.

use crate::scene::stage;
use std::path::PathBuf;
use std::process::Command;

/// What its file is called, by which its processes are told from a server's own.
pub(crate) const NAME: &str = "line";

/// Builds it where every server and its sandboxes can read it.
pub(crate) fn build() -> Result<PathBuf, String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/line.c");
    let program = path();
    let options = ["-O2", "-static", "-nostdlib", "-fno-stack-protector", "-Wl,--build-id=none", "-o"];
    let built = Command::new("cc").args(options).arg(&program).arg(source).output();
    let built = built.map_err(|error| format!("cannot run cc, which builds the command: {error}"))?;
    match built.status.success() {
        true => Ok(program),
        false => Err(format!("cannot build {source}: {}", String::from_utf8_lossy(&built.stderr))),
    }
}

/// Where it is.
pub(crate) fn path() -> PathBuf {
    stage::stage().join(NAME)
}
