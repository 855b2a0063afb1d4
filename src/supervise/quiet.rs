// SPDX-License-Identifier: Apache-2.0
//! Whether to say something that may happen again and again: once a minute, with a count of what was not said
//! meanwhile. A session's own line is not its concern: that one is always written. Pure.

use std::fmt;
use std::time::{Duration, Instant};

/// How long nothing more is said.
const QUIET: Duration = Duration::from_secs(60);

/// One kind of trouble of one service.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    told: Option<Instant>,
    untold: u32,
}

/// How often the same was not said since the last line; stands behind the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untold(u32);

impl Quiet {
    /// It has happened. `None` where it was said lately.
    pub(super) fn tell(&mut self, now: Instant) -> Option<Untold> {
        match self.told {
            Some(told) if now.saturating_duration_since(told) < QUIET => {
                self.untold = self.untold.saturating_add(1);
                None
            }
            Some(_) | None => {
                self.told = Some(now);
                Some(Untold(std::mem::take(&mut self.untold)))
            }
        }
    }
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, "; as before, lines suppressed: {count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_that_goes_on_is_told_once_a_minute_with_a_count() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let told = [0, 1, 59, 60, 61, 200].map(|s| quiet.tell(start + Duration::from_secs(s)).map(|u| u.to_string()));
        let suppressed = |count| Some(format!("; as before, lines suppressed: {count}"));
        assert_eq!(told, [Some(String::new()), None, None, suppressed(2), None, suppressed(1)]);
    }
}
