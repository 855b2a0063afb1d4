// SPDX-License-Identifier: Apache-2.0
//! From request, policy and facts to a [`Plan`]: pure, comparable, printable.
//! No file, clock, environment or kernel is touched below this module.
#![forbid(unsafe_code)]

pub mod calls;
pub mod model;
pub mod request;
pub mod steps;

pub use model::Plan;
pub use request::Request;
pub use steps::Step;
