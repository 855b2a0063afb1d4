// SPDX-License-Identifier: Apache-2.0
//! The README's part that a run writes, between two comments that nobody sees. The rest of it is never touched.

use std::fs;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- What stands here is written by: cargo bench -- --readme -->\n";
const END: &str = "<!-- As far as here. -->\n";

/// Puts this text there.
pub(crate) fn write(text: &str) -> Result<(), String> {
    let old = fs::read_to_string(PATH).map_err(|error| format!("cannot read {PATH}: {error}"))?;
    let new = replaced(&old, text).ok_or_else(|| format!("{PATH} has not one place for it, from {BEGIN}to {END}"))?;
    fs::write(PATH, new).map_err(|error| format!("cannot write {PATH}: {error}"))
}

fn replaced(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (between, after) = rest.split_once(END)?;
    let once = ![before, between, after].iter().any(|part| part.contains(BEGIN) || part.contains(END));
    once.then(|| format!("{before}{BEGIN}{text}{END}{after}"))
}

/// For the short form, since a benchmark has no unit tests.
pub(crate) fn assert_right() {
    let page = |text: &str| format!("# a\n{BEGIN}{text}{END}b\n");
    assert_eq!(replaced(&page("old\n"), "new\n"), Some(page("new\n")));
    assert_eq!(replaced(&page(&page("")), "new\n"), None);
    assert_eq!(replaced("# a\n", "new\n"), None);
    let own = fs::read_to_string(PATH).expect("there is a README");
    assert!(replaced(&own, "").is_some(), "the README has no place for what a run says");
}
