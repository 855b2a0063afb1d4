// SPDX-License-Identifier: Apache-2.0
//! `isolation.level`: the kinds of sandbox, which of them a host gives, and what it lacks for another. A level is the
//! least that a policy accepts: what a host cannot give is refused in words, and never made into the next lower one.

use super::landlock::{SCOPES_ABI, UNIX_ABI};
use super::limits::TASKS;
use super::model::{Filter, Off};
use super::reach;
use super::refuse::{Lack, Refusal, Slip};
use crate::host::facts::{Cgroup, Controller, Facts, Namespace, Trial};
use crate::policy::model::{Isolation, Layer, Level, Limits, Network, NetworkMode, Root, User};
use crate::policy::words::Word;
use crate::policy::{Origin, Policy, Sourced};
use std::collections::BTreeSet;

const KEY: &str = "isolation.level = \"landlock-only\"";

impl Level {
    /// Every level, the strongest first.
    pub const ALL: [Level; 3] = [Level::Full, Level::Userns, Level::LandlockOnly];

    /// What it is.
    pub fn words(self) -> &'static str {
        match self {
            Level::Full => "namespaces are made by root, and the command is another user than spawnbox",
            Level::Userns => {
                "namespaces are made inside a user namespace of spawnbox's own user, who is the command's as well"
            }
            Level::LandlockOnly => "no namespace and no mount: Landlock, the filter of system calls and limits alone",
        }
    }

    /// What it needs that a host lacks, in words; nothing where the host gives it.
    pub fn lacks(self, facts: &Facts) -> Vec<String> {
        let (mut lacks, abi) = match self {
            Level::Full if facts.rootless() => (vec!["to be started as root".to_string()], 1),
            Level::Full | Level::Userns => (Vec::new(), 1),
            Level::LandlockOnly => (Vec::new(), SCOPES_ABI),
        };
        if self != Level::LandlockOnly {
            let refused = Namespace::ALL.into_iter().filter_map(|namespace| {
                let trial = facts.namespaces.get(&namespace).copied().unwrap_or(Trial::Refused(nix::libc::ENOSYS));
                (!trial.works()).then(|| format!("the {} namespace ({trial})", namespace.name()))
            });
            lacks.extend(refused);
            if lacks.is_empty() && !facts.hostname.works() {
                lacks.push(format!("a name of its own in a UTS namespace ({})", facts.hostname));
            }
        }
        match facts.landlock_abi {
            0 => lacks.push("Landlock".to_string()),
            has if has < abi => lacks.push(format!("Landlock ABI {abi} (Linux 6.12), of which this kernel has {has}")),
            _ => {}
        }
        if !facts.seccomp.works() {
            lacks.push(format!("filters of system calls ({})", facts.seccomp));
        }
        lacks
    }

    /// The strongest that a host gives.
    pub fn of(facts: &Facts) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.lacks(facts).is_empty())
    }
}

/// The level of a plan: who starts spawnbox decides between the upper two, of which a policy may ask for no less; the
/// lowest is made where it is asked for, whatever else a host gives, so that it is the same wherever it is tried.
pub(super) fn resolve(isolation: &Isolation, facts: &Facts) -> Result<Level, Refusal> {
    let given = if facts.rootless() { Level::Userns } else { Level::Full };
    let Some(wanted) = &isolation.level else { return Ok(given) };
    let made = if wanted.value == Level::LandlockOnly { wanted.value } else { given };
    let lacks = if wanted.value > made || made == Level::LandlockOnly { wanted.value.lacks(facts) } else { Vec::new() };
    match lacks.is_empty() {
        true => Ok(made),
        false => {
            let given = Level::of(facts).map(Level::word);
            let lacks = lacks.join(", ");
            Err(Refusal::new(Lack::Level { wanted: wanted.value.word(), given, lacks }, &wanted.origin))
        }
    }
}

/// What each namespace would have held. The network's row is about its ports.
fn open(namespace: Namespace) -> &'static str {
    match namespace {
        Namespace::Mount => {
            "every file can be seen to be there, with its size, owner and times; no other can be opened"
        }
        Namespace::Pid => {
            "process ids are the host's, and can be held by a descriptor; no signal leaves the Landlock domain"
        }
        Namespace::Network => {
            "the network is the host's; the filter and Landlock hold its ports, nothing holds addresses"
        }
        Namespace::Ipc => "System V objects and message queues are the host's, as far as the filter has their calls",
        Namespace::Uts => "the host's name can be seen",
        Namespace::Cgroup => "where its control group is can be seen",
        Namespace::User => "what the kernel counts for the user is counted together with the user's on the host",
    }
}

/// The namespaces of the lowest level, which are none, whatever the policy lists: each is said to be off. What can be
/// there in one alone is refused.
pub(super) fn without(policy: &Policy, off: &mut Vec<Off>) -> Result<BTreeSet<Namespace>, Refusal> {
    let excluded = |other, origin: &Origin| Err(Refusal::new(Slip::Excludes { key: KEY, other }, origin));
    if let Some(mode) = policy.network.mode.as_ref().filter(|mode| mode.value == NetworkMode::Loopback) {
        return excluded("network.mode = \"loopback\"", &mode.origin);
    }
    // The relay gives a network of the session's own what it brings.
    if let Some(peer) = policy.network.forward.first() {
        return excluded("network.forward", &peer.origin);
    }
    if let Some(resolver) = policy.network.resolver.as_ref().filter(|resolver| resolver.value) {
        return excluded("network.resolver = true", &resolver.origin);
    }
    match policy.files.root.as_ref().map(|root| (&root.value, &root.origin)) {
        Some((Root::Host, origin)) => return excluded("files.root = \"host\"", origin),
        Some((Root::Image(_), origin)) => return excluded("a directory as files.root", origin),
        Some((Root::Empty, _)) | None => {}
    }
    if let Some(user) = policy.command.user.as_ref().filter(|user| matches!(user.value, User::Range(_))) {
        return excluded("a range in command.user", &user.origin);
    }
    for (layer, key) in [
        (&policy.isolation.landlock, "isolation.landlock = \"off\""),
        (&policy.isolation.seccomp, "isolation.seccomp = \"off\""),
    ] {
        if let Some(layer) = layer.as_ref().filter(|layer| layer.value == Layer::Off) {
            return excluded(key, &layer.origin);
        }
    }
    let named = |namespace: Namespace| {
        Off::new(format!("{} namespace", namespace.name()), format!("{KEY}: {}", open(namespace)))
    };
    off.extend(Namespace::ALL.map(named));
    Ok(BTreeSet::new())
}

/// A socket of the supervisor's own, or of any service that trusts this user, is one that such a command could connect
/// to: nothing keeps it from a socket that is not listed before Landlock has a right for that.
pub(super) fn connects(isolation: &Isolation, filter: Option<&Filter>, abi: u32) -> Result<(), Refusal> {
    if abi >= UNIX_ABI || !reach::connects_by_path(filter) {
        return Ok(());
    }
    let origin = isolation.level.as_ref().map_or(&Origin::Default, |level| &level.origin);
    let other = "a call that connects to UNIX sockets by path (before Landlock ABI 9)";
    Err(Refusal::new(Slip::Excludes { key: KEY, other }, origin))
}

/// The network of a level: without a namespace it is the host's, of which the policy's ports are what there is.
pub(super) fn network(level: Level, written: &Network) -> Network {
    let mode = match level {
        Level::Full | Level::Userns => written.mode.clone(),
        Level::LandlockOnly => Some(Sourced::new(NetworkMode::Host, Origin::Default)),
    };
    Network { mode, ..written.clone() }
}

/// Whether a session has a keyring of its own, and gives up the bounding set. Where a filter around spawnbox refuses
/// the one, it refuses it to the command as well; who has no right to the other has no_new_privs and no capability.
pub(super) fn rights(level: Level, facts: &Facts, off: &mut Vec<Off>) -> (bool, bool) {
    if level != Level::LandlockOnly {
        return (true, true);
    }
    let (keyring, bounding_set) = (facts.keyring.works(), facts.bounding_set.works());
    if !keyring {
        let why = format!("keyctl is refused here ({}), to the command as well", facts.keyring);
        off.push(Off::new("keyring", why));
    }
    if !bounding_set && !facts.rootless() {
        let why = format!("it cannot be emptied ({}); no_new_privs keeps every capability away", facts.bounding_set);
        off.push(Off::new("bounding set", why));
    }
    (keyring, bounding_set)
}

/// The limits of a level. Without a user namespace the kernel counts the tasks of a user on the whole host: where no
/// control group does it for the session, that limit would be one for others. A profile's own is said to be off then,
/// or no profile could have this level there; one that somebody else has written is refused like any other.
pub(super) fn limits(level: Level, written: &Limits, facts: &Facts, off: &mut Vec<Off>) -> Limits {
    let pids = matches!(&facts.cgroup, Cgroup::At { controllers, .. } if controllers.contains(&Controller::Pids));
    match &written.tasks {
        Some(tasks) if level == Level::LandlockOnly && !pids && matches!(tasks.origin, Origin::Profile { .. }) => {
            let why = format!("limits.tasks = {} ({}): nothing counts those of one session", tasks.value, tasks.origin);
            off.push(Off::new(TASKS, why));
            Limits { tasks: None, ..written.clone() }
        }
        Some(_) | None => written.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{listen, on, root_on_618, root_on_debian_12, strict, user_on_618};
    use super::super::resolve;
    use super::*;
    use crate::policy::model::{Peer, Protocol};

    #[test]
    fn each_host_gives_the_strongest_that_it_lacks_nothing_for() {
        for (facts, level) in [
            (root_on_618(), Some(Level::Full)),
            (root_on_debian_12(), Some(Level::Full)),
            (user_on_618(), Some(Level::Userns)),
            (Facts { landlock_abi: 0, ..root_on_618() }, None),
        ] {
            assert_eq!(Level::of(&facts), level);
        }
        let mut refusing = root_on_618();
        refusing.namespaces.insert(Namespace::Mount, Trial::Refused(nix::libc::EPERM));
        assert_eq!(Level::Full.lacks(&refusing), ["the mount namespace (Operation not permitted)"]);
        assert_eq!(Level::Full.lacks(&user_on_618()), ["to be started as root"]);
    }

    #[test]
    fn the_lowest_is_not_beside_what_takes_a_namespace() {
        let peer = Peer { protocol: Protocol::Tcp, address: ([127, 0, 0, 1], 25).into() };
        let refused = |set: &dyn Fn(&mut Policy)| {
            let mut policy = strict();
            policy.isolation.level = Some(on(7, Level::LandlockOnly));
            set(&mut policy);
            resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap_err().message()
        };
        let beside = |taker| format!("{KEY} and {taker} exclude each other");
        let loopback = refused(&|policy| policy.network.mode = Some(on(9, NetworkMode::Loopback)));
        assert_eq!(loopback, beside("network.mode = \"loopback\""));
        let forward = refused(&|policy| policy.network.forward.push(on(9, peer)));
        assert_eq!(forward, beside("network.forward"));
        let resolver = refused(&|policy| policy.network.resolver = Some(on(9, true)));
        assert_eq!(resolver, beside("network.resolver = true"));
        let root = refused(&|policy| policy.files.root = Some(on(9, Root::Host)));
        assert_eq!(root, beside("files.root = \"host\""));
        let mut policy = strict();
        policy.isolation.level = Some(on(7, Level::LandlockOnly));
        policy.network.resolver = Some(on(9, false));
        assert_eq!(resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap().level, Level::LandlockOnly);
    }

    #[test]
    fn a_level_is_the_least_that_a_policy_accepts() {
        let asking = |level| {
            let mut policy = strict();
            policy.isolation.level = Some(on(7, level));
            policy
        };
        let of = |level, facts: &Facts| resolve(&listen(&["sh"]), &asking(level), facts).map(|plan| plan.level);
        assert_eq!(of(Level::Userns, &root_on_618()).unwrap(), Level::Full);
        assert_eq!(of(Level::Full, &root_on_618()).unwrap(), Level::Full);
        assert_eq!(of(Level::Userns, &user_on_618()).unwrap(), Level::Userns);
        let refusal = of(Level::Full, &user_on_618()).unwrap_err();
        assert_eq!(
            format!("{}; {}", refusal.message(), refusal.way_out()),
            "isolation.level = \"full\" cannot be had here, which needs: to be started as root; mend that, or say \
             what there is by its name: isolation.level = \"userns\""
        );
    }
}
