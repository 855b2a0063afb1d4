// SPDX-License-Identifier: Apache-2.0
//! What this machine is and can do, read once at start.
//! Observes and tries; never decides what a service gets.

pub mod facts;
mod observe;
mod trial;
mod namespaces;
mod cgroup;
pub mod accounts;
pub mod ids;
mod resolvers;
mod ranges;
pub mod paths;
pub mod elsewhere;
mod causes;
pub mod audit;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;

pub use causes::Causes;
pub(crate) use cgroup::SUPERVISOR;
#[cfg(test)]
pub(crate) use cgroup::UNIT as SESSIONS_UNIT;
pub use elsewhere::Elsewhere;
pub use error::{HostError, errno_text};
pub use facts::Facts;
pub use observe::Machine;

/// Whether a unit test has what it needs; says so where not, and fails where every test must run. The same two
/// variables as for the integration tests: `SPAWNBOX_LACKS` names what this machine is known not to have.
#[cfg(test)]
pub(crate) fn met(need: &str, there: bool) -> bool {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let known = variable("SPAWNBOX_LACKS").split(',').any(|lack| lack.trim() == need);
    assert!(there || known || variable("SPAWNBOX_TESTS") != "must", "this machine lacks {need}");
    if !there {
        eprintln!("skipped: needs {need}");
    }
    there
}
