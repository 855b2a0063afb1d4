// SPDX-License-Identifier: Apache-2.0
//! What runs, and under what: the options that several words share.

use super::WHAT;
use clap::{Args, ValueEnum};

/// What runs, and under what.
#[derive(Debug, Clone, Args)]
pub(in crate::front) struct What {
    /// A policy by name, or a policy file (with a slash)
    ///
    /// Example: spawnbox run --policy ./draft.toml
    #[arg(long, short, help_heading = WHAT, value_name = "P", default_value = "strict")]
    pub(in crate::front) policy: String,
    /// Set one key of the policy, e.g. -s limits.time=30s or -s 'files.read=["/etc/ssl"]'
    ///
    /// Example: spawnbox run -s limits.time=2s -s 'files.read=["/etc/ssl"]' -- sleep 10
    #[arg(short, help_heading = WHAT, long = "set", value_name = "KEY=VALUE")]
    pub(in crate::front) set: Vec<String>,
    /// Name of the service, for log lines and as ${service}
    /// [default: the policy's, or the program's where a command is given]
    ///
    /// Example: spawnbox listen --service filter 127.0.0.1:7000 --policy ./filter.toml
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(in crate::front) service: Option<String>,
    /// The command and its arguments [default: the policy's]
    #[arg(last = true, value_name = "CMD")]
    pub(in crate::front) command: Vec<String>,
}

/// The kind of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::front) enum Connection {
    /// A TCP connection of `listen`
    Tcp,
    /// A UNIX connection of `listen`
    Unix,
    /// Standard input of `run`
    Stdio,
}
