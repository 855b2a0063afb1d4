// SPDX-License-Identifier: Apache-2.0
//! What this machine lacks or refuses, in words. For who runs the machine, not for who wrote the policy.

use nix::errno::Errno;

/// Something that this machine lacks or refuses, met while observing it or preparing a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing}: {why}")]
pub struct HostError {
    /// What was being done, to what.
    pub doing: String,
    /// The errno's text, or a longer explanation with a way out.
    pub why: String,
}

impl HostError {
    /// A refused system call.
    pub fn new(doing: impl Into<String>, errno: Errno) -> Self {
        HostError { doing: doing.into(), why: errno.desc().to_string() }
    }
}
