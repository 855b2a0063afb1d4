// SPDX-License-Identifier: Apache-2.0
//! The entries of master.cf that start us: each goes the way that its daemon would go, up to where it would serve.

use super::{Said, program};
use crate::front::install::units::{self, Units};
use crate::front::master::{self, Choice, Fatal, Foreseen};
use crate::front::postconf::Postconf;
use crate::host::HostError;
use crate::policy::load::{DIRECTORY, builtin, builtin_names};
use crate::policy::{InputError, Mistake, Origin};
use crate::postfix::master_cf::{ChrootDefault, Entry};
use std::path::Path;
use std::sync::Arc;

/// Checks all of them.
pub(super) fn check(directory: Option<&Path>, said: &mut Said) -> Result<(), HostError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(HostError {
            doing: "check the entries of master.cf".into(),
            why: "master(8) starts them as root, so only root sees what they will find; try sudo".into(),
        });
    }
    let postconf = Postconf::of(directory)?;
    let directory = postconf.directory().display().to_string();
    let chroot = postconf.chroot_default()?;
    let entries: Vec<Entry> = postconf.entries()?.into_iter().filter(Entry::is_ours).collect();
    if entries.is_empty() {
        said.good(&format!("no entry of {directory}/master.cf starts spawnbox"));
    }
    if !entries.is_empty() {
        check_units(said);
    }
    for entry in &entries {
        one(entry, &directory, chroot, said);
    }
    Ok(())
}

/// What this shell has, the daemons may not: a unit that starts Postfix may withhold it.
fn check_units(said: &mut Said) {
    for complaint in Units::find(None).iter().flat_map(Units::complaints) {
        said.bad(&[Mistake::new(complaint).help(units::WAY_OUT).into()]);
    }
}

fn one(entry: &Entry, directory: &str, chroot: ChrootDefault, said: &mut Said) {
    let foreseen = match master::foresee(&entry.words(chroot), directory) {
        Ok(foreseen) => foreseen,
        Err(fatal) => return said.bad(&reports(entry, fatal)),
    };
    if let Some(mistake) = program::check(&foreseen.plan) {
        return said.bad(&[at(entry, mistake, "argv=")]);
    }
    if let Some(mistake) = said.min_score.and_then(|least| super::too_weak(&foreseen.plan, least)) {
        return said.bad(&[at(entry, mistake, "")]);
    }
    let Foreseen { policy, choice, .. } = &foreseen;
    said.good(&format!("{}: ok, policy {} ({})", entry.title(), policy.name, by(*choice, &entry.service)));
    policy.stand_ins().for_each(|line| said.note(&line));
    if *choice == Choice::Nobody {
        said.note(&better(entry, &foreseen));
    }
    if let Some(note) = unused_parameter(entry, &foreseen) {
        said.note(&note);
    }
}

/// Why its daemon would end, in the words that it would log.
fn reports(entry: &Entry, fatal: Fatal) -> Vec<InputError> {
    match fatal {
        Fatal::Policy(error) => {
            let whose = Mistake::new(format!("the policy of {} cannot be used", entry.title()));
            vec![error, at(entry, whose, "")]
        }
        Fatal::Refusal(refusal) => {
            let mistake = Mistake::new(refusal.message()).help(refusal.way_out());
            match &refusal.origin {
                Origin::Postfix(attribute) => vec![at(entry, mistake, attribute)],
                Origin::Default => vec![at(entry, mistake, "")],
                written @ (Origin::File { .. } | Origin::Profile { .. } | Origin::CommandLine) => {
                    vec![
                        mistake
                            .written(written)
                            .help(format!("it is the policy of {} in master.cf", entry.title()))
                            .into(),
                    ]
                }
            }
        }
        other => vec![at(entry, Mistake::new(other.to_string()), "")],
    }
}

/// A mistake whose place is the entry.
fn at(entry: &Entry, mistake: Mistake, attribute: &str) -> InputError {
    let attribute = if attribute.is_empty() { String::new() } else { format!(", {attribute}") };
    let place = format!("master.cf: {}{attribute}", entry.title());
    mistake.written(&Origin::Postfix(Arc::from(place))).into()
}

fn by(choice: Choice, service: &str) -> String {
    match choice {
        Choice::Attribute => "policy=".to_string(),
        Choice::File => format!("{DIRECTORY}/{service}.toml"),
        Choice::Parameter => "spawnbox_default_policy".to_string(),
        Choice::DefaultFile => format!("{DIRECTORY}/default.toml"),
        Choice::Nobody => "none is named".to_string(),
    }
}

/// How the command can be given less than it had under spawn(8).
fn better(entry: &Entry, foreseen: &Foreseen) -> String {
    let argv = foreseen.plan.command.argv.first().map(|word| word.to_string_lossy().into_owned());
    let fits = |name: &&str| {
        let policy = builtin(name).ok();
        policy.and_then(|policy| policy.command.argv).is_some_and(|own| own.value.first() == argv.as_ref())
    };
    let ready = builtin_names().find(fits);
    let ready = ready.map_or(String::new(), |name| format!("; the built-in policy is made for it: policy={name}"));
    let service = &entry.service;
    format!(
        "it sees the host's files and network as the user's rights allow, as under spawn(8); policy=NAME or \
         {DIRECTORY}/{service}.toml gives it less{ready}"
    )
}

/// postconf(1) knows the time limit of a service only where the command's name is exactly `spawn`, so it warns.
fn unused_parameter(entry: &Entry, foreseen: &Foreseen) -> Option<String> {
    let Some(Origin::Postfix(parameter)) = foreseen.plan.origins.get("limits.time") else { return None };
    if **parameter == *"command_time_limit" || entry.sets(parameter) {
        return None;
    }
    let limit = foreseen.plan.time_limit.map_or("none".to_string(), |limit| format!("{}s", limit.as_secs()));
    Some(format!(
        "{parameter} is in force ({limit}), though postconf says `unused parameter: {parameter}=...`: it knows that name \
         only for the command spawn"
    ))
}
