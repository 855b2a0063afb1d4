// SPDX-License-Identifier: Apache-2.0
//! `spawnbox explain`: what `listen` or `run` would enforce, without doing it.

use super::arrange::{Arrangement, Failure};
use super::cli::{Connection, Explain};
use crate::plan::explain;
use crate::plan::request::{Front, Transport};
use std::io::Write;

/// Prints the plan, or its steps.
pub(super) fn explain(options: &Explain) -> Result<(), Failure> {
    let (front, transport) = match options.connection {
        Connection::Tcp => (Front::Listen, Transport::Tcp),
        Connection::Unix => (Front::Listen, Transport::Unix),
        Connection::Stdio => (Front::Run, Transport::Stdio),
    };
    let arrangement = Arrangement::new(&options.what, None, front)?;
    let facts = arrangement.observe()?;
    let plan = arrangement.plan(transport, &facts)?;
    let text = if options.steps { explain::steps(&plan) } else { explain::explain(&plan, &facts) };
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
