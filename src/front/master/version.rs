// SPDX-License-Identifier: Apache-2.0
//! `$mail_version`, which Postfix's programs are compiled to know, and of which they carry a stamp for whoever finds
//! only the program: see global/mail_version.h. Looked for where a value names it.

use crate::postfix::expand::expand;
use crate::postfix::main_cf::Table;
use std::path::Path;

/// What stands before the version in master(8).
const STAMP: &[u8] = b"mail_version=";
/// Where main.cf does not say; Debian's.
const DAEMON_DIRECTORY: &str = "/usr/lib/postfix/sbin";

/// The release whose daemons this main.cf is for, if anything names it and it can be found.
pub(super) fn look_up(table: &Table, overrides: &[(String, String)]) -> Option<String> {
    let named = overrides.iter().any(|(_, value)| value.contains("mail_version")) || table.mentions("mail_version");
    if !named {
        return None;
    }
    let directory = table.get("daemon_directory").and_then(|directory| expand(table, directory).ok());
    let master = Path::new(directory.as_deref().unwrap_or(DAEMON_DIRECTORY)).join("master");
    stamped(&std::fs::read(master).ok()?)
}

fn stamped(program: &[u8]) -> Option<String> {
    let found = |at: &usize| program[*at..].starts_with(STAMP);
    // Most bytes are not the first.
    let starts = program.iter().enumerate().filter(|(_, byte)| **byte == STAMP[0]).map(|(at, _)| at).filter(found);
    let versions = starts.filter_map(|at| {
        let text = &program[at + STAMP.len()..];
        let version = text.get(..text.iter().position(|byte| *byte == 0)?)?;
        let version = std::str::from_utf8(version).ok()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_string())
    });
    versions.take(1).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_follows_the_stamp() {
        for (program, version) in [
            (&b"mail_version"[..], None),
            (b"mail_version=3.7.11", None),
            (b"mail_version=%s\0", None),
            (b"\x7fELF mail_version=%s\0 mail_version=3.7.11\0mail_version=4\0", Some("3.7.11")),
            (b"mail_version=3.12-20260821\0", Some("3.12-20260821")),
        ] {
            assert_eq!(stamped(program).as_deref(), version);
        }
    }
}
