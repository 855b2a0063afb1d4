// SPDX-License-Identifier: Apache-2.0
//! spawnbox: each connection is handed to a sandboxed command.
//!
//! The floors, top to bottom; a floor imports those below it and never one above.

pub mod front;
pub mod supervise;
pub mod sandbox;
pub mod plan;
pub mod policy;
pub mod postfix;
pub mod host;
pub mod log;
pub mod sys;
