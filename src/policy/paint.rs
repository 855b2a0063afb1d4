// SPDX-License-Identifier: Apache-2.0
//! Whether what a person reads is painted, and in which colours. Whoever prints knows what it is printed on; what is
//! painted has no control character of its own.

use anstyle::{AnsiColor, Style};

/// Whether to paint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// For a terminal that wants it.
    On,
    /// For anything else.
    Off,
}

impl Paint {
    /// As it should be.
    pub fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Worth a look.
    pub fn doubtful(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// Wrong, or not there.
    pub fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    /// The name of what follows.
    pub fn name(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// Beside the point of the line.
    pub fn aside(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// Blanks and nothing are as they are, so that no line ends in what is not seen.
    fn with(self, style: Style, text: &str) -> String {
        match self {
            Paint::On if !text.trim().is_empty() => format!("{style}{text}{style:#}"),
            Paint::On | Paint::Off => text.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_painted_is_the_same_text() {
        let words = [Paint::good, Paint::doubtful, Paint::bad, Paint::name, Paint::aside];
        for paint in words {
            assert_eq!((paint(Paint::Off, "a b"), paint(Paint::On, " ")), ("a b".to_string(), " ".to_string()));
            let painted = paint(Paint::On, "a b");
            assert!(painted.starts_with("\u{1b}[") && painted.ends_with("a b\u{1b}[0m"), "{painted:?}");
        }
    }
}
