// SPDX-License-Identifier: Apache-2.0
//! The front door for Postfix's master(8): the word `spawn` in master.cf becomes `spawnbox`.
//! Does what single_server and spawn(8) do, in their order and with their words; decides nothing about the sandbox.
//!
//! ```text
//! start: options, main.cf, log ──► gate: descriptors, lock ──► service: attributes, policy, plan, launcher ──► serve
//!        refused at once                                       refused when the first client is there; what the unit
//!                                                              withholds that started Postfix is told at once
//! ```

mod fatal;
mod start;
mod accounts;
mod version;
mod inherited;
mod gate;
mod watchdog;
mod lock;
mod safely;
mod service;
mod refuse;
mod by_hand;
mod debugger;
mod report;

pub(super) use fatal::Fatal;
pub(super) use service::{Choice, Foreseen};

use crate::plan::request::Transport as Kind;
use crate::postfix::options;
use gate::Gate;
use inherited::Inherited;
use start::Start;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

/// How long a Postfix daemon sleeps before it ends with an error, so that master is not kept busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether these arguments are for a Postfix daemon: what comes from master begins with an option, and so does what
/// somebody says by hand who knows spawn(8). Alone, `-V` asks for our version.
pub(super) fn is_meant(arguments: &[OsString]) -> bool {
    let words: Vec<_> = arguments.iter().skip(1).map(|word| word.to_str()).collect();
    match words[..] {
        [Some("-V")] => false,
        [Some(first), ..] => options::is_option_of_a_daemon(first),
        [None, ..] | [] => false,
    }
}

/// Runs until master, the limits of main.cf, or a signal end it. `arguments` begin with the program's name.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            fatal.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
            if fatal.is_panic() {
                crate::log::panic(fatal);
                std::thread::sleep(PAUSE);
                std::process::abort();
            }
            crate::log::fatal(fatal);
            std::thread::sleep(PAUSE);
            ExitCode::FAILURE
        }
    }
}

/// What would become of a daemon with these words behind the program's name. Changes nothing.
pub(super) fn foresee(words: &[String], config_directory: &str) -> Result<Foreseen, Fatal> {
    let start = Start::foresee(words, config_directory)?;
    let kind = start.transport.map_or(Kind::Stdio, start::kind);
    service::foresee(&start, kind)
}

fn run(arguments: &[OsString]) -> Result<(), Fatal> {
    // First of all, while every inherited number still means what master says it does.
    let inherited = Inherited::adopt();
    let start = Start::read(arguments)?;
    if start.options.debugger {
        debugger::run(&start)?;
    }
    let Some(transport) = start.transport else { return by_hand::serve(&start) };
    let (mut gate, listeners) = Gate::open(&start, transport, inherited)?;
    // The client that cannot be served must be accepted all the same, so the sockets stay here until that is known.
    let copies = || listeners.iter().map(|fd| start::listener(fd, transport)).collect::<Result<Vec<_>, _>>();
    match service::prepare(&start, start::kind(transport), copies()?) {
        Ok((mut supervisor, service)) => {
            drop(listeners);
            gate.serve(supervisor.most_sessions(service));
            supervisor.lower(start.mail_owner)?;
            let (uid, gid) = start.mail_owner;
            tracing::debug!("set_eugid: euid {uid} egid {gid}");
            supervisor.run(&mut gate)?;
            gate.verdict()
        }
        Err(fatal) => refuse::first_client(&mut gate, &copies()?, fatal),
    }
}
