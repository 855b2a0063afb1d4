// SPDX-License-Identifier: Apache-2.0
//! A policy on this host: resolved for each kind of connection, then made once and proven.

use super::{Finding, State};
use crate::front::check::request;
use crate::host::{HostError, Machine};
use crate::plan::model::Off;
use crate::plan::proofs::{self, Doubt, Item};
use crate::plan::request::Transport;
use crate::plan::{Capabilities, Plan, resolve};
use crate::policy::Policy;
use crate::supervise::{OnSignal, Supervisor};
use std::time::{Duration, Instant};

/// What became of a policy.
pub(super) struct Verdict {
    pub(super) finding: Finding,
    /// What the self-test looked at.
    pub(super) proofs: Vec<Proven>,
    /// What the policy leaves off.
    pub(super) off: Vec<Off>,
}

/// One thing that the self-test looked at.
pub(super) struct Proven {
    pub(super) layer: &'static str,
    pub(super) holds: &'static str,
    /// Why it does not hold, with the way out.
    pub(super) why: Option<String>,
}

impl Verdict {
    /// Resolves, makes and proves.
    pub(super) fn of(policy: &Policy, machine: &Machine) -> Result<Verdict, HostError> {
        let facts = policy.facts(machine, &policy.names())?;
        let mut plans: Vec<Plan> = Vec::new();
        for transport in [Transport::Stdio, Transport::Tcp, Transport::Unix] {
            match resolve(&request(policy, transport), policy, &facts) {
                Ok(plan) => plans.push(plan),
                Err(refusal) => {
                    let finding = Finding::new(&policy.name, State::Lacking, refusal.message());
                    return Ok(Verdict::bare(finding.fix([refusal.way_out()])));
                }
            }
        }
        // The same layers whatever the connection is, but for how it is locked; the last two are those of `listen`.
        let Some(plan) = plans.pop() else { return Ok(Verdict::bare(Finding::good(&policy.name, "no connection"))) };
        let began = Instant::now();
        let proven =
            Supervisor::new(OnSignal::Die, &facts.cgroup, Capabilities::of_any_plan()).and_then(|it| it.prove(&plan));
        Ok(match proven {
            Ok(proofs) => Verdict::proven(&policy.name, &plan, proofs.into_iter().collect(), began.elapsed()),
            Err(error) => {
                let finding = Finding::new(&policy.name, State::Lacking, error.to_string());
                Verdict { off: plan.off, ..Verdict::bare(finding) }
            }
        })
    }

    fn bare(finding: Finding) -> Verdict {
        Verdict { finding, proofs: Vec::new(), off: Vec::new() }
    }

    fn proven(name: &str, plan: &Plan, proofs: Vec<(Item, Option<Doubt>)>, took: Duration) -> Verdict {
        let word = |(item, doubt): (Item, Option<Doubt>)| Proven {
            layer: item.proof.layer(),
            holds: item.proof.holds(),
            why: doubt.map(|doubt| proofs::sentence(plan, item, doubt)),
        };
        let proofs: Vec<Proven> = proofs.into_iter().map(word).collect();
        let failed: Vec<String> = proofs.iter().filter_map(|proven| proven.why.clone()).collect();
        let count = proofs.len();
        let finding = match failed.is_empty() {
            true => {
                Finding::good(name, format!("a sandbox was made and proven: {count} proofs, {} ms", took.as_millis()))
            }
            false => {
                let what = format!("a sandbox was made, and {} of {count} proofs failed", failed.len());
                failed.into_iter().fold(Finding::new(name, State::Lacking, what), Finding::note)
            }
        };
        Verdict { finding, proofs, off: plan.off.clone() }
    }
}
