// SPDX-License-Identifier: Apache-2.0
//! All services of a supervisor, by numbers that no other service ever gets: a token or a moment may be seen after its
//! service is gone, and must not mean the next one.

use super::service::Service;
use std::collections::BTreeMap;

/// The services.
#[derive(Debug, Default)]
pub(super) struct Services {
    all: BTreeMap<usize, Service>,
    next: usize,
}

impl Services {
    /// The number of the next service.
    pub(super) fn number(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// Adds one, under its own number.
    pub(super) fn insert(&mut self, service: Service) {
        self.all.insert(service.number, service);
    }

    /// Takes one out for good.
    pub(super) fn remove(&mut self, number: usize) -> Option<Service> {
        self.all.remove(&number)
    }

    pub(super) fn get(&self, number: usize) -> Option<&Service> {
        self.all.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Service> {
        self.all.get_mut(&number)
    }

    pub(super) fn numbers(&self) -> Vec<usize> {
        self.all.keys().copied().collect()
    }

    /// Those with this number and larger ones.
    pub(super) fn from(&self, number: usize) -> impl Iterator<Item = &Service> {
        self.all.range(number..).map(|(_, service)| service)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.all.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.all.values_mut()
    }
}
