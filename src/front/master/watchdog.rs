// SPDX-License-Identifier: Apache-2.0
//! `daemon_timeout`: a daemon that stands still for so long ends, since nobody else would notice. As in Postfix it
//! watches the loop, not a command, which has a limit of its own; nor does waiting for another process count.

use super::fatal::Fatal;
use crate::sys::alarm;
use std::time::Duration;

/// An installed alarm.
#[derive(Debug)]
pub(super) struct Watchdog;

impl Watchdog {
    /// Installs it; from the first turn on it watches.
    pub(super) fn create(timeout: Duration) -> Result<Watchdog, Fatal> {
        let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        match seconds / 3 {
            0 => Err(Fatal::ShortTimeout(seconds)),
            step => alarm::install(step, say).map(|()| Watchdog).map_err(Fatal::Watchdog),
        }
    }

    /// The loop turns.
    pub(super) fn start(&self) {
        alarm::wind();
    }

    /// It waits, rightly.
    pub(super) fn stop(&self) {
        alarm::stop();
    }
}

fn say() {
    crate::log::fatal("watchdog timeout");
    std::thread::sleep(super::PAUSE);
}
