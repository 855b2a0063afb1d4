// SPDX-License-Identifier: Apache-2.0
//! From text to the types of the policy file, and serde's complaints into our words.
//! The first pass: syntax, version, keys and sorts of values. What a value means is the second one, `read`.

use super::diagnose::{InputError, MOST_MISTAKES, Mistake};
use super::file::File;
use super::source::Source;
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// The format of policy files that this program reads.
const VERSION: i64 = 1;

/// The most lines and values of a file, which take a hundred times the memory of their text.
const MOST_VALUES: usize = 100_000;

/// A text that is longer and no TOML is read up to its first mistake: it may consist of them.
const LONGEST_FOR_ALL_MISTAKES: usize = 1 << 16;

/// Whether a text must say which format it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// A file must.
    Required,
    /// `-s` is of the program's own format.
    Implied,
}

/// A key that was taken out, and the table that it was in.
struct Removed {
    key: String,
    table: Range<usize>,
}

/// The place of something inside a document.
struct Found {
    key: String,
    table: Range<usize>,
    sort: &'static str,
}

/// A text after this pass.
pub(super) struct Parsed {
    /// Its keys, without those that are mistakes.
    pub(super) file: File,
    /// Every mistake, if there is one.
    pub(super) wrong: Option<InputError>,
}

/// Reads `source`; fails with every mistake of this pass.
pub(super) fn parse(source: &Source, version: Version) -> Result<File, InputError> {
    let Parsed { file, wrong } = parse_on(source, version)?;
    wrong.map_or(Ok(file), Err)
}

/// Reads `source` for whoever looks for more mistakes behind those of this pass. Fails where there is nothing to go on
/// with.
pub(super) fn parse_on(source: &Source, version: Version) -> Result<Parsed, InputError> {
    let document = syntax(source)?;
    if version == Version::Required {
        check_version(source, document.get_ref())?;
    }
    match File::deserialize(Deserializer::from(document)) {
        Ok(file) => Ok(Parsed { file, wrong: None }),
        Err(_) => mistakes(source, syntax(source)?),
    }
}

/// The text as TOML.
fn syntax(source: &Source) -> Result<Spanned<DeTable<'_>>, InputError> {
    let marks = source.text().bytes().filter(|byte| matches!(byte, b'\n' | b'=' | b',' | b'[' | b'{')).count();
    if marks > MOST_VALUES {
        let title = format!("this file holds more than {MOST_VALUES} lines and values");
        return Err(Mistake::new(title).at(source, 0..0).into());
    }
    if source.text().len() > LONGEST_FOR_ALL_MISTAKES {
        return DeTable::parse(source.text()).map_err(|error| in_our_words(source, None, &error).into());
    }
    let (document, errors) = DeTable::parse_recoverable(source.text());
    let mistakes = errors.iter().take(MOST_MISTAKES).map(|error| in_our_words(source, Some(&document), error));
    InputError::unless_none(mistakes.collect()).map(|()| document)
}

/// Everything that is wrong with the keys and the sorts of values. serde stops at the first mistake; without the
/// offending key it finds the next one.
fn mistakes(source: &Source, mut document: Spanned<DeTable<'_>>) -> Result<Parsed, InputError> {
    let whole = document.span();
    let mut mistakes = Vec::new();
    let mut removed = Vec::new();
    while mistakes.len() < MOST_MISTAKES {
        let error = match File::deserialize(Deserializer::from(document.clone())) {
            Ok(mut file) => {
                // It may name a limit that was taken out.
                file.r#override = None;
                return Ok(Parsed { file, wrong: Some(InputError::all(mistakes)) });
            }
            Err(error) => error,
        };
        if !is_missed_by_us(&removed, &error) {
            mistakes.push(in_our_words(source, Some(&document), &error));
        }
        let key = error.span().and_then(|span| remove(document.get_mut(), &whole, &span));
        match key {
            Some(key) => removed.push(key),
            None => break,
        }
    }
    Err(InputError::all(mistakes))
}

/// The version comes first: in a file of a later format, its other keys may be unknown for good reason.
fn check_version(source: &Source, document: &DeTable<'_>) -> Result<(), InputError> {
    let Some(value) = document.get("version") else {
        let start = Mistake::new("missing key `version`").at(source, 0..0);
        return Err(start.help(format!("add `version = {VERSION}` as the first line")).into());
    };
    let number = value.get_ref().as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
    let title = match number {
        Some(VERSION) => return Ok(()),
        Some(newer) if newer > VERSION => format!("this file is in format {newer}"),
        _ => "there is no such format".to_owned(),
    };
    let label = format!("this spawnbox reads format {VERSION}");
    Err(Mistake::new(title).at(source, value.span()).label(label).into())
}

fn in_our_words(source: &Source, document: Option<&Spanned<DeTable<'_>>>, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let found = document.and_then(|document| find(document.get_ref(), &document.span(), &span));
    let message = error.message();
    let mistake = if let Some(rest) = message.strip_prefix("unknown field `") {
        // The last: a key may hold any character, the names that are known do not.
        let (key, known) = rest.rsplit_once("`, expected ").unwrap_or((rest, ""));
        let mistake = Mistake::new(format!("unknown key `{key}`")).suggest(key, quoted(known));
        match &found {
            Some(found) if is_header(source, &found.table) => {
                mistake.label("not a key of this table").see(found.table.clone(), "in this table")
            }
            _ => mistake.label("not a key here"),
        }
    } else if let Some(rest) = message.strip_prefix("missing field ") {
        let key = quoted(rest).first().copied().unwrap_or("");
        Mistake::new(format!("missing key `{key}`")).label(format!("`{key}` must be written here"))
    } else if let Some((_, expected)) = message.strip_prefix("invalid type: ").and_then(|m| m.split_once(", expected "))
    {
        let key = found.as_ref().map_or(String::new(), |found| format!(" of `{}`", found.key));
        let sort = found.as_ref().map_or("something else", |found| found.sort);
        Mistake::new(format!("wrong type{key}"))
            .label(format!("expected {}, found {sort}", sort_in_our_words(expected)))
    } else if message == "duplicate key" {
        let key = source.text().get(span.clone()).unwrap_or("");
        Mistake::new(format!("key `{key}` is written twice")).label("for the second time")
    } else {
        Mistake::new(message)
    };
    mistake.at(source, span)
}

/// Whether the key that is missing was taken out for another mistake.
fn is_missed_by_us(removed: &[Removed], error: &toml::de::Error) -> bool {
    let missing = error.message().strip_prefix("missing field ").map(quoted);
    let key = missing.as_ref().and_then(|words| words.first());
    key.is_some_and(|key| removed.iter().any(|one| one.key == **key && error.span().as_ref() == Some(&one.table)))
}

/// The words in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What serde's own types say that they expect.
fn sort_in_our_words(expected: &str) -> &str {
    match expected {
        "a string" => "text in quotes",
        "a boolean" => "`true` or `false`",
        "i64" => "a whole number",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        ours => ours,
    }
}

fn sort(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(number) if i64::from_str_radix(number.as_str(), number.radix()).is_err() => {
            "a number out of range"
        }
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn is_header(source: &Source, table: &Range<usize>) -> bool {
    source.text().get(table.clone()).is_some_and(|text| text.starts_with('['))
}

/// The innermost key whose name or value is at `span`.
fn find(table: &DeTable<'_>, whole: &Range<usize>, span: &Range<usize>) -> Option<Found> {
    table.iter().find_map(|(key, value)| {
        let deeper = tables_in(value).into_iter().find_map(|(inner, whole)| find(inner, &whole, span));
        let here = encloses(key, value, span).then(|| Found {
            key: key.get_ref().to_string(),
            table: whole.clone(),
            sort: value_at(value, span).map_or("something else", sort),
        });
        deeper.or(here)
    })
}

/// Takes the innermost key whose name or value is at `span` out of `table`.
fn remove(table: &mut DeTable<'_>, whole: &Range<usize>, span: &Range<usize>) -> Option<Removed> {
    if let Some(removed) = table.iter_mut().find_map(|(_, value)| remove_in(value, span)) {
        return Some(removed);
    }
    let key = table.iter().find(|(key, value)| encloses(key, value, span)).map(|(key, _)| key.get_ref().to_string())?;
    table.remove(key.as_str()).map(|_| Removed { key, table: whole.clone() })
}

fn remove_in(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Removed> {
    let whole = value.span();
    match value.get_mut() {
        DeValue::Table(table) => remove(table, &whole, span),
        DeValue::Array(array) => array.iter_mut().find_map(|value| remove_in(value, span)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            None
        }
    }
}

fn encloses<K>(key: &Spanned<K>, value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let whole = value.span();
    key.span() == *span || (whole.start <= span.start && span.end <= whole.end)
}

fn tables_in<'t, 'i>(value: &'t Spanned<DeValue<'i>>) -> Vec<(&'t DeTable<'i>, Range<usize>)> {
    match value.get_ref() {
        DeValue::Table(table) => vec![(table, value.span())],
        DeValue::Array(array) => array.iter().flat_map(tables_in).collect(),
        _ => Vec::new(),
    }
}

fn value_at<'t, 'i>(value: &'t Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<&'t DeValue<'i>> {
    match value.get_ref() {
        found if value.span() == *span => Some(found),
        DeValue::Array(array) => array.iter().find_map(|value| value_at(value, span)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Name;
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let source = Source::new(Name::CommandLine, text);
        parse(&source, Version::Required).unwrap_err().lines().map(|l| l.replacen("command line:", "", 1)).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(lines(text), expected, "{text}");
    }

    #[test]
    fn text_that_is_not_toml_is_refused() {
        for (text, expected) in [
            ("version = 1\n[limits\n", "2:8: unclosed table, expected `]`"),
            ("version = 1\nversion = 1\n", "2:1: key `version` is written twice: for the second time"),
            ("version = \"1\n", "1:13: invalid basic string, expected `\"`"),
            ("a b c", "1:3: key with no value, expected `=`"),
        ] {
            check(text, &[expected]);
        }
    }

    #[test]
    fn a_file_says_first_which_format_it_is_in() {
        for (text, expected) in [
            ("", "1:1: missing key `version` (add `version = 1` as the first line)"),
            ("version = 2\nfuture = true\n", "1:11: this file is in format 2: this spawnbox reads format 1"),
            ("version = 0\n", "1:11: there is no such format: this spawnbox reads format 1"),
            ("version = \"1\"\n", "1:11: there is no such format: this spawnbox reads format 1"),
        ] {
            check(text, &[expected]);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        for (text, expected) in [
            ("descripton = \"\"", "2:1: unknown key `descripton`: not a key here (did you mean `description`?)"),
            ("[limits]\nmemroy = 1", "3:1: unknown key `memroy`: not a key of this table (did you mean `memory`?)"),
            ("limits.open_files = 1", "2:8: unknown key `open_files`: not a key here (did you mean `open-files`?)"),
            (
                "[connection]\nx = 1",
                "3:1: unknown key `x`: not a key of this table (known here: hold, ends, stderr, concurrency)",
            ),
            (
                "[files]\nread = [{ path = \"/a\", wy = \"\" }]",
                "3:24: unknown key `wy`: not a key here (did you mean `why`?)",
            ),
            ("[limit]\n", "2:2: unknown key `limit`: not a key here (did you mean `limits`?)"),
            (
                "[connection]\n\"x`, expected `\\u0000\" = 1",
                "3:1: unknown key `x`, expected `\\u{0}`: not a key of this table (known here: hold, ends, stderr, concurrency)",
            ),
        ] {
            check(&format!("version = 1\n{text}\n"), &[expected]);
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        for (text, expected) in [
            ("description = 1", "2:15: wrong type of `description`: expected text in quotes, found a number"),
            ("limits = 1", "2:10: wrong type of `limits`: expected a table, found a number"),
            ("limits.time = true", "2:15: wrong type of `time`: expected a time such as \"5m\", found `true`"),
            ("limits.memory = [1]", "2:17: wrong type of `memory`: expected a size such as \"64M\", found a list"),
            ("limits.tasks = 1.5", "2:16: wrong type of `tasks`: expected a whole number, found a fraction"),
            (
                "limits.tasks = 99999999999999999999",
                "2:16: wrong type of `tasks`: expected a whole number, found a number out of range",
            ),
            ("isolation.init = \"yes\"", "2:18: wrong type of `init`: expected `true` or `false`, found text"),
            ("files.read = \"/a\"", "2:14: wrong type of `read`: expected a list in brackets, found text"),
            (
                "files.read = [\"/a\", 1]",
                "2:21: wrong type of `read`: expected a path, or a table with `path`, found a number",
            ),
            ("limits = [\"5m\"]", "2:10: wrong type of `limits`: expected a table, found a list"),
            (
                "files.scratch = [[\"/t\", 1, 1]]",
                "2:18: wrong type of `scratch`: expected a table with `path`, `size` and `inodes`, found a list",
            ),
            (
                "files.scratch = [\"/tmp\"]",
                "2:18: wrong type of `scratch`: expected a table with `path`, `size` and `inodes`, found text",
            ),
            (
                "network.connect = [25]",
                "2:19: wrong type of `connect`: expected a table such as `{ ports = [25] }`, found a list",
            ),
            (
                "network.connect.ports = 25",
                "2:25: wrong type of `ports`: expected a list of ports, or \"any\", found a number",
            ),
            ("command.environment = [1]", "2:23: wrong type of `environment`: expected a table, found a list"),
            ("description = 2026-01-01", "2:15: wrong type of `description`: expected text in quotes, found a date"),
        ] {
            check(&format!("version = 1\n{text}\n"), &[expected]);
        }
    }

    #[test]
    fn a_missing_key_is_refused() {
        for (text, expected) in [
            (
                "files.scratch = [{ path = \"/tmp\", size = 1 }]",
                "2:18: missing key `inodes`: `inodes` must be written here",
            ),
            ("files.read = [{ why = \"\" }]", "2:15: missing key `path`: `path` must be written here"),
            ("network.udp = {}", "2:15: missing key `ports`: `ports` must be written here"),
        ] {
            check(&format!("version = 1\n{text}\n"), &[expected]);
        }
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let text =
            "version = 1\n[limits]\nmemroy = 1\ntime = true\n[files]\nread = [{ path = \"/a\", wy = 1 }]\nwrite = 3\n";
        let places: Vec<String> = lines(text).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(places, ["3:1:", "4:8:", "6:24:", "7:9:"]);
    }

    #[test]
    fn a_mistake_does_not_make_another_one() {
        check(
            "version = 1\nfiles.scratch = [{ path = \"/t\", size = true, inodes = 1 }]\n",
            &["2:40: wrong type of `size`: expected a size such as \"64M\", found `true`"],
        );
    }

    #[test]
    fn more_mistakes_than_anyone_reads_are_cut_off() {
        let keys: String = (0..100).map(|n| format!("k{n} = 1\n")).collect();
        assert_eq!(lines(&format!("version = 1\n{keys}")).len(), MOST_MISTAKES);
    }

    #[test]
    fn an_unknown_key_is_reported_in_the_shape_of_rustc() {
        let source = Source::new(Name::Builtin("x".into()), "version = 1\n\n[limits]\nmemroy = \"64M\"\n");
        let expected = "\
error: unknown key `memroy`
 --> built-in x.toml:4:1
  |
3 | [limits]
  | -------- in this table
4 | memroy = \"64M\"
  | ^^^^^^ not a key of this table
  |
  = help: did you mean `memory`?";
        assert_eq!(parse(&source, Version::Required).unwrap_err().to_string(), expected);
    }
}
