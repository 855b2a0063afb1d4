// SPDX-License-Identifier: Apache-2.0
//! The short form, as a test: every server that is there answers, and every figure is there. No time is asserted.

use crate::figures::{self, Grown, Measure, Report, Row};
use crate::peers::Needs;
use crate::scene::needs;
use crate::size::Size;
use crate::{measure, mounts, peers, picture, readme, size, table};
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
    table::assert_right();
    picture::assert_right();
    readme::assert_right();
    let size = size::short();
    let report = measure(&size).unwrap_or_else(|why| panic!("{why}"));
    for peer in peers::ALL {
        let there = match peer.needs {
            Needs::Program(program) => needs::met(needs::program(program)),
            Needs::Nothing | Needs::Rare(_) | Needs::NamedBy(_) => peer.needs.lacking().is_none(),
        };
        let row = report.servers.iter().find(|row| row.server == peer.name);
        assert_eq!(row.is_some(), there, "{}", peer.name);
    }
    for row in &report.servers {
        is_whole(&size, row);
    }
    let text = std::fs::read_to_string(&size.json).expect("the run has written it");
    let read: Report = serde_json::from_str(&text).expect("it is what was written");
    assert_eq!(read, report);
}

fn is_whole(size: &Size, row: &Row) {
    let is_figure = |figure: f64| figure.is_finite() && figure > 0.0;
    assert_eq!(row.lost, 0, "{} lost clients", row.server);
    for measure in Measure::ALL {
        let figures = [row.speed[&measure], row.times_bare[&measure]];
        assert!(figures.into_iter().all(is_figure), "{measure:?} of {row:?}");
    }
    // That each session has one command was asserted when it was measured. What a server adds may be nothing, and what
    // the kernel adds is lost among others' doings with so few.
    let idle = row.idle.expect("memory was looked at");
    assert_eq!(idle.sessions, size.idle);
    assert!(idle.base_kib > 0 && is_figure(idle.command_kib) && idle.kernel_kib.is_finite(), "{row:?}");
    assert!(idle.processes >= 0.0, "{row:?}");
    let counts = |all: &[Grown]| all.iter().map(|one| one.count).collect::<Vec<usize>>();
    assert_eq!(counts(&row.sessions), size.sessions, "{row:?}");
    let concerned = peers::ALL.iter().any(|peer| peer.name == row.server && mounts::concerns(peer));
    assert_eq!(counts(&row.mounts), if concerned { size.mounts } else { &[] }, "{row:?}");
    assert!(row.sessions.iter().chain(&row.mounts).all(|one| is_figure(one.p50) && is_figure(one.times)), "{row:?}");
}
