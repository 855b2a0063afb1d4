// SPDX-License-Identifier: Apache-2.0
//! main.cf: logical lines, and the table of names and values that they make.
//! Pure: the text comes from the caller. Values are not expanded here; see `expand`.
#![forbid(unsafe_code)]

use super::words::{is_space, split_name_value};
use std::collections::BTreeMap;

/// Names and values as they were written; what is written later wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    values: BTreeMap<String, String>,
}

/// A line that is neither a comment nor `name = value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}, line {line}: {why}: \"{text}\"")]
#[allow(missing_docs)]
pub struct LineError {
    pub path: String,
    pub line: usize,
    pub why: &'static str,
    pub text: String,
}

impl Table {
    /// Reads a file's text. What Postfix warns about is added to `warnings`.
    pub fn read(&mut self, path: &str, text: &str, warnings: &mut Vec<String>) -> Result<(), LineError> {
        for line in LogicalLines::new(text) {
            // A Postfix string ends at a NUL.
            let written = line.text.split('\0').next().unwrap_or_default();
            if written.starts_with(is_space) {
                warnings.push(format!("{path}: logical line must not start with whitespace: \"{}\"", shorten(written)));
                continue;
            }
            let (name, value) = split_name_value(written).map_err(|why| LineError {
                path: path.to_string(),
                line: line.number,
                why,
                text: written.to_string(),
            })?;
            if let Some(old) = self.values.get(name).filter(|old| *old != value) {
                warnings.push(format!("{path}, line {}: overriding earlier entry: {name}={old}", line.number));
            }
            self.set(name, value);
        }
        Ok(())
    }

    /// Gives `name` a value, whatever it had.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_string(), value.to_string());
    }

    /// Every name that has a value.
    #[cfg(any(test, fuzzing))]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether this stands in any value.
    pub fn mentions(&self, text: &str) -> bool {
        self.values.values().any(|value| value.contains(text))
    }

    /// The value as it was written.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// A line with its continuations.
struct LogicalLine {
    number: usize,
    text: String,
}

/// Splits a text as `readllines` does: a line that starts with a blank continues the one before; comments and blank
/// lines may stand between them and vanish.
struct LogicalLines<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Split<'a, char>>>,
}

impl<'a> LogicalLines<'a> {
    fn new(text: &'a str) -> Self {
        LogicalLines { lines: text.split('\n').enumerate().peekable() }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        let mut logical: Option<LogicalLine> = None;
        while let Some((index, line)) = self.lines.next() {
            let start = line.trim_start_matches(is_space);
            if !start.is_empty() && !start.starts_with('#') {
                let begun = logical.get_or_insert(LogicalLine { number: index + 1, text: String::new() });
                begun.text.push_str(line);
            }
            let goes_on = self.lines.peek().is_some_and(|(_, next)| next.is_empty() || next.starts_with(continues));
            if logical.is_some() && !goes_on {
                break;
            }
        }
        logical
    }
}

/// Whether a line that starts with this character leaves the logical line open.
fn continues(c: char) -> bool {
    c == '#' || is_space(c)
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(30) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Values = Vec<(String, String)>;

    fn read(text: &str) -> Result<(Values, Vec<String>), String> {
        let (mut table, mut warnings) = (Table::default(), Vec::new());
        table.read("main.cf", text, &mut warnings).map_err(|error| error.to_string())?;
        Ok((table.values.into_iter().collect(), warnings))
    }

    #[test]
    fn a_line_without_an_equals_sign_is_refused_with_its_number() {
        for (text, complaint) in [
            ("a = b\n\n# c\nfoo\n", "main.cf, line 4: missing '=' after attribute name: \"foo\""),
            ("a = b\n= c", "main.cf, line 2: missing attribute name: \"= c\""),
            ("a\n  b = c", "main.cf, line 1: missing '=' after attribute name: \"a  b = c\""),
        ] {
            assert_eq!(read(text), Err(complaint.to_string()), "{text:?}");
        }
    }

    #[test]
    fn lines_are_joined_as_postfix_joins_them() {
        for (text, values) in [
            ("", &[] as &[(&str, &str)]),
            ("#a=b\n   \n", &[]),
            ("a=b", &[("a", "b")]),
            ("a = b\n c\n\td\ne=", &[("a", "b c\td"), ("e", "")]),
            ("a = b\n# no\n\n   # nor this\n c\nd = e\n", &[("a", "b c"), ("d", "e")]),
            ("a = b\r\nc = d\r\n", &[("a", "b"), ("c", "d")]),
            ("a = b # c\n", &[("a", "b # c")]),
            ("a = b\0c\n", &[("a", "b")]),
        ] {
            let values: Vec<_> = values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            assert_eq!(read(text), Ok((values, vec![])), "{text:?}");
        }
    }

    #[test]
    fn what_postfix_warns_about_is_warned_about() {
        let (values, warnings) = read("  lost = x\na = 1\na = 1\na = 2\n").unwrap();
        assert_eq!(values, [("a".to_string(), "2".to_string())]);
        assert_eq!(
            warnings,
            [
                "main.cf: logical line must not start with whitespace: \"  lost = x\"",
                "main.cf, line 4: overriding earlier entry: a=1",
            ]
        );
    }
}
