// SPDX-License-Identifier: Apache-2.0
//! What an operator reads when something that was written is wrong: the place, the text, the reason, the way out.
//! Words only: nothing is read, nothing is decided, and nothing that a client sent ever comes here.

use super::origin::Origin;
use super::paint::Paint;
use super::source::Source;
use crate::log::is_seen;
use annotate_snippets::{AnnotationKind, Element, Level, Message, Origin as Arrow, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// The most mistakes that one pass over a file reports; more would hide the first.
pub(super) const MOST_MISTAKES: usize = 20;

/// A line of a file that is longer is not quoted, and a text of ours that quotes more of one is cut.
const LONGEST_LINE: usize = 2048;
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

    /// The same mistakes at `span` of `source`, which made them: each as `with` leaves it. One that has a place of its own
    /// keeps it.
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
        self.mistakes.iter().map(|mistake| mistake.render(paint)).collect::<Vec<_>>().join("\n\n")
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

    fn told(&self) -> Told {
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

    fn render(&self, paint: Paint) -> String {
        let unquoted = matches!(&self.place, Place::Text(source, span) if !is_quotable(source, span));
        let label = self.label.as_ref().filter(|_| unquoted).map_or(String::new(), |label| format!(": {label}"));
        let title = format!("{}{label}", self.title);
        let mut report = Level::ERROR.primary_title(title).elements(Vec::<Message<'_>>::new());
        match &self.place {
            Place::Text(source, span) if unquoted => {
                let (line, column) = source.position(span.start);
                let arrow = Arrow::path(printable(&source.title())).line(line as usize);
                report = report.element(arrow.char_column(column as usize));
            }
            Place::Text(source, span) => report = report.element(self.snippet(source, span)),
            Place::Origin(Origin::File { path, line, column }) => {
                let arrow = Arrow::path(printable(&path.display().to_string())).line(*line as usize);
                report = report.element(arrow.char_column(*column as usize));
            }
            Place::Origin(origin) => report = report.element(Arrow::path(printable(&origin.to_string()))),
            Place::Path(path) => report = report.element(Arrow::path(printable(&path.display().to_string()))),
            Place::Nowhere => {}
        }
        let help = self.help.iter().map(|help| Level::HELP.message(help.as_str()));
        let renderer = match paint {
            Paint::On => Renderer::styled(),
            Paint::Off => Renderer::plain(),
        };
        let report = renderer.render(&[report.elements(help)]);
        // It shows the controls of ASCII, and lets U+0080 to U+009F pass, which begin escape sequences as well.
        report.chars().map(|c| if matches!(c, '\u{80}'..='\u{9f}') { '\u{fffd}' } else { c }).collect()
    }

    fn snippet<'a>(&'a self, source: &'a Source, span: &Range<usize>) -> Element<'a> {
        let label = self.label.as_deref();
        // The renderer reads all that it is given, so it gets the lines between the two places alone.
        let context = self.context.as_ref().filter(|(other, _)| is_quotable(source, other));
        let spans = || [span].into_iter().chain(context.map(|(span, _)| span));
        let from = source.line(spans().map(|span| span.start).min().unwrap_or(0)).0;
        let (last, line) = source.line(spans().map(|span| span.end).max().unwrap_or(0));
        let text = &source.text()[from..last + line.len()];
        let here = |span: &Range<usize>| span.start - from..span.end - from;
        let context = context.map(|(span, text)| AnnotationKind::Context.span(here(span)).label(text));
        Snippet::source(text)
            .line_start(source.position(from).0 as usize)
            .path(printable(&source.title()))
            .annotations(context)
            .annotation(AnnotationKind::Primary.span(here(span)).label(label))
            .into()
    }
}

/// Whether a person would read the lines that `span` is in.
fn is_quotable(source: &Source, span: &Range<usize>) -> bool {
    let (start, _) = source.line(span.start);
    let (last, line) = source.line(span.end);
    last + line.len() - start <= LONGEST_LINE
}

/// A text of ours, which may quote what was written: on one line, nothing unseen in it, and no longer than anyone reads.
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
mod tests {
    use super::super::source::Name;
    use super::*;
    use std::sync::Arc;

    fn source() -> Source {
        let path = Arc::new(PathBuf::from("/etc/spawnbox/greylist.toml"));
        Source::new(Name::File(path), "version = 1\n\n[limits]\nmemroy = \"64M\"\n")
    }

    fn mistake() -> Mistake {
        Mistake::new("unknown key `memroy`")
            .at(&source(), 22..28)
            .label("not a key of this table")
            .see(13..21, "in this table")
            .suggest("memroy", ["memory", "time"])
    }

    #[test]
    fn the_report_has_the_shape_of_rustc() {
        let expected = "\
error: unknown key `memroy`
 --> /etc/spawnbox/greylist.toml:4:1
  |
3 | [limits]
  | -------- in this table
4 | memroy = \"64M\"
  | ^^^^^^ not a key of this table
  |
  = help: did you mean `memory`?";
        assert_eq!(InputError::from(mistake()).to_string(), expected);
    }

    #[test]
    fn the_log_line_has_place_reason_and_way_out() {
        let lines: Vec<_> = InputError::from(mistake()).lines().collect();
        let expected = "/etc/spawnbox/greylist.toml:4:1: unknown key `memroy`: not a key of this table \
                        (did you mean `memory`?)";
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn a_control_character_cannot_forge_a_log_line() {
        let error = InputError::from(Mistake::new("unknown key `a\nwarning: b`"));
        assert_eq!(error.lines().next().unwrap(), "unknown key `a\\u{a}warning: b`");
        assert!(!error.to_string().contains("\nwarning"));
    }

    #[test]
    fn no_text_speaks_to_a_terminal() {
        let source = Source::new(Name::CommandLine, "a = \"\u{9b}31m\u{1b}[35m\"");
        let error = InputError::from(Mistake::new("\u{1b}\u{9b}").at(&source, 4..16).label("\u{90}").help("\0\n"));
        let report = error.to_string();
        assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
        // What is painted is painted by us alone.
        let painted = error.report(Paint::On);
        assert!(painted.contains("\u{1b}[") && !painted.contains("\u{1b}[35m"), "{painted:?}");
        let foreign = |c: char| c.is_control() && c != '\n' && c != '\u{1b}';
        assert!(!painted.contains(foreign), "{painted:?}");
    }

    #[test]
    fn a_mistake_may_have_an_origin_a_path_or_no_place() {
        let path = Arc::new(PathBuf::from("/p.toml"));
        let origin = Origin::File { path, line: 3, column: 7 };
        for (mistake, report) in [
            (Mistake::new("bad").written(&origin), "error: bad\n--> /p.toml:3:7"),
            (Mistake::new("bad").written(&Origin::CommandLine), "error: bad\n--> command line"),
            (Mistake::new("bad").in_file("/p.toml"), "error: bad\n--> /p.toml"),
            (Mistake::new("bad"), "error: bad"),
        ] {
            assert_eq!(InputError::from(mistake).to_string(), report);
        }
    }

    #[test]
    fn only_a_slip_is_suggested() {
        for (word, expected) in [
            ("memroy", Some("memory")),
            ("open_files", Some("open-files")),
            ("Time", Some("time")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, ["memory", "open-files", "time"]), expected, "{word}");
        }
    }
}
