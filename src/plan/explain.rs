// SPDX-License-Identifier: Apache-2.0
//! A plan in words: one page that says what will be enforced, who said so, and what is off.
//! Says only what the plan says; decides nothing, and hides nothing that is weaker than it could be.

use super::model::Plan;
use super::steps::Place;
use std::fmt::Write;

pub use super::items::{item, sentence};

/// The steps of the child, in order: number, name, place, what it does and why there.
pub fn steps(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, step) in plan.steps.iter().enumerate() {
        let place = match step.place() {
            Place::Launcher => "launcher",
            Place::Reaper => "reaper",
            Place::Command => "command",
        };
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{:>2}  {:<15}  {place:<8}  {}", number + 1, step.name(), step.doing());
        let _ = writeln!(text, "{:31}{}", "", step.reason());
    }
    text
}
