// SPDX-License-Identifier: Apache-2.0
//! The spares of a service: sandboxes that wait for clients. How many there are, which one is next, and what becomes of
//! them when the service changes. What a spare is and why nobody reaches it: `sandbox::spare`.
//!
//! Their number follows the clients: one more for each who finds none, one less for every while in which none does.
//! A spare is in nobody's way. It is made once no client has come or gone for a moment, one at a time: those who come
//! without a pause would wait for a processor that makes one, and are served sooner by sandboxes made for them.
//! Together with the sessions there are never more than the service may have at once, so that it takes no memory,
//! descriptor or user id that a session would not; it is no session for the front door, and no reason to stay. One that
//! fails costs its client a moment, and the service its spares for a while: nobody learns how often clients come by
//! killing them.

use super::outcome::Outcome;
use super::quiet::Quiet;
use super::service::Service;
use super::session::{Offer, Session};
use super::supervisor::Supervisor;
use super::turn::Event;
use super::watch::Timer;
use crate::host::errno_text;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a spare may take to say that it has its client's connection. It is one receipt away from it; a second is
/// for hosts that have no processor to spare, and for a spare that was asked for just now.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How long no client of the service has come or gone when the next spare is made.
const PAUSE: Duration = Duration::from_millis(1);
/// How old a spare gets. What it holds of the host (a file system that was unmounted since) is let go of.
const AGE: Duration = Duration::from_secs(60);
/// How long a service that lost a spare does without.
const REST: Duration = Duration::from_secs(10);
/// For each of these since a client last found none, one less is kept.
const FADE: Duration = Duration::from_secs(10);
/// Where there may be some, one is always kept.
const LEAST: usize = 1;

/// The spares of one service.
#[derive(Debug)]
pub(super) struct Spares {
    /// As many as the policy allows.
    most: usize,
    /// As many as clients lately had use for.
    wanted: usize,
    /// When a client last found none, or there was last one less for it.
    missed: Instant,
    /// Those without a client, with the moments at which they were made. The oldest comes first, and is offered first.
    waiting: VecDeque<(u64, Instant)>,
    /// When they are looked at.
    at: Option<Instant>,
    /// Until when none is made.
    rest: Option<Instant>,
    lost: Quiet,
}

impl Spares {
    /// All that the policy allows: nobody knows yet how many clients come.
    pub(super) fn new(most: usize, now: Instant) -> Spares {
        Spares {
            most,
            wanted: most,
            missed: now,
            waiting: VecDeque::new(),
            at: None,
            rest: None,
            lost: Quiet::default(),
        }
    }

    /// How many wait for a client.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits for a client.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A client found none: there should have been one more.
    fn miss(&mut self, now: Instant) {
        self.fade(now);
        (self.wanted, self.missed) = ((self.wanted + 1).min(self.most), now);
    }

    /// Wants fewer the longer no client has found none. What waits already is not let go for that: the next clients use
    /// it.
    fn fade(&mut self, now: Instant) {
        let spans = now.saturating_duration_since(self.missed).as_secs() / FADE.as_secs();
        let spans = u32::try_from(spans).unwrap_or(u32::MAX);
        if spans > 0 {
            self.wanted = self.wanted.saturating_sub(spans as usize).max(LEAST.min(self.most));
            self.missed = now;
        }
    }

    /// Takes one that is too old.
    fn outdated(&mut self, now: Instant) -> Option<u64> {
        let (id, _) = *self.waiting.front().filter(|(_, made)| now.saturating_duration_since(*made) >= AGE)?;
        self.waiting.pop_front();
        Some(id)
    }

    /// They are looked at after a pause that begins now: also the moment that was set before, if one was.
    fn put_off(&mut self, now: Instant) -> (Option<Instant>, Instant) {
        let at = now + PAUSE;
        (self.at.replace(at), at)
    }

    /// When to look again, where nothing happens until then.
    fn later(&self) -> Option<Instant> {
        self.rest.or(self.waiting.front().map(|(_, made)| *made + AGE))
    }
}

impl Service {
    /// Whether it should have one more spare.
    fn wants_spare(&self) -> bool {
        let waiting = self.spares.waiting.len();
        let able = self.launcher.is_some() && !self.hands_over() && self.admission.paused().is_none();
        able && self.spares.rest.is_none()
            && waiting < self.spares.wanted
            && self.admission.live() + waiting < self.admission.limit()
    }
}

impl Supervisor {
    /// Offers a client to the spare that has waited longest. The offer comes back where there is none.
    pub(super) fn offer_to_spare(&mut self, number: usize, offer: Offer) -> Option<Offer> {
        let home = self.services.get_mut(number)?;
        let mut offer = offer;
        while let Some((id, _)) = home.spares.waiting.pop_front() {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            match session.accept(&home.plan, offer) {
                None => {
                    home.counts.spares_used += 1;
                    self.events.push_back((id, Event::Offered));
                    session.set_limits(&mut self.watch);
                    if let Err(errno) = session.watch_stderr(&self.watch) {
                        tracing::error!("cannot watch session {id}: {}; ending it", errno_text(errno));
                        self.events.push_back((id, Event::Stop));
                    }
                    return None;
                }
                Some(back) => {
                    self.events.push_back((id, Event::Stop));
                    offer = back;
                }
            }
        }
        home.spares.miss(offer.began);
        home.counts.spares_missed += u64::from(home.plan.spares > 0);
        Some(offer)
    }

    /// The client of a spare that did not take the connection gets a session that is made for it. The others may be no
    /// better.
    pub(super) fn serve_anew(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let number = session.service;
        // One that said it before it was given up has its client: two commands must never have one connection.
        let offer = if session.has_taken(&self.watch) { None } else { session.lose_client(&mut self.watch) };
        self.discard_spares(number);
        if let Some(offer) = offer {
            self.begin_session(number, offer);
        }
    }

    /// Looks after a service's spares as soon as there is time for it, which is not before the next pause.
    pub(super) fn expect_spares(&mut self, number: usize) {
        let Some(home) = self.services.get_mut(number).filter(|home| home.plan.spares > 0) else { return };
        if !home.admission.is_closed() {
            let (before, at) = home.spares.put_off(Instant::now());
            self.watch.set(Timer::Spares(number), before, at);
        }
    }

    /// Lets those go that are too old, and makes one if one is wanted.
    pub(super) fn keep_spares(&mut self, number: usize, now: Instant) {
        let Some(home) = self.services.get_mut(number) else { return };
        home.spares.at = None;
        home.spares.rest.take_if(|until| *until <= now);
        home.spares.fade(now);
        while let Some(id) = home.spares.outdated(now) {
            self.events.push_back((id, Event::Stop));
        }
        if !self.phase.accepts() || home.admission.is_closed() {
            return self.discard_spares(number);
        }
        if home.wants_spare() {
            self.make_spare(number, now);
        }
        let Some(home) = self.services.get_mut(number) else { return };
        let next = if home.wants_spare() { Some(now + PAUSE) } else { home.spares.later() };
        if let Some(at) = next {
            self.watch.set(Timer::Spares(number), home.spares.at.replace(at), at);
        }
    }

    fn make_spare(&mut self, number: usize, now: Instant) {
        let Some(home) = self.services.get_mut(number) else { return };
        // Ids are for clients first. Where others have all of them, nobody is told: no client waits.
        if home.users.as_mut().is_some_and(|users| self.rights.whole(|| users.reserve()).is_err()) {
            home.spares.rest = Some(now + REST);
            return;
        }
        let id = self.next;
        self.next += 1;
        let (session, failed) = self.rights.whole(|| {
            let slice = home.slice.as_ref().or(self.slice.as_ref());
            Session::spare((id, number), &home.plan, (slice, home.users.as_mut()), now)
        });
        match failed {
            Some(event) => self.events.push_back((id, event)),
            None => {
                home.spares.waiting.push_back((id, now));
                home.wait_for(id, &mut self.watch, now);
            }
        }
        self.sessions.insert(id, session);
        self.ask(number);
    }

    /// Lets every spare of a service go: what they were made from is gone, or nobody will come.
    pub(super) fn discard_spares(&mut self, number: usize) {
        let Some(home) = self.services.get_mut(number) else { return };
        self.events.extend(home.spares.waiting.drain(..).map(|(id, _)| (id, Event::Stop)));
    }

    /// Nothing is left of a spare that had no client, or has none any more.
    pub(super) fn lost_spare(&mut self, spare: &Session, outcome: Outcome) {
        let (number, now) = (spare.service, Instant::now());
        let Some(home) = self.services.get_mut(number) else { return };
        home.spares.waiting.retain(|(id, _)| *id != spare.id);
        match outcome {
            // We let it go, or its launcher was lost, which was told.
            Outcome::Stopped | Outcome::NotLaunched => {}
            Outcome::Exited(_)
            | Outcome::Signaled(_)
            | Outcome::TimeLimit
            | Outcome::IdleLimit
            | Outcome::SetupFailed(_)
            | Outcome::Lost(_)
            | Outcome::Foreign => {
                home.spares.rest = Some(now + REST);
                if let Some(untold) = home.spares.lost.tell(now) {
                    let why = spare.trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                    let (name, rest) = (&home.plan.service, REST.as_secs());
                    tracing::warn!("{name}: lost a spare: {outcome}{why}; making none for {rest} s{untold}");
                }
            }
        }
        self.expect_spares(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn their_number_follows_the_clients_between_one_and_the_most() {
        let start = Instant::now();
        let mut spares = Spares::new(4, start);
        let mut wanted = |seconds, miss: bool| {
            match miss {
                true => spares.miss(after(start, seconds)),
                false => spares.fade(after(start, seconds)),
            }
            spares.wanted
        };
        let quiet = [0, 9, 10, 15, 20, 30, 300].map(|second| wanted(second, false));
        assert_eq!(quiet, [4, 4, 3, 3, 2, 1, 1]);
        let crowd = [300, 300, 301, 301, 302].map(|second| wanted(second, true));
        assert_eq!(crowd, [2, 3, 4, 4, 4]);
        let quiet = [311, 312, 321, 322, 1000].map(|second| wanted(second, false));
        assert_eq!(quiet, [4, 3, 3, 2, 1]);
    }

    #[test]
    fn a_policy_without_spares_has_none_whoever_comes() {
        let start = Instant::now();
        let mut spares = Spares::new(0, start);
        spares.miss(after(start, 1));
        spares.fade(after(start, 100));
        assert_eq!((spares.wanted, spares.later()), (0, None));
    }

    #[test]
    fn they_are_looked_at_when_no_client_has_come_for_a_while() {
        let start = Instant::now();
        let mut spares = Spares::new(4, start);
        let moments = [0, 400, 1300, 1301].map(|micros| spares.put_off(start + Duration::from_micros(micros)));
        let at = |micros| start + Duration::from_micros(micros) + PAUSE;
        assert_eq!(
            moments,
            [(None, at(0)), (Some(at(0)), at(400)), (Some(at(400)), at(1300)), (Some(at(1300)), at(1301))]
        );
        assert_eq!(spares.at, Some(at(1301)));
    }

    #[test]
    fn one_that_is_too_old_is_let_go_and_looked_for_in_time() {
        let start = Instant::now();
        let mut spares = Spares::new(4, start);
        spares.waiting.extend([(7, start), (8, after(start, 1))]);
        assert_eq!(spares.later(), Some(start + AGE));
        let moments = [AGE - Duration::from_millis(1), AGE, AGE, AGE + Duration::from_secs(1)];
        assert_eq!(moments.map(|age| spares.outdated(start + age)), [None, Some(7), None, Some(8)]);
    }
}
