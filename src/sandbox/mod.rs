// SPDX-License-Identifier: Apache-2.0
//! From a plan to a sandboxed child: prepared objects, launcher, the line of steps, reaper, reports.
//! Never decides what a plan left open, and never speaks to a client.

pub mod launcher;
mod wire;
mod confine;
mod launch;
mod template;
mod ruleset;
pub mod filter;
mod prepare;
mod kept;
mod loan;
mod witness;
mod line;
pub mod spare;
mod hearer;
mod reaper;
mod relay;
pub mod cord;
pub mod report;
pub mod denied;
pub mod cgroup;
pub mod users;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;

pub use crate::host::HostError;
pub use cgroup::{Cgroup, Slice};
pub use confine::confine;
pub use cord::{Cord, Message};
pub use denied::Denied;
pub use launcher::{Launcher, Reply};
pub use line::{AFTER_CLONE, Purpose};
pub use relay::UNDELIVERED;
pub use report::{Record, Seen, SetupError};
pub use users::{Claim, Users};

/// How many variables can be added at hand-over.
pub const ENVIRONMENT_SLOTS: usize = 16;
/// How long they may be together, with their NULs.
pub const ENVIRONMENT_BYTES: usize = 2048;
