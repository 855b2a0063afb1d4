// SPDX-License-Identifier: Apache-2.0
//! `isolation.level`: the kinds of sandbox, which of them a host gives, and what it lacks for another. A level is the
//! least that a policy accepts: what a host cannot give is refused in words, and never made into the next lower one.

use super::refuse::{Lack, Refusal};
use crate::host::facts::{Facts, Namespace, Trial};
use crate::policy::model::{Isolation, Level};
use crate::policy::words::Word;

impl Level {
    /// Every level, the strongest first.
    pub const ALL: [Level; 2] = [Level::Full, Level::Userns];

    /// What it is.
    pub fn words(self) -> &'static str {
        match self {
            Level::Full => "root makes every namespace, and the command is another user than spawnbox",
            Level::Userns => {
                "namespaces are made inside a user namespace of spawnbox's own user, who is the command's as well"
            }
        }
    }

    /// What it needs that a host lacks, in words; nothing where the host gives it.
    pub fn lacks(self, facts: &Facts) -> Vec<String> {
        let mut lacks = Vec::new();
        match self {
            Level::Full if facts.rootless() => lacks.push("to be started as root".to_string()),
            Level::Full | Level::Userns => {}
        }
        let refused = Namespace::ALL.into_iter().filter_map(|namespace| {
            let trial = facts.namespaces.get(&namespace).copied().unwrap_or(Trial::Refused(nix::libc::ENOSYS));
            (!trial.works()).then(|| format!("the {} namespace ({trial})", namespace.name()))
        });
        lacks.extend(refused);
        if lacks.is_empty() && !facts.hostname.works() {
            lacks.push(format!("a name of its own in a UTS namespace ({})", facts.hostname));
        }
        if facts.landlock_abi == 0 {
            lacks.push("Landlock".to_string());
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

/// The level of a plan: who starts spawnbox decides, and a policy may ask for no less.
pub(super) fn resolve(isolation: &Isolation, facts: &Facts) -> Result<Level, Refusal> {
    let given = if facts.rootless() { Level::Userns } else { Level::Full };
    match &isolation.level {
        Some(wanted) if wanted.value > given => {
            let lacks = wanted.value.lacks(facts).join(", ");
            Err(Refusal::new(Lack::Level { wanted: wanted.value.word(), given: given.word(), lacks }, &wanted.origin))
        }
        Some(_) | None => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{listen, on, root_on_618, root_on_debian_12, strict, user_on_618};
    use super::super::resolve;
    use super::*;

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
            "isolation.level = \"full\" cannot be had here, which needs: to be started as root; mend that, or accept \
             less by name: isolation.level = \"userns\""
        );
    }
}
