// SPDX-License-Identifier: Apache-2.0
//! Every key that a policy file can have, asked of the types that read it.

use super::file::File;
use std::sync::LazyLock;

/// A key that there is not, so that serde answers with those that there are.
const NONE: &str = "no-such-key";

/// Dotted, tables included: `limits`, `limits.time`, `files.read.path`.
pub(crate) fn all() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut next = vec![String::new()];
    while let Some(table) = next.pop() {
        for key in keys_of(&table) {
            let name = if table.is_empty() { key } else { format!("{table}.{key}") };
            next.push(name.clone());
            found.push(name);
        }
    }
    found
}

/// The keys of this name in tables, for whoever has written it elsewhere: `command.user`. Those of an entry of a list
/// are nobody's slip.
pub(super) fn called(name: &str) -> Vec<&'static str> {
    static ALL: LazyLock<Vec<String>> = LazyLock::new(all);
    let is_called = |key: &&str| matches!(key.split_once('.'), Some((_, rest)) if rest == name);
    let mut called: Vec<&str> = ALL.iter().map(String::as_str).filter(is_called).collect();
    called.sort();
    called
}

/// The keys of a table, or of the tables in a list. A value that is no table has none.
fn keys_of(table: &str) -> Vec<String> {
    let texts = match table {
        "" => vec![format!("{NONE} = 1")],
        table => vec![format!("{table}.{NONE} = 1"), format!("{table} = [{{ {NONE} = 1 }}]")],
    };
    texts.iter().map(|text| answer(text)).find(|keys| !keys.is_empty()).unwrap_or_default()
}

fn answer(text: &str) -> Vec<String> {
    let Err(error) = toml::from_str::<File>(text) else { return Vec::new() };
    let message = error.message().to_string();
    let Some(rest) = message.strip_prefix(&format!("unknown field `{NONE}`, expected ")) else { return Vec::new() };
    rest.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

#[test]
fn tables_and_lists_of_tables_are_gone_through() {
    let all = all();
    for key in ["version", "limits", "limits.time", "files.write.why", "files.scratch.inodes", "network.udp.ports"] {
        assert!(all.iter().any(|found| found == key), "{key} is not among {all:?}");
    }
    assert!(!all.iter().any(|found| found.starts_with("limits.time.")));
}
