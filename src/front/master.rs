// SPDX-License-Identifier: Apache-2.0
//! The front door for Postfix's master(8): the word `spawn` in master.cf becomes `spawnbox`.
//! Does what single_server and spawn(8) do, in their order and with their words; decides nothing about the sandbox.
//!
//! ```text
//! start: options, main.cf, log ──► gate: descriptors, lock ──► service: attributes, policy, plan, launcher ──► serve
//!        refused at once                                       refused when the first client is there
//! ```

mod fatal;
mod start;
mod accounts;
mod gate;
mod lock;
mod service;
mod refuse;
mod report;

pub(super) use fatal::Fatal;
pub(super) use service::{Choice, Foreseen};

use gate::{Gate, Inherited};
use start::Start;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

/// How long a Postfix daemon sleeps before it ends with an error, so that master is not kept busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether these arguments come from master: every entry of master.cf begins with one of these options, and nothing
/// else that we do has them.
pub(super) fn is_meant(arguments: &[OsString]) -> bool {
    matches!(arguments.get(1).and_then(|word| word.to_str()), Some("-l" | "-z" | "-n" | "-t"))
}

/// Runs until master, the limits of main.cf, or a signal end it. `arguments` begin with the program's name.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            fatal.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
            crate::log::fatal(fatal);
            std::thread::sleep(PAUSE);
            ExitCode::FAILURE
        }
    }
}

/// What would become of a daemon with these words behind the program's name. Changes nothing.
pub(super) fn foresee(words: &[String], config_directory: &str) -> Result<Foreseen, Fatal> {
    service::foresee(&Start::foresee(words, config_directory)?)
}

fn run(arguments: &[OsString]) -> Result<(), Fatal> {
    // First of all, while every inherited number still means what master says it does.
    let inherited = Inherited::adopt();
    let start = Start::read(arguments)?;
    let (mut gate, listeners) = Gate::open(&start, inherited)?;
    // The client that cannot be served must be accepted all the same, so the sockets stay here until that is known.
    let copies = listeners.iter().map(|fd| start.listener(fd)).collect::<Result<_, _>>()?;
    match service::prepare(&start, copies) {
        Ok((mut supervisor, concurrency)) => {
            drop(listeners);
            gate.serve(concurrency);
            supervisor.lower(start.mail_owner)?;
            let (uid, gid) = start.mail_owner;
            tracing::debug!("set_eugid: euid {uid} egid {gid}");
            Ok(supervisor.run(&mut gate)?)
        }
        Err(fatal) => refuse::first_client(&mut gate, &listeners, fatal),
    }
}
