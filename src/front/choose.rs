// SPDX-License-Identifier: Apache-2.0
//! Which front door this start is, and one exit status for all of them.
//! Looks at the arguments only.

use super::arrange::Failure;
use super::cli::{Cli, Verb};
use super::{explain, listen, master, run};
use crate::log;
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// The program: reads the command line and runs the front that it names.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if master::is_meant(&arguments) {
        return master::main(&arguments);
    }
    log::init(log::Stderr);
    let verb = Cli::parse().verb;
    // For whoever runs one command, what keeps it from starting is told apart from its own failures: see env(1).
    let unable = match &verb {
        Verb::Run(_) => run::UNABLE,
        Verb::Listen(_) | Verb::Explain(_) => 1,
    };
    let done = match verb {
        Verb::Listen(options) => listen::listen(&options).map(|()| ExitCode::SUCCESS),
        Verb::Run(options) => run::run(&options),
        Verb::Explain(options) => explain::explain(&options).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(failure) => fail(&failure, unable),
    }
}

fn fail(failure: &Failure, unable: u8) -> ExitCode {
    match failure {
        // A report of several lines, for whoever edits the file.
        Failure::Input(error) => eprintln!("{error}"),
        Failure::Refused(refusal) => log::fatal(refusal),
        Failure::Host(error) => log::fatal(error),
    }
    match failure {
        Failure::Input(_) | Failure::Refused(_) => ExitCode::from(2),
        Failure::Host(_) => ExitCode::from(unable),
    }
}
