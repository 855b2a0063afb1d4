// SPDX-License-Identifier: Apache-2.0
//! A line for a client that is refused, written without waiting. Where the client has sent something that nobody read,
//! close(2) makes the kernel reset the connection, and the line is lost with it, see RFC 9293, section 3.10.7.1: so a
//! few connections stay for a moment, and what their clients send is dropped by the kernel and never looked at.

use super::client::Client;
use super::supervisor::Supervisor;
use super::watch::{Timer, Token};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a client has to take its line and to go.
const MOMENT: Duration = Duration::from_secs(1);
/// How many stay at once; with more, a line may be lost.
pub(super) const MOST: usize = 64;
/// How much of what a client sends is dropped at one look.
const LOOK: usize = 64 << 10;

/// Connections that were told to go.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    all: BTreeMap<u64, (OwnedFd, Instant)>,
    next: u64,
}

impl Supervisor {
    /// Tells a client, and lets it go.
    pub(super) fn say_farewell(&mut self, connection: OwnedFd, client: &Client, line: &str) {
        // A line that finds no room in an empty buffer finds none later; nobody is told of a client that has left.
        let _ = rustix::net::send(&connection, line.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        let _ = rustix::net::shutdown(&connection, Shutdown::Write);
        // What a UNIX socket has in it stays there when the other end is closed.
        let over_tcp = match client {
            Client::Tcp(_) => true,
            Client::Proxied { by, .. } => matches!(**by, Client::Tcp(_)),
            Client::Unix { .. } | Client::Given => false,
        };
        if !over_tcp || self.farewells.all.len() >= MOST {
            return;
        }
        let (id, until) = (self.farewells.next, Instant::now() + MOMENT);
        if self.watch.add(&connection, Token::Farewell(id)).is_ok() {
            self.farewells.next += 1;
            self.watch.set(Timer::Farewell(id), None, until);
            self.farewells.all.insert(id, (connection, until));
        }
    }

    /// A client that was told to go sends something, or is gone.
    pub(super) fn hear_farewell(&mut self, id: u64) {
        let Some((connection, until)) = self.farewells.all.get(&id) else { return };
        // With this flag TCP drops what it would copy, see tcp(7); the room is for its length alone.
        let dropped = rustix::net::recv(connection, &mut [0; LOOK][..], RecvFlags::TRUNC | RecvFlags::DONTWAIT);
        match dropped {
            Ok((_, 1..)) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok((_, 0)) | Err(_) => {
                self.watch.cancel(Timer::Farewell(id), Some(*until));
                self.end_farewell(id);
            }
        }
    }

    /// It is gone, or has had its moment.
    pub(super) fn end_farewell(&mut self, id: u64) {
        if let Some((connection, _)) = self.farewells.all.remove(&id) {
            self.watch.remove(&connection);
        }
    }
}
