// SPDX-License-Identifier: Apache-2.0
//! What standard output and standard error are: whether they are painted, and how wide they are. The owner of a
//! terminal decides, by NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb, see no-color.org, or by --color; into
//! anything else goes plain text, of a width that does not depend on where it was made.

use super::cli::When;
use crate::plan::explain::Look;
use crate::policy::Paint;
use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use std::io::IsTerminal;

/// No page is made narrower: its columns would have no room.
const NARROWEST: usize = 72;

/// Heeds `--color`, which wins over the environment.
pub(super) fn heed(when: When) {
    match when {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Of pages on standard output.
pub(super) fn look() -> Look {
    let output = std::io::stdout();
    let most = Look::PLAIN.width;
    let width = match terminal_size::terminal_size_of(&output) {
        // What has no width has told none.
        Some((terminal_size::Width(width), _)) if output.is_terminal() && width > 0 => usize::from(width),
        Some(_) | None => most,
    };
    Look { width: width.clamp(NARROWEST, most), paint: paint(&output) }
}

/// Columns and rows of standard output, where it is a terminal that tells them.
pub(super) fn size() -> Option<(usize, usize)> {
    let output = std::io::stdout();
    let (terminal_size::Width(width), terminal_size::Height(height)) = terminal_size::terminal_size_of(&output)?;
    (output.is_terminal() && width > 0 && height > 0).then(|| (width.into(), height.into()))
}

/// Whether this is painted.
pub(super) fn paint(stream: &impl RawStream) -> Paint {
    match AutoStream::choice(stream) {
        ColorChoice::Never => Paint::Off,
        ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => Paint::On,
    }
}
