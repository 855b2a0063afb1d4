// SPDX-License-Identifier: Apache-2.0
//! What is Postfix's and nothing else's: the daemon's command line, attributes, main.cf, the status protocol, log
//! lines. Knows no policy, no plan and no sandbox; all but `log` is pure.

pub mod options;
pub mod attributes;
pub mod owner;
pub mod words;
pub mod main_cf;
pub mod master_cf;
pub mod expand;
mod host_name;
pub mod parameters;
mod defaults;
mod fill;
mod numbers;
pub mod environment;
pub mod log;
pub mod protocol;
pub mod passing;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
