// SPDX-License-Identifier: Apache-2.0
//! `spawnbox listen`: our own sockets, one service for each kind of them.

use super::arrange::{Arrangement, Failure};
use super::check::say_what_is_missing;
use super::cli::{Listen, What};
use super::output::print;
use crate::host::Facts;
use crate::plan::request::{Front, Transport};
use crate::plan::{Capabilities, Plan};
use crate::policy::Mistake;
use crate::policy::address::Address;
use crate::supervise::{Door, Inherited, OnSignal, Predecessor, Supervisor, Systemd, Wanted};
use nix::sys::stat::{Mode, umask};
use std::collections::BTreeSet;

/// A door that reads the policy again where that is asked for. The service keeps the name that it has.
struct Reloading<'a> {
    options: &'a Listen,
    passed: Vec<Address>,
    service: String,
}

impl Door for Reloading<'_> {
    fn reloads(&mut self) -> Option<Wanted> {
        match arrange(self.options, &self.passed) {
            Ok((plans, _)) => Some(Wanted { plans, kept: BTreeSet::new() }),
            Err(failure) => {
                failure.tell();
                tracing::error!("{}: goes on as it was", self.service);
                Some(Wanted { plans: Vec::new(), kept: BTreeSet::from([self.service.clone()]) })
            }
        }
    }
}

/// What was there before this program.
#[derive(Default)]
pub(super) struct Before {
    /// What it has open.
    sockets: Inherited,
    /// The program whose place it takes.
    predecessor: Option<Predecessor>,
    /// Who hears how it stands.
    systemd: Option<Systemd>,
}

/// Serves until a signal says that it is enough.
pub(super) fn listen(options: &Listen) -> Result<(), Failure> {
    let (sockets, unfit) = Inherited::take().map_err(Failure::Host)?;
    let predecessor = Predecessor::take().map_err(Failure::Host)?;
    if let Some(error) = unfit.into_iter().next() {
        return Err(Failure::Host(error));
    }
    options.seeing.tell()?;
    let passed: Vec<Address> = sockets.passed().into_values().flatten().collect();
    let (plans, facts) = arrange(options, &passed)?;
    let service = plans.first().map_or(String::new(), |plan| plan.service.clone());
    // There is one service, so that the names of sockets say nothing.
    let sockets = sockets.all_for(&service);
    let mut door = Reloading { options, passed, service };
    let before = Before { sockets, predecessor, systemd: Systemd::find() };
    serve(plans, &facts, options, (before, OnSignal::Serve, &mut door))
}

/// Reads the policy, and looks at the host for what it names. There is a plan at least.
fn arrange(options: &Listen, passed: &[Address]) -> Result<(Vec<Plan>, Facts), Failure> {
    let arrangement = Arrangement::new(&options.what, Front::Listen)?;
    let arrangement = arrangement.with_concurrency(options.max_sessions).with_addresses(&options.addresses);
    let arrangement = arrangement.with_passed(passed)?;
    if arrangement.addresses().is_empty() {
        let mistake = Mistake::new("nowhere to listen");
        return Err(Failure::Input(mistake.help("give an address, or write `listen.addresses` in the policy").into()));
    }
    let facts = arrangement.observe()?;
    let plans = arrangement.plans(&facts)?;
    plans.iter().take(1).for_each(say_what_is_missing);
    Ok((plans, facts))
}

/// Each plan for whoever connects to its addresses.
pub(super) fn serve(
    plans: Vec<Plan>,
    facts: &Facts,
    options: &Listen,
    (Before { sockets, predecessor, systemd }, on_signal, door): (Before, OnSignal, &mut dyn Door),
) -> Result<(), Failure> {
    // What we may ever make is nobody else's, but for sockets, which have the mode that was written.
    umask(Mode::from_bits_truncate(0o077));
    let mut supervisor =
        Supervisor::new(on_signal, &facts.cgroup, Capabilities::of_any_plan()).map_err(Failure::Host)?;
    supervisor.limit_drain(options.drain_limit);
    supervisor.delay_drain(options.drain_delay);
    supervisor.inherit(if predecessor.is_some() { sockets.lent() } else { sockets });
    options.seeing.open(&mut supervisor, None)?;
    supervisor.report_to(systemd);
    let mut told = Vec::new();
    let mut kinds = Vec::new();
    for plan in plans {
        kinds.push(plan.transport);
        let mut listeners = Vec::new();
        for bound in supervisor.listen(&plan).map_err(Failure::Host)? {
            told.push((bound.address, bound.port, bound.example));
            listeners.push(bound.listener);
        }
        supervisor.add(plan, listeners).map_err(Failure::Host)?;
    }
    supervisor.forget_kept();
    for (address, _, example) in &told {
        tracing::info!("listening on {address}: try  {example}");
    }
    for kind in kinds {
        tracing::info!("what a session may do: {}", explanation(&options.what, kind));
    }
    if options.print_port {
        for (_, port, _) in &told {
            // Whoever asks for it may wait for it; a reader that is gone is no reason not to serve.
            print(format!("{port}\n"))?;
        }
    }
    supervisor.take_place_of(predecessor);
    supervisor.run(door).map_err(Failure::Host)
}

/// The command that explains what this one serves. A plan depends on the kind of connection, and so may a refusal.
fn explanation(what: &What, kind: Transport) -> String {
    let mut words = vec!["spawnbox explain".to_string()];
    match kind {
        // What `explain` takes it for where nothing is said.
        Transport::Tcp => {}
        Transport::Unix => words.push("--connection unix".to_string()),
        Transport::Stdio => words.push("--connection stdio".to_string()),
    }
    words.extend(["--policy".to_string(), quote(&what.policy)]);
    for setting in &what.set {
        words.extend(["-s".to_string(), quote(setting)]);
    }
    if let Some(service) = &what.service {
        words.extend(["--service".to_string(), quote(service)]);
    }
    if !what.command.is_empty() {
        words.push("--".to_string());
        words.extend(what.command.iter().map(|word| quote(word)));
    }
    words.join(" ")
}

/// A word as a shell takes it.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_explanation_can_be_pasted_into_a_shell() {
        let what = What {
            policy: "strict".into(),
            set: vec!["files.read=[\"/etc/ssl\"]".into()],
            service: Some("a b".into()),
            command: ["sh", "-c", "echo 'a b'", ""].map(String::from).to_vec(),
        };
        let expected = r#"spawnbox explain --policy strict -s 'files.read=["/etc/ssl"]' --service 'a b' -- sh -c 'echo '\''a b'\''' ''"#;
        assert_eq!(explanation(&what, Transport::Tcp), expected);
        let unix = explanation(&what, Transport::Unix);
        assert!(unix.starts_with("spawnbox explain --connection unix --policy strict "), "{unix}");
    }
}
