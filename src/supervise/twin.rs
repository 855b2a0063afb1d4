// SPDX-License-Identifier: Apache-2.0
//! A service's second launcher. A launcher waits for most of a session's set-up, which runs in its memory
//! (`sandbox/loan.rs`), so that one alone leaves processors idle while clients wait. Where several wait at once, it is
//! asked for a twin: a copy of itself, with all that it has prepared and a socket of its own, that shares what it has
//! not written with it. A service that is at rest has none.
//!
//! Each owes its own answers, and no more than it can be at work on: what waits behind them waits here, and is nobody's
//! yet where one of them dies or is stopped. The other one goes on then, as the launcher.

use super::service::{Service, kill};
use super::supervisor::Supervisor;
use super::watch::{Output, Timer, Token, Watch};
use crate::sandbox::Launcher;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// For a twin there must be so many sessions that a launcher was asked for at once.
const CROWD: usize = 3;
/// For how many sessions each of two is asked at once: the one that it makes, and the next.
const OWED: usize = 2;
/// One of two that has said nothing for so long, and owes an answer, is asked for nothing more until it has.
const LATE: Duration = Duration::from_millis(100);
/// How long without use until a twin is let go of, and until one that ended so soon is made again.
const REST: Duration = Duration::from_secs(5);

/// Which one of a service's launchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that there always is.
    First,
    /// The second one.
    Twin,
}

/// Whether a launcher that is lost had been there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It had.
    Yes,
    /// It never came.
    No,
}

/// The second launcher of a service, and what is known where there is none.
#[derive(Debug, Default)]
pub(super) struct Twins {
    twin: Option<Twin>,
    /// Until when none is made.
    rest: Option<Instant>,
}

#[derive(Debug)]
struct Twin {
    launcher: Launcher,
    /// Sessions that it was asked for and has not answered.
    unanswered: BTreeSet<u64>,
    /// When it last said something, or was first asked after it owed nothing.
    heard: Instant,
    /// When it was last asked.
    used: Instant,
    /// When that is looked at.
    at: Instant,
}

impl Twins {
    /// It, there or not.
    pub(super) fn launcher(&self) -> Option<&Launcher> {
        self.twin.as_ref().map(|twin| &twin.launcher)
    }

    /// How many answers it owes.
    pub(super) fn owed(&self) -> usize {
        self.twin.as_ref().map_or(0, |twin| twin.unanswered.len())
    }

    /// It took a request.
    pub(super) fn asked(&mut self, session: u64, now: Instant) {
        let Some(twin) = &mut self.twin else { return };
        if twin.unanswered.is_empty() {
            twin.heard = now;
        }
        twin.used = now;
        twin.unanswered.insert(session);
    }

    /// It answered. False: it was not asked for that session, or has answered before.
    pub(super) fn answered(&mut self, session: u64, now: Instant) -> bool {
        self.twin.as_mut().is_some_and(|twin| {
            twin.heard = now;
            twin.unanswered.remove(&session)
        })
    }

    /// A session that waits for a word of it, and since when it has said none.
    pub(super) fn waiting(&self) -> Option<(Instant, u64)> {
        let twin = self.twin.as_ref()?;
        twin.unanswered.first().map(|session| (twin.heard, *session))
    }

    /// Which launcher a session waits for.
    pub(super) fn whose(&self, session: u64) -> Which {
        match self.twin.as_ref().is_some_and(|twin| twin.unanswered.contains(&session)) {
            true => Which::Twin,
            false => Which::First,
        }
    }

    /// It, once it is there.
    fn there(&self) -> Option<&Twin> {
        self.twin.as_ref().filter(|twin| twin.launcher.pid().is_some())
    }
}

impl Service {
    /// The launcher that is to be asked next. None where neither is to be asked before it has answered.
    pub(super) fn next_launcher(&self, now: Instant) -> Option<(Which, &Launcher)> {
        let first = self.launcher.as_ref()?;
        let Some(twin) = self.twins.there() else { return Some((Which::First, first)) };
        let of_first = may_be_asked(self.unanswered.len(), self.heard, now);
        let of_twin = may_be_asked(twin.unanswered.len(), twin.heard, now);
        match (of_first, of_twin) {
            (Some(owed), Some(of_twin)) if of_twin < owed => Some((Which::Twin, &twin.launcher)),
            (Some(_), _) => Some((Which::First, first)),
            (None, Some(_)) => Some((Which::Twin, &twin.launcher)),
            (None, None) => None,
        }
    }

    /// One of its launchers, where it has it.
    pub(super) fn launcher_mut(&mut self, which: Which) -> Option<&mut Launcher> {
        match which {
            Which::First => self.launcher.as_mut(),
            Which::Twin => self.twins.twin.as_mut().map(|twin| &mut twin.launcher),
        }
    }

    /// Whether this launcher owes an answer.
    pub(super) fn owes(&self, which: Which) -> bool {
        match which {
            Which::First => !self.unanswered.is_empty(),
            Which::Twin => self.twins.owed() > 0,
        }
    }

    /// Asks for a twin where there is use for one. Where it cannot be had, the launcher serves alone.
    pub(super) fn expect_twin(&mut self, watch: &mut Watch, now: Instant) {
        let Some(launcher) = self.launcher.as_ref().filter(|_| self.unanswered.len() >= CROWD) else { return };
        let soon = self.twins.rest.is_some_and(|until| now < until);
        if self.twins.twin.is_some() || self.coming.is_some() || soon {
            return;
        }
        self.twins.rest = Some(now + REST);
        if !has_processors() {
            return;
        }
        let Ok(twin) = launcher.twin() else { return };
        if watch.add(&twin, Token::Twin(self.number)).is_err() {
            return;
        }
        let at = now + REST;
        watch.set(Timer::Twin(self.number), None, at);
        self.twins.twin = Some(Twin { launcher: twin, unanswered: BTreeSet::new(), heard: now, used: now, at });
    }

    /// Lets go of the twin, and kills it. Whoever waited for it is returned.
    pub(super) fn end_twin(&mut self, watch: &Watch, now: Instant) -> BTreeSet<u64> {
        let Some(Twin { launcher, unanswered, .. }) = self.twins.twin.take() else { return BTreeSet::new() };
        self.twins.rest = Some(now + REST);
        kill(launcher, watch);
        unanswered
    }

    /// Lets go of one of two launchers, and kills it: the other one goes on. Whoever waited for it is returned. Nothing
    /// is done where there is no other one.
    pub(super) fn lose_one(&mut self, watch: &Watch, which: Which, now: Instant) -> Option<(Vec<u64>, Known)> {
        let there = self.twins.there();
        match which {
            Which::Twin => {
                let known = if there.is_some() { Known::Yes } else { Known::No };
                Some((self.end_twin(watch, now).into_iter().collect(), known))
            }
            Which::First => {
                watch.await_input(&there?.launcher, Token::Launcher(self.number)).ok()?;
                let Twin { launcher, unanswered, heard, .. } = self.twins.twin.take()?;
                self.twins.rest = Some(now + REST);
                self.launcher.replace(launcher).into_iter().for_each(|first| kill(first, watch));
                self.output = Output::Unwanted;
                self.heard = heard;
                let lost = std::mem::replace(&mut self.unanswered, unanswered);
                Some((lost.into_iter().collect(), Known::Yes))
            }
        }
    }
}

impl Supervisor {
    /// The moment has come to look whether a service still has use for its twin.
    pub(super) fn twin_is_due(&mut self, number: usize, now: Instant) {
        let Some(service) = self.services.get_mut(number) else { return };
        let Some(twin) = service.twins.twin.as_mut().filter(|twin| twin.at <= now) else { return };
        if twin.unanswered.is_empty() && now.saturating_duration_since(twin.used) >= REST {
            service.end_twin(&self.watch, now);
            service.twins.rest = None;
            return self.expect_strays();
        }
        twin.at = now.max(twin.used) + REST;
        self.watch.set(Timer::Twin(number), None, twin.at);
    }
}

/// How much a launcher owes that may be asked for more.
fn may_be_asked(owed: usize, heard: Instant, now: Instant) -> Option<usize> {
    let late = owed > 0 && now.saturating_duration_since(heard) >= LATE;
    (owed < OWED && !late).then_some(owed)
}

/// Whether two launchers can run at once.
fn has_processors() -> bool {
    let ours = |set: CpuSet| (0..CpuSet::count()).filter(|number| set.is_set(*number) == Ok(true)).count();
    sched_getaffinity(Pid::from_raw(0)).is_ok_and(|set| ours(set) > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_is_asked_for_no_more_than_it_is_at_work_on_and_not_while_it_is_silent() {
        let heard = Instant::now();
        let asked = |owed, after: Duration| may_be_asked(owed, heard, heard + after);
        let (soon, late) = (LATE - Duration::from_millis(1), LATE);
        assert_eq!([asked(0, soon), asked(1, soon), asked(2, soon)], [Some(0), Some(1), None]);
        assert_eq!([asked(0, late), asked(1, late), asked(2, late)], [Some(0), None, None]);
    }
}
