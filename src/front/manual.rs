// SPDX-License-Identifier: Apache-2.0
//! `spawnbox man`, `dashboard` and `completions`: the manual pages and a dashboard for Grafana, which are built into
//! the program so that they are those of its version, and what shells complete, which comes from the grammar of the
//! command line.

use super::arrange::Failure;
use super::cli::{Cli, Completions, Man, Page};
use super::output;
use clap::CommandFactory;

const SPAWNBOX: &str = include_str!("../manual/spawnbox.8");
const POLICY: &str = include_str!("../manual/spawnbox-policy.5");
const DASHBOARD: &str = include_str!("../manual/dashboard.json");

/// Prints a page as mdoc(7).
pub(super) fn print(options: &Man) -> Result<(), Failure> {
    let text = match options.page {
        Page::Spawnbox => SPAWNBOX,
        Page::SpawnboxPolicy => POLICY,
    };
    output::print(text)
}

/// Prints the dashboard.
pub(super) fn dashboard() -> Result<(), Failure> {
    output::print(DASHBOARD)
}

/// Prints the script for a shell.
pub(super) fn complete(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "spawnbox", &mut script);
    output::print(script)
}

#[cfg(test)]
#[path = "manual_tests.rs"]
mod tests;
