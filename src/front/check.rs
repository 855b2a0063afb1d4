// SPDX-License-Identifier: Apache-2.0
//! `spawnbox check`: policies, and the entries of master.cf that start us, before anyone connects.
//! Reads and looks at this host; starts nothing and changes nothing.

mod entries;
mod libraries;
mod program;
mod supposed;

pub(super) use libraries::loader;
pub(super) use program::{interpreters, say_what_is_missing};

use super::arrange::{Failure, say_untested};
use super::cli::Check;
use super::output::Output;
use super::terminal::paint;
use crate::host::{Facts, HostError, Machine};
use crate::plan::refuse::{BadCommand, Reason};
use crate::plan::request::{Front, Transport};
use crate::plan::{Plan, Refusal, Request, resolve, score};
use crate::policy::load::{DIRECTORY, operators};
use crate::policy::{InputError, Mistake, Origin, Policy, Sourced, Told, load, printable};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use supposed::Supposed;

pub(super) use supposed::looked_at;

/// What is wrong, one report a mistake.
pub(super) type Reports = Vec<InputError>;

/// The most refusals of one policy that anyone reads.
const MOST_REFUSALS: usize = 20;

/// Checks everything that is named; with nothing named, every policy of the operator's.
pub(super) fn check(options: &Check) -> Result<ExitCode, Failure> {
    let machine = Machine::observe().map_err(Failure::Host)?;
    let reader = match (options.json, options.quiet) {
        (true, _) => Reader::Program,
        (false, true) => Reader::Nobody,
        (false, false) => Reader::Person,
    };
    let mut said = Said {
        reader,
        output: Output::default(),
        min_score: options.min_score,
        wrong: 0,
        good: Vec::new(),
        mistakes: Vec::new(),
    };
    let whole = options.policies.is_empty() && !options.master_cf;
    let names = if whole { operators(Path::new(DIRECTORY)) } else { options.policies.clone() };
    if whole && names.is_empty() {
        said.good(&format!("no policy is in {DIRECTORY}, and none was named"));
    }
    for name in &names {
        match policy(name, &machine, options.min_score, options.service.as_deref()).map_err(Failure::Host)? {
            Ok((line, notes)) => {
                said.good(&line);
                notes.iter().for_each(|note| said.note(note));
            }
            Err(reports) => said.bad(&reports),
        }
    }
    if options.master_cf {
        entries::check(options.config_directory.as_deref(), &mut said).map_err(Failure::Host)?;
    }
    let status = if said.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) };
    said.end()?;
    Ok(status)
}

/// Who reads what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Somebody at a terminal.
    Person,
    /// Whoever looks at the status alone, as long as it is good.
    Nobody,
    /// A program, which gets one object at the end.
    Program,
}

/// What was said so far.
struct Said {
    reader: Reader,
    output: Output,
    min_score: Option<u32>,
    wrong: usize,
    good: Vec<String>,
    mistakes: Vec<Told>,
}

impl Said {
    /// One line for what is as it should be.
    fn good(&mut self, line: &str) {
        match self.reader {
            Reader::Person => {
                let line = printable(line);
                self.output.line(match line.split_once(": ok") {
                    Some((name, rest)) => format!("{name}: {}{rest}", paint(&std::io::stdout()).good("ok")),
                    None => line,
                });
            }
            Reader::Nobody => {}
            Reader::Program => self.good.push(line.trim_start().to_string()),
        }
    }

    /// What is true, and not a mistake.
    fn note(&mut self, text: &str) {
        self.good(&format!("    note: {text}"));
    }

    fn bad(&mut self, reports: &[InputError]) {
        for report in reports {
            let gap = if self.wrong == 0 { "" } else { "\n" };
            self.wrong += 1;
            match self.reader {
                Reader::Person | Reader::Nobody => {
                    let report = report.report(paint(&std::io::stderr()));
                    drop(writeln!(std::io::stderr(), "{gap}{report}"));
                }
                Reader::Program => self.mistakes.extend(report.told()),
            }
        }
    }

    /// Everything at once, for a program.
    fn end(mut self) -> Result<(), Failure> {
        if self.reader != Reader::Program {
            return self.output.end();
        }
        let mistakes = self.mistakes.iter().map(|Told { what, place, at, label, help }| {
            let (line, column) = at.unzip();
            json!({ "what": what, "place": place, "line": line, "column": column, "label": label, "help": help })
        });
        let whole = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ok": self.wrong == 0,
            "good": self.good,
            "mistakes": mistakes.collect::<Vec<_>>(),
        });
        self.output.line(format_args!("{whole:#}"));
        self.output.end()
    }
}

/// The line for a policy that is good, and what else is true of it.
pub(super) type Good = (String, Vec<String>);

/// Whether the policy is good, for a service of this name or of its own.
pub(super) fn policy(
    word: &str,
    machine: &Machine,
    least: Option<u32>,
    named: Option<&str>,
) -> Result<Result<Good, Reports>, HostError> {
    let filled = load(word, &[]).and_then(|written| {
        let service = named.unwrap_or(written.name()).to_string();
        written.fill(looked_at(&service)).map(|policy| (policy, service))
    });
    let (policy, service) = match filled {
        Ok(filled) => filled,
        Err(error) => return Ok(Err(vec![error])),
    };
    let supposed = Supposed::of(&policy, &service, named.is_some());
    let facts = policy.facts(machine, &policy.names())?;
    say_untested(&facts.kernel);
    let own = policy.command.argv.is_some();
    let (mut reports, mut doubts) = (Vec::new(), Vec::new());
    // What a network namespace holds off differs with the connection, so all kinds are resolved.
    for transport in [Transport::Tcp, Transport::Unix, Transport::Stdio] {
        let (found, doubtful) = wrong(&policy, transport, &facts, (least, &supposed));
        reports.extend(found.into_iter().filter(|found| !reports.contains(found)).collect::<Reports>());
        doubts.extend(doubtful.into_iter().filter(|found| !doubts.contains(found)).collect::<Vec<_>>());
    }
    let without = if own { "" } else { ", for a command that is named elsewhere" };
    let notes = policy.stand_ins().chain(supposed.told()).chain(doubts).collect();
    let good = || (format!("{word}: ok{without}"), notes);
    Ok(if reports.is_empty() { Ok(good()) } else { Err(reports) })
}

/// What is wrong with the policy for connections of this kind. A refusal ends a plan, so what was refused is taken out
/// for the next one, as long as that makes no mistake of its own.
///
/// What depends on a name that is supposed is doubtful, and not wrong.
fn wrong(
    whole: &Policy,
    transport: Transport,
    facts: &Facts,
    (least, supposed): (Option<u32>, &Supposed<'_>),
) -> (Reports, Vec<String>) {
    let own = whole.command.argv.is_some();
    let mut refusals: Vec<Refusal> = Vec::new();
    let (mut program, mut weak) = (None, None);
    let mut policy = whole.clone();
    while refusals.len() < MOST_REFUSALS {
        match resolve(&request(&policy, transport), &policy, facts) {
            Ok(plan) => {
                program = program::check(&plan).filter(|_| own);
                weak = least.and_then(|least| too_weak(&plan, least));
                break;
            }
            Err(refusal) => {
                let rest = policy.clone().without(&refusal.origin);
                let last = !refusal.stands_alone() || rest == policy;
                refusals.push(refusal);
                if last {
                    break;
                }
                policy = rest;
            }
        }
    }
    refusals.retain(|refusal| own || !is_about_the_stand_in(refusal));
    let (doubtful, mut refusals): (Vec<_>, Vec<_>) =
        refusals.into_iter().partition(|refusal| supposed.holds(&refusal.origin));
    let mut doubtful: Vec<String> = doubtful.iter().map(|refusal| supposed.doubt(refusal)).collect();
    if supposed.holds(argv_origin(whole)) {
        let doubts = program.take().map(InputError::from);
        doubtful.extend(doubts.iter().flat_map(InputError::lines).map(|line| format!("perhaps: {line}")));
    }
    // In the order of the file.
    refusals.sort_by(|a, b| a.origin.cmp(&b.origin));
    let refusals = refusals.iter().map(|refusal| report(mistake_of(refusal), &refusal.origin, whole));
    let program = program.map(|mistake| report(mistake, argv_origin(whole), whole));
    (refusals.chain(program).chain(weak.map(InputError::from)).collect(), doubtful)
}

/// That a plan has fewer points than somebody wants, with where most of them went.
fn too_weak(plan: &Plan, least: u32) -> Option<Mistake> {
    let parts = score::score(plan);
    let points = score::total(&parts);
    let mut lost: Vec<_> = parts.iter().filter(|part| part.points < part.most).collect();
    lost.sort_by_key(|part| std::cmp::Reverse(part.most - part.points));
    let lost = lost.iter().map(|part| format!("{} {} of {} ({})", part.wall, part.points, part.most, part.why));
    let mistake = Mistake::new(format!("{} has {points} points of 100, and {least} are wanted", plan.policy));
    (points < least)
        .then(|| mistake.help(format!("these could be more: {}", lost.take(4).collect::<Vec<_>>().join("; "))))
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
