// SPDX-License-Identifier: Apache-2.0
//! A launcher that takes the place of another: of one that is gone, or of one that shows what is no longer there.
//! Preparing may take long, on a dead file system for ever, so nobody waits for it: until the next launcher is ready
//! the old one serves, and where there is none the sessions stay in the queue.

use super::audit::Audit;
use super::files::OpenFiles;
use super::retry;
use super::rights::Rights;
use super::service::Service;
use super::shown::Shown;
use super::trial;
use super::watch::{Output, Timer, Token, Watch};
use crate::sandbox::{HostError, Launcher, Slice};
use std::time::{Duration, Instant};

/// The next launcher.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) launcher: Launcher,
    state: Preparation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preparation {
    Running,
    /// It waits for the last answers of the one before.
    Done,
}

/// What became of the launcher that was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Nothing.
    Kept,
    /// It is the service's first, and cannot be had; another service goes on in its place.
    Impossible(HostError),
    /// It, or the one that should have taken its place, is to be reaped; the service can be asked.
    Replaced,
}

impl Service {
    /// Begins a launcher where there is none; where that fails, pauses.
    pub(super) fn repair(&mut self, watch: &mut Watch, files: &OpenFiles, now: Instant) {
        if self.launcher.is_some() || self.coming.is_some() || self.admission.is_closed() {
            return;
        }
        if let Err(error) = self.begin_launcher(watch, files, now) {
            self.cannot_prepare(watch, &error, now);
        }
    }

    /// Begins another launcher if what this one shows of the host was replaced.
    pub(super) fn renew(&mut self, watch: &mut Watch, files: &OpenFiles, now: Instant) {
        if self.launcher.is_none() || self.coming.is_some() || !self.shown.is_stale(now) {
            return;
        }
        if let Err(error) = self.begin_launcher(watch, files, now) {
            self.cannot_prepare(watch, &error, now);
        }
    }

    /// Takes what the next launcher says. Where it is ready and no answer is owed, it is the launcher from here on.
    pub(super) fn hear_coming(
        &mut self,
        watch: &mut Watch,
        (shared, audit, rights): (Option<&Slice>, &mut Audit, Rights),
        patience: Duration,
        now: Instant,
    ) -> Renewal {
        let Some(coming) = &mut self.coming else { return Renewal::Kept };
        match coming.launcher.prepared() {
            None => Renewal::Kept,
            Some(Ok(())) => {
                if self.admission.is_unproven() {
                    let slice = self.slice.as_ref().or(shared);
                    let proven = trial::run(&self.plan, &coming.launcher, slice, self.users.as_mut(), patience);
                    // What its self-test has heard, its sessions' records are heard of from here on.
                    if let Err(error) = proven.and_then(|()| audit.listen(&self.plan, rights, watch)) {
                        return self.lose_coming(watch, error, now);
                    }
                    self.admission.proven();
                }
                coming.state = Preparation::Done;
                // What it says from here on are answers, and nobody has asked it yet.
                watch.remove(&coming.launcher);
                self.take_over(watch, now)
            }
            Some(Err(error)) => self.lose_coming(watch, error, now),
        }
    }

    fn lose_coming(&mut self, watch: &mut Watch, error: HostError, now: Instant) -> Renewal {
        if let Some(coming) = self.coming.take() {
            watch.remove(&coming.launcher);
            // It has ended, or reads the end of file and does; nobody waits for that, and it is reaped as a stray.
        }
        if self.succeeds.is_some() {
            return Renewal::Impossible(error);
        }
        self.cannot_prepare(watch, &error, now);
        Renewal::Replaced
    }

    /// Puts a ready launcher in the place of one that owes no answer.
    pub(super) fn take_over(&mut self, watch: &mut Watch, now: Instant) -> Renewal {
        let ready = self.coming.as_ref().is_some_and(|coming| coming.state == Preparation::Done);
        if !ready || !self.unanswered.is_empty() || self.twins.owed() > 0 {
            return Renewal::Kept;
        }
        let Some(Coming { launcher, .. }) = self.coming.take() else { return Renewal::Kept };
        if let Err(errno) = watch.add(&launcher, Token::Launcher(self.number)) {
            self.cannot_prepare(watch, &HostError::new("watch the launcher", errno), now);
            return Renewal::Replaced;
        }
        if let Some(failed) = self.retry.succeed() {
            tracing::info!("{}: a sandbox can be made again, after attempts that failed: {failed}", self.plan.service);
        }
        self.output = Output::Unwanted;
        self.trouble = None;
        // It shows what the one before shows.
        self.end_twin(watch, now);
        if let Some(old) = self.launcher.replace(launcher) {
            // Nobody misses it: it reads the end of file and ends.
            watch.remove(&old);
        }
        Renewal::Replaced
    }

    /// Whether requests are held back, so that the launcher owes no answer soon.
    pub(super) fn hands_over(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.state == Preparation::Done)
    }

    fn begin_launcher(&mut self, watch: &Watch, files: &OpenFiles, now: Instant) -> Result<(), HostError> {
        self.shown = Shown::of(&self.plan, now);
        let launcher = Launcher::begin(&self.plan, files.before())?;
        let watched = watch.add(&launcher, Token::Coming(self.number));
        match watched {
            Ok(()) => {
                self.coming = Some(Coming { launcher, state: Preparation::Running });
                Ok(())
            }
            Err(errno) => {
                launcher.end();
                Err(HostError::new("watch the launcher", errno))
            }
        }
    }

    fn cannot_prepare(&mut self, watch: &mut Watch, error: &HostError, now: Instant) {
        let service = &self.plan.service;
        if self.launcher.is_some() {
            // What was looked at last is not what it shows.
            self.shown.doubt();
            if let Some(untold) = self.stale.tell(now) {
                tracing::warn!(
                    "{service}: {error}; sessions see the host's files as they were before they changed{untold}"
                );
            }
            return;
        }
        self.trouble = Some(error.to_string());
        // Not the admission's own quiet: the pause before this one was for a launcher that is gone.
        let (pause, news) = self.retry.fail(error.to_string());
        let before = self.admission.paused();
        let (until, _) = self.admission.pause_for(now, pause);
        watch.set(Timer::Resume(self.number), before, until);
        if news {
            let longest = retry::LONGEST.as_secs() / 60;
            tracing::error!(
                "{service}: {error}; accepting nobody until that is better, and trying after pauses of up to \
                 {longest} minutes"
            );
        }
    }

    /// Where it has no launcher and none is coming, one is tried at once: whoever asks for a reload may have mended it.
    pub(super) fn try_again(&mut self, watch: &mut Watch, files: &OpenFiles, now: Instant) {
        if self.launcher.is_some() || self.coming.is_some() {
            return;
        }
        watch.cancel(Timer::Resume(self.number), self.admission.paused());
        self.admission.resume();
        self.retry.begin_again();
        self.repair(watch, files, now);
    }
}
