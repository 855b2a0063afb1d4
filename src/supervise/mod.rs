// SPDX-License-Identifier: Apache-2.0
//! From a plan to sessions: one thread, one event loop.
//! Parses nothing of a conversation, and waits for nobody without a limit.

pub mod outcome;
pub mod turn;

pub use outcome::{Outcome, Usage};
