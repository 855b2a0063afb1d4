// SPDX-License-Identifier: Apache-2.0
//! From text to the types of the policy file, and serde's complaints into our words.
//! The first pass: syntax, version, keys and sorts of values. What a value means is the second one, `read`.

use super::diagnose::{InputError, MOST_MISTAKES, Mistake};
use super::file::File;
use super::keys;
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
    // What is not closed swallows what comes after it: the mistakes that are found there are none.
    let unclosed = errors.iter().any(|error| error.message().starts_with("unclosed array"));
    let most = if unclosed { 1 } else { MOST_MISTAKES };
    let mistakes = errors.iter().take(most).map(|error| in_our_words(source, Some(&document), error));
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
        let mistake = Mistake::new(format!("unknown key `{key}`"));
        let mistake = match keys::called(key).as_slice() {
            [] => mistake.suggest(key, quoted(known)),
            elsewhere => mistake.help(format!("did you mean `{}`?", elsewhere.join("` or `"))),
        };
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
        let mistake = Mistake::new(format!("wrong type{key}"))
            .label(format!("expected {}, found {sort}", sort_in_our_words(expected)));
        match source.text().get(span.clone()) {
            // A list of one is what is meant mostly.
            Some(text) if expected == "a sequence" && sort == "text" => mistake.help(match words(text) {
                Some(words) if found.as_ref().is_some_and(|found| found.key == "argv") => format!("write `[{words}]`"),
                _ => format!("write `[{text}]`"),
            }),
            _ => mistake,
        }
    } else if message == "duplicate key" {
        let key = source.text().get(span.clone()).unwrap_or("");
        let mistake = Mistake::new(format!("key `{key}` is written twice")).label("for the second time");
        mistake.help("write what belongs to it in one place")
    } else {
        syntax_in_our_words(source, &span, message)
    };
    mistake.at(source, span)
}

/// What is no TOML, with what was meant where that can be seen.
fn syntax_in_our_words(source: &Source, span: &Range<usize>, message: &str) -> Mistake {
    let text = source.text().get(span.clone()).unwrap_or_default();
    let mistake = |title: &str, help: &str| Mistake::new(title).help(help);
    let word = text.starts_with(|c: char| c.is_alphabetic());
    // `nobody` begins as `nan` does, and `info` as `inf`.
    if word && (message.starts_with("string values must be quoted") || message.starts_with("invalid float")) {
        return mistake("text is in quotes", &format!("write `\"{text}\"`"));
    }
    if message.starts_with("missing comma between array elements") {
        return mistake(message, "entries of a list are divided by commas, and the list ends with `]`");
    }
    if message.starts_with("key with no value") || message.starts_with("invalid unquoted key") {
        return mistake(message, "a policy is TOML: lines such as `key = value`, and `[table]` above them");
    }
    if message.starts_with("unclosed")
        || message.ends_with("string, expected `\"`")
        || message.ends_with("string, expected `'`")
    {
        return mistake(message, "what is opened on a line is closed there, but for a list");
    }
    Mistake::new(message)
}

/// What a shell would make of a text in quotes, if that is more than one word.
fn words(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let words: Vec<String> = inner.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    (words.len() > 1 && !inner.contains(['\'', '"', '\\'])).then(|| words.join(", "))
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
#[path = "shape_tests.rs"]
mod tests;
