// SPDX-License-Identifier: Apache-2.0
//! The tables that a run prints, in Markdown.

use crate::figures::{Grown, Idle, Measure, Report, Row};
use crate::picture;

/// A column: its head, what it shows, and of what.
struct Column(&'static str, Measure, Show);

#[derive(Clone, Copy)]
enum Show {
    Microseconds,
    Number,
    /// As a multiple of the bare server's.
    Times,
}

const SPEED: &[Column] = &[
    Column("p50", Measure::ClosedP50, Show::Microseconds),
    Column("p90", Measure::ClosedP90, Show::Microseconds),
    Column("p99", Measure::ClosedP99, Show::Microseconds),
    Column("× bare", Measure::ClosedP50, Show::Times),
    Column("rested p50", Measure::RestedP50, Show::Microseconds),
    Column("p90", Measure::RestedP90, Show::Microseconds),
    Column("p99", Measure::RestedP99, Show::Microseconds),
    Column("× bare", Measure::RestedP50, Show::Times),
];

const COST: &[Column] = &[
    Column("1 client: a second", Measure::RateOf1, Show::Number),
    Column("8 clients", Measure::RateOf8, Show::Number),
    Column("× bare", Measure::RateOf8, Show::Times),
    Column("64 clients", Measure::RateOf64, Show::Number),
    Column("× bare", Measure::RateOf64, Show::Times),
    Column("processor, 1 client", Measure::ProcessorOf1, Show::Microseconds),
    Column("× bare", Measure::ProcessorOf1, Show::Times),
    Column("8 clients", Measure::ProcessorOf8, Show::Microseconds),
    Column("× bare", Measure::ProcessorOf8, Show::Times),
];

pub(crate) fn markdown(report: &Report) -> String {
    let Report { machine, rounds, dropped, servers, left_out } = report;
    let mut text = format!("{machine}; medians of {rounds} rounds, {dropped} more dropped for the work of others.\n\n");
    let over_tcp: Vec<Row> = servers.iter().filter(|row| !row.server.contains("UNIX")).cloned().collect();
    text += "Median from connect to first byte, as a multiple of the bare server's:\n\n";
    text += &format!("```text\n{}```\n\n", picture::draw(&over_tcp));
    text += "From connect to first byte, one client without and with a rest of 4 ms after each connection:\n\n";
    text += &table(SPEED, servers);
    text += "\nConnections a second, and processor time of each with what the kernel puts off:\n\n";
    text += &table(COST, servers);
    text += "\nAn idle session takes this of the host, the command's own process not counted (-: less than what else the \
             machine did meanwhile):\n\n";
    text += &idle(servers);
    text += "\nMedian from connect to first byte among idle sessions, and among mounts of the host:\n\n";
    text += &growth(servers);
    for row in servers.iter().filter(|row| row.lost > 0) {
        text += &format!("\n{}: {} connections were not answered.\n", row.server, row.lost);
    }
    let own = servers.iter().flat_map(|row| row.left_out.iter().map(|why| format!("{}, {why}", row.server)));
    own.chain(left_out.iter().cloned()).for_each(|why| text += &format!("\nLeft out: {why}.\n"));
    text
}

fn idle(rows: &[Row]) -> String {
    let mut text = "| server | server without any | processes | their memory | kernel | command |\n".to_string();
    text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
    for row in rows {
        let Some(Idle { base_kib, processes, own_kib, command_kib, kernel_kib, .. }) = row.idle else { continue };
        text += &format!("| {} | {base_kib} KiB | {processes:.1} | {own_kib:.1} KiB | ", row.server);
        text += &format!("{} | {command_kib:.0} KiB |\n", taken(kernel_kib));
    }
    text
}

/// What was taken by the count of the whole machine. Where others gave back more meanwhile, it could not be measured.
fn taken(kib: f64) -> String {
    if kib < 0.0 { "-".to_string() } else { format!("{kib:.0} KiB") }
}

/// For the short form, since a benchmark has no unit tests.
pub(crate) fn assert_right() {
    assert_eq!([266.4, 0.0, -0.2, -116.0].map(taken), ["266 KiB", "0 KiB", "-", "-"]);
}

fn growth(rows: &[Row]) -> String {
    let mut text = "| server | idle sessions: p50 | mounts: p50 |\n| --- | --- | --- |\n".to_string();
    for row in rows {
        text += &format!("| {} | {} | {} |\n", row.server, steps(&row.sessions), steps(&row.mounts));
    }
    text
}

/// `0: 300 µs, 1000: 310 µs (1.03)`.
fn steps(all: &[Grown]) -> String {
    let one = |(number, step): (usize, &Grown)| match number {
        0 => format!("{}: {:.0} µs", step.count, step.p50),
        _ => format!("{}: {:.0} µs (× {:.2})", step.count, step.p50, step.times),
    };
    all.iter().enumerate().map(one).collect::<Vec<String>>().join(", ")
}

fn table(columns: &[Column], rows: &[Row]) -> String {
    let heads: Vec<&str> = columns.iter().map(|Column(head, ..)| *head).collect();
    let mut text =
        format!("| server | sandbox | {} |\n| --- | --- |{}\n", heads.join(" | "), " ---: |".repeat(heads.len()));
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|column| cell(column, row)).collect();
        text += &format!("| {} | {} | {} |\n", row.server, row.sandbox, cells.join(" | "));
    }
    text
}

fn cell(Column(_, measure, show): &Column, row: &Row) -> String {
    match show {
        Show::Microseconds => format!("{:.0} µs", row.speed[measure]),
        Show::Number => format!("{:.0}", row.speed[measure]),
        Show::Times => format!("{:.2}", row.times_bare[measure]),
    }
}
