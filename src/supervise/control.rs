// SPDX-License-Identifier: Apache-2.0
//! The control socket: one JSON object a line, asked and answered. Who may look and who may give orders is decided by
//! what the kernel says of the process at the other end, before a byte of it is read. An order is one line of the log.

pub mod words;
mod peer;
mod place;
mod request;
mod sight;
mod orders;

use super::supervisor::Supervisor;
use super::visits::{Answer, Kind};
use crate::host::HostError;
use crate::policy::address::UnixAddress;
use peer::Rank;
pub(super) use peer::Visitor;
#[cfg(any(test, fuzzing))]
pub(crate) use request::law;
use request::{Ask, Whole};

/// Where it is unless said otherwise.
pub const DEFAULT: &str = "/run/spawnbox/control";

impl Supervisor {
    /// Opens the control socket, with the mode and the group that this says.
    pub fn open_control(&mut self, address: &UnixAddress) -> Result<(), HostError> {
        let group = address.group.as_deref().map(place::group).transpose()?;
        let listener = place::listen(address, &mut self.inherited)?;
        self.open_desk(listener, Kind::Control { group })
    }

    /// Answers one line.
    pub(super) fn answer_control(&mut self, visitor: Visitor, whole: Whole) -> Answer {
        let ask = match whole {
            Whole::Line(line) => request::read(&line),
            Whole::TooLong => Err(format!("a request has at most {} bytes, on one line", request::LONGEST)),
            Whole::More => Err("one request at a time: the next comes after the answer".to_string()),
        };
        // Whoever does not speak our language is not heard further.
        match ask {
            Err(why) => Answer { bytes: refusal(&why), last: true },
            Ok(Ask::Services { after }) => Answer { bytes: line(&self.services_page(after)), last: false },
            Ok(Ask::Sessions { after }) => Answer { bytes: line(&self.sessions_page(after)), last: false },
            Ok(Ask::Order(order)) => {
                let done = match visitor.rank {
                    Rank::Operator => self.obey(&order, visitor),
                    Rank::Observer => Err("only root and the supervisor's own user may do that".to_string()),
                };
                let bytes = match done {
                    Ok(done) => line(&words::Done { version: words::VERSION, done }),
                    Err(why) => refusal(&why),
                };
                Answer { bytes, last: false }
            }
        }
    }
}

/// A whole request, where one has come.
pub(super) fn whole(came: &[u8]) -> Option<Whole> {
    request::whole(came)
}

/// In words, why nothing is answered or done.
pub(super) fn refusal(why: &str) -> Vec<u8> {
    line(&words::Refused { version: words::VERSION, refused: why.to_string() })
}

fn line(answer: &impl serde::Serialize) -> Vec<u8> {
    // Text and numbers alone: there is nothing in it that JSON cannot say.
    let mut bytes = serde_json::to_vec(answer).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
