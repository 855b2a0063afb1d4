// SPDX-License-Identifier: Apache-2.0
//! A plan for programs: the rows of the page as they are, and apart from them what a program would otherwise have to
//! read out of words.

use super::super::calls::{self, Allowed};
use super::super::model::{Access, Off, Plan};
use super::super::score;
use super::page::Page;
use super::{Part, steps};
use serde_json::{Value, json};

/// What is asked for as one object, which says in any case whose it is.
pub(super) fn object(plan: &Plan, page: &Page, part: Part) -> Value {
    let keys: &[&str] = match part {
        Part::Page => return whole(plan, page),
        Part::Steps => &["steps", "skipped"],
        Part::Calls => &["calls"],
        Part::Score => &["score"],
    };
    let whose = ["version", "service", "policy", "sha256"];
    let whole = whole(plan, page);
    let kept = whose.iter().chain(keys).filter_map(|key| Some(((*key).to_string(), whole.get(*key)?.clone())));
    Value::Object(kept.collect())
}

fn whole(plan: &Plan, page: &Page) -> Value {
    let parts = score::score(plan);
    let walls = parts
        .iter()
        .map(|part| json!({ "wall": part.wall, "points": part.points, "most": part.most, "why": part.why }));
    let (taken, skipped) = steps::value(plan);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "service": plan.service,
        "policy": plan.policy,
        "sha256": plan.policy_hash,
        "description": plan.description,
        "rows": page.rows().map(|(label, text, origin)| json!({ "label": label, "text": text, "origin": origin }))
            .collect::<Vec<_>>(),
        "files": files(plan),
        "calls": plan.filter.as_ref().map(|filter| calls::allowed(filter).map(call).collect::<Vec<_>>()),
        "steps": taken,
        "skipped": skipped,
        "off": plan.off.iter().map(|Off { layer, why }| json!({ "layer": layer, "why": why })).collect::<Vec<_>>(),
        "score": { "points": score::total(&parts), "walls": walls.collect::<Vec<_>>() },
    })
}

/// What is shown; null where that is all of the host.
fn files(plan: &Plan) -> Value {
    let Some(binds) = plan.root.binds() else { return Value::Null };
    let files = binds.iter().map(|bind| {
        let access = match bind.access {
            Access::Read => "read",
            Access::Execute => "execute",
            Access::Write => "write",
        };
        json!({ "path": bind.path.display().to_string(), "access": access, "origin": bind.origin.to_string() })
    });
    files.collect()
}

/// A call, with the alternatives of which its arguments must meet one.
fn call((name, allowed): (&'static str, Allowed)) -> Value {
    match allowed {
        Allowed::Always => json!({ "name": name }),
        Allowed::If(any) => json!({ "name": name, "if": any }),
    }
}
