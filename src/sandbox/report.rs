// SPDX-License-Identifier: Apache-2.0
//! What a child can say: a step that failed, how the command ended, what a self-test saw, that a relay is gone. Eight
//! bytes, so that nothing is allocated.
//! The words are the supervisor's; no text crosses from a sandbox.

use crate::plan::Step;
use crate::plan::proofs::{Item, Proof};
use nix::errno::Errno;

/// Length of a record.
pub const LENGTH: usize = 8;
const MAGIC: u8 = crate::sys::first::STATUS;
/// Of a proof, whose codes are not those of steps.
const PROOF_MAGIC: u8 = 0x5c;
/// Of a relay, which is no step's and no command's.
const RELAY_MAGIC: u8 = 0x5d;
/// Of a spare, which may go on.
const SPARE_MAGIC: u8 = 0x5e;

/// What a child says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A step failed; the session is over.
    Setup(SetupError),
    /// The command ended with this wait status, as wait(2) encodes it.
    Status(i32),
    /// What a self-test saw.
    Proof(Seen),
    /// The relay ended with this wait status, before all that was its to carry.
    Relay(i32),
    /// A spare has taken its connection.
    Taken,
}

/// What a self-test saw of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What was looked at.
    pub item: Item,
    /// [`Seen::HOLDS`], [`Seen::DOES_NOT`], or the errno with which looking failed.
    pub value: i32,
}

impl Seen {
    /// It is as it should be.
    pub const HOLDS: i32 = 0;
    /// It is not.
    pub const DOES_NOT: i32 = -1;
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
        let (magic, code, index, value) = match self {
            Record::Setup(error) => (MAGIC, error.step as u8, error.index, error.errno as i32),
            Record::Status(status) => (MAGIC, 0, 0, status),
            Record::Proof(Seen { item, value }) => (PROOF_MAGIC, item.proof as u8, item.index, value),
            Record::Relay(status) => (RELAY_MAGIC, 0, 0, status),
            Record::Taken => (SPARE_MAGIC, 0, 0, 0),
        };
        let (i, v) = (index.to_le_bytes(), value.to_le_bytes());
        [magic, code, i[0], i[1], v[0], v[1], v[2], v[3]]
    }

    /// Reads a record; `None` for anything that [`Record::encode`] cannot have made.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        let &[magic, code, i0, i1, v0, v1, v2, v3] = bytes else { return None };
        let index = u16::from_le_bytes([i0, i1]);
        let value = i32::from_le_bytes([v0, v1, v2, v3]);
        if magic == PROOF_MAGIC {
            return Some(Record::Proof(Seen { item: Item { proof: Proof::from_code(code)?, index }, value }));
        }
        if magic == RELAY_MAGIC {
            return (code == 0 && index == 0).then_some(Record::Relay(value));
        }
        if magic == SPARE_MAGIC {
            return (code == 0 && index == 0 && value == 0).then_some(Record::Taken);
        }
        if magic != MAGIC {
            return None;
        }
        if code == 0 {
            return (index == 0).then_some(Record::Status(value));
        }
        let (step, errno) = (Step::from_code(code)?, Errno::from_raw(value));
        // A number that is no errno would come back as another one.
        (errno as i32 == value).then_some(Record::Setup(SetupError { step, index, errno }))
    }
}
