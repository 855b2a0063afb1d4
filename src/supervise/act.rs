// SPDX-License-Identifier: Apache-2.0
//! What `turn` decided is carried out here, and what the operator or the door decided about all sessions at once.
//! Holds no rule of its own: an action's result is an event again.

use super::admit::Admission;
use super::door::{Advice, Door, Ended};
use super::outcome::Outcome;
use super::spares::PATIENCE as TAKING;
use super::stderr::Voice;
use super::supervisor::{Phase, Supervisor};
use super::turn::{Action, Event, turn};
use super::watch::Timer;
use nix::libc;
use std::time::{Duration, Instant};

/// How long a session may take that ends by itself.
const LINGER: Duration = Duration::from_secs(2);
/// How long a process may take to die of SIGKILL before the next means is tried.
const KILL: Duration = Duration::from_secs(1);
/// How long after a complaint killing begins again.
const COMPLAIN: Duration = Duration::from_secs(5);
/// The first pause before a cgroup is looked at again; each is twice the one before.
const CLEAR: Duration = Duration::from_millis(1);
/// A signal's code where the kernel itself sent it, see sigaction(2).
const SI_KERNEL: i32 = 0x80;

impl Supervisor {
    /// Turns every event that has come, and what follows from it.
    pub(super) fn settle(&mut self, door: &mut dyn Door) {
        while let Some((id, event)) = self.events.pop_front() {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let Some(service) = self.services.get(session.service) else { continue };
            let (state, action) = turn(service.rules, session.state, event);
            session.state = state;
            self.carry_out(id, action, door);
        }
    }

    fn carry_out(&mut self, id: u64, action: Action, door: &mut dyn Door) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let number = session.service;
        match action {
            Action::Nothing => {}
            Action::Release => {
                self.watch.cancel(Timer::Alarm(id), session.alarm.take());
                let Some(service) = self.services.get_mut(number) else { return };
                service.counts.handover.observe(session.began.elapsed());
                if !service.plan.hold {
                    session.release();
                }
            }
            Action::Cut => session.cut(&self.watch),
            Action::KillLauncher => {
                let Some(service) = self.services.get(number) else { return };
                let which = service.twins.whose(id);
                self.lose_launcher(number, which);
            }
            Action::Await => self.set_alarm(id, TAKING),
            Action::Recall => self.kill_tree(id),
            Action::ServeAnew => {
                self.serve_anew(id);
                self.clear(id);
            }
            Action::LetGo => {
                session.cut_cord(&self.watch);
                self.set_alarm(id, LINGER);
            }
            Action::Linger => self.set_alarm(id, LINGER),
            Action::KillTree => {
                // It needs no right.
                session.cut_cord(&self.watch);
                self.kill_tree(id);
            }
            Action::KillFirst => {
                // Refused or not, the cord is cut and may end it yet; what was refused is told with the complaint.
                let _ = self.rights.whole(|| session.kill_first());
                self.set_alarm(id, KILL);
            }
            Action::Complain => {
                tracing::error!("{}", session.complaint());
                self.set_alarm(id, COMPLAIN);
                self.stop_without(id);
            }
            Action::Clear => self.clear(id),
            Action::ClearLater(attempts) => self.set_alarm(id, CLEAR * 2_u32.pow(attempts.into())),
            Action::Finish(outcome) => self.finish(id, outcome, door),
            Action::FinishUncleared(outcome) => {
                if let Some(path) = session.left_behind() {
                    tracing::error!(
                        "cannot remove cgroup {path}: a process is left in it; leaving it to the next start"
                    );
                }
                self.finish(id, outcome, door);
            }
        }
    }

    fn kill_tree(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match self.rights.whole(|| session.kill_tree(&self.watch)) {
            Ok(()) => self.set_alarm(id, KILL),
            Err(_) => self.events.push_back((id, Event::KillRefused)),
        }
    }

    fn clear(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let cleared = self.rights.whole(|| session.clear(&self.watch));
        self.events.push_back((id, if cleared { Event::Cleared } else { Event::NotCleared }));
    }

    fn set_alarm(&mut self, id: u64, after: Duration) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let at = Instant::now() + after;
        self.watch.set(Timer::Alarm(id), session.alarm.replace(at), at);
    }

    /// The one place where a session ends: its line, its place for another one, and the door is told.
    fn finish(&mut self, id: u64, outcome: Outcome, door: &mut dyn Door) {
        self.end_audit(id);
        let Some(mut session) = self.sessions.remove(&id) else { return };
        self.watch.cancel(Timer::Limit(id), session.limit.take());
        self.watch.cancel(Timer::Alarm(id), session.alarm.take());
        self.watch.cancel(Timer::Idleness(id), session.idle.take().map(|idle| idle.at));
        self.has_stopped(id);
        let Some(service) = self.services.get_mut(session.service) else { return };
        let user = session.uid();
        if let (Some(users), Some(claim)) = (&mut service.users, session.take_user()) {
            users.release(claim);
        }
        let Some(client) = session.client.take() else {
            self.lost_spare(&session, outcome);
            return self.retire(session.service);
        };
        service.counts.ended(outcome);
        service.admission.end();
        service.gate.leave(&client, Instant::now());
        let mut voice = Voice { service: &service.plan.service, session: id, rate: &mut service.words };
        session.denials.end(&voice);
        session.hear_last_words(&mut self.watch, &mut voice, Instant::now());
        let ended = Ended {
            service: session.service,
            session: id,
            plan: &service.plan,
            client: &client,
            user,
            outcome,
            trouble: session.trouble.as_deref(),
            time: session.began.elapsed(),
            usage: session.usage,
        };
        door.log(&ended);
        let advice = door.ended(&ended, service.admission.live());
        self.heed(advice);
        self.set_listening(session.service);
        self.expect_spares(session.service);
        self.retire(session.service);
    }

    /// Does what a door advises.
    pub(super) fn heed(&mut self, advice: Advice) {
        match advice {
            Advice::Continue => {}
            Advice::Hold => self.each_admission(Admission::hold),
            Advice::Accept => self.each_admission(Admission::release),
            Advice::Drain => self.drain(),
            Advice::Leave => {
                self.leaving = true;
                self.drain();
            }
        }
    }

    pub(super) fn each_admission(&mut self, act: impl Fn(&mut Admission)) {
        for number in self.services.numbers() {
            if let Some(service) = self.services.get_mut(number) {
                act(&mut service.admission);
            }
            self.set_listening(number);
        }
    }

    /// Accepts nothing more; the loop ends with the last session.
    pub(super) fn drain(&mut self) {
        self.give_up_upgrade("this one is to end");
        for number in self.services.numbers() {
            self.leave_kept(number);
            if let Some(service) = self.services.get_mut(number) {
                service.close(&self.watch);
            }
            self.discard_spares(number);
        }
        if self.phase.accepts() {
            self.phase = Phase::Draining;
        }
    }

    /// Takes a signal: the first drains, the next one ends every session; where draining is delayed, the first begins
    /// that delay, and the next one ends it. SIGHUP and SIGUSR2, where they are taken, do neither.
    pub(super) fn take_signal(&mut self, door: &mut dyn Door) {
        while let Some(number) = self.next_signal() {
            match number {
                libc::SIGHUP => {
                    self.reload(door);
                    continue;
                }
                libc::SIGUSR2 => {
                    self.begin_upgrade();
                    continue;
                }
                _ => {}
            }
            door.signaled(number);
            match self.phase {
                Phase::Serving => match self.drain_delay {
                    // Where this one has not taken the place of the one before, that one accepts.
                    Some(delay) if self.predecessor.is_none() => self.depart(delay),
                    Some(_) | None => self.drain_as_told(),
                },
                Phase::Leaving => self.drain_as_told(),
                Phase::Draining => self.stop(),
                Phase::Stopping | Phase::GivenUp => {}
            }
        }
    }

    /// Says that it is not ready, and accepts for this long yet.
    fn depart(&mut self, delay: Duration) {
        self.give_up_upgrade("this one is to end");
        self.phase = Phase::Leaving;
        self.watch.set(Timer::Leave, None, Instant::now() + delay);
        let seconds = delay.as_secs();
        tracing::info!("leaving: not ready any more, accepts for {seconds} s yet; another signal has it drain now");
    }

    /// Drains because it was told to end, within the limit that there is for that.
    pub(super) fn drain_as_told(&mut self) {
        self.drain();
        self.tell_what_is_left();
        if let Some(limit) = self.drain_limit {
            let until = Instant::now() + limit;
            self.drain_until = Some(until);
            self.watch.set(Timer::Drain, None, until);
        }
    }

    fn tell_what_is_left(&self) {
        let limit = self.drain_limit.map_or(String::new(), |limit| format!(", and so do {} s", limit.as_secs()));
        tracing::info!("{}; another signal ends them{limit}", self.sentence());
    }

    /// Asks the door what is to be served from here on.
    fn reload(&mut self, door: &mut dyn Door) {
        if self.phase != Phase::Serving {
            return tracing::warn!("nothing is changed: this program is about to end");
        }
        if self.upgrade.is_some() || self.predecessor.is_some() {
            return tracing::warn!(
                "nothing is changed: a program is about to take another's place; ask again when it serves"
            );
        }
        self.report_reload();
        match door.reloads() {
            Some(wanted) => self.change(wanted),
            None => tracing::warn!("nothing is changed"),
        }
    }

    fn next_signal(&mut self) -> Option<i32> {
        let signal = self.signals.as_mut()?.read_signal().ok().flatten()?;
        let number = i32::try_from(signal.ssi_signo).ok()?;
        // From the kernel it says that the terminal is gone, and that whoever started us wants an end.
        let hung_up = number == libc::SIGHUP && signal.ssi_code == SI_KERNEL;
        Some(if hung_up { libc::SIGTERM } else { number })
    }

    /// Whether somebody is served, or comes by way of another. A spare is nobody.
    pub(super) fn serves_anyone(&self) -> bool {
        self.services.iter().any(|service| service.admission.live() > 0)
    }

    /// Sets the moment at which a door without sessions has had enough.
    pub(super) fn set_idle(&mut self, door: &mut dyn Door) {
        if self.phase != Phase::Serving || self.idle_at.is_some() {
            return;
        }
        if let Some(limit) = door.idle_limit().filter(|_| !self.serves_anyone()) {
            let at = Instant::now() + limit;
            self.watch.set(Timer::Idle, None, at);
            self.idle_at = Some(at);
        }
    }
}
