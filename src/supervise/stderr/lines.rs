// SPDX-License-Identifier: Apache-2.0
//! From what a command writes to lines that can stand in a log: cut, quoted and escaped, so that none can look like a
//! line of ours, begin a second one, or speak to a terminal.
//! Pure; keeps no more of a line than is shown.

use std::fmt::{self, Write};

/// The most bytes of a line that are shown, escaped: with its tag it is shorter than the log's longest text.
const MOST: usize = 1600;

/// A line that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Line,
}

/// A line, without its end.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Line {
    kept: Vec<u8>,
    /// Bytes of it that are not kept.
    cut: u64,
}

impl Lines {
    /// The next complete line; takes what it has seen from `bytes`.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Line> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.begun.append(part);
        *bytes = rest.get(1..).unwrap_or_default();
        end.map(|_| std::mem::take(&mut self.begun))
    }

    /// Passes over every complete line, however many, and says how many there were.
    pub(super) fn skip(&mut self, bytes: &mut &[u8]) -> u64 {
        let count = bytes.iter().filter(|byte| **byte == b'\n').count();
        if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
            self.begun = Line::default();
            *bytes = &bytes[end + 1..];
        }
        self.begun.append(bytes);
        *bytes = &[];
        count as u64
    }

    /// What is there without an end of line.
    pub(super) fn last(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.begun);
        (line != Line::default()).then_some(line)
    }
}

/// Bytes of a command as they stand in a log: quoted, and cut where they are long.
pub(in crate::supervise) fn quoted(bytes: &[u8]) -> String {
    let mut line = Line::default();
    line.append(bytes);
    line.to_string()
}

impl Line {
    fn append(&mut self, part: &[u8]) {
        let (kept, cut) = part.split_at(part.len().min(MOST - self.kept.len()));
        self.kept.extend_from_slice(kept);
        self.cut += cut.len() as u64;
    }
}

/// In quotes; what was cut is counted behind them.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut text, mut shown) = (String::new(), 0);
        // What is shown has no gap: a shorter part that would fit again is left out as well.
        'shown: for chunk in self.kept.utf8_chunks() {
            let parts = chunk.valid().chars().map(|c| (c.len_utf8(), escaped(c)));
            let parts = parts.chain(chunk.invalid().iter().map(|byte| (1, format!("\\x{byte:02x}"))));
            for (length, part) in parts {
                if text.len() + part.len() > MOST {
                    break 'shown;
                }
                text.push_str(&part);
                shown += length;
            }
        }
        let cut = self.cut + (self.kept.len() - shown) as u64;
        write!(f, "\"{text}\"")?;
        if cut > 0 { write!(f, " and {cut} bytes") } else { Ok(()) }
    }
}

/// A character as itself where it can be seen and is no part of the quoting.
fn escaped(c: char) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = match c {
        '"' | '\\' => write!(text, "\\{c}"),
        '\'' => text.write_char(c),
        '\t' => text.write_str("\\t"),
        c if c.is_ascii_control() => write!(text, "\\x{:02x}", u32::from(c)),
        // Also what turns the direction of text, or joins the character before it.
        c => write!(text, "{}", c.escape_debug()),
    };
    text
}

/// For tests and fuzzers: lines are the same however they come, each is one line of a log and a beginning of what was
/// written.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    let all = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for mut piece in pieces {
            while let Some(line) = lines.next(&mut piece) {
                found.push(line);
            }
        }
        found.extend(lines.last());
        found
    };
    let found = all(&mut std::iter::once(bytes));
    assert_eq!(found, all(&mut bytes.chunks(1)));
    for line in found {
        let shown = line.to_string();
        crate::fuzz::assert_one_line(&shown);
        let text = shown.strip_prefix('"').and_then(|shown| shown.rsplit_once('"')).map(|(text, _)| text);
        let whole: String = line
            .kept
            .utf8_chunks()
            .map(|chunk| {
                let valid: String = chunk.valid().chars().map(escaped).collect();
                chunk.invalid().iter().fold(valid, |text, byte| format!("{text}\\x{byte:02x}"))
            })
            .collect();
        assert!(text.is_some_and(|text| whole.starts_with(text) && text.len() <= MOST), "{shown}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for text in texts {
            let mut rest = *text;
            while let Some(line) = lines.next(&mut rest) {
                found.push(line.to_string());
            }
        }
        found.extend(lines.last().map(|line| line.to_string()));
        found
    }

    #[test]
    fn nothing_that_is_written_can_look_like_something_else() {
        for (text, expected) in [
            (&b"plain text 'x'"[..], r#""plain text 'x'""#),
            (b"a\tb\r", r#""a\tb\x0d""#),
            (b"\x1b[31mred\x07\x7f\0", r#""\x1b[31mred\x07\x7f\x00""#),
            (b"\"; session=7 outcome=exited \\", r#""\"; session=7 outcome=exited \\""#),
            ("grüße \u{85}\u{202e}\u{2028}\u{301}".as_bytes(), r#""grüße \u{85}\u{202e}\u{2028}\u{301}""#),
            (b"bad \xff\xc3 utf-8", r#""bad \xff\xc3 utf-8""#),
        ] {
            assert_eq!(lines(&[text]), [expected]);
            assert!(!expected.chars().any(char::is_control));
        }
    }

    #[test]
    fn what_is_shown_of_a_line_has_no_gap() {
        let text = [&b"a".repeat(1590)[..], b"\x1b\x1b\x1b\xffb"].concat();
        let expected = format!("\"{}\\x1b\\x1b\" and 3 bytes", "a".repeat(1590));
        assert_eq!(lines(&[&text]), [expected]);
    }

    #[test]
    fn a_line_is_put_together_from_its_parts() {
        let expected = [r#""one""#, r#""""#, r#""two""#, r#""without an end""#];
        assert_eq!(lines(&[b"o", b"ne\n\nt", b"wo\n", b"without", b" an end"]), expected);
        assert_eq!(lines(&[b"\n"]), [r#""""#]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    #[test]
    fn lines_that_are_passed_over_are_counted() {
        let mut lines = Lines::default();
        let mut rest = &b"one\ntwo\nthree\nfo"[..];
        assert!(lines.next(&mut rest).is_some());
        assert_eq!((lines.skip(&mut rest), rest), (2, &b""[..]));
        let mut rest = &b"u"[..];
        assert_eq!((lines.skip(&mut rest), rest), (0, &b""[..]));
        let mut rest = &b"r\nfive"[..];
        assert_eq!(lines.next(&mut rest).unwrap().to_string(), "\"four\"");
    }

    #[test]
    fn a_long_line_is_cut_and_the_rest_counted() {
        let long = |byte: u8, count| vec![byte; count];
        for (byte, shown) in [(b'x', MOST), (0xff, MOST / 4), (b'\t', MOST / 2)] {
            let found = lines(&[&long(byte, 1000), &long(byte, 99_000), b"\n", b"next"]);
            assert!(found[0].ends_with(&format!(" and {} bytes", 100_000 - shown)), "{}", found[0]);
            assert!(found[0].len() < MOST + 30);
            assert_eq!(found[1], r#""next""#);
        }
        let mut kept = Lines::default();
        kept.next(&mut &long(b'x', 1 << 20)[..]);
        assert!(kept.begun.kept.len() <= MOST);
    }
}
