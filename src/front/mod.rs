// SPDX-License-Identifier: Apache-2.0
//! The front doors. Each turns its world into a `Request` and listeners; none knows how a sandbox is made.

use std::process::ExitCode;

/// The program: reads the command line and runs the front that it names.
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
