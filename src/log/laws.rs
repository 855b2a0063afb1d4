// SPDX-License-Identifier: Apache-2.0
//! What must hold of every text that becomes a line of the log. For tests and fuzzers only.

use super::{MAX_TEXT, clean};

/// One short line, and the same after it was cleaned again.
pub(crate) fn line(text: &str) {
    let line = clean(text);
    assert!(line.len() <= MAX_TEXT.max(1) && !line.contains(char::is_control));
    assert_eq!(clean(&line), line);
    assert_eq!(line.chars().count(), text.chars().take(line.chars().count()).count());
}
