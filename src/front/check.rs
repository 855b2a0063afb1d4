// SPDX-License-Identifier: Apache-2.0
//! `spawnbox check`: policies, and the entries of master.cf that start us, before anyone connects.
//! Reads and looks at this host; starts nothing and changes nothing.

mod entries;
mod libraries;
mod program;

use super::arrange::{Failure, say_untested};
use super::cli::Check;
use crate::host::{HostError, Machine};
use crate::plan::refuse::{BadCommand, Reason};
use crate::plan::request::{Front, Transport};
use crate::plan::{Refusal, Request, resolve};
use crate::policy::load::{DIRECTORY, operators};
use crate::policy::{InputError, Mistake, Origin, Policy, Sourced, load};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// What is wrong, one report a mistake.
type Reports = Vec<InputError>;

/// Checks everything that is named; with nothing named, every policy of the operator's.
pub(super) fn check(options: &Check) -> Result<ExitCode, Failure> {
    let machine = Machine::observe().map_err(Failure::Host)?;
    let mut said = Said { quiet: options.quiet, wrong: 0 };
    let whole = options.policies.is_empty() && !options.master_cf;
    let names = if whole { operators(Path::new(DIRECTORY)) } else { options.policies.clone() };
    if whole && names.is_empty() {
        said.good(&format!("no policy is in {DIRECTORY}, and none was named"));
    }
    for name in &names {
        match policy(name, &machine).map_err(Failure::Host)? {
            Ok(line) => said.good(&line),
            Err(reports) => said.bad(&reports),
        }
    }
    if options.master_cf {
        entries::check(options.config_directory.as_deref(), &mut said).map_err(Failure::Host)?;
    }
    Ok(if said.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// What was said so far.
struct Said {
    quiet: bool,
    wrong: usize,
}

impl Said {
    /// One line for what is as it should be.
    fn good(&self, line: &str) {
        if !self.quiet {
            // A reader that has seen enough is no failure.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// What is true, and not a mistake.
    fn note(&self, text: &str) {
        self.good(&format!("    note: {text}"));
    }

    fn bad(&mut self, reports: &[InputError]) {
        for report in reports {
            let gap = if self.wrong == 0 { "" } else { "\n" };
            eprintln!("{gap}{report}");
            self.wrong += 1;
        }
    }
}

/// The line for a policy that is good.
fn policy(word: &str, machine: &Machine) -> Result<Result<String, Reports>, HostError> {
    let policy = match load(word, &[]) {
        Ok(policy) => policy,
        Err(error) => return Ok(Err(vec![error])),
    };
    let facts = machine.facts(&policy.names(), &policy.paths())?;
    say_untested(&facts.kernel);
    let own = policy.command.argv.is_some();
    let mut reports = Vec::new();
    // What a network namespace holds off differs with the connection, so all kinds are resolved.
    for transport in [Transport::Tcp, Transport::Unix, Transport::Stdio] {
        let found = match resolve(&request(&policy, transport), &policy, &facts) {
            Ok(plan) if own => program::check(&plan).map(|mistake| report(mistake, argv_origin(&policy), &policy)),
            Ok(_) => None,
            Err(refusal) if !own && is_about_the_stand_in(&refusal) => None,
            Err(refusal) => Some(report(mistake_of(&refusal), &refusal.origin, &policy)),
        };
        reports.extend(found.filter(|found| !reports.contains(found)));
    }
    let without = if own { "" } else { ", for a command that is named elsewhere" };
    Ok(if reports.is_empty() { Ok(format!("{word}: ok{without}")) } else { Err(reports) })
}

fn argv_origin(policy: &Policy) -> &Origin {
    policy.command.argv.as_ref().map_or(&Origin::Default, |argv| &argv.origin)
}

/// A connection of `listen` or `run`.
pub(super) fn request(policy: &Policy, transport: Transport) -> Request {
    let front = match transport {
        Transport::Tcp | Transport::Unix => Front::Listen,
        Transport::Stdio => Front::Run,
    };
    // A profile is for commands that others name: something must stand there while the rest is checked.
    let stand_in = || Sourced::new(vec!["/usr/bin/true".to_string()], Origin::Default);
    let argv = if policy.command.argv.is_none() { Some(stand_in()) } else { None };
    Request { argv, ..Request::new(policy.name.clone(), front, transport) }
}

fn is_about_the_stand_in(refusal: &Refusal) -> bool {
    matches!(refusal.reason.as_ref(), Reason::Command(BadCommand::NotShown { .. }))
}

/// A refusal in the shape of every other mistake.
pub(super) fn mistake_of(refusal: &Refusal) -> Mistake {
    Mistake::new(refusal.message()).help(refusal.way_out())
}

fn report(mistake: Mistake, origin: &Origin, policy: &Policy) -> InputError {
    match origin {
        Origin::Default => mistake.into(),
        written => mistake.quoted(written, &policy.sources).into(),
    }
}
