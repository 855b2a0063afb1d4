// SPDX-License-Identifier: Apache-2.0
//! From the words of a command line to a plan: the policy is loaded, the host observed, the plan resolved.
//! What is refused is returned, with who must act; nothing is printed here.

use super::check::mistake_of;
use super::cli::What;
use crate::host::facts::{Kernel, Names};
use crate::host::{Facts, HostError, Machine};
use crate::plan::listen::transport;
use crate::plan::request::{Front, Transport};
use crate::plan::{Plan, Refusal, Request, resolve};
use crate::policy::address::Address;
use crate::policy::{InputError, Known, Mistake, Origin, Policy, Sourced, load};
use std::path::Path;

/// Why nothing is served.
#[derive(Debug)]
pub(super) enum Failure {
    /// What is written in a policy is wrong.
    Input(InputError),
    /// What is asked for must not or cannot be.
    Refused(Refusal),
    /// This host cannot.
    Host(HostError),
}

impl Failure {
    /// In the log, a line for each mistake: of a server that goes on without what is refused.
    pub(super) fn tell(&self) {
        match self {
            Failure::Input(error) => error.lines().for_each(|line| tracing::error!("{line}")),
            Failure::Refused(refusal) => tracing::error!("{refusal}"),
            Failure::Host(error) => tracing::error!("{error}"),
        }
    }
}

/// A policy and what it is used for.
pub(super) struct Arrangement {
    policy: Policy,
    request: Request,
}

impl Arrangement {
    /// Loads the policy.
    pub(super) fn new(what: &What, front: Front) -> Result<Arrangement, Failure> {
        let policy = load(&what.policy, &what.set).map_err(Failure::Input)?;
        let program = what.command.first().and_then(|program| Path::new(program).file_name());
        let name = match (&what.service, program) {
            (Some(name), _) => name.clone(),
            (None, Some(program)) => program.to_string_lossy().into_owned(),
            (None, None) => policy.name().to_string(),
        };
        let policy = policy.fill(Known { service: &name, user: None, stand_in: None }).map_err(Failure::Input)?;
        let argv = (!what.command.is_empty()).then(|| Sourced::new(what.command.clone(), Origin::CommandLine));
        let request = Request { argv, ..Request::new(name, front, Transport::Stdio) };
        Ok(Arrangement { policy, request })
    }

    /// With a limit on sessions that wins over the policy's.
    pub(super) fn with_concurrency(mut self, most: Option<u32>) -> Arrangement {
        self.request.concurrency = most.map(|most| Sourced::new(most.into(), Origin::CommandLine));
        self
    }

    /// With places to listen that win over the policy's.
    pub(super) fn with_addresses<'a>(mut self, addresses: impl IntoIterator<Item = &'a Address>) -> Arrangement {
        let sourced = addresses.into_iter().map(|address| Sourced::new(address.clone(), Origin::CommandLine));
        self.request.addresses = sourced.collect();
        self
    }

    /// With the sockets that were passed for it. Where it is also said where to listen, they must be there.
    pub(super) fn with_passed(self, passed: &[Address]) -> Result<Arrangement, Failure> {
        let Some(own) = self.addresses().first().cloned() else { return Ok(self.with_addresses(passed)) };
        let is_own = |one: &Address| self.addresses().iter().any(|own| own.value.is_same_place(one));
        let Some(other) = passed.iter().find(|one| !is_own(one)) else { return Ok(self) };
        let mistake =
            Mistake::new(format!("a socket at {other} was passed for {}, which listens here", self.service()))
                .help("take out the address, or the unit of the socket");
        Err(Failure::Input(mistake.quoted(&own.origin, &self.policy.sources).into()))
    }

    /// The name of the service.
    pub(super) fn service(&self) -> &str {
        &self.request.service
    }

    /// Looks at the host for what the policy names.
    pub(super) fn observe(&self) -> Result<Facts, Failure> {
        let facts = self.facts(&Machine::observe().map_err(Failure::Host)?)?;
        say_untested(&facts.kernel);
        Ok(facts)
    }

    /// What is known of this machine for what the policy names.
    pub(super) fn facts(&self, machine: &Machine) -> Result<Facts, Failure> {
        self.policy.facts(machine, &self.names()).map_err(Failure::Host)
    }

    fn names(&self) -> Names {
        let mut names = self.policy.names();
        for Sourced { value, .. } in &self.request.addresses {
            value.names(&mut names);
        }
        names
    }

    /// The plan for connections of this kind.
    pub(super) fn plan(&self, transport: Transport, facts: &Facts) -> Result<Plan, Failure> {
        let request = Request { transport, ..self.request.clone() };
        resolve(&request, &self.policy, facts).map_err(|refusal| failure(refusal, &self.policy))
    }

    /// A plan for each kind of connection that there is a place to listen for.
    pub(super) fn plans(&self, facts: &Facts) -> Result<Vec<Plan>, Failure> {
        let mut plans = Vec::new();
        for kind in [Transport::Tcp, Transport::Unix] {
            if self.addresses().iter().any(|address| transport(&address.value) == kind) {
                plans.push(self.plan(kind, facts)?);
            }
        }
        Ok(plans)
    }

    /// Where it listens.
    pub(super) fn addresses(&self) -> &[Sourced<Address>] {
        match self.request.addresses.is_empty() {
            true => &self.policy.listen.addresses,
            false => &self.request.addresses,
        }
    }
}

/// What stands in a policy file is quoted, for whoever edits it.
pub(super) fn failure(refusal: Refusal, policy: &Policy) -> Failure {
    match &refusal.origin {
        written @ (Origin::File { .. } | Origin::Profile { .. }) => {
            Failure::Input(mistake_of(&refusal).quoted(written, &policy.sources).into())
        }
        Origin::CommandLine | Origin::Postfix(_) | Origin::Default => Failure::Refused(refusal),
    }
}

/// Says that this kernel was never tried, where that is so. Whether it may work at all is the plan's to say.
pub(super) fn say_untested(kernel: &Kernel) {
    if let Some(why) = kernel.untested() {
        tracing::warn!("{why}");
    }
}
