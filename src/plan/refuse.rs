// SPDX-License-Identifier: Apache-2.0
//! A refusal: the operator asked for something that must not or cannot be, and is told where, why, and the way out.
//! Refused is refused: nothing here may turn into a weaker plan.

mod command;
mod identity;
mod lack;
mod slip;

pub use command::BadCommand;
pub use identity::BadIdentity;
pub use lack::{Filtering, Lack, Where};
pub use slip::Slip;

use super::request::Front;
use crate::policy::Origin;
use std::fmt;

/// A plan that will not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong. Boxed, so that a result that is fine stays small.
    pub reason: Box<Reason>,
    /// Where it was written.
    pub origin: Origin,
    /// The front door, which chooses the words.
    pub front: Front,
}

/// Why a plan is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The account a command would run as.
    #[error(transparent)]
    Identity(#[from] BadIdentity),
    /// The command itself.
    #[error(transparent)]
    Command(#[from] BadCommand),
    /// The host cannot enforce what the policy says.
    #[error(transparent)]
    Lack(#[from] Lack),
    /// The policy says what cannot be meant.
    #[error(transparent)]
    Slip(#[from] Slip),
}

impl Refusal {
    /// A refusal of what was written at `origin`; `resolve` adds the front door.
    pub(super) fn new(reason: impl Into<Reason>, origin: &Origin) -> Self {
        Refusal { reason: Box::new(reason.into()), origin: origin.clone(), front: Front::Run }
    }

    /// What is wrong, without place and way out. Under master these are spawn(8)'s own words where it has some.
    pub fn message(&self) -> String {
        self.spawn_words().unwrap_or_else(|| self.reason.to_string())
    }

    /// What the operator can do about it.
    pub fn way_out(&self) -> String {
        match self.reason.as_ref() {
            Reason::Identity(reason) => reason.way_out(),
            Reason::Command(reason) => reason.way_out(),
            Reason::Lack(reason) => reason.way_out(self.front),
            Reason::Slip(reason) => reason.way_out(),
        }
    }

    /// Whether it is about one entry of a list or one account: without that, whatever else is wrong can still be seen.
    pub fn stands_alone(&self) -> bool {
        match self.reason.as_ref() {
            Reason::Identity(reason) => reason.is_unknown(),
            Reason::Lack(Lack::Path { .. } | Lack::MountPoint { .. }) => true,
            Reason::Slip(Slip::Overlap { .. } | Slip::NotGrantable { .. } | Slip::WriteAndExecute { .. }) => true,
            Reason::Slip(Slip::Call { .. }) => true,
            Reason::Slip(Slip::Needs { .. } | Slip::Excludes { .. } | Slip::IdleUnix) | Reason::Command(_) => false,
            Reason::Lack(
                Lack::Kernel { .. }
                | Lack::Namespace { .. }
                | Lack::Level { .. }
                | Lack::NoLandlock
                | Lack::Ports { .. }
                | Lack::Audit { .. }
                | Lack::Unrestricted { .. }
                | Lack::Seccomp { .. }
                | Lack::HostName { .. }
                | Lack::Setting { .. }
                | Lack::Controller { .. }
                | Lack::Tasks { .. }
                | Lack::Image { .. }
                | Lack::Tree { .. },
            ) => false,
        }
    }

    /// spawn(8)'s own words: operators and their log filters know them.
    fn spawn_words(&self) -> Option<String> {
        match (self.front, self.reason.as_ref()) {
            (Front::Master, Reason::Identity(reason)) => reason.spawn_words(),
            (Front::Master, Reason::Command(reason)) => reason.spawn_words(),
            (Front::Master, Reason::Lack(_) | Reason::Slip(_)) | (Front::Listen | Front::Run, _) => None,
        }
    }
}

/// One line: place, what is wrong, way out. spawn(8)'s words stand alone, as they do there.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(words) = self.spawn_words() {
            return f.write_str(&words);
        }
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        write!(f, "{}; {}", self.reason, self.way_out())
    }
}

impl std::error::Error for Refusal {}
