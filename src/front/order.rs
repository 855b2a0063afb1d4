// SPDX-License-Identifier: Apache-2.0
//! `spawnbox kill`, `pause` and `resume`: an order to a running supervisor, and what it says was done.

use super::arrange::Failure;
use super::ask::Asking;
use super::cli::{Asked, Kill, Named};
use super::output::print;
use crate::supervise::control::words::Done;
use serde_json::{Value, json};

/// Ends a session.
pub(super) fn kill(options: &Kill) -> Result<(), Failure> {
    order(&options.supervisor, json!({ "ask": "kill", "session": options.session }))
}

/// Has a service accept nobody.
pub(super) fn pause(options: &Named) -> Result<(), Failure> {
    order(&options.supervisor, json!({ "ask": "pause", "service": options.service }))
}

/// Has it accept again.
pub(super) fn resume(options: &Named) -> Result<(), Failure> {
    order(&options.supervisor, json!({ "ask": "resume", "service": options.service }))
}

fn order(whom: &Asked, order: Value) -> Result<(), Failure> {
    let Done { done, .. } = Asking::connect(whom)?.ask(order)?;
    print(format!("{done}\n"))
}
