// SPDX-License-Identifier: Apache-2.0
//! What an operator reads when something that was written is wrong: the place, the text, the reason, the way out.
//! Words only: nothing is read, nothing is decided, and nothing that a client sent ever comes here.

mod report;

use super::origin::Origin;
use super::paint::Paint;
use super::source::Source;
use crate::log::is_seen;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// The most mistakes that one pass over a file reports; more would hide the first.
pub(super) const MOST_MISTAKES: usize = 20;

/// A text of ours that quotes more of a file is cut.
const LONGEST_TEXT: usize = 500;

/// A word that is longer is nobody's slip for one of ours, and slow to compare.
const LONGEST_WORD: usize = 64;

/// Something an operator wrote is wrong: one or more mistakes, all of which were looked for at once.
///
/// `Display` is the whole report in rustc's shape, without colour; [`InputError::lines`] is for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    mistakes: Vec<Mistake>,
}

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    title: String,
    place: Place,
    label: Option<String>,
    context: Option<(Range<usize>, String)>,
    help: Vec<String>,
}

/// A mistake in its parts, each on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is wrong.
    pub what: String,
    /// The file, or what else it was written in.
    pub place: Option<String>,
    /// Line and column in the file, from one, where they are known.
    pub at: Option<(u32, u32)>,
    /// What is wrong with the text that stands there.
    pub label: Option<String>,
    /// Ways out.
    pub help: Vec<String>,
}

/// Where a mistake is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// These bytes of a text.
    Text(Source, Range<usize>),
    /// A line of a file whose text is not at hand, or the command line.
    Origin(Origin),
    /// A file as a whole.
    Path(PathBuf),
    /// The title says it all.
    Nowhere,
}

impl InputError {
    /// One line a mistake: `PATH:LINE:COLUMN: text`, for a log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.mistakes.iter().map(Mistake::line)
    }

    /// Panics where a mistake stands outside the text that it quotes.
    #[cfg(any(test, fuzzing))]
    pub(super) fn assert_inside(&self) {
        for mistake in &self.mistakes {
            let Place::Text(source, span) = &mistake.place else { continue };
            let spans = [span].into_iter().chain(mistake.context.iter().map(|(span, _)| span));
            for span in spans {
                assert!(
                    source.text().get(span.clone()).is_some(),
                    "{span:?} of {:?}: {}",
                    source.text(),
                    mistake.title
                );
            }
        }
    }

    /// The same mistakes at `span` of `source`, which made them: each as `with` leaves it. One that has a place of its
    /// own keeps it.
    pub(super) fn put_at(mut self, source: &Source, span: Range<usize>, with: impl Fn(Mistake) -> Mistake) -> Self {
        let place = |mistake: Mistake| match mistake.place {
            Place::Nowhere => mistake.at(source, span.clone()),
            Place::Text(..) | Place::Origin(_) | Place::Path(_) => mistake,
        };
        self.mistakes = self.mistakes.into_iter().map(|mistake| with(place(mistake))).collect();
        self
    }

    /// Every mistake, for a program.
    pub fn told(&self) -> impl Iterator<Item = Told> {
        self.mistakes.iter().map(Mistake::told)
    }

    /// Every mistake, for whoever edits the file.
    pub fn report(&self, paint: Paint) -> String {
        self.mistakes.iter().map(|mistake| mistake.report(paint)).collect::<Vec<_>>().join("\n\n")
    }

    /// The mistakes of several files, file by file.
    pub(super) fn join(errors: impl IntoIterator<Item = InputError>) -> Result<(), InputError> {
        let mistakes: Vec<Mistake> = errors.into_iter().flat_map(|error| error.mistakes).collect();
        if mistakes.is_empty() { Ok(()) } else { Err(InputError { mistakes }) }
    }

    /// Fails with `mistakes` unless there are none.
    pub(super) fn unless_none(mistakes: Vec<Mistake>) -> Result<(), InputError> {
        if mistakes.is_empty() { Ok(()) } else { Err(InputError::all(mistakes)) }
    }

    /// All of `mistakes`, of which there is at least one, in the order of the text that they are in.
    pub(super) fn all(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| match &mistake.place {
            Place::Text(_, span) => span.start,
            Place::Origin(_) | Place::Path(_) | Place::Nowhere => 0,
        });
        InputError { mistakes }
    }
}

impl From<Mistake> for InputError {
    fn from(mistake: Mistake) -> Self {
        InputError { mistakes: vec![mistake] }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report(Paint::Off))
    }
}

impl std::error::Error for InputError {}

impl Mistake {
    /// A mistake that has no place yet.
    pub fn new(title: impl Into<String>) -> Self {
        Mistake { title: seen(title), place: Place::Nowhere, label: None, context: None, help: Vec::new() }
    }

    /// It stands at `span` of `source`.
    pub fn at(mut self, source: &Source, span: Range<usize>) -> Self {
        self.place = Place::Text(source.clone(), span);
        self
    }

    /// It is the value that was written at `origin`.
    pub fn written(mut self, origin: &Origin) -> Self {
        self.place = Place::Origin(origin.clone());
        self
    }

    /// The same, with its text where one of `sources` has it.
    pub fn quoted(self, origin: &Origin, sources: &[Source]) -> Self {
        match sources.iter().find_map(|source| Some((source, source.value_at(origin)?))) {
            Some((source, span)) => self.at(source, span),
            None => self.written(origin),
        }
    }

    /// It is this file.
    pub fn in_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::Path(path.into());
        self
    }

    /// What is wrong with the text that it stands at.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(seen(text));
        self
    }

    /// Another part of the same source that one should see.
    pub fn see(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.context = Some((span, seen(text)));
        self
    }

    /// A way out.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(seen(text));
        self
    }

    /// Adds "did you mean" if one of `candidates` is near `word`, else the list of them.
    pub fn suggest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        match nearest(word, candidates.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self.help(format!("known here: {}", candidates.join(", "))),
        }
    }

    pub(super) fn told(&self) -> Told {
        let (place, at) = match &self.place {
            Place::Text(source, span) => (Some(source.title()), Some(source.position(span.start))),
            Place::Origin(Origin::File { path, line, column }) => {
                (Some(path.display().to_string()), Some((*line, *column)))
            }
            Place::Origin(origin) => (Some(origin.to_string()), None),
            Place::Path(path) => (Some(path.display().to_string()), None),
            Place::Nowhere => (None, None),
        };
        Told {
            what: self.title.clone(),
            place: place.map(|place| printable(&place)),
            at,
            label: self.label.clone(),
            help: self.help.clone(),
        }
    }

    fn line(&self) -> String {
        let place = match &self.place {
            Place::Text(source, span) => {
                let (line, column) = source.position(span.start);
                format!("{}:{line}:{column}: ", source.title())
            }
            Place::Origin(origin) => format!("{origin}: "),
            Place::Path(path) => format!("{}: ", path.display()),
            Place::Nowhere => String::new(),
        };
        let label = self.label.as_ref().map_or(String::new(), |label| format!(": {label}"));
        let help: String = self.help.iter().map(|help| format!(" ({help})")).collect();
        printable(&format!("{place}{}{label}{help}", self.title))
    }
}

/// A text of ours, which may quote what was written: on one line, nothing unseen in it, and no longer than anyone
/// reads.
fn seen(text: impl Into<String>) -> String {
    cut(printable(&text.into()))
}

/// No more of a text than anyone reads.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// The candidate that `word` is most likely a slip for.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    // rustc's measure: a third of the word may differ.
    let limit = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `text` on one line: what cannot be seen, in a file or in its name, must not forge a line of the log.
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = (!is_seen(c)).then(|| c.escape_unicode());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
#[path = "diagnose_tests.rs"]
mod tests;
