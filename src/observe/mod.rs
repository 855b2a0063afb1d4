// SPDX-License-Identifier: Apache-2.0
//! A command run openly, and what it asks the kernel for: each call that matters is handed to us by seccomp user
//! notification, told in our words, and made as if nobody had asked.
//!
//! ```text
//! watch: which calls ──► start: a process of the user ──► hearer: one call ──► Event { program, call, about: [..] }
//!                                                            '─ paths, sockets: what its arguments point at
//! ```
//!
//! This observes and protects nobody: a command may change what its arguments point at after we have looked, and
//! nothing is hidden from it. It is for a command that is trusted, on a machine where policies are written.
#![forbid(unsafe_code)]

mod watch;
mod start;
mod hearer;
mod event;
mod paths;
mod sockets;
mod end;
#[cfg(test)]
mod tests;

pub use crate::plan::calls::Using;
pub use end::end_all;
pub use event::{About, Event, Found};
pub use hearer::{Answer, Heard, Hearer};
pub use start::{Opening, Started, become_user, become_yourself, start};
pub use watch::watch;
