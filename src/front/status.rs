// SPDX-License-Identifier: Apache-2.0
//! `spawnbox status`: what a running supervisor serves, once or again and again.

mod table;

use super::arrange::Failure;
use super::ask::Asking;
use super::cli::Status;
use super::output::judged;
use super::terminal;
use crate::supervise::control::words::{ServiceState, Services, SessionState, Sessions, Supervising};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How many sessions are shown where nobody asks for all.
const SHOWN: usize = 100;
/// The top of an empty screen, see console_codes(4).
const TOP: &str = "\x1b[H\x1b[J";

/// Everything that was seen in one look.
#[derive(Debug, Serialize)]
struct Seen {
    version: u64,
    supervisor: Supervising,
    services: Vec<ServiceState>,
    /// Names of which nothing is served, and why.
    not_served: BTreeMap<String, String>,
    sessions: Vec<SessionState>,
}

/// Looks, and prints what is there.
pub(super) fn status(options: &Status) -> Result<(), Failure> {
    let most = match options.json || options.all {
        true => usize::MAX,
        false => SHOWN,
    };
    loop {
        let seen = look(&mut Asking::connect(&options.supervisor)?, most)?;
        let text = match options.json {
            true => format!("{}\n", serde_json::to_string(&seen).unwrap_or_default()),
            false => shown(&seen, options),
        };
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // Whoever has seen enough does not want to see more.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => judged(written).map_err(Failure::Host)?,
        }
        if !options.watch {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// All services, and up to so many sessions.
fn look(asking: &mut Asking, most: usize) -> Result<Seen, Failure> {
    let first: Services = asking.ask(json!({ "ask": "services" }))?;
    let Services { version, supervisor, mut services, not_served, mut next } = first;
    while let Some(after) = next {
        let page: Services = asking.ask(json!({ "ask": "services", "after": after }))?;
        services.extend(page.services);
        // A page that leads back would be asked for for ever.
        next = page.next.filter(|next| *next > after);
    }
    let mut sessions = Vec::new();
    let mut after = Some(0);
    while let Some(last) = after.filter(|_| sessions.len() < most) {
        let page: Sessions = asking.ask(json!({ "ask": "sessions", "after": last }))?;
        sessions.extend(page.sessions);
        after = page.next.filter(|next| *next > last);
    }
    sessions.truncate(most);
    Ok(Seen { version, supervisor, services, not_served, sessions })
}

fn shown(seen: &Seen, options: &Status) -> String {
    let paint = terminal::paint(&std::io::stdout());
    match (terminal::size(), options.watch) {
        (Some((width, height)), true) => {
            format!("{TOP}{}", table::table(seen, table::Room { width, height: height.saturating_sub(1) }, paint))
        }
        (Some((width, _)), false) => table::table(seen, table::Room { width, ..table::Room::ENDLESS }, paint),
        (None, true) => format!("{}\n", table::table(seen, table::Room::ENDLESS, paint)),
        (None, false) => table::table(seen, table::Room::ENDLESS, paint),
    }
}
