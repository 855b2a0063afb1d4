// SPDX-License-Identifier: Apache-2.0
//! One system call of the supervisor or of its launcher fails at a time, by strace(1): the worst that may come of it is
//! one connection that is refused with a line that says why. `SPAWNBOX_FAULTS=all` tries every failure of every call;
//! otherwise a sample, spread over the calls.

mod bench;
mod calls;
mod start;
mod strace;
mod tally;
mod walls;

use bench::{Bench, Whose};
use start::Starts;
use strace::{Injection, every};

/// How many failures of the supervisor, and of the launcher, a sample has.
const SAMPLE: usize = 60;

#[test]
fn a_failed_call_while_serving_costs_one_connection_at_most() {
    needs!(root);
    needs!(program "strace");
    let mut bench = Bench::new();
    for whose in [Whose::Supervisor, Whose::Launcher] {
        for injection in chosen(every(&bench.record(whose), calls::errnos)) {
            bench.inject(whose, &injection);
        }
    }
    bench.tally.told("serving");
}

#[test]
fn a_failed_call_at_the_start_is_told_or_changes_nothing() {
    needs!(root);
    needs!(program "strace");
    let mut starts = Starts::new();
    for injection in chosen(every(&starts.record(), calls::errnos)) {
        starts.inject(&injection);
    }
    starts.tally.told("start");
}

/// All, or a sample that has each call and each errno about as often as the whole.
fn chosen(all: Vec<Injection>) -> Vec<Injection> {
    match std::env::var("SPAWNBOX_FAULTS") {
        Ok(words) if words == "all" => all,
        Ok(words) => all.into_iter().filter(|injection| injection.to_string().contains(&words)).collect(),
        Err(_) => {
            let step = all.len().div_ceil(SAMPLE).max(1);
            all.into_iter().step_by(step).collect()
        }
    }
}
