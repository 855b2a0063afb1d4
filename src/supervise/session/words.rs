// SPDX-License-Identifier: Apache-2.0
//! What a session's command says on its standard error, where that is for the log: when it is looked at.

use super::Session;
use crate::supervise::stderr::{Heard, Pace, Voice};
use crate::supervise::watch::{Timer, Token, Watch};
use nix::errno::Errno;
use std::time::Instant;

impl Session {
    /// Takes what is there of the command's standard error. What may be said of it is the service's.
    pub(in crate::supervise) fn hear_stderr(
        &mut self,
        (watch, pace): (&mut Watch, &mut Pace),
        voice: &mut Voice<'_>,
        now: Instant,
    ) {
        let Some(stderr) = &mut self.stderr else { return };
        match stderr.hear(voice, now) {
            Heard::Open => {
                watch.remove(&*stderr);
                let at = pace.next(now);
                watch.set(Timer::Stderr(self.id), self.resume.replace(at), at);
            }
            Heard::Closed => {
                watch.remove(&*stderr);
                self.stderr = None;
            }
        }
    }

    /// Its standard error has been left alone for a while: watched again.
    pub(in crate::supervise) fn resume_stderr(&mut self, watch: &Watch) -> Result<(), Errno> {
        self.resume = None;
        self.stderr.as_ref().map_or(Ok(()), |stderr| watch.add(stderr, Token::Stderr(self.id)))
    }

    /// Nobody is left to write: what was written up to now is said, and that is the end of it.
    pub(in crate::supervise) fn hear_last_words(&mut self, watch: &mut Watch, voice: &mut Voice<'_>, now: Instant) {
        watch.cancel(Timer::Stderr(self.id), self.resume.take());
        if let Some(stderr) = self.stderr.take() {
            watch.remove(&stderr);
            stderr.hear_the_last(voice, now);
        }
    }
}
