// SPDX-License-Identifier: Apache-2.0
//! The command line of a program that stands alone. Words only: nothing is looked up here.
//!
//! A word stands in [`Verb`] with its line; its options and examples stand in the file of its group.
// Here and in the files below comments on options are what --help prints: brackets are a grammar's, not links.
#![allow(rustdoc::broken_intra_doc_links)]

mod serving;
mod what;
mod looking;
mod seeing;
mod writing;
mod setting_up;
mod groups;
#[cfg(test)]
mod tests;

pub(super) use groups::grammar;
pub(super) use looking::{Check, Diff, Doctor, Explain, Form};
pub(super) use seeing::{Asked, At, Kill, LogFormat, LogTo, Named, Seeing, Status};
pub(super) use serving::{Listen, Run, Serve};
pub(super) use setting_up::{Completions, Dashboard, InstallPostfix, Man, Page};
pub(super) use what::{Connection, What};
pub(super) use writing::{From, Import, Learn, Trace};

use clap::{Parser, Subcommand, ValueEnum};

/// Under which options stand in --help.
const WHAT: &str = "What it is about";
const LISTENING: &str = "Listening";
const SEEN: &str = "Seeing and ordering";
const WRITTEN: &str = "The policy";
const DONE: &str = "What is done";
const WHERE: &str = "Where";
const PRINTED: &str = "What is printed";

/// Hands each connection to a sandboxed command.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Try it, without root and without a policy file:\n  \
        spawnbox listen 127.0.0.1:7000 -- sh -c 'id; ls -l /'\n  \
        nc 127.0.0.1 7000"
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Whether to paint: auto is for a terminal, unless NO_COLOR or TERM=dumb says no
    ///
    /// Example: spawnbox explain --color always -- sh | less -R
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto, hide_possible_values = true)]
    pub(super) color: When,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// Where it is wanted.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Listen, and run the command for each connection
    Listen(Listen),
    /// Serve every policy of a directory that says where to listen, and change while it runs
    Serve(Serve),
    /// Run the command once; standard input is its connection
    Run(Run),
    /// Print what will be enforced, who said so, and what is off
    Explain(Explain),
    /// Say what a policy allows and takes away, compared with another
    Diff(Diff),
    /// Check policies, and the entries of master.cf that start spawnbox
    Check(Check),
    /// Say what this host can enforce, layer by layer, and what to do about each gap
    Doctor(Doctor),
    /// Say what a running supervisor serves, and what it waits for
    Status(Status),
    /// End a session now
    Kill(Kill),
    /// Have a service accept nobody; clients wait
    Pause(Named),
    /// Have a service accept again
    Resume(Named),
    /// Turn the configuration of another program into a policy, and name what could not be carried over
    Import(Import),
    /// Run a trusted command openly, write the policy that it needs, and run it again under that
    Learn(Learn),
    /// Run the command in its sandbox, and name each thing that it is denied with the line that would allow it
    Trace(Trace),
    /// Put the program and its units where Postfix and systemd find them
    InstallPostfix(InstallPostfix),
    /// Print the manual
    Man(Man),
    /// Print a dashboard for Grafana, of what --metrics tells
    Dashboard(Dashboard),
    /// Print what a shell needs to complete our words and options
    Completions(Completions),
}
