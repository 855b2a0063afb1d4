// SPDX-License-Identifier: Apache-2.0
//! The short form, as a test: every server that is there answers, and every figure is there. No time is asserted.

use crate::figures::{self, Measure, Report};
use crate::scene::needs;
use crate::{measure, peers, size};
use std::process::ExitCode;

const NAME: &str = "bench::a_short_run_measures_every_server";

/// What `cargo test` runs, with its arguments: nothing where they ask for other tests.
pub(crate) fn test(arguments: &[String]) -> ExitCode {
    let mut words = arguments.iter();
    let mut wanted = true;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--skip" => wanted &= !words.next().is_some_and(|name| NAME.contains(name.as_str())),
            "--list" => {
                println!("{NAME}: test");
                return ExitCode::SUCCESS;
            }
            option if option.starts_with("--") => {}
            name => wanted &= NAME.contains(name),
        }
    }
    if wanted && needs::met(needs::root()) && needs::met(needs::cgroup()) {
        run();
        println!("test {NAME} ... ok");
    }
    ExitCode::SUCCESS
}

fn run() {
    figures::assert_right();
    let size = size::short();
    let report = measure(&size).unwrap_or_else(|why| panic!("{why}"));
    for peer in peers::ALL {
        let there = peer.program.is_none_or(|program| needs::met(needs::program(program)));
        let row = report.servers.iter().find(|row| row.server == peer.name);
        assert_eq!(row.is_some(), there, "{}", peer.name);
    }
    for row in &report.servers {
        assert_eq!(row.lost, 0, "{} lost clients", row.server);
        for measure in Measure::ALL {
            let figures = [row.speed[&measure], row.times_bare[&measure]];
            assert!(figures.iter().all(|figure| figure.is_finite() && *figure > 0.0), "{measure:?} of {row:?}");
        }
    }
    let text = std::fs::read_to_string(&size.json).expect("the run has written it");
    let read: Report = serde_json::from_str(&text).expect("it is what was written");
    assert_eq!(read, report);
}
