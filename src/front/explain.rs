// SPDX-License-Identifier: Apache-2.0
//! `spawnbox explain`: what `listen` or `run` would enforce, without doing it; and `spawnbox diff`, for two policies.

use super::arrange::{Arrangement, Failure, failure};
use super::check::{looked_at, request};
use super::cli::{Connection, Diff, Explain, Form};
use super::output::print;
use super::terminal::look;
use crate::host::Machine;
use crate::plan::calls;
use crate::plan::difference::difference;
use crate::plan::explain::Part;
use crate::plan::request::{Front, Transport};
use crate::plan::{Plan, Request, explain, resolve, score};
use crate::policy::{Origin, Policy, Sourced, Written, load};
use std::process::ExitCode;

/// Ends `diff` where the new policy allows what the old one did not.
const ALLOWS_MORE: u8 = 3;

/// Prints the plan, or the part of it that was asked for.
pub(super) fn explain(options: &Explain) -> Result<(), Failure> {
    let (front, transport) = kind(options.connection);
    let arrangement = Arrangement::new(&options.what, front)?;
    let facts = arrangement.observe()?;
    let plan = arrangement.plan(transport, &facts)?;
    let (part, look) = (part(&options.form), look());
    print(match part {
        part if options.json => explain::json(&plan, &facts, part),
        Part::Page => explain::explain(&plan, &facts, look),
        Part::Steps => explain::steps(&plan, look),
        Part::Calls => match &plan.filter {
            Some(filter) => calls::list(filter),
            None => "no filter: every system call can be made\n".to_string(),
        },
        Part::Score => score::table(&score::score(&plan), look),
    })
}

/// The grammar lets one of them be there.
fn part(form: &Form) -> Part {
    match form {
        Form { steps: true, .. } => Part::Steps,
        Form { seccomp: true, .. } => Part::Calls,
        Form { score: true, .. } => Part::Score,
        Form { steps: false, seccomp: false, score: false } => Part::Page,
    }
}

/// Prints what differs between two policies on this host.
pub(super) fn diff(options: &Diff) -> Result<ExitCode, Failure> {
    let machine = Machine::observe().map_err(Failure::Host)?;
    let load = |word: &str| load(word, &[]).map_err(Failure::Input);
    let (old, new) = (load(&options.old)?, load(&options.new)?);
    // One name for both: two names would be a difference that no service meets.
    let service = options.service.clone().unwrap_or_else(|| new.name().to_string());
    let of = |written: Written| -> Result<Plan, Failure> {
        let policy = written.fill(looked_at(&service)).map_err(Failure::Input)?;
        let facts = policy.facts(&machine, &policy.names()).map_err(Failure::Host)?;
        let plan = resolve(&asked(options, &policy), &policy, &facts);
        plan.map_err(|refusal| failure(refusal, &policy))
    };
    let found = difference(&of(old)?, &of(new)?);
    print(found.text(look().paint))?;
    Ok(if found.allows.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(ALLOWS_MORE) })
}

/// Both policies are asked for the same command; where it is neither theirs nor given, for one that they let run.
fn asked(options: &Diff, policy: &Policy) -> Request {
    let (_, transport) = kind(options.connection);
    let request = request(policy, transport);
    let given = (!options.command.is_empty()).then(|| options.command.clone());
    let ours = policy.files.execute.first().filter(|_| policy.command.argv.is_none());
    let stand_in = ours.map(|entry| vec![entry.value.path.join("command").display().to_string()]);
    match given.or(stand_in) {
        Some(argv) => Request { argv: Some(Sourced::new(argv, Origin::CommandLine)), ..request },
        None => request,
    }
}

fn kind(connection: Connection) -> (Front, Transport) {
    match connection {
        Connection::Tcp => (Front::Listen, Transport::Tcp),
        Connection::Unix => (Front::Listen, Transport::Unix),
        Connection::Stdio => (Front::Run, Transport::Stdio),
    }
}
