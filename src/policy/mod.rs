// SPDX-License-Identifier: Apache-2.0
//! From a policy file to a [`Policy`]: every value with its place, every mistake with file, line and column.
//! Reads the files that are named and nothing else of the host; decides nothing about it.

pub mod model;
pub mod origin;

pub use model::Policy;
pub use origin::{Origin, Sourced};
