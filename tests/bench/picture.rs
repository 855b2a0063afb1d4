// SPDX-License-Identifier: Apache-2.0
//! The picture: a bar for each server, of the median from connect to first byte. Text, which the README can show as it
//! is and a terminal too.

use crate::figures::{Measure, Row};

/// A bar of this many columns is as long as one gets.
const COLUMNS: usize = 48;
/// What the longest bar stands for: what is slower than so many times the bare server has an arrow at its end.
const LONGEST: f64 = 24.0;
/// Parts of a column, one to seven eighths.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// All these servers, each with its multiple of the bare one.
pub(crate) fn draw(rows: &[Row]) -> String {
    let name = |row: &Row| format!("{} ({})", row.server, row.sandbox);
    let width = rows.iter().map(|row| name(row).chars().count()).max().unwrap_or(0);
    let line = |row: &Row| {
        let times = row.times_bare[&Measure::ClosedP50];
        format!("{:width$}  {} {times:.1}\n", name(row), bar(times))
    };
    rows.iter().map(line).collect()
}

fn bar(times: f64) -> String {
    if times > LONGEST {
        return format!("{}→", "█".repeat(COLUMNS));
    }
    let eighths = (times / LONGEST * 8.0 * COLUMNS as f64).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// For the short form, since a benchmark has no unit tests.
pub(crate) fn assert_right() {
    let bars = [bar(1.0), bar(LONGEST / 8.0 / COLUMNS as f64 * 3.0), bar(LONGEST), bar(LONGEST * 2.0)];
    assert_eq!(bars, ["██".to_string(), "▍".to_string(), "█".repeat(COLUMNS), "█".repeat(COLUMNS) + "→"]);
}
