// SPDX-License-Identifier: Apache-2.0
//! From attributes and parameters to a service that can take its first client. Mistakes are found in spawn(8)'s order:
//! time limit, attributes, environment; then what is ours: policy, host, plan.

use super::accounts::Host;
use super::fatal::Fatal;
use super::start::Start;
use crate::front::arrange::say_untested;
use crate::front::check::say_what_is_missing;
use crate::front::install::units::{self, Units};
use crate::host::{self, Elsewhere};
use crate::plan::request::{Front, Transport};
use crate::plan::{Capabilities, Plan, Request, resolve};
use crate::policy::load::{DIRECTORY, load_from};
use crate::policy::{InputError, Known, Origin, Policy, Sourced, Written};
use crate::postfix::attributes::{self, Accounts, Attributes, User};
use crate::postfix::environment;
use crate::supervise::{Listener, OnSignal, Supervisor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The policy of a service that names none and has no file.
const DEFAULT_POLICY: &str = "compatible";
/// The stem of the file that takes its place.
const DEFAULT_FILE: &str = "default";

/// Everything about a service that can be known before it is started.
pub(in crate::front) struct Foreseen {
    pub(in crate::front) policy: Policy,
    pub(in crate::front) choice: Choice,
    pub(in crate::front) plan: Plan,
    facts: host::Facts,
}

/// Who chose a service's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::front) enum Choice {
    /// `policy=`.
    Attribute,
    /// The file of the service's name.
    File,
    /// `spawnbox_default_policy`.
    Parameter,
    /// The file `default.toml`.
    DefaultFile,
    /// No one.
    Nobody,
}

/// A supervisor of one service, with a launcher that has shown that it can make a sandbox; and the service's number.
/// Where that is for want of something that the unit withholds which started Postfix, the log has it from here on, and
/// not only when the first client has failed.
pub(super) fn prepare(
    start: &Start,
    transport: Transport,
    listeners: Vec<Listener>,
) -> Result<(Supervisor, usize), Fatal> {
    let prepared = supervisor(start, transport, listeners);
    if prepared.as_ref().is_err_and(Fatal::is_about_the_host) {
        let complaint = Units::find(None).and_then(|units| units.own_complaint());
        complaint.iter().for_each(|complaint| tracing::warn!("{complaint}; {}", units::WAY_OUT));
    }
    prepared
}

fn supervisor(start: &Start, transport: Transport, listeners: Vec<Listener>) -> Result<(Supervisor, usize), Fatal> {
    let Foreseen { choice, plan, facts, .. } = foresee(start, transport)?;
    let service = &start.service;
    let better = format!("policy=NAME in master.cf or {DIRECTORY}/{service}.toml gives it less");
    let under = |by: &str| format!("{service}: no policy is named, so the command runs under \"{}\"{by}", plan.policy);
    match choice {
        Choice::Attribute | Choice::File => {}
        Choice::Parameter => tracing::info!("{}", under(" (spawnbox_default_policy)")),
        Choice::DefaultFile => tracing::info!("{}", under(&format!(" ({DIRECTORY}/default.toml)"))),
        Choice::Nobody => tracing::info!("{}; {better}", under("")),
    }
    say_what_is_missing(&plan);
    let mut supervisor = Supervisor::new(OnSignal::Die, &facts.cgroup, Capabilities::of_supervisor(&plan))?;
    let number = supervisor.add(plan, listeners)?;
    Ok((supervisor, number))
}

/// The plan of a service. Looks at the host and changes nothing.
pub(super) fn foresee(start: &Start, transport: Transport) -> Result<Foreseen, Fatal> {
    let place = match start.options.chroot {
        true => Some(Elsewhere::open(Path::new(&start.parameters.queue_directory))?),
        false => None,
    };
    let (request, attributes) = request(start, transport, place.as_ref())?;
    let default = start.parameters.default_policy.as_deref();
    let (written, choice) = find(Path::new(DIRECTORY), &start.service, attributes.policy.as_deref(), default)?;
    let user = request.user.as_ref().map(|user| user.value.as_str());
    let policy = written.fill(Known { service: &start.service, user, stand_in: None })?;
    let request = with_policys_time(request, &policy);
    let (plan, facts) = plan(&request, &policy, place.as_ref())?;
    Ok(Foreseen { policy, choice, plan, facts })
}

fn request(start: &Start, transport: Transport, place: Option<&Elsewhere>) -> Result<(Request, Attributes), Fatal> {
    let parameters = &start.parameters;
    let limit = parameters.time_limit()?;
    if let Some(overridden) = &limit.overridden {
        tracing::warn!("parameter {} overrides {overridden}", limit.parameter);
    }
    // As spawn(8), which looks names up when it is in the chroot directory already.
    let accounts = place.map_or(&Host as &dyn Accounts, |place| place);
    let attributes = attributes::parse(&start.options.words, accounts, start.mail_owner)?;
    let environment = environment::exported(&parameters.export_environment, &start.environment)?;
    let first = start.options.words.first().map_or("", String::as_str);
    tracing::debug!("spawn_service: service={}, command={first}...", start.service);
    if let Some(User { ids: (uid, gid), .. }) = &attributes.user {
        tracing::debug!("get_service_attr: uid {uid}, gid {gid}; time {}", limit.limit.as_secs());
    }
    let user = attributes.user.clone();
    let request = Request {
        service: start.service.clone(),
        front: Front::Master,
        transport,
        group: user.as_ref().and_then(|user| user.group.clone()).map(|group| Sourced::new(group, of("user="))),
        user: user.map(|user| Sourced::new(user.name, of("user="))),
        argv: Some(Sourced::new(attributes.argv.clone(), of("argv="))),
        time_limit: Some(Sourced::new(limit.limit, of(&limit.parameter))),
        concurrency: parameters
            .concurrency()?
            .map(|most| Sourced::new(most.into(), of(&parameters.concurrency_name()))),
        addresses: Vec::new(),
        environment,
        directory: Some(PathBuf::from(if place.is_some() { "/" } else { &parameters.queue_directory })),
        chroot: place.map(|place| place.path().to_path_buf()),
        mail_owner: Some(start.mail_owner),
    };
    Ok((request, attributes))
}

fn of(what: &str) -> Origin {
    Origin::Postfix(Arc::from(what))
}

/// `policy=`, or the file of the service's name in `directory`, or `default`, or the file of that name, or what comes
/// nearest to spawn(8).
fn find(
    directory: &Path,
    service: &str,
    named: Option<&str>,
    default: Option<&str>,
) -> Result<(Written, Choice), InputError> {
    // A link that leads nowhere was meant to be a policy, and is refused as one.
    let is_there = |name: &str| directory.join(format!("{name}.toml")).symlink_metadata().is_ok();
    let (name, choice) = match named {
        Some(name) => (name, Choice::Attribute),
        None if !service.contains('/') && is_there(service) => (service, Choice::File),
        None => match default {
            Some(name) => (name, Choice::Parameter),
            None if is_there(DEFAULT_FILE) => (DEFAULT_FILE, Choice::DefaultFile),
            None => (DEFAULT_POLICY, Choice::Nobody),
        },
    };
    Ok((load_from(directory, name, &[])?, choice))
}

/// The limit of all services gives way to the one that the policy has for this service; the service's own does not.
fn with_policys_time(request: Request, policy: &Policy) -> Request {
    let own = |limit: &Sourced<_>| limit.origin != of("command_time_limit") || policy.limits.time.is_none();
    Request { time_limit: request.time_limit.filter(own), ..request }
}

fn plan(request: &Request, policy: &Policy, place: Option<&Elsewhere>) -> Result<(Plan, host::Facts), Fatal> {
    let mut names = policy.names();
    names.users.extend(request.user.as_ref().map(|user| user.value.clone()));
    names.groups.extend(request.group.as_ref().map(|group| group.value.clone()));
    let facts = match place {
        None => policy.facts(&host::Machine::observe()?, &names)?,
        Some(place) => {
            let paths = [policy.paths(), vec![PathBuf::from("/proc")]].concat();
            host::Machine::observe()?.facts_in(place, &names, &paths)?
        }
    };
    say_untested(&facts.kernel);
    Ok((resolve(request, policy, &facts)?, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Scene;
    use std::time::Duration;

    /// A directory with these files, and what the service `policy` finds there.
    fn found(files: &[(&str, &str)], named: Option<&str>, default: Option<&str>) -> Result<String, String> {
        let scene = Scene::new();
        for (name, text) in files {
            scene.file(name, 0o644, format!("version = 1\n{text}\n"));
        }
        let known = Known { service: "policy", user: None, stand_in: None };
        let policy = find(scene.whole(), "policy", named, default);
        let policy = policy.and_then(|(written, choice)| Ok((written.fill(known)?, choice)));
        let described = policy.map(|(policy, _)| (policy.name, policy.description.map(|text| text.value)));
        described.map(|(name, text)| format!("{name}: {}", text.unwrap_or_default())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_broken_policy_is_refused_and_never_passed_over() {
        for file in ["policy.toml", "default.toml"] {
            let error = found(&[(file, "unknown = 2")], None, None).unwrap_err();
            assert!(error.contains("unknown"), "{error}");
        }
        assert!(found(&[], Some("no-such-policy"), None).is_err());
        assert!(found(&[], None, Some("no-such-policy")).is_err());
    }

    #[test]
    fn the_policy_is_the_one_that_is_named_else_the_services_else_a_default() {
        let own = ("policy.toml", "description = \"own\"");
        let default = ("default.toml", "description = \"tight\"");
        let strict = Some("strict");
        assert!(found(&[own, default], Some("echo"), strict).unwrap().starts_with("echo: "));
        assert_eq!(found(&[own, default], None, strict).unwrap(), "policy: own");
        assert!(found(&[default], None, strict).unwrap().starts_with("strict: "));
        assert_eq!(found(&[default], None, None).unwrap(), "default: tight");
        assert!(found(&[], None, None).unwrap().starts_with("compatible: "));
    }

    #[test]
    fn a_policys_time_limit_wins_over_that_of_all_services_but_not_over_the_services_own() {
        let mut policy = crate::plan::hosts::compatible();
        let request = |parameter: &str| Request {
            time_limit: Some(Sourced::new(Duration::from_secs(1000), of(parameter))),
            ..crate::plan::hosts::master("nobody", &["/bin/cat"])
        };
        let limit = |parameter, policy: &Policy| with_policys_time(request(parameter), policy).time_limit.is_some();
        assert!(limit("command_time_limit", &policy));
        policy.limits.time = Some(Sourced::new(Duration::from_secs(60), Origin::Default));
        assert!(!limit("command_time_limit", &policy));
        assert!(limit("policy_time_limit", &policy));
    }
}
