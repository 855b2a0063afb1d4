// SPDX-License-Identifier: Apache-2.0
//! The checks of single values: each turns one written value into one that can be used, or notes a mistake.
//! Goes on after a mistake, so that one run finds them all.

use super::amount;
use super::diagnose::{InputError, MOST_MISTAKES, Mistake};
use super::file::{Amount, List, PortList, Ports as PortsTable, Size, Table, Time};
use super::model::Ports;
use super::origin::Sourced;
use super::source::Source;
use super::variables;
use super::words::Word;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// The longest path that a system call takes, with its NUL (`PATH_MAX`, limits.h of the kernel).
const LONGEST_PATH: usize = 4096;

/// A source whose values are checked, and the mistakes so far.
pub(super) struct Check<'a> {
    source: &'a Source,
    mistakes: Vec<Mistake>,
}

/// Whether a path may be the root directory itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootPath {
    /// It is a place like any other.
    Allowed,
    /// It would stand for the whole host.
    Refused,
}

impl<'a> Check<'a> {
    /// No mistake yet.
    pub(super) fn new(source: &'a Source) -> Self {
        Check { source, mistakes: Vec::new() }
    }

    /// Fails if there was a mistake.
    pub(super) fn finish(self) -> Result<(), InputError> {
        InputError::unless_none(self.mistakes)
    }

    /// Notes a mistake at `span`, unless there are more than anyone reads.
    pub(super) fn mistake(&mut self, mistake: Mistake, span: Range<usize>) {
        if self.mistakes.len() < MOST_MISTAKES {
            self.mistakes.push(mistake.at(self.source, span));
        }
    }

    /// Notes a value that the key cannot have.
    pub(super) fn impossible(&mut self, key: &str, span: Range<usize>, why: impl Into<String>) {
        self.mistake(Mistake::new(format!("impossible value of `{key}`")).label(why), span);
    }

    /// `value` with the origin of `span`.
    pub(super) fn sourced<T>(&self, value: T, span: &Range<usize>) -> Sourced<T> {
        Sourced::new(value, self.source.origin(span))
    }

    /// A value that needs no check.
    pub(super) fn plain<T>(&self, written: Option<Spanned<T>>) -> Option<Sourced<T>> {
        written.map(|value| {
            let span = value.span();
            self.sourced(value.into_inner(), &span)
        })
    }

    /// A value that `check` makes of what was written; `Err` is the reason why it cannot.
    pub(super) fn value<T, U>(
        &mut self,
        key: &str,
        written: Option<Spanned<T>>,
        check: impl FnOnce(T) -> Result<U, String>,
    ) -> Option<Sourced<U>> {
        let written = written?;
        let span = written.span();
        match check(written.into_inner()) {
            Ok(value) => Some(self.sourced(value, &span)),
            Err(why) => {
                self.impossible(key, span, why);
                None
            }
        }
    }

    /// A word that stands for one of a few things.
    pub(super) fn word<W: Word>(&mut self, key: &str, written: Option<Spanned<String>>) -> Option<Sourced<W>> {
        let written = written?;
        let found = W::from_word(written.get_ref());
        if found.is_none() {
            let words: Vec<_> = W::words().into_iter().map(|(word, _)| word).collect();
            let mistake = Mistake::new(format!("unknown word for `{key}`")).label("has no meaning here");
            self.mistake(mistake.suggest(written.get_ref(), words), written.span());
        }
        found.map(|value| self.sourced(value, &written.span()))
    }

    /// Words, each of which stands for one of a few things.
    pub(super) fn words<W: Word>(&mut self, key: &str, written: List<String>) -> Vec<Sourced<W>> {
        written.into_iter().filter_map(|word| self.word(key, Some(word))).collect()
    }

    /// Words that are one value together.
    pub(super) fn word_set<W: Word + Ord>(
        &mut self,
        key: &str,
        written: Option<Spanned<List<String>>>,
    ) -> Option<Sourced<BTreeSet<W>>> {
        let written = written?;
        let span = written.span();
        let set = self.words(key, written.into_inner()).into_iter().map(|word| word.value).collect();
        Some(self.sourced(set, &span))
    }

    /// A whole number in `range`.
    pub(super) fn count(
        &mut self,
        key: &str,
        written: Option<Spanned<i64>>,
        range: RangeInclusive<i64>,
    ) -> Option<Sourced<u64>> {
        self.value(key, written, |number| match u64::try_from(number) {
            Ok(count) if range.contains(&number) => Ok(count),
            _ if *range.end() == i64::MAX => Err(format!("must be at least {}", range.start())),
            _ => Err(format!("must be from {} to {}", range.start(), range.end())),
        })
    }

    /// A size of at least `least` bytes.
    pub(super) fn size(&mut self, key: &str, written: Option<Spanned<Size>>, least: u64) -> Option<Sourced<u64>> {
        self.value(key, written, |Size(amount)| {
            let bytes = match amount {
                Amount::Number(number) => amount::size(&number.to_string())?,
                Amount::Text(text) => amount::size(&text)?,
            };
            if bytes < least { Err(format!("must be at least {least}")) } else { Ok(bytes) }
        })
    }

    /// A time of at least a second.
    pub(super) fn time(&mut self, key: &str, written: Option<Spanned<Time>>) -> Option<Sourced<Duration>> {
        self.value(key, written, |Time(amount)| {
            let time = match amount {
                Amount::Number(number) => amount::time(&number.to_string())?,
                Amount::Text(text) => amount::time(&text)?,
            };
            if time.is_zero() { Err("must be at least 1s".to_owned()) } else { Ok(time) }
        })
    }

    /// Text that people read in one line.
    pub(super) fn line(&mut self, key: &str, written: Option<Spanned<String>>) -> Option<Sourced<String>> {
        self.value(key, written, |text| {
            if text.chars().any(char::is_control) { Err("must be one line of text".to_owned()) } else { Ok(text) }
        })
    }

    /// An absolute path, as it stands between two NULs in the kernel.
    pub(super) fn path(
        &mut self,
        key: &str,
        text: &str,
        span: Range<usize>,
        root: RootPath,
    ) -> Option<Sourced<PathBuf>> {
        if let Err(why) = variables::check(text) {
            self.impossible(key, span, why);
            return None;
        }
        match path(text, root) {
            Ok(path) => Some(self.sourced(path, &span)),
            Err(mistake) => {
                self.mistake(mistake(key), span);
                None
            }
        }
    }

    /// `{ ports = ... }`
    pub(super) fn ports(&mut self, key: &str, written: Option<Table<PortsTable>>) -> Option<Sourced<Ports>> {
        let ports = written?.0.ports;
        let span = ports.span();
        let ports = match ports.into_inner() {
            PortList::Word(word) if word == "any" => Ports::Any,
            PortList::Word(_) => {
                self.impossible(key, span, "write \"any\", or a list such as [25]");
                return None;
            }
            PortList::List(list) => {
                let ports = list.into_iter().filter_map(|port| {
                    // Port 0 would be "any free port" to bind(2) and to Landlock: say "any" where it is meant.
                    let port = self.count(key, Some(port), 1..=i64::from(u16::MAX))?;
                    u16::try_from(port.value).ok()
                });
                Ports::List(ports.collect())
            }
        };
        Some(self.sourced(ports, &span))
    }
}

/// `text` as a path without detours; a mistake wants to know its key, or what else it stands in.
pub(super) fn path(text: &str, root: RootPath) -> Result<PathBuf, fn(&str) -> Mistake> {
    if !text.starts_with('/') {
        return Err(|key| Mistake::new(format!("relative path in `{key}`")).label("a path starts with `/`"));
    }
    if text.contains('\0') || text.len() >= LONGEST_PATH {
        return Err(|key| Mistake::new(format!("impossible path in `{key}`")).label("no file can have this name"));
    }
    if text.split('/').any(|part| part == "." || part == "..") {
        return Err(|key| {
            Mistake::new(format!("path with a detour in `{key}`")).label("write it without `.` and `..`")
        });
    }
    let path: PathBuf = std::path::Path::new(text).components().collect();
    if root == RootPath::Refused && path.parent().is_none() {
        return Err(|key| {
            Mistake::new(format!("the root directory in `{key}`"))
                .label("this is the whole host")
                .help("list what the command needs, or say `root = \"host\"`")
        });
    }
    Ok(path)
}
