// SPDX-License-Identifier: Apache-2.0
//! What is seen of services and sessions: pages of a bounded length, so that thousands of sessions hold nobody up.
//! Looks and changes nothing.

use super::super::counts::Histogram;
use super::super::service::Service;
use super::super::session::Session;
use super::super::supervisor::{Phase, Supervisor};
use super::words::{ServiceState, Services, SessionState, Sessions, Supervising, Took, VERSION};
use std::time::{Duration, Instant};

/// How many stand on a page: reading the memory of a session is one file of the kernel's, some ten microseconds.
const PAGE: usize = 128;

impl Supervisor {
    /// Services with larger numbers than this. Numbers begin at 0 inside, and at 1 out there.
    pub(super) fn services_page(&self, after: u64) -> Services {
        let from = usize::try_from(after).unwrap_or(usize::MAX);
        let mut services: Vec<ServiceState> =
            self.services.from(from).take(PAGE + 1).map(|service| self.service_state(service)).collect();
        let next = page_end(&mut services).map(|last| last.number);
        Services { version: VERSION, supervisor: self.supervising(), services, not_served: self.refused.clone(), next }
    }

    /// Sessions with larger numbers than this.
    pub(super) fn sessions_page(&self, after: u64) -> Sessions {
        let now = Instant::now();
        let later = self.sessions.range(after.saturating_add(1)..).map(|(_, session)| session);
        // A spare is nobody's session.
        let shown = later.filter(|session| session.client.is_some()).take(PAGE + 1);
        let mut sessions: Vec<SessionState> = shown.map(|session| self.session_state(session, now)).collect();
        let next = page_end(&mut sessions).map(|last| last.session);
        Sessions { version: VERSION, sessions, next }
    }

    fn supervising(&self) -> Supervising {
        let now = Instant::now();
        let state = match self.phase {
            Phase::Serving => "serving",
            Phase::Leaving => "leaving",
            Phase::Draining => "draining",
            Phase::Stopping | Phase::GivenUp => "stopping",
        };
        Supervising {
            pid: std::process::id(),
            program: env!("CARGO_PKG_VERSION").to_string(),
            state: state.to_string(),
            age_s: seconds(now.saturating_duration_since(self.began)),
            sessions: self.services.iter().map(|service| service.admission.live()).sum(),
            drain_left_s: self.drain_until.map(|until| seconds(until.saturating_duration_since(now))),
        }
    }

    fn service_state(&self, service: &Service) -> ServiceState {
        let Service { plan, admission, spares, counts, .. } = service;
        let (state, why) = self.standing(service);
        let counted = |counts: &mut dyn Iterator<Item = (&'static str, u64)>| {
            counts.filter(|(_, count)| *count > 0).map(|(word, count)| (word.to_string(), count)).collect()
        };
        ServiceState {
            number: service.number as u64 + 1,
            service: plan.service.clone(),
            policy: format!("{}@{}", plan.policy, plan.policy_hash.get(..12).unwrap_or(&plan.policy_hash)),
            addresses: service.listeners.iter().map(|listener| listener.told()).collect(),
            state: state.to_string(),
            why,
            sessions: admission.live(),
            most: admission.limit(),
            spares: spares.waiting(),
            accepted: counts.accepted,
            outcomes: counted(&mut counts.outcomes()),
            refused: counted(&mut counts.refused()),
            denied_calls: counts.denied,
            time_limit_s: plan.time_limit.map(seconds),
            idle_limit_s: plan.idle_limit.map(seconds),
            setup: took(&counts.setup),
            handover: took(&counts.handover),
        }
    }

    /// In a word and, where that says too little, a sentence.
    pub(in crate::supervise) fn standing(&self, service: &Service) -> (&'static str, Option<String>) {
        let admission = &service.admission;
        if admission.is_closed() {
            return ("draining", Some("it accepts nobody more, and its sessions go on".to_string()));
        }
        match &service.trouble {
            Some(trouble) if service.launcher.is_none() => return ("refused", Some(trouble.clone())),
            Some(_) | None => {}
        }
        let why = service.trouble.clone();
        if admission.is_unproven() {
            return ("starting", Some("its sandbox is being made and looked at".to_string()));
        }
        if admission.is_halted() {
            return ("paused", Some("an operator has paused it: `spawnbox resume` has it accept again".to_string()));
        }
        if admission.live() >= admission.limit() {
            return ("full", why.or_else(|| Some("clients wait until a session ends".to_string())));
        }
        match admission.is_open() {
            true => ("ready", why),
            false => {
                ("slowed", why.or_else(|| Some("clients wait for its rate, or after trouble for a moment".to_string())))
            }
        }
    }

    fn session_state(&self, session: &Session, now: Instant) -> SessionState {
        let service = self.services.get(session.service).map_or("", |service| &service.plan.service);
        SessionState {
            session: session.id,
            service: service.to_string(),
            client: session.client.as_ref().map(ToString::to_string).unwrap_or_default(),
            state: session.standing().to_string(),
            pid: session.pid().map(|pid| pid.as_raw()),
            age_s: seconds(now.saturating_duration_since(session.began)),
            left_s: session.limit.map(|limit| seconds(limit.saturating_duration_since(now))),
            memory: session.memory(),
        }
    }
}

/// Cuts what was taken to see whether there is more; the last one that stays, where there is.
fn page_end<T>(taken: &mut Vec<T>) -> Option<&T> {
    if taken.len() <= PAGE {
        return None;
    }
    taken.truncate(PAGE);
    taken.last()
}

fn took(histogram: &Histogram) -> Took {
    Took {
        count: histogram.count(),
        mean_s: histogram.mean().map(seconds),
        p50_s: histogram.most(50).map(seconds),
        p99_s: histogram.most(99).map(seconds),
    }
}

/// To the microsecond.
fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}
