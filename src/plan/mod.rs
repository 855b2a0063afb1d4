// SPDX-License-Identifier: Apache-2.0
//! From request, policy and facts to a [`Plan`]: pure, comparable, printable.
//! No file, clock, environment or kernel is touched below this module.
#![forbid(unsafe_code)]

pub mod request;
pub mod model;
pub mod steps;
pub mod resolve;
mod identity;
mod command;
mod files;
mod view;
pub mod place;
pub mod calls;
pub mod sought;
pub mod blocked;
mod network;
mod kept;
mod forward;
mod reach;
mod landlock;
mod level;
mod layers;
mod limits;
pub mod clients;
pub mod listen;
mod order;
pub mod capabilities;
mod origins;
mod traced;
pub mod refuse;
mod items;
pub mod proofs;
pub mod explain;
pub mod score;
pub mod difference;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code))]
pub(crate) mod hosts;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
#[cfg(test)]
mod tests;

pub use capabilities::Capabilities;
pub use landlock::AUDIT_ABI;
pub use model::Plan;
pub use network::{TCP_ABI, UDP_ABI};
pub use refuse::Refusal;
pub use request::Request;
pub use resolve::{UNTOLD, bare, resolve};
pub use steps::Step;
pub use traced::traced;
