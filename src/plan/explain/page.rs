// SPDX-License-Identifier: Apache-2.0
//! The page: rows of label, text and origin in aligned columns, long texts broken at blanks.
//! Knows nothing of plans.

use super::Look;
use crate::policy::{Origin, Paint};
use std::fmt::Write;

/// Columns of the label.
const LABEL: usize = 9;
/// A first column is no wider.
const LONGEST_NAME: usize = 40;
/// No origin takes more than this from the text, nor more than a third of the page.
const ORIGIN: usize = 44;
/// Between text and origin.
const GAP: usize = 2;

/// Rows in the making.
#[derive(Default)]
pub(super) struct Page {
    rows: Vec<Row>,
}

struct Row {
    label: &'static str,
    text: String,
    origin: String,
}

impl Page {
    /// A row with a label; those without one belong to the last that has one.
    pub(super) fn row(&mut self, label: &'static str, text: impl Into<String>, origin: Option<&Origin>) {
        let origin = origin.map_or_else(String::new, Origin::to_string);
        self.rows.push(Row { label, text: text.into(), origin });
    }

    /// Rows of two columns, the first as wide as its longest value permits.
    pub(super) fn pairs(&mut self, label: &'static str, pairs: &[(String, String, Option<&Origin>)]) {
        let longest = pairs.iter().map(|(first, _, _)| first.chars().count()).filter(|width| *width < LONGEST_NAME);
        let width = longest.max().unwrap_or(0);
        for (index, (first, second, origin)) in pairs.iter().enumerate() {
            let text = format!("{first:<width$}  {second}");
            self.row(if index == 0 { label } else { "" }, text.trim_end(), *origin);
        }
    }

    /// Label, text and origin of each row.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.rows.iter().map(|row| (row.label, row.text.as_str(), row.origin.as_str()))
    }

    /// The page as text, its labels painted so.
    pub(super) fn text(&self, look: Look, label_paint: fn(Paint, &str) -> String) -> String {
        let longest = |lengths: &mut dyn Iterator<Item = usize>, most: usize| lengths.max().unwrap_or(0).min(most);
        let origin = longest(&mut self.rows.iter().map(|row| row.origin.chars().count()), ORIGIN.min(look.width / 3));
        let most = look.width - LABEL - GAP - origin;
        let lines: Vec<(&Row, Vec<String>)> = self.rows.iter().map(|row| (row, broken(&row.text, most))).collect();
        let width =
            longest(&mut lines.iter().flat_map(|(_, texts)| texts.iter().map(|text| text.chars().count())), most);
        let mut page = String::new();
        for (row, texts) in lines {
            for (index, text) in texts.iter().enumerate() {
                let (label, origin) = if index == 0 { (row.label, row.origin.as_str()) } else { ("", "") };
                let label = label_paint(look.paint, &format!("{label:<LABEL$}"));
                let line = format!("{label}{text:<width$}{:GAP$}", "");
                let line =
                    if origin.is_empty() { line.trim_end().to_string() } else { line + &look.paint.aside(origin) };
                // Writing into a string cannot fail.
                let _ = writeln!(page, "{line}");
            }
        }
        page
    }
}

/// The text in lines of at most `most` characters, as far as it has blanks to break at. Later lines begin where the
/// second column does, if there is one.
pub fn broken(text: &str, most: usize) -> Vec<String> {
    let gap = text.find("  ").unwrap_or(0);
    let column = gap + text[gap..].chars().take_while(|c| *c == ' ').count();
    let (head, tail) = text.split_at(column);
    let margin = head.chars().count();
    let mut lines = Vec::new();
    let mut line = head.to_string();
    let mut width = margin;
    for word in tail.split(' ') {
        let length = word.chars().count();
        if width > margin && width + 1 + length > most {
            lines.push(std::mem::replace(&mut line, " ".repeat(margin)));
            width = margin;
        }
        if width > margin {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += length;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_broken_at_blanks_below_its_column() {
        assert_eq!(broken("a b c", 3), ["a b", "c"]);
        assert_eq!(broken("a  bb cc dd", 8), ["a  bb cc", "   dd"]);
        assert_eq!(broken("unbreakable", 4), ["unbreakable"]);
        assert_eq!(broken("", 4), [""]);
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        let mut page = Page::default();
        page.pairs("sees", &[("/a".into(), "read".into(), Some(&Origin::Default)), ("/long".into(), "x".into(), None)]);
        page.row("ends", "with the command", Some(&Origin::CommandLine));
        let expected =
            "sees     /a     read       default\n         /long  x\nends     with the command  command line\n";
        assert_eq!(page.text(Look::PLAIN, Paint::name), expected);
    }
}
