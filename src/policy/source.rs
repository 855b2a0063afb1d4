// SPDX-License-Identifier: Apache-2.0
//! The text of one policy file, and the line and column of every byte in it.
//! Holds text that was already read; opens nothing.

use super::origin::Origin;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a text was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A file, as the user named it.
    File(Arc<PathBuf>),
    /// A policy that is built into the program.
    Builtin(Arc<str>),
    /// `-s key=value`.
    CommandLine,
}

/// A text and where it was read from. Cheap to clone: every mistake keeps its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: Name,
    text: Arc<str>,
    /// Where each line starts.
    lines: Arc<[usize]>,
    /// The built-in policy whose place it takes.
    instead_of: Option<&'static str>,
    /// How many characters begin before every [`STRIDE`]th byte: a file may be one line, with a value at every other
    /// byte.
    characters: Arc<[usize]>,
}

/// Bytes between two counts of characters.
const STRIDE: usize = 256;

impl Source {
    /// Pairs `text` with the place it was read from.
    pub fn new(name: Name, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect();
        let mut characters = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut before = 0;
        for block in text.as_bytes().chunks(STRIDE) {
            characters.push(before);
            before += starts(block);
        }
        Source { name, text, lines, instead_of: None, characters: characters.into() }
    }

    /// The same, which takes the place of a built-in policy.
    pub(super) fn instead_of(self, builtin: Option<&'static str>) -> Self {
        Source { instead_of: builtin, ..self }
    }

    /// The built-in policy that has its name, and for which it stands.
    pub fn stands_for(&self) -> Option<&'static str> {
        self.instead_of
    }

    /// Whether it is a part of the program.
    pub(super) fn is_builtin(&self) -> bool {
        matches!(self.name, Name::Builtin(_))
    }

    /// The name by which a policy in a file is known.
    pub(super) fn stem(&self) -> Option<&str> {
        match &self.name {
            Name::File(path) => path.file_name()?.to_str()?.strip_suffix(".toml"),
            Name::Builtin(_) | Name::CommandLine => None,
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name as an error prints it.
    pub fn title(&self) -> String {
        match &self.name {
            Name::File(path) => path.display().to_string(),
            Name::Builtin(name) => format!("built-in {name}.toml"),
            Name::CommandLine => "command line".to_owned(),
        }
    }

    /// Line and column, in characters from one, of the byte at `offset`.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let column = self.characters_before(offset) - self.characters_before(self.lines[line - 1]) + 1;
        (line as u32, column as u32)
    }

    /// The line that `offset` is in, without its end, and where it starts.
    pub(super) fn line(&self, offset: usize) -> (usize, &str) {
        let line = self.lines.partition_point(|start| *start <= offset.min(self.text.len()));
        let start = self.lines[line - 1];
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        (start, &self.text[start..end])
    }

    /// How many characters begin before the byte at `offset`.
    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / STRIDE;
        // A text whose length is a whole number of strides has no count for its end.
        let Some(before) = self.characters.get(block) else {
            let last = self.characters.len().saturating_sub(1);
            return self.characters.last().unwrap_or(&0) + starts(&self.text.as_bytes()[last * STRIDE..]);
        };
        before + starts(&self.text.as_bytes()[block * STRIDE..offset])
    }

    /// The origin of the value that stands at `span`.
    pub fn origin(&self, span: &Range<usize>) -> Origin {
        let (line, column) = self.position(span.start);
        match &self.name {
            Name::File(path) => Origin::File { path: Arc::clone(path), line, column },
            Name::Builtin(name) => Origin::Profile { name: Arc::clone(name), line },
            Name::CommandLine => Origin::CommandLine,
        }
    }

    /// The bytes of the value that was written at `origin`; `None` if that is not in this text.
    pub fn value_at(&self, origin: &Origin) -> Option<Range<usize>> {
        let (line, column) = match (&self.name, origin) {
            (Name::File(read), Origin::File { path, line, column }) if read == path => (*line, Some(*column)),
            (Name::Builtin(read), Origin::Profile { name, line }) if read == name => (*line, None),
            _ => return None,
        };
        let start = *self.lines.get(line.checked_sub(1)? as usize)?;
        let text = self.text.get(start..)?.lines().next()?;
        let before = match column {
            Some(column) => text.char_indices().nth(column.checked_sub(1)? as usize)?.0,
            None => text.len() - text.trim_start().len(),
        };
        Some(start + before..start + before + value_length(&text[before..], column))
    }
}

/// The characters that begin in `bytes` of UTF-8.
fn starts(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

/// How long the value is that stands first in the rest of a line: a string to its end, a word to what delimits it.
/// Without a column it is the whole line.
fn value_length(rest: &str, column: Option<u32>) -> usize {
    let ends = |delimiters: &'static [char]| rest.find(delimiters).unwrap_or(rest.len());
    match (column, rest.chars().next()) {
        (None, _) => rest.trim_end().len(),
        (Some(_), Some(quote @ ('"' | '\''))) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        (Some(_), Some('[' | '{')) => rest.trim_end().len(),
        (Some(_), _) => ends(&[',', ']', '}', '#', ' ', '\t']).max(1).min(rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new(Name::CommandLine, "ab\nüx = 1\n");
        for (offset, expected) in [(0, (1, 1)), (1, (1, 2)), (3, (2, 1)), (5, (2, 2)), (11, (3, 1)), (99, (3, 1))] {
            assert_eq!(source.position(offset), expected, "byte {offset}");
        }
    }

    #[test]
    fn columns_of_a_long_line_are_counted_all_the_same() {
        let text = format!("ab\n{}", "aü".repeat(1000));
        let source = Source::new(Name::CommandLine, text.as_str());
        for (offset, _) in text.char_indices().skip(3).chain([(text.len(), ' ')]) {
            let column = text[3..offset].chars().count() as u32 + 1;
            assert_eq!(source.position(offset), (2, column), "byte {offset}");
        }
        for length in [0, 255, 256, 257, 512] {
            let source = Source::new(Name::CommandLine, "a".repeat(length));
            assert_eq!(source.position(length), (1, length as u32 + 1));
        }
        assert_eq!(source.line(4), (3, &text[3..]));
        assert_eq!(source.line(1), (0, "ab"));
    }

    #[test]
    fn a_position_past_a_half_read_character_is_no_panic() {
        assert_eq!(Source::new(Name::CommandLine, "ü").position(1), (1, 2));
    }

    #[test]
    fn a_value_is_found_again_by_its_origin() {
        let path = Arc::new(PathBuf::from("/p"));
        let source = Source::new(Name::File(Arc::clone(&path)), "[files]\nread = [\"/a\", \"/bü\"] # all\ntime = 5s\n");
        let at = |line, column| {
            let origin = Origin::File { path: Arc::clone(&path), line, column };
            source.value_at(&origin).map(|span| &source.text()[span])
        };
        assert_eq!(at(2, 9), Some("\"/a\""));
        assert_eq!(at(2, 15), Some("\"/bü\""));
        assert_eq!(at(3, 8), Some("5s"));
        assert_eq!((at(9, 1), at(0, 1), at(1, 99)), (None, None, None));
        assert_eq!(source.value_at(&Origin::CommandLine), None);
    }
}
