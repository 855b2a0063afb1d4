// SPDX-License-Identifier: Apache-2.0
//! The supervisor's own limit on open files: raised as far as the host allows, for many sessions at once.
//! A launcher gets the old one back, since its children inherit it: nothing of ours may leak into a session.

use super::admit::BEHIND;
use super::farewell;
use super::service::Service;
use super::supervisor::Supervisor;
use crate::plan::Plan;
use crate::plan::model::{Ids, Namespace, StandardError};
use crate::sandbox::HostError;
use nix::sys::resource::{RLIM_INFINITY, Resource as Number, getrlimit};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors that are not a session's.
const OWN: u64 = 64;
/// Descriptors of a session: its cord and the pidfd of its first process.
const SESSION: u64 = 2;
/// How many of them can be spared where they are few: the pidfd, while the cord says whether the process is there.
const SPARED: u64 = 1;
/// One session for so many descriptors of the room, and they are few.
const MANY: u64 = 8;
/// The part of the room that is left for those of sessions that end at once.
const ENDING: u64 = 4;
/// And of one that waits for its launcher: the connection, and what the launcher is to have, far end and cgroup.
const BEGINNING: u64 = 3;

/// The limit as it was and as it is.
#[derive(Debug, Clone)]
pub(super) struct OpenFiles {
    before: Rlimit,
    now: Option<u64>,
    /// Descriptors that are open already: ours so far, and what whoever started us has left open.
    taken: u64,
    /// Every session that is ever here is our child.
    all_ours: bool,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one. `all_ours`: no other process ever takes over our sessions.
    pub(super) fn raise(all_ours: bool) -> Result<OpenFiles, HostError> {
        // rustix takes a filter's refusal of this for a bug.
        let (soft, hard) = getrlimit(Number::RLIMIT_NOFILE)
            .map_err(|errno| HostError::new("read the own limit on open files", errno))?;
        let value = |limit| (limit != RLIM_INFINITY).then_some(limit);
        let before = Rlimit { current: value(soft), maximum: value(hard) };
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        // Refused only by a filter; then fewer sessions fit.
        let now = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => before.maximum,
            Err(_) => before.current,
        };
        // Without /proc nothing is known of them, and accept(2) says when there is no more room.
        let taken = std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64);
        Ok(OpenFiles { before, now, taken, all_ours })
    }

    /// The limit that we were started with, and a launcher gets.
    pub(super) fn before(&self) -> Rlimit {
        self.before
    }

    /// Keeps so many for others than sessions.
    pub(super) fn keep(&mut self, count: usize) {
        self.taken += count as u64;
    }

    /// How many sessions of a service fit, beside others with these plans. Where there is not enough for all, each has
    /// as much of the room as it wants of what all want, also when others use none of theirs: a flood of one service's
    /// clients leaves the others' to be served.
    pub(super) fn sessions<'a>(&self, plan: &Plan, others: impl Iterator<Item = &'a Plan>) -> usize {
        let own = wanted(plan);
        let all = others.map(wanted).fold(own, u128::saturating_add).max(1);
        let share = |room: u64| u64::try_from(u128::from(room) * own / all).unwrap_or(room);
        let fit = self.room(plan).map_or(u64::MAX, |room| most(share(room), each(plan), self.can_spare(plan)));
        usize::try_from(fit).unwrap_or(usize::MAX).max(1)
    }

    /// Whether one more session, beside so many, should do with fewer descriptors.
    pub(super) fn are_few_for(&self, plan: &Plan, live: usize) -> bool {
        self.can_spare(plan) && self.room(plan).is_some_and(|room| live as u64 > room / MANY)
    }

    /// How many descriptors sessions of this plan can have.
    fn room(&self, plan: &Plan) -> Option<u64> {
        let refused = if plan.clients.busy.is_empty() { 0 } else { farewell::MOST as u64 };
        self.now.map(|files| files.saturating_sub(OWN + refused + self.taken))
    }

    /// Whether the cord closes when the first process ends: a reaper holds it, which takes along all that could have
    /// its copy.
    fn can_spare(&self, plan: &Plan) -> bool {
        self.all_ours && plan.init && plan.relay.is_none() && plan.namespaces.contains(&Namespace::Pid)
    }
}

impl Supervisor {
    /// Gives each service its part of the descriptors that there are. One that is to take another's place has as
    /// much as it would have in that place.
    pub(super) fn share_files(&mut self) {
        let open = |it: &&Service| !it.admission.is_closed();
        let mut limits = Vec::new();
        for service in self.services.iter().filter(open) {
            let beside = |it: &&Service| {
                it.number != service.number && service.succeeds != Some(it.number) && it.succeeds.is_none()
            };
            let others = self.services.iter().filter(open).filter(beside).map(|it| &it.plan);
            limits.push((service.number, self.files.sessions(&service.plan, others)));
        }
        for (number, fit) in limits {
            let Some(service) = self.services.get_mut(number) else { continue };
            let (name, wanted) = (&service.plan.service, service.plan.concurrency);
            let limit = wanted.min(fit);
            if limit == service.admission.limit() {
                continue;
            }
            service.admission.set_limit(limit);
            if limit < wanted {
                tracing::warn!("{name}: only {fit} of {wanted} sessions fit into the limit on open files");
            }
            self.set_listening(number);
        }
    }
}

/// Those of all sessions that a service may have at once, of which some may be beginning.
fn wanted(plan: &Plan) -> u128 {
    let beginning = plan.concurrency.min(BEHIND) as u128;
    plan.concurrency as u128 * u128::from(each(plan)) + beginning * u128::from(BEGINNING)
}

/// Descriptors of a session that has begun.
fn each(plan: &Plan) -> u64 {
    let connection = u64::from(plan.hold);
    let claim = match plan.identity.ids {
        Ids::One { .. } => 0,
        Ids::Each { .. } => 1,
    };
    let stderr = match plan.stderr {
        StandardError::Connection | StandardError::None => 0,
        StandardError::Log => 1,
    };
    SESSION + connection + claim + stderr
}

/// How many sessions have room in so many descriptors. All may be beginning at once where they are few; of many, no
/// more than an admission allows.
fn fit(room: u64, each: u64) -> u64 {
    let few = room / (each + BEGINNING);
    few.min(BEHIND as u64).max(room.saturating_sub(BEHIND as u64 * BEGINNING) / each)
}

/// The same where each can spare some: those that end have all of theirs again.
fn most(room: u64, each: u64, can_spare: bool) -> u64 {
    let spared = if can_spare { fit(room - room / ENDING - room / MANY * SPARED, each - SPARED) } else { 0 };
    fit(room, each).max(spared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{hosts, resolve};

    #[test]
    fn few_sessions_may_all_begin_at_once_and_of_many_a_part() {
        for (room, expected) in [(0, 0), (4, 0), (10, 2), (320, 64), (330, 69), (20_000, 9904)] {
            assert_eq!(fit(room, SESSION), expected, "{room}");
        }
    }

    #[test]
    fn ten_thousand_sessions_fit_into_twenty_thousand_descriptors() {
        let room = 20_000 - OWN - 20;
        assert!(most(room, SESSION, true) > 10_000 && most(room, SESSION, false) < 10_000);
        // Those that have everything and those that have less leave room for the ends of others.
        for room in (0..30_000).step_by(7) {
            let (most, many) = (most(room, SESSION, true), room / MANY);
            let taken = if most > many { many * SESSION + (most - many) * (SESSION - SPARED) } else { most * SESSION };
            assert!(taken <= room, "{most} sessions in {room}");
        }
    }

    fn plan(concurrency: usize) -> Plan {
        let mut plan = resolve(&hosts::listen(&["sh"]), &hosts::strict(), &hosts::root_on_618()).unwrap();
        plan.concurrency = concurrency;
        plan
    }

    fn sessions(now: Option<u64>, own: usize, others: &[usize]) -> usize {
        let before = Rlimit { current: now, maximum: now };
        let others: Vec<Plan> = others.iter().map(|count| plan(*count)).collect();
        OpenFiles { before, now, taken: 20, all_ours: true }.sessions(&plan(own), others.iter())
    }

    #[test]
    fn services_share_what_is_too_little_for_all() {
        let files = Some(20_000);
        let alone = sessions(files, 10_000, &[]);
        assert!(alone >= 10_000);
        assert!(sessions(files, 10_000, &[10_000]).abs_diff(alone / 2) < 2 * BEHIND);
        // Whoever may have few takes few from the others, and has them.
        assert!(sessions(files, 10_000, &[100]) > alone * 9 / 10 && sessions(files, 100, &[10_000]) >= BEHIND);
        for all in [vec![300, 100], vec![5000, 7, 20_000], vec![1000; 50]] {
            let beside = |at: usize| [&all[..at], &all[at + 1..]].concat();
            let sum: usize = (0..all.len()).map(|at| sessions(files, all[at], &beside(at)).min(all[at])).sum();
            assert!(sum <= alone, "{all:?}: {sum}");
        }
        assert_eq!((sessions(None, 10, &[10]), sessions(Some(10), 10, &[10])), (usize::MAX, 1));
    }
}
