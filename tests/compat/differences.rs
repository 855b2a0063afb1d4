// SPDX-License-Identifier: Apache-2.0
//! `differences.txt`: the rows in which ours is not as spawn(8), each with its reason.

const TEXT: &str = include_str!("differences.txt");

/// A row that is listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) row: &'static str,
    pub(super) kind: Kind,
    pub(super) reason: &'static str,
}

/// Why ours differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// On purpose, and better: the row shows what ours does instead.
    Accepted,
    /// A wanted behaviour that is not there yet.
    Missing,
}

/// Every line that is no comment: `accepted ROW REASON` or `missing ROW REASON`.
pub(super) fn read() -> Vec<Difference> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| parse(line).unwrap_or_else(|| panic!("differences.txt: {line}"))).collect()
}

fn parse(line: &'static str) -> Option<Difference> {
    let (kind, rest) = line.split_once(' ')?;
    let kind = match kind {
        "accepted" => Kind::Accepted,
        "missing" => Kind::Missing,
        _ => return None,
    };
    let (row, reason) = rest.split_once(' ')?;
    Some(Difference { row, kind, reason })
}

#[test]
fn every_difference_is_listed_once_and_has_a_reason() {
    let all = read();
    for (at, one) in all.iter().enumerate() {
        assert!(one.reason.len() > 20, "{}: that is no reason", one.row);
        assert!(all[..at].iter().all(|other| other.row != one.row), "{} is listed twice", one.row);
    }
}
