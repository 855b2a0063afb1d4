// SPDX-License-Identifier: Apache-2.0
//! What a session's reaper says of a relay that ended before its work did becomes a line of the log. The session goes
//! on: what the command has of its connections is their end, and what to make of that is the command's.

use super::denials::Heard;
use super::outcome::{Outcome, signal_name};
use super::stderr::Voice;
use crate::sandbox::UNDELIVERED;

/// How far the end of a relay is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelayEnd {
    /// Nothing was heard of one.
    Untold,
    /// It ended with this wait status.
    Heard(i32),
    /// The log has it.
    Told,
}

impl RelayEnd {
    /// Takes a wait status, to be told once the service's name is at hand. A session has one relay.
    pub(super) fn hear(&mut self, status: i32) -> Heard {
        match self {
            RelayEnd::Untold => {
                *self = RelayEnd::Heard(status);
                Heard::Kept
            }
            RelayEnd::Heard(_) | RelayEnd::Told => Heard::TooMany,
        }
    }

    /// Writes the line, once.
    pub(super) fn tell(&mut self, voice: &Voice<'_>) {
        if let RelayEnd::Heard(status) = *self {
            *self = RelayEnd::Told;
            tracing::warn!("{voice} {}", words(status));
        }
    }
}

fn words(status: i32) -> String {
    const CUT_OFF: &str = "what the policy forwards is cut off, and a connection that is no UNIX socket";
    match Outcome::of_status(status) {
        Outcome::Exited(status) if i32::from(status) == UNDELIVERED => {
            "relay=undelivered: what the command said last was not taken by its peers in time".to_string()
        }
        Outcome::Signaled(signal) => format!("relay=signaled signal={}: {CUT_OFF}", signal_name(signal)),
        _ => format!("relay=exited status={}: {CUT_OFF}", status >> 8 & 0xff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;

    #[test]
    fn the_end_of_a_relay_is_told_once() {
        let mut end = RelayEnd::Untold;
        assert_eq!(end.hear(libc::SIGKILL), Heard::Kept);
        assert_eq!(end.hear(libc::SIGKILL), Heard::TooMany);
    }

    #[test]
    fn how_it_ended_is_said() {
        assert!(words(libc::SIGXCPU).starts_with("relay=signaled signal=SIGXCPU: what the policy forwards"));
        assert!(words(12 << 8).starts_with("relay=exited status=12: "));
        assert!(words(UNDELIVERED << 8).starts_with("relay=undelivered: "));
    }
}
