// SPDX-License-Identifier: Apache-2.0
//! From attributes and parameters to a service that can take its first client. Mistakes are found in spawn(8)'s order:
//! time limit, attributes, environment; then what is ours: policy, host, plan.

use super::accounts::Host;
use super::fatal::Fatal;
use super::start::Start;
use crate::front::arrange::old_enough;
use crate::host;
use crate::plan::request::Front;
use crate::plan::{Plan, Request, resolve};
use crate::policy::load::{DIRECTORY, load_from};
use crate::policy::{InputError, Origin, Policy, Sourced};
use crate::postfix::attributes::{self, Attributes};
use crate::postfix::environment;
use crate::supervise::{Listener, OnSignal, Supervisor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The policy of a service that names none and has no file.
const DEFAULT_POLICY: &str = "compatible";

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
    /// No one.
    Nobody,
}

/// A supervisor that listens, with a launcher that has shown that it can make a sandbox; and how many clients it
/// serves at once.
pub(super) fn prepare(start: &Start, listeners: Vec<Listener>) -> Result<(Supervisor, usize), Fatal> {
    let Foreseen { choice, plan, facts, .. } = foresee(start)?;
    if choice == Choice::Nobody {
        let service = &start.service;
        tracing::info!(
            "{service}: no policy is named, so the command runs under \"{DEFAULT_POLICY}\"; policy=NAME in master.cf or \
             {DIRECTORY}/{service}.toml gives it less"
        );
    }
    let mut supervisor = Supervisor::new(OnSignal::Die, &facts.cgroup)?;
    let number = supervisor.add(plan, listeners)?;
    let concurrency = supervisor.most_sessions(number);
    Ok((supervisor, concurrency))
}

/// The plan of a service. Looks at the host and changes nothing.
pub(super) fn foresee(start: &Start) -> Result<Foreseen, Fatal> {
    let (request, attributes) = request(start)?;
    let (policy, choice) = find(Path::new(DIRECTORY), &start.service, attributes.policy.as_deref())?;
    let request = with_policys_time(request, &policy);
    let (plan, facts) = plan(&request, &policy)?;
    Ok(Foreseen { policy, choice, plan, facts })
}

fn request(start: &Start) -> Result<(Request, Attributes), Fatal> {
    let parameters = &start.parameters;
    let limit = parameters.time_limit()?;
    if let Some(overridden) = &limit.overridden {
        tracing::warn!("parameter {} overrides {overridden}", limit.parameter);
    }
    let attributes = attributes::parse(&start.options.words, &Host, start.mail_owner)?;
    let environment = environment::exported(&parameters.export_environment, &start.environment)?;
    let request = Request {
        service: start.service.clone(),
        front: Front::Master,
        transport: start.request_transport(),
        user: Some(Sourced::new(attributes.user.clone(), of("user="))),
        group: attributes.group.clone().map(|group| Sourced::new(group, of("user="))),
        argv: Some(Sourced::new(attributes.argv.clone(), of("argv="))),
        time_limit: Some(Sourced::new(limit.limit, of(&limit.parameter))),
        concurrency: parameters
            .concurrency()?
            .map(|most| Sourced::new(most.into(), of(&parameters.concurrency_name()))),
        environment,
        directory: Some(PathBuf::from(&parameters.queue_directory)),
        mail_owner: Some(start.mail_owner),
    };
    Ok((request, attributes))
}

fn of(what: &str) -> Origin {
    Origin::Postfix(Arc::from(what))
}

/// `policy=`, or the file of the service's name in `directory`, or what comes nearest to spawn(8).
fn find(directory: &Path, service: &str, named: Option<&str>) -> Result<(Policy, Choice), InputError> {
    let file = directory.join(format!("{service}.toml"));
    let (name, choice) = match named {
        Some(name) => (name, Choice::Attribute),
        // A link that leads nowhere was meant to be a policy, and is refused as one.
        None if !service.contains('/') && file.symlink_metadata().is_ok() => (service, Choice::File),
        None => (DEFAULT_POLICY, Choice::Nobody),
    };
    Ok((load_from(directory, name, &[])?, choice))
}

/// The limit of all services gives way to the one that the policy has for this service; the service's own does not.
fn with_policys_time(request: Request, policy: &Policy) -> Request {
    let own = |limit: &Sourced<_>| limit.origin != of("command_time_limit") || policy.limits.time.is_none();
    Request { time_limit: request.time_limit.filter(own), ..request }
}

fn plan(request: &Request, policy: &Policy) -> Result<(Plan, host::Facts), Fatal> {
    let names = |names: [&Option<Sourced<String>>; 2]| {
        names.into_iter().flatten().map(|name| name.value.clone()).collect::<Vec<_>>()
    };
    let users = names([&request.user, &policy.command.user]);
    let groups = names([&request.group, &policy.command.group]);
    let facts = host::observe(&users, &groups, &policy.paths())?;
    old_enough(&facts.kernel)?;
    Ok((resolve(request, policy, &facts)?, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A directory with this policy for the service `policy`, and what it is found as.
    fn found(text: Option<&str>, named: Option<&str>) -> Result<String, String> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("spawnbox-find-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        text.iter().for_each(|text| std::fs::write(directory.join("policy.toml"), text).unwrap());
        let policy = find(&directory, "policy", named);
        std::fs::remove_dir_all(&directory).unwrap();
        let described = policy.map(|(policy, _)| (policy.name, policy.description.map(|text| text.value)));
        described.map(|(name, text)| format!("{name}: {}", text.unwrap_or_default())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_broken_policy_is_refused_and_never_passed_over() {
        let error = found(Some("version = 1\nunknown = 2\n"), None).unwrap_err();
        assert!(error.contains("unknown"), "{error}");
        assert!(found(None, Some("no-such-policy")).is_err());
    }

    #[test]
    fn the_policy_is_the_one_that_is_named_else_the_services_else_compatible() {
        let own = Some("version = 1\ndescription = \"own\"\nextends = [\"compatible\"]\n");
        assert_eq!(found(own, None).unwrap(), "policy: own");
        assert!(found(own, Some("echo")).unwrap().starts_with("echo: "));
        assert!(found(None, None).unwrap().starts_with("compatible: "));
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
