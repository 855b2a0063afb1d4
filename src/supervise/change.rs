// SPDX-License-Identifier: Apache-2.0
//! What is served becomes something else while it is served: at the start of many services, and at each reload.
//! A service whose plan is the same is not touched. Another plan gets a launcher of its own beside the old one, and
//! takes over the listening sockets when a sandbox of its own was made and proven; until then the old one serves.
//! Running sessions, and those that wait for a launcher, keep the plan that they came under.

use super::inherited::Inherited;
use super::listener::Listener;
use super::service::Service;
use super::slices;
use super::socket::{Bound, adjust};
use super::supervisor::{Phase, Supervisor};
use crate::host::HostError;
use crate::plan::Plan;
use crate::plan::model::Listen;
use crate::policy::address::Address;
use std::collections::BTreeSet;
use std::time::Instant;

/// What is to be served from here on.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The plans of services that listen themselves; no two have the same name and kind of connection.
    pub plans: Vec<Plan>,
    /// Names of services about which nothing is known now: they go on as they are.
    pub kept: BTreeSet<String>,
}

/// What a change comes to.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    changed: usize,
    new: usize,
    gone: usize,
}

impl Supervisor {
    /// Serves what is wanted, and nothing else. A service that cannot be had is told, and the others are served.
    pub fn change(&mut self, wanted: Wanted) {
        let mut tally = Tally::default();
        self.refused.clear();
        self.forget_successors();
        let old: Vec<usize> = self.services.iter().filter(|it| !it.admission.is_closed()).map(|it| it.number).collect();
        // First, so that what they listen on is free.
        for number in &old {
            let Some(service) = self.services.get(*number) else { continue };
            let name = &service.plan.service;
            if !wanted.kept.contains(name) && !wanted.plans.iter().any(|plan| is_same_service(plan, &service.plan)) {
                tracing::info!("{name}: no longer served; sessions left: {}", service.admission.live());
                tally.gone += 1;
                self.let_go(*number);
            }
        }
        for plan in wanted.plans {
            let there = old.iter().filter_map(|number| self.services.get(*number));
            let mut before =
                there.filter(|service| is_same_service(&plan, &service.plan)).map(|it| (it.number, it.plan == plan));
            match before.next_back() {
                Some((number, true)) => {
                    tally.same += 1;
                    // One that was tried meanwhile is not wanted any more.
                    if let Some(service) = self.services.get_mut(number) {
                        service.trouble = service.trouble.take().filter(|_| service.launcher.is_none());
                        service.try_again(&mut self.watch, &self.files, Instant::now());
                    }
                }
                Some((number, false)) => {
                    tally.changed += 1;
                    self.begin_service(plan, Vec::new(), Some(number));
                }
                None => {
                    tally.new += 1;
                    self.begin_new(plan);
                }
            }
        }
        self.share_files();
        self.inherited.forget_kept(&wanted.kept);
        for name in wanted.kept {
            let wrong = "its file is wrong: the log and `spawnbox check` say where";
            match self
                .services
                .iter_mut()
                .find(|service| service.plan.service == name && !service.admission.is_closed())
            {
                Some(service) => service.trouble = Some(format!("its newest policy is not in force: {wrong}")),
                None => drop(self.refused.insert(name, wrong.to_string())),
            }
        }
        let Tally { same, changed, new, gone } = tally;
        tracing::info!("services: unchanged {same}, changed {changed}, new {new}, gone {gone}");
    }

    /// How many services listen, or will.
    pub fn served(&self) -> usize {
        self.services.iter().filter(|service| !service.admission.is_closed()).count()
    }

    fn begin_new(&mut self, plan: Plan) {
        match self.listen(&plan) {
            Ok(bound) => {
                bound.iter().for_each(|bound| tell(&plan, bound));
                self.begin_service(plan, bound.into_iter().map(|bound| bound.listener).collect(), None);
            }
            Err(error) => {
                tracing::error!("{}: {error}; not served until the next reload", plan.service);
                self.refused.insert(plan.service, error.to_string());
            }
        }
    }

    /// A listener for each address of a plan, in their order.
    pub fn listen(&mut self, plan: &Plan) -> Result<Vec<Bound>, HostError> {
        let mut bound = Vec::new();
        for address in &plan.listen.addresses {
            match listen(&plan.service, &plan.listen, address, &mut self.inherited) {
                Ok(one) => bound.push(one),
                Err(error) => {
                    self.inherited.give_back(&plan.service, bound.into_iter().map(|one| one.listener));
                    return Err(error);
                }
            }
        }
        Ok(bound)
    }

    /// Begins a service, which accepts nobody before its sandbox is proven.
    fn begin_service(&mut self, plan: Plan, listeners: Vec<Listener>, succeeds: Option<usize>) {
        let name = plan.service.clone();
        let number = self.services.number();
        let limit = plan.concurrency;
        let own = self.slice.as_mut().map(|slice| slices::of_service(slice, &plan)).transpose();
        let made = own.and_then(|own| Service::unproven(number, plan, (listeners, limit), (own.flatten(), succeeds)));
        match made {
            Ok(mut service) => {
                service.repair(&mut self.watch, &self.files, Instant::now());
                self.services.insert(service);
            }
            Err(error) => {
                tracing::error!("{name}: {error}; {}", left_as(succeeds));
                self.note(name, succeeds, &error);
            }
        }
    }

    /// Whoever asks is told why a service is not served, or not under its newest policy.
    fn note(&mut self, name: String, before: Option<usize>, error: &HostError) {
        match before.map(|number| self.services.get_mut(number)) {
            None => drop(self.refused.insert(name, error.to_string())),
            Some(Some(old)) => old.trouble = Some(format!("its newest policy is not in force: {error}")),
            Some(None) => {}
        }
    }

    /// A service has a launcher now whose sandbox is proven: where it succeeds another one, it takes over.
    pub(super) fn succeed(&mut self, number: usize) {
        let Some(service) = self.services.get_mut(number) else { return };
        let Some(before) = service.succeeds.take() else { return };
        let plan = service.plan.clone();
        // It was closed meanwhile, as at the end.
        let Some(old) = self.services.get_mut(before).filter(|old| !old.admission.is_closed()) else { return };
        let mut there = old.take_listeners(&self.watch);
        let halted = old.admission.is_halted();
        match places(&plan, &mut there, &mut self.inherited) {
            Ok(listeners) => {
                self.inherited.give_back(&plan.service, there);
                tracing::info!(
                    "{}: its new policy is in force: {}",
                    plan.service,
                    plan.policy_hash.get(..12).unwrap_or_default()
                );
                if let Some(service) = self.services.get_mut(number) {
                    service.listeners = listeners;
                    if halted {
                        service.admission.halt();
                    }
                }
                self.set_listening(number);
                self.let_go(before);
                self.share_files();
            }
            Err(error) => {
                tracing::error!("{}: {error}; {}", plan.service, left_as(Some(before)));
                old.listeners = there;
                old.trouble = Some(format!("its newest policy is not in force: {error}"));
                self.set_listening(before);
                self.remove(number);
            }
        }
    }

    /// A service that was to succeed another one cannot be had.
    pub(super) fn give_up_successor(&mut self, number: usize, error: &HostError) {
        if let Some(service) = self.services.get(number) {
            tracing::error!("{}: {error}; {}", service.plan.service, left_as(service.succeeds));
            self.note(service.plan.service.clone(), service.succeeds, error);
        }
        self.remove(number);
    }

    /// Accepts nobody more, and ends with its last session.
    fn let_go(&mut self, number: usize) {
        if let Some(service) = self.services.get_mut(number) {
            let listeners = service.take_listeners(&self.watch);
            self.inherited.give_back(&service.plan.service, listeners);
            service.close(&self.watch);
        }
        self.discard_spares(number);
        self.retire(number);
    }

    /// Forgets a service that accepts nobody more, once its last session is over.
    pub(super) fn retire(&mut self, number: usize) {
        let over = |service: &Service| service.admission.is_closed() && service.admission.live() == 0;
        // A spare has no client, and needs its service for its end all the same.
        let is_empty = || self.sessions.values().all(|session| session.service != number);
        if self.phase == Phase::Serving && self.services.get(number).is_some_and(over) && is_empty() {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: usize) {
        let Some(mut service) = self.services.remove(number) else { return };
        // Its numbers are its successor's, or those of its other kind of sockets: sums by name do not fall.
        if let Some(heir) = self.services.iter_mut().find(|other| other.plan.service == service.plan.service) {
            heir.counts.add(&service.counts);
        }
        service.close(&self.watch);
        service.lose_launcher(&self.watch);
        self.stop_listening_to_audit();
        if let Some(slice) = service.slice.take()
            && let Err(error) = self.rights.whole(|| slice.remove())
        {
            tracing::warn!("{error}");
        }
        self.expect_strays();
    }

    /// What an earlier change has begun and not finished is of no use any more.
    fn forget_successors(&mut self) {
        for number in self.services.numbers() {
            if self.services.get(number).is_some_and(|service| service.succeeds.is_some()) {
                self.remove(number);
            }
        }
    }
}

fn is_same_service(one: &Plan, other: &Plan) -> bool {
    one.service == other.service && one.transport == other.transport
}

fn left_as(before: Option<usize>) -> &'static str {
    match before {
        Some(_) => "its policy stays as it was",
        None => "not served until the next reload",
    }
}

/// The listeners of a plan: those that are there already, and new ones. What is not needed any more stays behind; where
/// one cannot be had, all do.
fn places(plan: &Plan, there: &mut Vec<Listener>, inherited: &mut Inherited) -> Result<Vec<Listener>, HostError> {
    let mut new = Vec::new();
    for address in &plan.listen.addresses {
        if !there.iter().any(|listener| listener.is_at(address)) {
            new.push(listen(&plan.service, &plan.listen, address, inherited)?);
        }
    }
    let mut listeners = Vec::new();
    for address in &plan.listen.addresses {
        let Some(at) = there.iter().position(|listener| listener.is_at(address)) else { continue };
        let mut listener = there.remove(at);
        if let Err(error) = adjust(&mut listener, address, &plan.listen) {
            tracing::error!("{}: {error}; clients find it as it was", plan.service);
        }
        listeners.push(listener);
    }
    new.iter().for_each(|bound| tell(plan, bound));
    listeners.extend(new.into_iter().map(|bound| bound.listener));
    Ok(listeners)
}

/// A listener at this address: one that was there before us, under the name of this service, or a new one.
pub(super) fn listen(
    service: &str,
    how: &Listen,
    address: &Address,
    inherited: &mut Inherited,
) -> Result<Bound, HostError> {
    let Some(mut listener) = inherited.claim(service, address) else { return address.listen(how) };
    if let Err(error) = adjust(&mut listener, address, how) {
        tracing::error!("{service}: {error}; clients find it as it was");
    }
    Bound::of(listener, address)
}

fn tell(plan: &Plan, bound: &Bound) {
    tracing::info!("{}: listening on {}: try  {}", plan.service, bound.address, bound.example);
}
