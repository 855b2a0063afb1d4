// SPDX-License-Identifier: Apache-2.0
//! From a policy file to a [`Policy`]: every value with its place, every mistake with file, line and column.
//! Reads the files that are named and nothing else of the host; decides nothing about it.
//!
//! ```text
//! word ── load ──► trust: whose file is it ──► shape: text to keys ──► read: keys to meaning ──► extend ──► Policy
//!                                                    ▲ set: -s key=value
//! ```
#![forbid(unsafe_code)]

pub mod model;
mod kinds;
pub mod origin;
mod paint;
pub mod diagnose;
pub mod source;
pub mod load;
mod search;
mod shipped;
mod trust;
mod image;
mod file;
pub(crate) mod keys;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod schema;
mod shape;
mod peers;
mod clients;
pub mod address;
mod listen;
mod read;
mod check;
mod variables;
pub mod words;
pub mod amount;
mod extend;
mod set;
pub mod import;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;

pub use diagnose::{InputError, Mistake, Told, printable};
pub use load::{builtin, load, load_from};
pub use model::Policy;
pub use origin::{Origin, Sourced};
pub use paint::Paint;
#[cfg(test)]
pub(crate) use scene::Scene;
pub use set::quote;
pub use variables::{Filled, Known, Written, literal};
