// SPDX-License-Identifier: Apache-2.0
//! `spawnbox serve`: every policy of a directory that says where to listen, under one supervisor.
//! One bad policy keeps no other from being served: at the start it is told and left out, at a reload its service goes
//! on as it was.

use super::arrange::{Arrangement, Failure};
use super::check::say_what_is_missing;
use super::cli::{Serve, What};
use crate::host::{HostError, Machine};
use crate::plan::request::Front;
use crate::plan::{Capabilities, Plan};
use crate::policy::address::Address;
use crate::policy::load::operators;
use crate::policy::{InputError, Mistake};
use crate::supervise::control::DEFAULT;
use crate::supervise::{Door, Inherited, OnSignal, Predecessor, Supervisor, Systemd, Wanted, stays};
use nix::sys::stat::{Mode, umask};
use std::collections::BTreeMap;
use std::path::Path;

/// What was found in the directory.
#[derive(Default)]
struct Found {
    wanted: Wanted,
    /// Policies that are wrong, each with its mistakes.
    bad: usize,
}

/// Where sockets were passed for each service.
type Passed = BTreeMap<String, Vec<Address>>;

/// A door that reads the directory again where that is asked for.
struct Reloading<'a>(&'a Serve, Passed);

impl Door for Reloading<'_> {
    fn reloads(&mut self) -> Option<Wanted> {
        match find(self.0, &self.1) {
            Ok(found) => {
                if found.bad > 0 {
                    tracing::error!("policies that are wrong: {}; their services go on as they were", found.bad);
                }
                Some(found.wanted)
            }
            Err(failure) => {
                failure.tell();
                None
            }
        }
    }
}

/// Serves until a signal says that it is enough.
pub(super) fn serve(options: &Serve) -> Result<(), Failure> {
    // Before the log opens anything; what is wrong with them is told where the log goes.
    let inherited = Inherited::take();
    let predecessor = Predecessor::take();
    options.seeing.tell()?;
    let (sockets, unfit) = inherited.map_err(Failure::Host)?;
    let predecessor = predecessor.map_err(Failure::Host)?;
    unfit.into_iter().for_each(|error| tracing::error!("{error}"));
    let passed = sockets.passed();
    let found = find(options, &passed)?;
    if found.wanted.plans.is_empty() {
        let directory = options.directory.display();
        let mistake = match found.bad {
            0 => Mistake::new(format!("no policy in {directory} says where to listen"))
                .help("write `listen.addresses` in one; see spawnbox-policy(5)"),
            _ => Mistake::new(format!("no policy in {directory} can be served")),
        };
        return Err(Failure::Input(mistake.into()));
    }
    if found.bad > 0 {
        // The program before this one may serve them as they were.
        if predecessor.is_some() {
            return Err(Failure::Host(stays(format!("policies that are wrong: {}", found.bad))));
        }
        tracing::error!("policies that are wrong and not served: {}; the others are", found.bad);
    }
    let place =
        Machine::observe().and_then(|machine| machine.facts(&Default::default(), &[])).map_err(Failure::Host)?;
    // What we may ever make is nobody else's, but for sockets, which have the mode that was written.
    umask(Mode::from_bits_truncate(0o077));
    let mut supervisor =
        Supervisor::new(OnSignal::Serve, &place.cgroup, Capabilities::of_any_plan()).map_err(Failure::Host)?;
    supervisor.limit_drain(options.drain_limit);
    supervisor.delay_drain(options.drain_delay);
    supervisor.inherit(if predecessor.is_some() { sockets.lent() } else { sockets });
    options.seeing.open(&mut supervisor, Some(Path::new(DEFAULT)))?;
    supervisor.report_to(Systemd::find());
    let wanted = found.wanted.plans.len();
    supervisor.change(found.wanted);
    if predecessor.is_some() && supervisor.served() < wanted {
        let why = format!("services that cannot listen: {}", wanted - supervisor.served());
        return Err(Failure::Host(stays(why)));
    }
    if supervisor.served() == 0 {
        let why = "none of its services can listen".to_string();
        return Err(Failure::Host(HostError { doing: format!("serve {}", options.directory.display()), why }));
    }
    supervisor.take_place_of(predecessor);
    supervisor.run(&mut Reloading(options, passed)).map_err(Failure::Host)
}

/// Reads every policy, and says what is wrong with each. Fails where the directory or the host cannot be looked at.
fn find(options: &Serve, passed: &Passed) -> Result<Found, Failure> {
    let directory = &options.directory;
    // `operators` takes one that cannot be read for an empty one: at a reload, every service would be gone.
    if let Err(error) = std::fs::read_dir(directory) {
        return Err(Failure::Input(
            Mistake::new(format!("cannot read the directory: {error}")).in_file(directory).into(),
        ));
    }
    let machine = Machine::observe().map_err(Failure::Host)?;
    let mut found = Found::default();
    for name in operators(directory).into_iter().filter(|name| !is_hidden(name)) {
        match plans((options, passed), &name, &machine).and_then(|plans| apart(plans, &found.wanted.plans)) {
            Ok(plans) => found.wanted.plans.extend(plans),
            Err(failure) => {
                failure.tell();
                found.bad += 1;
                found.wanted.kept.insert(name);
            }
        }
    }
    for (name, places) in passed.iter().filter(|(name, _)| !found.knows(name)) {
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        tracing::error!(
            "sockets were passed for `{name}` ({}), and no policy in {} has that name; their clients wait. \
             FileDescriptorName= in the socket's unit says for which service it is",
            places.join(" "),
            directory.display()
        );
    }
    Ok(found)
}

impl Found {
    /// Whether there is such a service, for better or worse.
    fn knows(&self, name: &str) -> bool {
        self.wanted.kept.contains(name) || self.wanted.plans.iter().any(|plan| plan.service == name)
    }
}

/// Editors keep such files while they write.
fn is_hidden(name: &str) -> bool {
    name.is_empty() || name.starts_with('.')
}

/// The plans of one policy: none where it says nowhere to listen, and no socket was passed for it.
fn plans((options, passed): (&Serve, &Passed), name: &str, machine: &Machine) -> Result<Vec<Plan>, Failure> {
    let policy = options.directory.join(format!("{name}.toml"));
    let what = What { policy: policy.display().to_string(), set: Vec::new(), service: None, command: Vec::new() };
    let passed = passed.get(name).map(Vec::as_slice).unwrap_or_default();
    let arrangement = Arrangement::new(&what, Front::Listen)?.with_concurrency(options.max_sessions);
    let arrangement = arrangement.with_passed(passed)?;
    if arrangement.addresses().is_empty() {
        return Ok(Vec::new());
    }
    let plans = arrangement.plans(&arrangement.facts(machine)?)?;
    plans.iter().take(1).for_each(say_what_is_missing);
    Ok(plans)
}

/// Refuses a place where another service listens already.
fn apart(plans: Vec<Plan>, others: &[Plan]) -> Result<Vec<Plan>, Failure> {
    let all = |plans: &[Plan]| -> Vec<_> {
        plans
            .iter()
            .flat_map(|plan| plan.listen.addresses.iter().map(|at| (at.clone(), plan.service.clone())))
            .collect()
    };
    let others = all(others);
    for plan in &plans {
        for (address, _) in all(std::slice::from_ref(plan)) {
            if let Some((_, service)) = others.iter().find(|(other, _)| other.is_same_place(&address)) {
                let mistake = Mistake::new(format!("{address} is where the service {service} listens"))
                    .help("give one of them another address");
                let origin = plan.origins.get("listen.addresses").cloned();
                let mistake = origin.map_or(mistake.clone(), |origin| mistake.written(&origin));
                return Err(Failure::Input(InputError::from(mistake)));
            }
        }
    }
    Ok(plans)
}
