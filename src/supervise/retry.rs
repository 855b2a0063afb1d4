// SPDX-License-Identifier: Apache-2.0
//! When what failed is tried again: after a pause that grows, and that no two services have alike, so that many which
//! failed together are not tried together. Says what is news: that it fails, that it fails otherwise, and that it is
//! over.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The pause after the first failure, without what chance takes off.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// Of how many parts of a pause chance takes up to one.
const PARTS: u32 = 4;
/// After so many doublings it is the longest.
const DOUBLINGS: u32 = 9;

/// The tries of one service.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// Since the last success.
    failed: u32,
    /// Since then, or since it was last to begin again.
    in_row: u32,
    why: Option<String>,
}

impl Retry {
    /// It has failed: how long to wait, and whether that, or why, is news.
    pub(super) fn fail(&mut self, why: String) -> (Duration, bool) {
        let pause = pause(self.in_row, RandomState::new().build_hasher().finish());
        self.failed = self.failed.saturating_add(1);
        self.in_row = self.in_row.saturating_add(1);
        let news = self.why.as_ref() != Some(&why);
        self.why = Some(why);
        (pause, news)
    }

    /// It has not: how often it had before, where that was said.
    pub(super) fn succeed(&mut self) -> Option<u32> {
        let failed = std::mem::take(self).failed;
        (failed > 0).then_some(failed)
    }

    /// Why it fails, where it does.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// It is tried at once, and then as at the start; what was said stays said.
    pub(super) fn begin_again(&mut self) {
        self.in_row = 0;
    }
}

fn pause(in_row: u32, chance: u64) -> Duration {
    let whole = (FIRST * 2_u32.pow(in_row.min(DOUBLINGS))).min(LONGEST);
    let part = whole / PARTS;
    let off = chance % u64::try_from(part.as_millis()).unwrap_or(u64::MAX);
    whole - Duration::from_millis(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_to_five_minutes_and_chance_takes_a_quarter_at_most() {
        let longest: Vec<u64> = (0..12).map(|in_row| pause(in_row, 0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(pause(0, 249), Duration::from_millis(751));
        assert_eq!(pause(u32::MAX, 74_999), Duration::from_millis(225_001));
    }

    #[test]
    fn a_failure_is_news_once_and_so_is_its_end() {
        let mut retry = Retry::default();
        assert_eq!(retry.succeed(), None);
        let news = ["no memory", "no memory", "no space", "no space"].map(|why| retry.fail(why.to_string()).1);
        assert_eq!(news, [true, false, true, false]);
        assert_eq!(retry.succeed(), Some(4));
        assert!(retry.fail("no space".to_string()).1);
        retry.begin_again();
        let (pause, news) = retry.fail("no space".to_string());
        assert!(pause <= FIRST && !news, "{pause:?}");
        assert_eq!(retry.succeed(), Some(2));
    }
}
