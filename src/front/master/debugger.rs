// SPDX-License-Identifier: Apache-2.0
//! `-D`: the debugger that main.cf names is run on this process before it serves anybody. What it is given is what
//! Postfix gives it: a shell command, the rights of a daemon that has not given any up, and time for as long as it
//! runs.

use super::fatal::Fatal;
use super::start::Start;
use std::process::Command;

/// Runs `debugger_command`. Under debuggers that stay it ends in `&`, and the daemon goes on.
pub(super) fn run(start: &Start) -> Result<(), Fatal> {
    let command = start.parameters.debugger_command()?.ok_or(Fatal::NoDebugger)?;
    tracing::info!("running: {command}");
    // Nobody asks how it ended, as nobody does in Postfix: whoever debugs has seen it.
    let _ended = Command::new("/bin/sh").arg("-c").arg(&command).env_clear().envs(&start.environment).status();
    Ok(())
}
