// SPDX-License-Identifier: Apache-2.0
//! A mistake as whoever edits the file reads it: in the shape of rustc's, with the lines that it is about.

use super::{Mistake, Place, printable};
use crate::policy::origin::Origin;
use crate::policy::paint::Paint;
use crate::policy::source::Source;
use annotate_snippets::{AnnotationKind, Element, Level, Message, Origin as Arrow, Renderer, Snippet};
use std::ops::Range;

/// A line of a file that is longer is not quoted.
const LONGEST_LINE: usize = 2048;

impl Mistake {
    /// With the text that it is about, where there is one.
    pub(super) fn report(&self, paint: Paint) -> String {
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
