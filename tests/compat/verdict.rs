// SPDX-License-Identifier: Apache-2.0
//! From how the rows went to whether that is as it should be: counts, and everything that is not.

use super::differences::{Difference, Kind};
use super::row::Row;
use super::stage::Played;
use crate::postfix::instance::Spawner;
use std::collections::BTreeSet;
use std::io::Write;

/// So many rows there are at least: fewer are no contract, but one that lost its parts.
const LEAST: usize = 120;

/// Fails where a result would mean nothing: rows that are not there, that are chosen and not there, or share a name.
pub(super) fn check_names(all: &[Row], wanted: &str) {
    assert!(all.len() >= LEAST, "there are {} rows only", all.len());
    let names: BTreeSet<&str> = all.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "two rows have the same name");
    for start in wanted.split(',') {
        assert!(names.iter().any(|name| name.starts_with(start)), "SPAWNBOX_COMPAT_ROWS: no row begins with {start}");
    }
}

/// Prints the counts, and fails with every row that is not as it should be.
pub(super) fn judge(sides: &[Spawner], rows: &[Row], played: &[Played], listed: &[Difference]) {
    let mut wrong: Vec<String> = listed
        .iter()
        .filter(|one| rows.iter().all(|row| row.name != one.row))
        .map(|one| format!("{} is in differences.txt, and there is no such row", one.row))
        .collect();
    wrong.extend(sides.iter().flat_map(|side| rows.iter().filter_map(|row| complaint(*side, row, played, listed))));
    // On the real standard error, which the test runner does not swallow.
    let counts: Vec<String> = sides.iter().map(|side| count(*side, rows, played, listed)).collect();
    let _ = writeln!(std::io::stderr(), "compat: {}", counts.join(", "));
    assert!(wrong.is_empty(), "{} rows are not as they should be:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

fn count(side: Spawner, rows: &[Row], played: &[Played], listed: &[Difference]) -> String {
    let good = rows.iter().filter(|row| result(side, &row.name, played).is_ok()).count();
    let of = |kind| listed.iter().filter(|one| one.kind == kind).count();
    match side {
        Spawner::Theirs => format!("theirs {good} of {}", rows.len()),
        Spawner::Ours => {
            let (accepted, missing) = (of(Kind::Accepted), of(Kind::Missing));
            format!("ours {good} of {}, {accepted} accepted differences, {missing} missing", rows.len())
        }
    }
}

/// What is wrong with a row, if anything is.
fn complaint(side: Spawner, row: &Row, played: &[Played], listed: &[Difference]) -> Option<String> {
    let listed = listed.iter().filter(|_| side == Spawner::Ours).find(|one| one.row == row.name);
    let twin = row.twin().filter(|_| side == Spawner::Ours).map(|twin| result(side, &twin.name, played));
    let what = match (listed.map(|one| one.kind), result(side, &row.name, played), twin) {
        (None, Ok(()), None) | (Some(Kind::Missing), Err(_), None) => return None,
        (Some(Kind::Accepted), Err(_), Some(Ok(()))) => return None,
        (None, Err(seen), _) => format!("differs and is not listed: {seen}"),
        (Some(_), Ok(()), _) => "no longer differs, but is listed".to_string(),
        (Some(Kind::Accepted), Err(_), Some(Err(seen))) => format!("does not do what it should instead: {seen}"),
        (Some(Kind::Accepted), Err(seen), None) => format!("does not show what ours does instead of this: {seen}"),
        (Some(Kind::Missing), _, Some(_)) | (None, _, Some(_)) => "shows a difference that is not accepted".to_string(),
    };
    let Row { name, proves, .. } = row;
    Some(format!("{name} under {}: {what}\n    the row proves: {proves}", side.name()))
}

fn result<'p>(side: Spawner, row: &str, played: &'p [Played]) -> &'p Result<(), String> {
    let found = played.iter().find(|one| one.side == side && one.row == row);
    &found.expect("every row was played").result
}
