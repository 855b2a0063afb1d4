// SPDX-License-Identifier: Apache-2.0
//! One system call of the supervisor or of its launcher fails at a time, by strace(1): the worst that may come of it is
//! one connection that is refused with a line that says why. `SPAWNBOX_FAULTS=all` tries every failure of every call;
//! otherwise a sample, spread over the calls.

mod bench;
mod calls;
mod end;
mod master;
mod start;
mod strace;
mod tally;
mod walls;

use crate::scene::stage;
use bench::{Bench, Whose};
use end::Ends;
use start::Starts;
use strace::{Injection, every};

/// How many failures the sample of a phase has, at most.
const SAMPLE: usize = 60;

#[test]
fn a_failed_call_while_serving_costs_one_connection_at_most() {
    needs!(root);
    needs!(program "strace");
    let mut bench = Bench::on("127.0.0.1:0");
    for whose in [Whose::Supervisor, Whose::Launcher] {
        for injection in chosen(every(&bench.record(whose), calls::errnos), SAMPLE) {
            bench.inject(whose, &injection);
        }
    }
    bench.tally.told("serving over TCP");
}

#[test]
fn a_failed_call_while_serving_over_a_unix_socket_costs_one_connection_at_most() {
    needs!(root);
    needs!(program "strace");
    let room = stage::room();
    let mut bench = Bench::on(&format!("unix:{}", room.path("socket").display()));
    for injection in chosen(every(&bench.record(Whose::Supervisor), calls::errnos), SAMPLE / 2) {
        bench.inject(Whose::Supervisor, &injection);
    }
    bench.tally.told("serving over a UNIX socket");
}

#[test]
fn a_failed_call_at_the_start_is_told_or_changes_nothing() {
    needs!(root);
    needs!(program "strace");
    let mut starts = Starts::new();
    let mut all = every(&starts.record(), calls::errnos);
    // Where the reader of the port seems to be gone, the program serves: this one would wait for the port.
    all.retain(|injection| (injection.call.as_str(), injection.errno) != ("write", nix::errno::Errno::EPIPE));
    for injection in chosen(all, SAMPLE) {
        starts.inject(&injection);
    }
    starts.tally.told("start");
}

#[test]
fn a_failed_call_at_the_end_keeps_nothing_alive() {
    needs!(root);
    needs!(cgroup);
    needs!(program "strace");
    let mut ends = Ends::new();
    for injection in chosen(every(&ends.record(), calls::errnos), SAMPLE / 3) {
        ends.inject(&injection);
    }
    ends.tally.told("end");
}

/// All, or a sample that has each call and each errno about as often as the whole.
fn chosen(all: Vec<Injection>, sample: usize) -> Vec<Injection> {
    match std::env::var("SPAWNBOX_FAULTS") {
        Ok(words) if words == "all" => all,
        Ok(words) => all.into_iter().filter(|injection| injection.to_string().contains(&words)).collect(),
        Err(_) => {
            let step = all.len().div_ceil(sample).max(1);
            all.into_iter().step_by(step).collect()
        }
    }
}
