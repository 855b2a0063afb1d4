// SPDX-License-Identifier: Apache-2.0
//! The way back: everything that the installation wrote goes, and nothing else does.

use super::change::{Change, Kind};
use super::units::Units;
use super::{Places, Present};
use crate::front::output::Output;
use crate::host::HostError;
use crate::postfix::master_cf::Entry;
use std::path::{Path, PathBuf};

/// What is ours and goes. Refused while Postfix would still start us.
pub(super) fn changes(places: &Places) -> Result<Vec<Change>, HostError> {
    let entries = places.postconf.entries()?;
    let ours: Vec<&Entry> = entries.iter().filter(|entry| entry.is_ours()).collect();
    if !ours.is_empty() {
        let titles: Vec<String> = ours.iter().map(|entry| entry.title()).collect();
        let back: Vec<String> = ours.iter().map(|entry| places.postconf.to_change(entry, "spawn")).collect();
        return Err(HostError {
            doing: "remove spawnbox from Postfix".into(),
            why: format!(
                "master.cf still starts it for {}; first: {}; postfix{} reload",
                titles.join(", "),
                back.join("; "),
                places.postconf.option()
            ),
        });
    }
    let mut changes = Vec::new();
    if let Some(units) = &places.units {
        changes.extend(of_units(units)?);
    }
    if !places.packaged() {
        changes.extend(removal(&places.daemon, Kind::Program)?);
    }
    Ok(changes)
}

/// What Postfix was allowed by a drop-in, its processes have until they end.
pub(super) fn advise(changes: &[Change], output: &mut Output) {
    if changes.iter().any(|change| matches!(change, Change::RemoveDirectory(_))) {
        output.line("\nFor Postfix to run without the drop-in:\n    systemctl restart postfix.service");
    }
}

fn of_units(units: &Units) -> Result<Vec<Change>, HostError> {
    let mut files: Vec<(PathBuf, Change)> = Vec::new();
    for path in units.places() {
        files.extend(removal(&path, Kind::Text)?.map(|change| (path, change)));
    }
    if files.is_empty() {
        return Ok(Vec::new());
    }
    // A package's unit goes on.
    let sessions = files.iter().any(|(path, _)| *path == units.sessions());
    let mut changes = if sessions { units.stop() } else { Vec::new() };
    for (path, change) in files {
        changes.push(change);
        // Only a directory that is there for drop-ins of one unit.
        let parent = path.parent().filter(|parent| parent.extension().is_some_and(|kind| kind == "d"));
        changes.extend(parent.map(|parent| Change::RemoveDirectory(parent.to_path_buf())));
    }
    changes.extend(units.reload());
    Ok(changes)
}

/// The removal of a file of ours. A foreign one stays, and is told of.
fn removal(path: &Path, kind: Kind) -> Result<Option<Change>, HostError> {
    match Present::at(path, kind)? {
        Present::Nothing => Ok(None),
        Present::Ours(_) => Ok(Some(Change::Remove(path.to_path_buf()))),
        Present::Foreign(what) => {
            tracing::warn!("{} stays: {what}", path.display());
            Ok(None)
        }
    }
}
