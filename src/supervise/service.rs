// SPDX-License-Identifier: Apache-2.0
//! One service: its plan, its launcher, its listeners, and who waits for what.
//! A service that is broken pauses and tries again; it takes no other with it.

use super::admit::{Admission, Tell};
use super::counts::Counts;
use super::files::OpenFiles;
use super::gate::Gate;
use super::listener::Listener;
use super::quiet::Quiet;
use super::renewal::Coming;
use super::retry::Retry;
use super::rights::Rights;
use super::shown::Shown;
use super::spares::Spares;
use super::stderr::Rate;
use super::trial;
use super::turn::Rules;
use super::twin::{Twins, Which};
use super::watch::{Output, Timer, Token, Watch};
use crate::plan::Plan;
use crate::plan::model::Ids;
use crate::sandbox::{HostError, Launcher, Slice, Users};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// How long a launcher may be silent while somebody waits for it.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) number: usize,
    pub(super) plan: Plan,
    pub(super) rules: Rules,
    pub(super) admission: Admission,
    pub(super) gate: Gate,
    pub(super) launcher: Option<Launcher>,
    /// Where the cgroups of its sessions are, if not with all others.
    pub(super) slice: Option<Slice>,
    /// The ids of its sessions, where each has its own.
    pub(super) users: Option<Users>,
    /// What the launcher shows of the host.
    pub(super) shown: Shown,
    /// The next launcher, until it can take the place of the one that there is.
    pub(super) coming: Option<Coming>,
    /// Its second launcher, while there is use for one.
    pub(super) twins: Twins,
    /// The service whose place it takes once it is proven.
    pub(super) succeeds: Option<usize>,
    pub(super) listeners: Vec<Listener>,
    /// The listeners are in the watch.
    listening: bool,
    /// Sessions that the launcher could not be asked for yet, in order.
    pub(super) queue: VecDeque<u64>,
    /// Sessions that it was asked for and has not answered.
    pub(super) unanswered: BTreeSet<u64>,
    /// When the launcher last said something, or was first asked after it owed nothing.
    pub(super) heard: Instant,
    /// When the moment to look at its silence is set.
    silence: Option<Instant>,
    /// Whether the launcher's socket is watched for room to write.
    pub(super) output: Output,
    /// How much its commands may say in the log.
    pub(super) words: Rate,
    /// Its spares.
    pub(super) spares: Spares,
    /// Launchers that are gone.
    pub(super) gone: Quiet,
    /// Launchers that could not take another's place.
    pub(super) stale: Quiet,
    /// Tries to make a launcher where there is none.
    pub(super) retry: Retry,
    /// What is wrong with it, for whoever asks.
    pub(super) trouble: Option<String>,
    pub(super) counts: Counts,
}

impl Service {
    /// Starts the launcher and proves that it can make a sandbox.
    pub(super) fn start(
        number: usize,
        plan: Plan,
        (listeners, limit): (Vec<Listener>, usize),
        (own, shared, files): (Option<Slice>, Option<&Slice>, &OpenFiles),
    ) -> Result<Service, HostError> {
        let shown = Shown::of(&plan, Instant::now());
        let mut users = users(&plan)?;
        let launcher = launcher(&plan, files)?;
        if let Err(error) = trial::run(&plan, &launcher, own.as_ref().or(shared), users.as_mut(), trial::AT_THE_START) {
            launcher.end();
            return Err(error);
        }
        Ok(Service::new((number, plan), (listeners, limit), (own, users), (Some(launcher), shown)))
    }

    /// A service without a launcher, which accepts nobody before it has one that was proven. It may be there to take
    /// the place of another one.
    pub(super) fn unproven(
        number: usize,
        plan: Plan,
        (listeners, limit): (Vec<Listener>, usize),
        (own, succeeds): (Option<Slice>, Option<usize>),
    ) -> Result<Service, HostError> {
        let users = users(&plan)?;
        let shown = Shown::of(&plan, Instant::now());
        let mut service = Service::new((number, plan), (listeners, limit), (own, users), (None, shown));
        service.admission.await_proof();
        service.succeeds = succeeds;
        Ok(service)
    }

    fn new(
        (number, plan): (usize, Plan),
        (listeners, limit): (Vec<Listener>, usize),
        (slice, users): (Option<Slice>, Option<Users>),
        (launcher, shown): (Option<Launcher>, Shown),
    ) -> Service {
        let spares = plan.spares;
        Service {
            number,
            rules: Rules::of(&plan),
            gate: Gate::new(&plan.clients, Instant::now()),
            plan,
            admission: Admission::new(limit),
            launcher,
            slice,
            users,
            shown,
            coming: None,
            twins: Twins::default(),
            succeeds: None,
            listeners,
            listening: false,
            queue: VecDeque::new(),
            unanswered: BTreeSet::new(),
            heard: Instant::now(),
            silence: None,
            output: Output::Unwanted,
            words: Rate::of_service(Instant::now()),
            spares: Spares::new(spares, Instant::now()),
            gone: Quiet::default(),
            stale: Quiet::default(),
            retry: Retry::default(),
            trouble: None,
            counts: Counts::default(),
        }
    }

    /// The processes of its launchers.
    pub(super) fn launcher_pids(&self) -> impl Iterator<Item = Pid> {
        let coming = self.coming.as_ref().map(|coming| &coming.launcher);
        self.launcher.iter().chain(coming).chain(self.twins.launcher()).filter_map(Launcher::pid)
    }

    /// Whether the next session can have an id of its own, where it needs one. If not, the service pauses: they are in
    /// use by others on this host, who do not tell us when they let one go.
    pub(super) fn has_user(&mut self, rights: Rights, watch: &mut Watch) -> bool {
        let reserved = match &mut self.users {
            Some(users) if self.admission.is_open() => rights.whole(|| users.reserve()),
            Some(_) | None => Ok(()),
        };
        let Err(error) = reserved else { return true };
        if self.pause(watch, Instant::now()) == Tell::Now {
            tracing::warn!("{}: {error}; connections wait", self.plan.service);
        }
        false
    }

    /// Puts the listeners into the watch or takes them out, as the admission says.
    pub(super) fn set_listening(&mut self, watch: &Watch) -> Result<(), Errno> {
        self.admission.wait(self.queue.len() + self.unanswered.len() + self.twins.owed());
        let wanted = self.admission.is_open();
        if wanted == self.listening {
            return Ok(());
        }
        self.listening = wanted;
        let added = |(index, listener)| watch.add(listener, Token::Listener(self.number, index));
        match wanted {
            true => self.listeners.iter().enumerate().try_for_each(added).inspect_err(|_| {
                // All or none: one that is in the watch while the service pauses would keep the loop busy.
                self.listeners.iter().for_each(|listener| watch.remove(listener));
                self.listening = false;
            }),
            false => {
                self.listeners.iter().for_each(|listener| watch.remove(listener));
                Ok(())
            }
        }
    }

    /// Accepts nothing more, ever; the names of its sockets go.
    pub(super) fn close(&mut self, watch: &Watch) {
        self.admission.close();
        self.take_listeners(watch);
    }

    /// Gives its listeners away.
    pub(super) fn take_listeners(&mut self, watch: &Watch) -> Vec<Listener> {
        if self.listening {
            self.listeners.iter().for_each(|listener| watch.remove(listener));
        }
        self.listening = false;
        std::mem::take(&mut self.listeners)
    }

    /// Accepts nobody for a moment; then the launcher is made again if there is none. Says whether that is news.
    pub(super) fn pause(&mut self, watch: &mut Watch, now: Instant) -> Tell {
        let before = self.admission.paused();
        let (until, tell) = self.admission.pause(now);
        watch.set(Timer::Resume(self.number), before, until);
        tell
    }

    /// Whether its rate lets it accept now. If not, it does so as soon as it may.
    pub(super) fn may_accept(&mut self, watch: &mut Watch, now: Instant) -> bool {
        let Some(next) = self.gate.next(now).filter(|_| self.admission.is_open()) else { return true };
        self.admission.slow_down();
        watch.set(Timer::Rate(self.number), None, next);
        if let Some(line) = self.gate.told_slow(now) {
            tracing::warn!("{}: {line}", self.plan.service);
        }
        false
    }

    /// A session waits for the launcher.
    pub(super) fn wait_for(&mut self, session: u64, watch: &mut Watch, now: Instant) {
        if self.unanswered.is_empty() && self.queue.is_empty() {
            self.heard = now;
        }
        self.queue.push_back(session);
        self.set_silence(watch);
    }

    /// A launcher took the request at the head of the queue.
    pub(super) fn asked(&mut self, which: Which, session: u64, now: Instant) {
        self.queue.pop_front();
        match which {
            Which::First => {
                if self.unanswered.is_empty() {
                    self.heard = now;
                }
                self.unanswered.insert(session);
            }
            Which::Twin => self.twins.asked(session, now),
        }
    }

    /// A launcher answered. False: nobody had asked it for that session, or it was answered before.
    pub(super) fn answered(&mut self, which: Which, session: u64, now: Instant) -> bool {
        match which {
            Which::First => {
                self.heard = now;
                self.unanswered.remove(&session)
            }
            Which::Twin => self.twins.answered(session, now),
        }
    }

    /// Sessions that wait for a word of a launcher, one for each, and since when it has said none.
    fn waiting(&self) -> impl Iterator<Item = (Instant, u64)> {
        let first = self.unanswered.first().or_else(|| self.queue.front()).copied();
        first.map(|session| (self.heard, session)).into_iter().chain(self.twins.waiting())
    }

    /// Whether a session waits for a word of a launcher.
    pub(super) fn waits(&self) -> bool {
        self.waiting().next().is_some()
    }

    /// The moment has come to look at their silence: a session that waits for one whose has lasted too long.
    pub(super) fn silent(&mut self, watch: &mut Watch, now: Instant) -> Option<u64> {
        self.silence = None;
        let silent = self.waiting().find(|(heard, _)| now.saturating_duration_since(*heard) >= SILENCE);
        self.set_silence(watch);
        silent.map(|(_, session)| session)
    }

    fn set_silence(&mut self, watch: &mut Watch) {
        let heard = self.waiting().map(|(heard, _)| heard).min();
        if let (Some(heard), None) = (heard, self.silence) {
            let at = (heard + SILENCE).max(Instant::now() + Duration::from_millis(1));
            watch.set(Timer::Launcher(self.number), None, at);
            self.silence = Some(at);
        }
    }

    /// Has the launcher's socket watched for room to write, or no longer.
    pub(super) fn set_output(&mut self, watch: &Watch, wanted: Output) {
        if let (Some(launcher), true) = (&self.launcher, self.output != wanted) {
            // It is in the watch as long as there is a launcher; unwatched, a request waits for its next answer.
            let _ = watch.set_output(launcher, Token::Launcher(self.number), wanted);
            self.output = wanted;
        }
    }

    /// Lets go of all launchers, also of the next one, and kills them. Whoever waited for them is returned.
    pub(super) fn lose_launcher(&mut self, watch: &Watch) -> Vec<u64> {
        self.output = Output::Unwanted;
        let coming = self.coming.take().map(|coming| coming.launcher);
        self.launcher.take().into_iter().chain(coming).for_each(|launcher| kill(launcher, watch));
        let of_twin = self.end_twin(watch, Instant::now());
        let asked = std::mem::take(&mut self.unanswered).into_iter().chain(of_twin);
        asked.chain(std::mem::take(&mut self.queue)).collect()
    }
}

/// Lets go of a launcher and kills it.
pub(super) fn kill(launcher: Launcher, watch: &Watch) {
    watch.remove(&launcher);
    if let Some(pid) = launcher.pid() {
        // Not reaped yet, so the number is its own; one that is dead takes the signal too. Reaped as a stray.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// The ids of the sessions, where each has its own.
pub(super) fn users(plan: &Plan) -> Result<Option<Users>, HostError> {
    match plan.identity.ids {
        Ids::One { .. } => Ok(None),
        Ids::Each { range, .. } => Users::of(range).map(Some),
    }
}

pub(super) fn launcher(plan: &Plan, files: &OpenFiles) -> Result<Launcher, HostError> {
    Launcher::start(plan, files.before())
}
