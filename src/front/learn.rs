// SPDX-License-Identifier: Apache-2.0
//! `spawnbox learn`: a command is run openly and watched, a policy is written of what it used, and the command is run
//! again under it, to say whether it does the same.
//!
//! ```text
//! session ──► journal ──► needs ──► draft: less what policy and profiles grant ─┐
//!               verify ◄── check ◄── target ◄── write ◄─────────────────────────┘
//! ```

mod guard;
mod target;
mod session;
mod attend;
mod journal;
mod needs;
mod cover;
mod collapse;
mod draft;
mod write;
mod verify;
#[cfg(test)]
mod tests;

use super::arrange::{Failure, say_untested};
use super::check;
use super::cli::Learn;
use crate::host::{Facts, HostError, Machine};
use crate::observe::{become_user, become_yourself};
use crate::plan::model::{Command, Filter, Identity, Ids};
use crate::plan::request::{Front, Transport};
use crate::plan::{Request, bare};
use crate::policy::{Origin, Policy, Sourced, builtin};
use attend::{End, Signals, Status};
use cover::Cover;
use draft::Draft;
use journal::Journal;
use needs::Needs;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use session::{Again, Source, Walls};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use target::Target;

/// It does not do the same under the policy.
const DIFFERS: u8 = 3;

/// What is learnt from.
struct Subject {
    command: Command,
    ids: Option<(u32, u32)>,
    facts: Facts,
}

/// Learns, writes, and verifies.
pub(super) fn learn(options: &Learn) -> Result<ExitCode, Failure> {
    if let Some(status) = guard::split().map_err(Failure::Host)? {
        return Ok(status);
    }
    let machine = Machine::observe().map_err(Failure::Host)?;
    let (mut target, policy, subject) = subject(options, &machine)?;
    say_untested(&subject.facts.kernel);
    let strict = strict()?;
    let mut source = Source::of(options.address.as_ref())?;
    let signals = Signals::block().map_err(Failure::Host)?;
    if let Source::Listener(bound) = &source {
        tracing::info!("learning on {}: try  {}", bound.address, bound.example);
    }
    let mut journal = Journal::default();
    become_user(subject.ids).and_then(|()| guard::bind()).map_err(Failure::Host)?;
    let walls = Walls::Open { command: &subject.command, ids: subject.ids, base: &strict };
    let learnt = sessions(&mut source, walls, &signals, &mut journal, options.connections);
    become_yourself(subject.ids).and_then(|()| guard::bind()).map_err(Failure::Host)?;
    let learnt = learnt.map_err(Failure::Host)?;
    if learnt.is_empty() {
        let why = "nobody has connected, and nothing is written".into();
        return Err(Failure::Host(HostError { doing: "learn".into(), why }));
    }
    let cut_short = learnt.len() < options.connections as usize
        || learnt.last().is_some_and(|end| end.status == Status::Interrupted);
    let program = subject.command.argv.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
    let idle = write(&mut target, &policy, &journal, &subject, (&program, learnt.len(), options.address.is_some()))?;
    if !passes(&target, &machine)? {
        return Ok(ExitCode::from(DIFFERS));
    }
    if cut_short || options.no_verify {
        tracing::info!("not verified; spawnbox trace --policy {} names what it lacks", target.word());
        return Ok(ExitCode::SUCCESS);
    }
    match &source {
        Source::Listener(bound) => tracing::info!("now the same again, under the policy: {}", bound.example),
        Source::Given { again: Again::Typed, .. } => tracing::info!("now the same again, under the policy"),
        Source::Given { .. } => {}
    }
    let word = target.word();
    let again = sessions(&mut source, Walls::Policy(&word), &signals, &mut journal, options.connections);
    let again = again.map_err(Failure::Host)?;
    Ok(if verify::say(&learnt, &again, &idle) { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

/// The file, its policy as it is, and what runs. A new file is made here.
fn subject(options: &Learn, machine: &Machine) -> Result<(Target, Policy, Subject), Failure> {
    let argv = (!options.command.is_empty()).then(|| Sourced::new(options.command.clone(), Origin::CommandLine));
    let user = options.user.as_ref().map(|user| Sourced::new(user.clone(), Origin::CommandLine));
    let front = if options.address.is_some() { Front::Listen } else { Front::Run };
    let request = Request { argv, user, ..Request::new("learn", front, Transport::Stdio) };
    let found = |policy: &Policy| -> Result<Subject, Failure> {
        let mut names = policy.names();
        names.users.extend(options.user.clone());
        let facts = policy.facts(machine, &names).map_err(Failure::Host)?;
        let (command, identity) =
            bare(&request, policy, &facts).map_err(|refusal| super::arrange::failure(refusal, policy))?;
        let ids = ids(&identity);
        Ok(Subject { command, ids, facts })
    };
    match (&options.out, &options.merge) {
        (_, Some(path)) => {
            let target = Target::merge(path)?;
            let policy = target.load()?;
            if let Some(image) = policy.image() {
                let why =
                    format!("it would be of the host's files, and those of the policy are of {}", image.display());
                return Err(Failure::Host(HostError { doing: "learn".into(), why }));
            }
            let subject = found(&policy)?;
            Ok((target, policy, subject))
        }
        (Some(path), None) => {
            let subject = found(&builtin("strict").map_err(Failure::Input)?)?;
            let argv = written_argv(&subject.command);
            let target = Target::new(path, write::skeleton("Nothing was learnt yet.", options.user.as_deref(), &argv))?;
            let policy = target.load()?;
            Ok((target, policy, subject))
        }
        (None, None) => unreachable!("the grammar asks for one of them"),
    }
}

/// Where the ids are changed, the ids. A session with an id of its own is played with the first one of the range.
fn ids(identity: &Identity) -> Option<(u32, u32)> {
    let ids = match identity.ids {
        Ids::One { uid, gid } => (uid, gid),
        Ids::Each { range, gid } => (range.first, gid.unwrap_or(range.first)),
    };
    identity.change.then_some(ids)
}

/// With the program's whole path: a policy is not to depend on who looks where.
fn written_argv(command: &Command) -> Vec<String> {
    let text = |word: &std::ffi::CString| word.to_string_lossy().into_owned();
    let mut argv: Vec<String> = command.argv.iter().map(text).collect();
    let found = command.programs.iter().map(text).find(|program| Path::new(program).exists());
    if let (Some(first), Some(found)) = (argv.first_mut(), found) {
        *first = found;
    }
    argv
}

/// What every policy of ours grants.
fn strict() -> Result<Filter, Failure> {
    let policy = builtin("strict").map_err(Failure::Input)?;
    Ok(cover::filter(&policy).expect("a test resolves each policy that is built in"))
}

/// Up to `most` sessions, one after the other.
fn sessions(
    source: &mut Source,
    walls: Walls<'_>,
    signals: &Signals,
    journal: &mut Journal,
    most: u32,
) -> Result<Vec<End>, HostError> {
    let mut ends = Vec::new();
    for _ in 0..most {
        let Some(end) = source.play(walls, signals, journal)? else { break };
        let status = end.status;
        ends.push(end);
        if status == Status::Interrupted {
            break;
        }
    }
    Ok(ends)
}

/// Writes the policy, and says which denials are none.
fn write(
    target: &mut Target,
    policy: &Policy,
    journal: &Journal,
    subject: &Subject,
    (program, sessions, connections): (&str, usize, bool),
) -> Result<BTreeSet<String>, Failure> {
    let needs = Needs::of(journal);
    let mut draft = Draft::of(journal, &needs, Cover::of(policy), subject.facts.landlock_abi);
    let mut text = target.text.clone();
    if !target.merges {
        let from = match (connections, sessions) {
            (false, _) => format!("a run of {program}"),
            (true, 1) => format!("a connection to {program}"),
            (true, sessions) => format!("{sessions} connections to {program}"),
        };
        text = write::begin(&text, &format!("Learnt from {from}: what it used, each with its reason."), &draft.extends);
        draft.extends.clear();
    }
    let merges = target.merges;
    let mut text = write::add(&text, &draft, merges)
        .map_err(|why| Failure::Host(HostError { doing: format!("add to {}", target.path.display()), why }))?;
    if !merges {
        text.push_str(&unlearnt());
    }
    let lines = text.lines().count();
    target.write(text)?;
    tracing::info!("learnt {} in {lines} lines", target.path.display());
    Ok(draft.idle)
}

/// What no call shows, for whoever reads the policy, with what getrusage(2) has of all runs together; and, to be taken
/// over by who knows whether the runs were usual ones, limits of `HEADROOM` times that. How many tasks, open files and
/// how much time there were says nothing of the next client, so no limit is proposed for these.
fn unlearnt() -> String {
    let limits = "# Not learnt: limits, which are those of what this extends, and whether it needs the host's name.\n";
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_or_else(
        |_| String::new(),
        |usage| {
            let (user, system) = (usage.user_time(), usage.system_time());
            used((user + system).num_milliseconds().unsigned_abs(), usage.max_rss().unsigned_abs() / 1024)
        },
    );
    format!("\n{limits}{used}")
}

/// How many times what was seen once is enough for a long while.
const HEADROOM: u64 = 4;

fn used(milliseconds: u64, mebibytes: u64) -> String {
    let (seconds, memory) = ((HEADROOM * milliseconds).div_ceil(1000).max(1), HEADROOM * mebibytes.max(1));
    format!(
        "# It took {}.{:03} s of processor time and {mebibytes} MiB in its largest process.\n\
         # With four times as much: limits = {{ memory = \"{memory}M\", processor-time = \"{seconds}s\" }}\n",
        milliseconds / 1000,
        milliseconds % 1000
    )
}

/// Whether `spawnbox check` has nothing to say.
fn passes(target: &Target, machine: &Machine) -> Result<bool, Failure> {
    match check::policy(&target.word(), machine, None, None).map_err(Failure::Host)? {
        Ok(_) => Ok(true),
        Err(reports) => {
            tracing::warn!("the policy was written, but this is to be settled first:");
            reports.iter().for_each(|report| eprintln!("{report}"));
            Ok(false)
        }
    }
}

/// A policy with one of each kind of addition.
#[cfg(any(test, fuzzing))]
pub(super) fn merged(text: &str) -> Result<String, String> {
    let why = || "x: openat, once".to_string();
    let grant = draft::Grant { path: "/srv/learnt".into(), why: why(), optional: false, warning: None };
    let draft = Draft {
        extends: vec!["tls"],
        files: [("read", [grant].into())].into(),
        devices: [("zero", why())].into(),
        scratch: [("/var/tmp".into(), why())].into(),
        proc: Some(why()),
        host_network: Some(why()),
        ports: [("connect", (draft::Ports::List([25].into()), why()))].into(),
        forward: [("127.0.0.1:25".parse().expect("it is a peer"), why())].into(),
        allow: [("chown", why())].into(),
        notes: vec![why()],
        ..Draft::default()
    };
    write::add(text, &draft, true)
}
