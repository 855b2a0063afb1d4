// SPDX-License-Identifier: Apache-2.0
//! Which front door this start is, and one exit status for all of them.
//! Looks at the arguments only.

use super::arrange::Failure;
use super::cli::{Cli, Verb, grammar};
use super::trace::trace;
use super::{check, doctor, explain, import, install, learn, listen, manual, master, order, output, run, terminal};
use crate::log;
use crate::postfix::log::{Log, Target};
use crate::sys::signal::{Disposition, set_disposition};
use clap::FromArgMatches;
use nix::libc;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// syslog's facility for programs like this one.
const DAEMON: u32 = 3 << 3;

/// Who reads what we say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Whoever looks at standard error.
    StandardError,
    /// Whoever reads the log: standard error is the client.
    Syslog,
}

/// The program: reads the command line and runs the front that it names.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    outlive_a_full_log();
    if master::is_meant(&arguments) {
        return master::main(&arguments);
    }
    // An option may stand before it.
    let runs = arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "run");
    let reader = match runs && run::keep_quiet_to_client() {
        true => Reader::Syslog,
        false => Reader::StandardError,
    };
    match reader {
        Reader::StandardError => log::init(log::Stderr),
        Reader::Syslog => log::init(Log::open(Target::Syslog { facility: DAEMON }, "spawnbox")),
    }
    let width = terminal::look().width.min(100);
    match grammar(width).try_get_matches_from(&arguments).and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => {
            terminal::heed(cli.color);
            serve(&cli.verb, reader)
        }
        Err(error) => {
            if reader == Reader::Syslog {
                log::fatal(error.to_string().lines().next().unwrap_or_default());
            }
            let written = error.print();
            // Help and version are errors too, of their own kind, which succeed.
            match output::judged(written) {
                Err(why) if !error.use_stderr() => fail(&Failure::Host(why), reader, 1),
                Ok(()) | Err(_) => ExitCode::from(error.exit_code() as u8),
            }
        }
    }
}

/// Where standard error is a file that may not grow any more (RLIMIT_FSIZE), the kernel kills who writes to it. A line
/// is lost then, as any other that cannot be delivered. Commands get their dispositions by a step of their own.
fn outlive_a_full_log() {
    // It cannot fail for a signal that there is: see sigaction(2).
    let _ = set_disposition(libc::SIGXFSZ, Disposition::Ignore);
}

fn serve(verb: &Verb, reader: Reader) -> ExitCode {
    // For whoever runs one command, what keeps it from starting is told apart from its own failures: see env(1).
    let unable = match verb {
        Verb::Run(_) | Verb::Trace(_) => run::UNABLE,
        Verb::Listen(_)
        | Verb::Serve(_)
        | Verb::Explain(_)
        | Verb::Diff(_)
        | Verb::Import(_)
        | Verb::Check(_)
        | Verb::Doctor(_)
        | Verb::Status(_)
        | Verb::Kill(_)
        | Verb::Pause(_)
        | Verb::Resume(_) => 1,
        Verb::Learn(_) | Verb::InstallPostfix(_) | Verb::Man(_) | Verb::Dashboard(_) | Verb::Completions(_) => 1,
    };
    let done = match verb {
        Verb::Listen(options) => listen::listen(options).map(|()| ExitCode::SUCCESS),
        Verb::Serve(options) => super::serve::serve(options).map(|()| ExitCode::SUCCESS),
        Verb::Run(options) => run::run(options),
        Verb::Explain(options) => explain::explain(options).map(|()| ExitCode::SUCCESS),
        Verb::Diff(options) => explain::diff(options),
        Verb::Import(options) => import::import(options),
        Verb::Check(options) => check::check(options),
        Verb::Doctor(options) => doctor::doctor(options),
        Verb::Status(options) => super::status::status(options).map(|()| ExitCode::SUCCESS),
        Verb::Kill(options) => order::kill(options).map(|()| ExitCode::SUCCESS),
        Verb::Pause(options) => order::pause(options).map(|()| ExitCode::SUCCESS),
        Verb::Resume(options) => order::resume(options).map(|()| ExitCode::SUCCESS),
        Verb::Trace(options) => trace(options),
        Verb::Learn(options) => learn::learn(options),
        Verb::InstallPostfix(options) => install::install(options),
        Verb::Completions(options) => manual::complete(options).map(|()| ExitCode::SUCCESS),
        Verb::Dashboard(_) => manual::dashboard().map(|()| ExitCode::SUCCESS),
        Verb::Man(options) => manual::print(options).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| fail(&failure, reader, unable))
}

fn fail(failure: &Failure, reader: Reader, unable: u8) -> ExitCode {
    match (failure, reader) {
        // A report of several lines, for whoever edits the file.
        (Failure::Input(error), Reader::StandardError) => {
            // Where nobody can be told, the status is left.
            let _ = writeln!(std::io::stderr(), "{}", error.report(terminal::paint(&std::io::stderr())));
        }
        (Failure::Input(error), Reader::Syslog) => error.lines().for_each(log::fatal),
        (Failure::Refused(refusal), _) => log::fatal(refusal),
        (Failure::Host(error), _) => log::fatal(error),
    }
    match failure {
        Failure::Input(_) | Failure::Refused(_) => ExitCode::from(2),
        Failure::Host(_) => ExitCode::from(unable),
    }
}
