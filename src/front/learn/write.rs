// SPDX-License-Identifier: Apache-2.0
//! A draft as the text of a policy: a new one, or one that is there, of which every comment and blank stays. Pure.

use super::draft::{Draft, Grant, Ports};
use crate::policy::literal;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// A policy that nothing was added to yet.
pub(super) fn skeleton(what: &str, user: Option<&str>, argv: &[String]) -> String {
    let mut document = DocumentMut::new();
    document["version"] = toml_edit::value(1);
    document["extends"] = toml_edit::value(Array::from_iter(["strict"]));
    let mut command = Table::new();
    if let Some(user) = user {
        command["user"] = toml_edit::value(user);
    }
    command["argv"] = toml_edit::value(Array::from_iter(argv.iter().map(|word| literal(word))));
    document["command"] = Item::Table(command);
    format!("# {what}\n{document}")
}

/// The same, once it is known what it says and extends.
pub(super) fn begin(skeleton: &str, what: &str, extends: &[&str]) -> String {
    let rest = skeleton.split_once('\n').map_or("", |(_, rest)| rest);
    let names: Vec<String> = extends.iter().map(|name| format!("\"{name}\"")).collect();
    let rest = match names.is_empty() {
        true => rest.to_string(),
        false => rest.replacen("extends = [\"strict\"]", &format!("extends = [{}]", names.join(", ")), 1),
    };
    format!("# {}\n{rest}", line(what))
}

/// The policy `text` with what it lacks; each addition is marked, where it is somebody's.
pub(super) fn add(text: &str, draft: &Draft, marked: bool) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let mark = if marked { "learnt: " } else { "" };
    let root = document.as_table_mut();
    if !draft.extends.is_empty() {
        let extends = array(root, "extends")?;
        draft.extends.iter().for_each(|name| extends.push(*name));
        alone_for_children(extends);
    }
    for (list, grants) in &draft.files {
        for grant in grants {
            insert(table(root, "files")?, list, entry(grant), grant.warning, marked)?;
        }
    }
    for (path, why) in &draft.scratch {
        let mut entry = InlineTable::new();
        entry.insert("path", literal(path).into());
        entry.insert("size", "16M".into());
        entry.insert("inodes", 1024.into());
        insert(table(root, "files")?, "scratch", entry, Some(why), marked)?;
    }
    words(root, "files", "devices", draft.devices.iter(), mark)?;
    if let Some(why) = &draft.proc {
        set(table(root, "files")?, "proc", "subset".into(), &format!("{mark}{why}"));
    }
    if let Some(why) = &draft.host_network {
        set(table(root, "network")?, "mode", "host".into(), &format!("{mark}{why}"));
    }
    if draft.no_resolver {
        set(table(root, "network")?, "resolver", false.into(), &format!("{mark}the host's network has them"));
    }
    for (key, (ports, why)) in &draft.ports {
        let mut value = InlineTable::new();
        value.insert(
            "ports",
            match ports {
                Ports::Any => "any".into(),
                Ports::List(ports) => Value::Array(ports.iter().map(|port| i64::from(*port)).collect()),
            },
        );
        set(table(root, "network")?, key, Value::InlineTable(value), &format!("{mark}{why}"));
    }
    if !draft.forward.is_empty() {
        let array = array(table(root, "network")?, "forward")?;
        for (peer, why) in &draft.forward {
            append(array, peer.to_string().into(), Some(&format!("{mark}{why}")), false);
        }
    }
    words(root, "syscalls", "allow", draft.allow.iter(), mark)?;
    Ok(document.to_string() + &notes(draft))
}

/// How many notes anyone reads.
const MOST_NOTES: usize = 8;

fn notes(draft: &Draft) -> String {
    if draft.notes.is_empty() {
        return String::new();
    }
    let mut text = "\n# Used, and not granted:\n".to_string();
    for note in draft.notes.iter().take(MOST_NOTES) {
        text.push_str(&format!("#  {}\n", line(note)));
    }
    if let Some(more @ 1..) = draft.notes.len().checked_sub(MOST_NOTES) {
        text.push_str(&format!("#  and {more} more\n"));
    }
    text
}

/// A comment ends with its line, and whoever reads it may sit at a terminal.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn entry(grant: &Grant) -> InlineTable {
    let mut entry = InlineTable::new();
    entry.insert("path", literal(&grant.path).into());
    entry.insert("why", grant.why.as_str().into());
    if grant.optional {
        entry.insert("optional", true.into());
    }
    entry
}

/// An entry of a list of tables, in either of the two forms that TOML has for these.
fn insert(
    of: &mut dyn TableLike,
    list: &str,
    entry: InlineTable,
    said: Option<&str>,
    marked: bool,
) -> Result<(), String> {
    if let Some(tables) = of.get_mut(list).and_then(Item::as_array_of_tables_mut) {
        let mut table = entry.into_table();
        let mark = if marked { "\n# learnt\n" } else { "\n" };
        let said = said.map_or_else(String::new, |said| format!("# {}\n", line(said)));
        table.decor_mut().set_prefix(format!("{mark}{said}"));
        tables.push(table);
        return Ok(());
    }
    append(array(of, list)?, Value::InlineTable(entry), said, marked);
    Ok(())
}

/// Words with their reasons.
fn words<'a>(
    root: &mut Table,
    of: &str,
    key: &str,
    words: impl ExactSizeIterator<Item = (&'a &'static str, &'a String)>,
    mark: &str,
) -> Result<(), String> {
    if words.len() == 0 {
        return Ok(());
    }
    let array = array(table(root, of)?, key)?;
    for (word, why) in words {
        append(array, (*word).into(), Some(&format!("{mark}{why}")), false);
    }
    Ok(())
}

/// On a line of its own, with what is to be said on the line above.
fn append(array: &mut Array, mut value: Value, said: Option<&str>, marked: bool) {
    // What follows the last one belongs to it.
    let trailing = array.trailing().as_str().unwrap_or_default().to_string();
    let mut before = trailing.trim_end().to_string();
    if marked {
        before.push_str("\n    # learnt");
    }
    if let Some(said) = said {
        before.push_str(&format!("\n    # {}", line(said)));
    }
    value.decor_mut().set_prefix(format!("{before}\n    "));
    array.push_formatted(value);
    array.set_trailing_comma(true);
    array.set_trailing("\n");
}

/// In an array that is on one line, values are divided by a blank.
fn alone_for_children(array: &mut Array) {
    for (index, value) in array.iter_mut().enumerate() {
        if index > 0 && value.decor().prefix().is_none() {
            value.decor_mut().set_prefix(" ");
        }
    }
}

/// In the place of what is there, whose comments stay.
fn set(table: &mut dyn TableLike, key: &str, mut value: Value, why: &str) {
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Some(_) | None => drop(table.insert(key, Item::Value(value))),
    }
    if let Some(mut key) = table.key_mut(key) {
        let before = key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_string();
        key.leaf_decor_mut().set_prefix(format!("{before}# {}\n", line(why)));
    }
}

fn table<'a>(root: &'a mut Table, name: &str) -> Result<&'a mut dyn TableLike, String> {
    let item = root.entry(name).or_insert(Item::Table(Table::new()));
    item.as_table_like_mut().ok_or_else(|| format!("`{name}` is no table"))
}

fn array<'a>(table: &'a mut dyn TableLike, name: &str) -> Result<&'a mut Array, String> {
    let item = table.entry(name).or_insert(Item::Value(Value::Array(Array::new())));
    item.as_array_mut().ok_or_else(|| format!("`{name}` is no list"))
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
