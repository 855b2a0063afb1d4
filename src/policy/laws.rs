// SPDX-License-Identifier: Apache-2.0
//! What must hold of every text that is read as a policy. For tests and fuzzers only.

use super::diagnose::InputError;
use super::extend::extend;
use super::load::from_text;
use super::{Policy, amount, set};
use crate::fuzz::assert_one_line;

/// A policy file: a policy, or a complaint about places that it has.
pub(crate) fn file(text: &str) {
    match policy(text) {
        Ok(policy) => assert_eq!(policy.sources.first().map(|source| source.text()), Some(text)),
        Err(error) => complaint(&error),
    }
}

/// A policy for whoever has laws of its own about it.
pub(crate) fn policy(text: &str) -> Result<Policy, InputError> {
    from_text(text, &[])
}

/// `-s key=value`.
pub(crate) fn assignment(text: &str) {
    match set::layer(text) {
        // What it sets is forced, so that laid over itself it changes nothing but the order of a list.
        Ok(layer) => {
            let once = extend(layer.clone(), layer.clone());
            assert_eq!(extend(once.clone(), layer), once);
        }
        Err(error) => complaint(&error),
    }
    let quoted = set::quote(text);
    let read = toml::de::DeValue::parse(&quoted).unwrap_or_else(|error| panic!("{quoted}: {error}"));
    assert_eq!(read.get_ref().as_str(), Some(text));
}

/// A time or a size: what is read is what a number of the smallest unit would be. Returns the size.
pub(crate) fn amount(text: &str) -> Option<u64> {
    match amount::time(text) {
        Ok(time) => assert_eq!(amount::time(&format!("{}s", time.as_secs())), Ok(time)),
        Err(why) => assert_one_line(&why),
    }
    let size = amount::size(text);
    match &size {
        Ok(bytes) => assert_eq!(amount::size(&bytes.to_string()), size),
        Err(why) => assert_one_line(why),
    }
    size.ok()
}

/// Every mistake stands inside the text that it quotes, and is one line in a log.
pub(crate) fn complaint(error: &InputError) {
    let lines: Vec<String> = error.lines().collect();
    assert!(!lines.is_empty());
    lines.iter().for_each(|line| assert_one_line(line));
    error.assert_inside();
    // A report is slow to draw: those of one length in eight are enough.
    if !lines.concat().len().is_multiple_of(8) {
        return;
    }
    let report = error.to_string();
    assert!(report.starts_with("error: "), "{report}");
    let forged = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!report.contains(forged), "{report:?}");
}

/// Texts laid over one another, the first at the bottom, as `extends` does it.
#[cfg(test)]
pub(crate) fn laid_over(texts: &[&str]) -> Policy {
    use super::read;
    use super::shape::{self, Version};
    use super::source::{Name, Source};

    let layer = |text: &&str| {
        let source = Source::new(Name::CommandLine, *text);
        let file = shape::parse(&source, Version::Implied).unwrap_or_else(|error| panic!("{error}"));
        read::read(file, &source).unwrap_or_else(|error| panic!("{error}"))
    };
    texts.iter().map(layer).reduce(extend).map_or_else(|| Policy::named(""), |layer| layer.policy)
}
