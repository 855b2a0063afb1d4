// SPDX-License-Identifier: Apache-2.0
//! `-S`: one client, which is on standard input, and then the end. As spawn(8) does it, by hand or under inetd: what
//! the command has is standard input three times, and how it ends is for the log only.

use super::fatal::Fatal;
use super::report::report;
use super::service;
use super::start::Start;
use crate::front::given::Given;
use crate::supervise::{Door, Ended};

/// Writes what spawn(8) would; whom else would it tell?
struct Hand;

impl Door for Hand {
    fn log(&mut self, ended: &Ended<'_>) {
        report(ended);
    }
}

/// Serves the client to its end.
pub(super) fn serve(start: &Start) -> Result<(), Fatal> {
    start.enter_queue()?;
    let Given { connection, client, transport } = Given::input()?;
    let (mut supervisor, service) = service::prepare(start, transport, Vec::new())?;
    let (uid, gid) = start.mail_owner;
    supervisor.lower((uid, gid))?;
    tracing::debug!("set_eugid: euid {uid} egid {gid}");
    supervisor.begin(service, connection, client);
    Ok(supervisor.run(&mut Hand)?)
}
