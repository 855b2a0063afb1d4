// SPDX-License-Identifier: Apache-2.0
//! What this machine is and can do, read once at start.
//! Observes and tries; never decides what a service gets.

pub mod facts;
pub mod accounts;
pub mod paths;
mod error;

pub use error::HostError;
pub use facts::Facts;
