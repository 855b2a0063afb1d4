// SPDX-License-Identifier: Apache-2.0
//! The words that look at policies and at this host, and change nothing: explain, diff, check and doctor.

use super::what::{Connection, What};
use super::{PRINTED, WHAT};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox explain -- sh\n  \
    spawnbox explain --policy policyd-spf --steps\n  \
    spawnbox explain --policy policyd-spf --seccomp | grep socket\n  \
    spawnbox explain --policy ./draft.toml --score\n  \
    spawnbox explain -s network.mode=host -- sh")]
pub(in crate::front) struct Explain {
    #[command(flatten)]
    pub(in crate::front) form: Form,
    /// Print one JSON object: of what is asked for, or of all of this
    ///
    /// Example: spawnbox explain --steps --json -- sh
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) json: bool,
    /// The kind of connection it is for
    ///
    /// Example: spawnbox explain --connection unix --policy policyd-spf
    #[arg(long, help_heading = WHAT, value_enum, default_value_t = Connection::Tcp)]
    pub(in crate::front) connection: Connection,
    #[command(flatten)]
    pub(in crate::front) what: What,
}

/// What is printed instead of the page.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::front) struct Form {
    /// Print the steps of the child instead, in order: who takes each, about what, by which calls, and why there
    ///
    /// Example: spawnbox explain --steps -- sh
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) steps: bool,
    /// Print what becomes of each system call instead, with its arguments
    ///
    /// Example: spawnbox explain --seccomp -- sh | grep socket
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) seccomp: bool,
    /// Print the points of each wall instead, of a hundred together
    ///
    /// Example: spawnbox explain --score --policy greylist
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) score: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox diff /etc/spawnbox/greylist.toml ./greylist.toml\n  \
    spawnbox diff compatible strict\n\n\
    + is allowed by NEW alone, - by OLD alone, ~ is another value.\n\
    Another user or group counts as more; another command or environment is another value,\n\
    and no more is allowed by it.\n\
    Exit status: 0 nothing more is allowed, 1 this host cannot be looked at, 2 usage or policy,\n\
    3 NEW allows what OLD does not.")]
pub(in crate::front) struct Diff {
    /// The policy as it was: a name, or a file (with a slash)
    #[arg(value_name = "OLD")]
    pub(in crate::front) old: String,
    /// The policy as it will be
    #[arg(value_name = "NEW")]
    pub(in crate::front) new: String,
    /// What ${service} stands for in both [default: the name of NEW]
    ///
    /// Example: spawnbox diff --service filter ./old.toml ./new.toml
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(in crate::front) service: Option<String>,
    /// The kind of connection it is for
    ///
    /// Example: spawnbox diff --connection stdio compatible strict
    #[arg(long, help_heading = WHAT, value_enum, default_value_t = Connection::Tcp)]
    pub(in crate::front) connection: Connection,
    /// The command of both [default: each policy's own]
    #[arg(last = true, value_name = "CMD")]
    pub(in crate::front) command: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox check                   every policy in /etc/spawnbox\n  \
    spawnbox check ./draft.toml\n  \
    spawnbox check --min-score 80    for a test of your own\n  \
    spawnbox check --master-cf       what Postfix will start\n  \
    spawnbox check --json ./draft.toml | jq '.mistakes[].what'\n\n\
    Prints a line for each that is good, and every mistake. Changes nothing.\n\
    Exit status: 0 all good, 1 this host cannot be looked at, 2 something is wrong.")]
pub(in crate::front) struct Check {
    /// Policies by name, or policy files (with a slash) [default: all in /etc/spawnbox]
    #[arg(value_name = "POLICY")]
    pub(in crate::front) policies: Vec<String>,
    /// What ${service} stands for in policies that are named
    /// [default: each policy's own name, and what depends on it is no mistake]
    ///
    /// Example: spawnbox check --service filter ./draft.toml
    #[arg(long, help_heading = WHAT, value_name = "NAME")]
    pub(in crate::front) service: Option<String>,
    /// Check each entry of master.cf whose command is spawnbox; needs root, as master(8) does
    ///
    /// Example: spawnbox check --master-cf
    #[arg(long, help_heading = WHAT)]
    pub(in crate::front) master_cf: bool,
    /// Where main.cf and master.cf are [default: where postconf(1) finds them]
    ///
    /// Example: spawnbox check --master-cf -c /etc/postfix-out
    #[arg(short = 'c', long, help_heading = WHAT, value_name = "DIR", requires = "master_cf")]
    pub(in crate::front) config_directory: Option<PathBuf>,
    /// Take it for a mistake where a policy has fewer points of a hundred, see explain --score
    ///
    /// Example: spawnbox check --min-score 80 ./draft.toml
    #[arg(long, help_heading = WHAT, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(in crate::front) min_score: Option<u32>,
    /// Print mistakes only: nothing at all where everything is good
    ///
    /// Example: spawnbox check -q && systemctl reload postfix
    #[arg(short, long, help_heading = PRINTED, conflicts_with = "json")]
    pub(in crate::front) quiet: bool,
    /// Print what is good and every mistake, with its place, as one JSON object
    ///
    /// Example: spawnbox check --json ./draft.toml
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spawnbox doctor                  can a strict sandbox be made here?\n  \
    spawnbox doctor policyd-spf      can this host run that policy?\n  \
    spawnbox doctor --json\n\n\
    Tries each layer in throw-away processes and makes a sandbox that proves them.\n\
    Exit status: 0 every layer is there, 1 this host lacks something, 2 the policy is wrong.")]
pub(in crate::front) struct Doctor {
    /// A policy by name, or a policy file (with a slash), which this host shall run [default: strict]
    #[arg(value_name = "POLICY")]
    pub(in crate::front) policy: Option<String>,
    /// Print everything that was found as one JSON object
    ///
    /// Example: spawnbox doctor --json
    #[arg(long, help_heading = PRINTED)]
    pub(in crate::front) json: bool,
}
