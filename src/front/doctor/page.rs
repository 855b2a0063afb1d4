// SPDX-License-Identifier: Apache-2.0
//! What the doctor found, for people and for programs. Says what is given to it; judges nothing but the last line.

use super::verdict::Verdict;
use super::{Finding, State};
use crate::plan::explain::{Look, broken};
use crate::policy::Paint;
use serde_json::{Value, json};

/// Everything that was found.
pub(super) struct Page {
    /// Who looked, at what.
    pub(super) who: String,
    pub(super) layers: Vec<Finding>,
    pub(super) verdicts: Vec<Verdict>,
}

/// Where the words of a line begin: after the longest name and the state.
const NAME: usize = 15;
const STATE: usize = 6;

impl Page {
    /// Whether the first policy, which is the one that was asked about, can be run.
    pub(super) fn succeeds(&self) -> bool {
        self.verdicts.first().is_some_and(|verdict| verdict.finding.state == State::Good)
    }

    /// For people.
    pub(super) fn text(&self, look: Look) -> String {
        let mut text = format!("{}\n\n", self.who);
        for finding in &self.layers {
            write(&mut text, finding, look);
        }
        text.push('\n');
        for verdict in &self.verdicts {
            write(&mut text, &verdict.finding, look);
        }
        text.push('\n');
        text.push_str(&self.sum());
        text.push('\n');
        text
    }

    fn sum(&self) -> String {
        let name = self.verdicts.first().map_or("", |verdict| &verdict.finding.name);
        match (name, self.succeeds()) {
            ("strict", true) => "every layer of a strict sandbox is there".to_string(),
            ("strict", false) => "a strict sandbox cannot be made here".to_string(),
            (name, true) => format!("this host can run the policy {name}; spawnbox explain --policy {name} says how"),
            (name, false) => format!("this host cannot run the policy {name}"),
        }
    }

    /// For programs: what is printed for people, and each proof.
    pub(super) fn json(&self) -> String {
        let layers: Vec<Value> = self.layers.iter().map(object).collect();
        let policies: Vec<Value> = self.verdicts.iter().map(policy).collect();
        let whole = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "host": self.who,
            "ok": self.succeeds(),
            "layers": layers,
            "policies": policies,
        });
        format!("{whole:#}\n")
    }
}

fn object(Finding { name, state, what, notes, fixes }: &Finding) -> Value {
    json!({ "name": name, "state": word(*state), "what": what, "notes": notes, "fixes": fixes })
}

fn policy(verdict: &Verdict) -> Value {
    let mut whole = object(&verdict.finding);
    let proofs = verdict.proofs.iter().map(|proven| {
        let state = word(if proven.why.is_none() { State::Good } else { State::Lacking });
        json!({ "layer": proven.layer, "holds": proven.holds, "state": state, "why": proven.why })
    });
    whole["proofs"] = proofs.collect();
    whole["off"] = verdict.off.iter().map(|off| json!({ "layer": off.layer, "why": off.why })).collect();
    whole
}

fn write(text: &mut String, finding: &Finding, look: Look) {
    let state = paint(finding.state, look.paint);
    let margin = " ".repeat(NAME + STATE + 2);
    let most = look.width - margin.len();
    let lines = |words: &str| broken(words, most).join(&format!("\n{margin}"));
    // Two blanks at least, so that columns are columns for cut(1) and awk(1) too.
    text.push_str(&format!("{:<NAME$} {state} {}\n", finding.name, lines(&finding.what)));
    for note in &finding.notes {
        text.push_str(&format!("{margin}{}\n", lines(note)));
    }
    // To be copied as it is.
    for fix in &finding.fixes {
        text.push_str(&format!("{margin}-> {fix}\n"));
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "ok",
        State::Less => "less",
        State::Lacking => "no",
    }
}

/// The word in its column. What a terminal does not show counts for no width.
fn paint(state: State, paint: Paint) -> String {
    let padded = format!("{:<STATE$}", word(state));
    match state {
        State::Good => paint.good(&padded),
        State::Less => paint.doubtful(&padded),
        State::Lacking => paint.bad(&padded),
    }
}
