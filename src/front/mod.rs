// SPDX-License-Identifier: Apache-2.0
//! The front doors. Each turns its world into a `Request` and listeners; none knows how a sandbox is made.

mod choose;
mod master;
mod cli;
mod arrange;
mod output;
mod new_file;
mod listen;
mod serve;
mod terminal;
mod given;
mod run;
mod explain;
mod import;
mod postconf;
mod check;
mod doctor;
mod tell;
mod ask;
mod status;
mod order;
mod learn;
mod trace;
mod install;
mod manual;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;

pub use choose::main;
