// SPDX-License-Identifier: Apache-2.0
//! `differences.txt`: the rows in which ours is not as spawn(8), each with its reason.

use crate::postfix::instance::{Version, version};

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

/// Every line that is no comment: `accepted ROW REASON` or `missing ROW REASON`; those that begin with `before 3.10`
/// only where an older Postfix is installed.
pub(super) fn read() -> Vec<Difference> {
    of(version())
}

/// The same where this version is installed.
pub(super) fn of(installed: Version) -> Vec<Difference> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| parse(line).unwrap_or_else(|| panic!("differences.txt: {line}")));
    parsed
        .filter(|(before, _)| before.is_none_or(|before| installed < before))
        .map(|(_, difference)| difference)
        .collect()
}

fn parse(line: &'static str) -> Option<(Option<Version>, Difference)> {
    let (before, line) = match line.strip_prefix("before ") {
        Some(rest) => {
            let (version, line) = rest.split_once(' ')?;
            let (major, minor) = version.split_once('.')?;
            (Some((major.parse().ok()?, minor.parse().ok()?)), line)
        }
        None => (None, line),
    };
    let (kind, rest) = line.split_once(' ')?;
    let kind = match kind {
        "accepted" => Kind::Accepted,
        "missing" => Kind::Missing,
        _ => return None,
    };
    let (row, reason) = rest.split_once(' ')?;
    Some((before, Difference { row, kind, reason }))
}

#[test]
fn every_difference_is_listed_once_and_has_a_reason() {
    // Of no version and of every one.
    for all in [of((3, 7)), of((u32::MAX, 0))] {
        assert!(!all.is_empty());
        for (at, one) in all.iter().enumerate() {
            assert!(one.reason.len() > 20, "{}: that is no reason", one.row);
            assert!(all[..at].iter().all(|other| other.row != one.row), "{} is listed twice", one.row);
        }
    }
}
