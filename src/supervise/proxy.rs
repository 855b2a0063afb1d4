// SPDX-License-Identifier: Apache-2.0
//! Connections that come through a proxy, which says first who its client is. The header is read to its exact length
//! and nothing behind it, from proxies that the policy trusts and from nobody else, before anything is made for a
//! session. It has little time to come and holds a session's place meanwhile, so that no more wait than can be served.

mod header;

use super::client::Client;
use super::door::Door;
use super::gate::Turned;
use super::supervisor::Supervisor;
use super::watch::{Timer, Token};
#[cfg(any(test, fuzzing))]
pub(crate) use header::law;
use header::{Found, LONGEST, Said, find};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a header may take. A proxy sends it with the first segment, which may have to be sent again: section 2.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is said of one that took longer.
const LATE: &str = "its header did not come within 5 s";

/// Connections whose header has not come yet.
#[derive(Debug, Default)]
pub(super) struct Heralds {
    all: BTreeMap<u64, Herald>,
    next: u64,
}

/// One of them.
#[derive(Debug)]
struct Herald {
    service: usize,
    connection: OwnedFd,
    proxy: Client,
    /// What has come of the header.
    header: Vec<u8>,
    until: Instant,
}

impl Heralds {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Herald {
    /// Takes what has come of the header. None: more must come.
    fn hear(&mut self) -> Result<Option<Said>, &'static str> {
        let mut room = [0; LONGEST];
        loop {
            let before = self.header.len();
            let looked = recv(&self.connection, &mut room[before..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
            match looked {
                Ok((_, 0)) => return Err("it has left before its header came"),
                Ok((_, count)) => self.header.extend_from_slice(&room[before..before + count]),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                Err(_) => return Err("its connection is broken"),
            }
            let (end, said) = match find(&self.header) {
                Found::Part => (self.header.len(), None),
                Found::Whole(said, length) => (length, Some(said)),
                Found::Nothing(why) => return Err(why),
            };
            // What belongs to the header, of what is there, and no byte of the conversation.
            self.header.truncate(end);
            match recv(&self.connection, &mut room[before..end], RecvFlags::DONTWAIT) {
                Ok((_, count)) if count == end - before => {}
                Ok(_) | Err(_) => return Err("its connection is broken"),
            }
            if said.is_some() {
                return Ok(said);
            }
        }
    }
}

impl Supervisor {
    /// A proxy that is trusted has connected.
    pub(super) fn expect_header(&mut self, number: usize, connection: OwnedFd, proxy: Client, door: &mut dyn Door) {
        let (id, until) = (self.heralds.next, Instant::now() + PATIENCE);
        if self.watch.add(&connection, Token::Header(id)).is_err() {
            let turned = Turned::Header("its connection cannot be watched");
            return self.turn_away(number, connection, &proxy, turned, door);
        }
        let Some(service) = self.services.get_mut(number) else { return };
        service.admission.begin();
        service.gate.count(Instant::now());
        self.heralds.next += 1;
        self.watch.set(Timer::Header(id), None, until);
        self.watch.cancel(Timer::Idle, self.idle_at.take());
        let herald = Herald { service: number, connection, proxy, header: Vec::new(), until };
        self.heralds.all.insert(id, herald);
    }

    /// Something of a header has come.
    pub(super) fn hear_header(&mut self, id: u64, door: &mut dyn Door) {
        let Some(herald) = self.heralds.all.get_mut(&id) else { return };
        match herald.hear() {
            Ok(None) => {}
            Ok(Some(said)) => self.heralded(id, Ok(said), door),
            Err(why) => self.heralded(id, Err(why), door),
        }
    }

    /// A header has taken too long.
    pub(super) fn lose_header(&mut self, id: u64, door: &mut dyn Door) {
        self.heralded(id, Err(LATE), door);
    }

    /// Its place is its client's, or another's.
    fn heralded(&mut self, id: u64, came: Result<Said, &'static str>, door: &mut dyn Door) {
        let Some(herald) = self.heralds.all.remove(&id) else { return };
        let Herald { service: number, connection, proxy, until, .. } = herald;
        self.watch.remove(&connection);
        self.watch.cancel(Timer::Header(id), Some(until));
        if let Some(service) = self.services.get_mut(number) {
            service.admission.end();
        }
        match came {
            Ok(Said::Own) => self.let_in(number, connection, proxy, door),
            Ok(Said::Client { client, server }) => {
                let client = Client::Proxied { client, server, by: Box::new(proxy) };
                self.let_in(number, connection, client, door);
            }
            Err(why) => self.turn_away(number, connection, &proxy, Turned::Header(why), door),
        }
        self.set_listening(number);
        self.retire(number);
    }
}
