// SPDX-License-Identifier: Apache-2.0
//! Parse, dispatch, one exit status.

fn main() -> std::process::ExitCode {
    spawnbox::front::main()
}
