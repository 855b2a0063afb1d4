// SPDX-License-Identifier: Apache-2.0
//! Refusals because of the policy alone: values that no host could keep together.
//! Words only: what is refused is decided where the value is planned.

use std::path::PathBuf;

/// What a policy says and cannot mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Slip {
    /// A value that only works with another.
    #[error("{key} needs {needs}")]
    Needs {
        /// The key, with its value where that matters.
        key: &'static str,
        /// The other key and value.
        needs: &'static str,
    },
    /// Two values that undo each other.
    #[error("{key} and {other} exclude each other")]
    Excludes {
        /// The key.
        key: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A scratch file system and another path, one inside the other.
    #[error("the scratch file system {} overlaps with {}", path.display(), other.display())]
    Overlap {
        /// The scratch file system.
        path: PathBuf,
        /// The other path.
        other: PathBuf,
    },
    /// A path that has a key of its own, or none.
    #[error("{} cannot be granted as a path", path.display())]
    NotGrantable {
        /// The path.
        path: PathBuf,
        /// What to write instead.
        instead: &'static str,
    },
    /// A path in `write` and in `execute`.
    #[error("{} is in files.write and in files.execute", path.display())]
    WriteAndExecute {
        /// The path.
        path: PathBuf,
    },
    /// An idle limit for what has no figures.
    #[error("limits.idle cannot be kept: of a UNIX socket the kernel does not know when it last carried a byte")]
    IdleUnix,
    /// A word of `[syscalls]` that cannot stand.
    #[error("{} system call or group: {name}", if reason.is_some() { "impossible" } else { "unknown" })]
    Call {
        /// As written.
        name: String,
        /// Why it cannot stand, if it is known at all.
        reason: Option<&'static str>,
        /// The nearest known name.
        suggestion: Option<String>,
    },
}

impl Slip {
    /// What the operator can do about it.
    pub(super) fn way_out(&self) -> String {
        match self {
            Slip::Needs { needs, .. } => format!("set {needs}, or leave it out"),
            Slip::Excludes { .. } => "switch one of them off, or leave it out".to_string(),
            Slip::IdleUnix => "leave it out, and let limits.time end what lasts too long".to_string(),
            Slip::Overlap { .. } => "neither may lie inside the other: name another path".to_string(),
            Slip::NotGrantable { instead, .. } => (*instead).to_string(),
            Slip::WriteAndExecute { .. } => {
                "what can be written must not be executed: name a narrower path in one of them".to_string()
            }
            Slip::Call { reason: Some(reason), .. } => (*reason).to_string(),
            Slip::Call { suggestion: Some(name), .. } => format!("did you mean {name}?"),
            Slip::Call { suggestion: None, .. } => "see spawnbox-policy(5), SYSTEM CALLS".to_string(),
        }
    }
}
