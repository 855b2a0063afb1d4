// SPDX-License-Identifier: Apache-2.0
//! What a child can say: a step that failed, or how the command ended. Eight bytes, so that nothing is allocated.
//! The words are the supervisor's; no text crosses from a sandbox.

use crate::plan::Step;
use nix::errno::Errno;

/// Length of a record.
pub const LENGTH: usize = 8;
const MAGIC: u8 = 0x5b;

/// What a child says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A step failed; the session is over.
    Setup(SetupError),
    /// The command ended with this wait status, as wait(2) encodes it.
    Status(i32),
}

/// Which step failed, at which of its items, with which errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetupError {
    /// The step.
    pub step: Step,
    /// The item of the step, from zero: which mount, which limit.
    pub index: u16,
    /// Why.
    pub errno: Errno,
}

impl Record {
    /// The record as it crosses the cord.
    pub fn encode(self) -> [u8; LENGTH] {
        let (code, index, value) = match self {
            Record::Setup(error) => (error.step as u8, error.index, error.errno as i32),
            Record::Status(status) => (0, 0, status),
        };
        let (i, v) = (index.to_le_bytes(), value.to_le_bytes());
        [MAGIC, code, i[0], i[1], v[0], v[1], v[2], v[3]]
    }

    /// Reads a record; `None` for anything that [`Record::encode`] cannot have made.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        let &[MAGIC, code, i0, i1, v0, v1, v2, v3] = bytes else { return None };
        let index = u16::from_le_bytes([i0, i1]);
        let value = i32::from_le_bytes([v0, v1, v2, v3]);
        if code == 0 {
            return (index == 0).then_some(Record::Status(value));
        }
        let step = Step::from_code(code)?;
        Some(Record::Setup(SetupError { step, index, errno: Errno::from_raw(value) }))
    }
}
