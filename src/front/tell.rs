// SPDX-License-Identifier: Apache-2.0
//! Where the log of a server goes that was asked to write it elsewhere than to standard error, or otherwise.

use super::arrange::Failure;
use super::cli::{LogFormat, LogTo, Seeing};
use crate::host::HostError;
use crate::log::{self, Journal, Json};
use crate::policy::Mistake;
use crate::postfix::log::{Log, Target};

/// syslog's facility for programs like this one.
const DAEMON: u32 = 3 << 3;

impl Seeing {
    /// Sends the log there from here on.
    pub(super) fn tell(&self) -> Result<(), Failure> {
        match (&self.log_to, self.log_format) {
            (None | Some(LogTo::Stderr), None | Some(LogFormat::Text)) => {}
            (None | Some(LogTo::Stderr), Some(LogFormat::Json)) => log::redirect(Json),
            (Some(LogTo::Syslog), None | Some(LogFormat::Text)) => {
                log::redirect(Log::open(Target::Syslog { facility: DAEMON }, "spawnbox"));
            }
            (Some(LogTo::Journal(socket)), None | Some(LogFormat::Text)) => {
                let journal = Journal::open(socket).map_err(|error| {
                    let doing = format!("write to the journal at {}", socket.display());
                    Failure::Host(HostError { doing, why: error.to_string() })
                })?;
                log::redirect(journal);
            }
            (Some(LogTo::Syslog | LogTo::Journal(_)), Some(LogFormat::Json)) => {
                let mistake = Mistake::new("--log-format json is for standard error");
                return Err(Failure::Input(mistake.help("leave one of --log-to and --log-format out").into()));
            }
        }
        Ok(())
    }
}
