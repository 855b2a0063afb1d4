// SPDX-License-Identifier: Apache-2.0
//! What a subcommand was asked for, on standard output: all of it, or a sentence says why not.

use super::arrange::Failure;
use crate::host::HostError;
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Standard output. What is done is done whether anybody hears of it or not, so the first failure is kept for the end.
#[derive(Debug, Default)]
pub(super) struct Output {
    failed: Option<HostError>,
}

impl Output {
    /// A line, or several.
    pub(super) fn line(&mut self, text: impl Display) {
        self.write(format!("{text}\n").as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        let mut stdout = std::io::stdout().lock();
        self.failed = judged(stdout.write_all(bytes).and_then(|()| stdout.flush())).err();
    }

    /// Whether everything could be written.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.failed.map_or(Ok(()), |error| Err(Failure::Host(error)))
    }
}

/// What came of writing to it.
pub(super) fn judged(written: std::io::Result<()>) -> Result<(), HostError> {
    match written {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(HostError::of_library("write to standard output", &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// All of it at once.
pub(super) fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut output = Output::default();
    output.write(bytes.as_ref());
    output.end()
}
