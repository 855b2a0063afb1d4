// SPDX-License-Identifier: Apache-2.0
//! `spawnbox doctor`: what this host can enforce, layer by layer, and the way out of each gap.
//! Tries in throw-away processes, makes a sandbox or two that nobody is served in, and changes nothing.

mod fixes;
mod layers;
mod page;
mod verdict;

use super::arrange::Failure;
use super::check::looked_at;
use super::cli::Doctor;
use super::install::units::Units;
use super::output::print;
use super::terminal::look;
use crate::host::facts::Names;
use crate::host::{Causes, Machine, audit};
use crate::plan::AUDIT_ABI;
use crate::policy::{InputError, Policy, load};
use page::Page;
use std::process::ExitCode;
use verdict::Verdict;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// It is there.
    Good,
    /// It is there, and some policies cannot have all of it.
    Less,
    /// It is not there, and sandboxes that want it cannot be made.
    Lacking,
}

/// One layer of this host, or one policy on it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// The layer, or the policy.
    name: String,
    state: State,
    /// What there is, or is not.
    what: String,
    /// What else is worth knowing.
    notes: Vec<String>,
    /// What an administrator can do: commands, or a sentence.
    fixes: Vec<String>,
}

impl Finding {
    fn new(name: &str, state: State, what: impl Into<String>) -> Finding {
        Finding { name: name.to_string(), state, what: what.into(), notes: Vec::new(), fixes: Vec::new() }
    }

    fn good(name: &str, what: impl Into<String>) -> Finding {
        Finding::new(name, State::Good, what)
    }

    fn note(mut self, text: impl Into<String>) -> Finding {
        self.notes.push(text.into());
        self
    }

    fn fix(mut self, ways: impl IntoIterator<Item = String>) -> Finding {
        self.fixes.extend(ways);
        self
    }
}

/// For a service of the policy's own name.
fn filled(word: &str) -> Result<Policy, InputError> {
    let written = load(word, &[])?;
    let service = written.name().to_string();
    written.fill(looked_at(&service))
}

/// Looks at everything and prints it. Succeeds where the policy that was named, or `strict`, can be run.
pub(super) fn doctor(options: &Doctor) -> Result<ExitCode, Failure> {
    let policies = match &options.policy {
        Some(word) => vec![filled(word).map_err(Failure::Input)?],
        // What is used where nobody names another: standing alone, and, by root, under Postfix.
        None => {
            let names: &[&str] = if nix::unistd::geteuid().is_root() { &["strict", "compatible"] } else { &["strict"] };
            names.iter().map(|name| filled(name)).collect::<Result<_, _>>().map_err(Failure::Input)?
        }
    };
    let machine = Machine::observe().map_err(Failure::Host)?;
    let facts = machine.facts(&Names::default(), &[]).map_err(Failure::Host)?;
    // It takes a process and up to seconds, for nothing where this Landlock tells of nothing.
    let hearing = (facts.landlock_abi >= AUDIT_ABI).then(audit::listen);
    let mut layers = layers::findings(&facts, &Causes::observe(), hearing);
    layers.extend(Units::find(None).iter().flat_map(Units::complaints).map(withheld));
    let verdicts: Vec<Verdict> =
        policies.iter().map(|policy| Verdict::of(policy, &machine)).collect::<Result<_, _>>().map_err(Failure::Host)?;
    let page = Page { who: layers::who(&facts), layers, verdicts };
    let text = match options.json {
        true => page.json(),
        false => page.text(look()),
    };
    print(text)?;
    Ok(if page.succeeds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What this process has, Postfix's daemons may not.
fn withheld(complaint: String) -> Finding {
    let ways = ["spawnbox install-postfix", "systemctl restart postfix"].map(str::to_string);
    Finding::new("Postfix", State::Less, complaint).fix(ways)
}
