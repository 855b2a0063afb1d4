// SPDX-License-Identifier: Apache-2.0
//! A service with clients, one system call of which fails; and what may come of that.
//! At most as many connections are lost as calls were made to fail, each with a line that says why; the others get the
//! same sandbox as ever; nothing hangs, spins, or is left behind; and the next client is served.

use super::strace::{Counts, Injection, Trace, Tracer};
use super::tally::{LEFT, Tally};
use super::walls;
use crate::scene::left::Left;
use crate::scene::stage::Room;
use crate::scene::{Client, Scene, Server, host, patience, scene, stage};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// Processor time of a round, in hundredths of a second, that only a loop without end takes.
const TICKS: u64 = 100;

/// A service that the faults are tried on.
pub(super) struct Bench {
    server: Server,
    room: Room,
    before: Left,
    expected: String,
    pub(super) tally: Tally,
}

/// Whose calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Supervisor,
    Launcher,
}

/// What a client got.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Everything,
    /// Some of it or nothing, and then the end.
    Lost,
    /// Neither.
    Wrong(String),
}

/// The service, whose command says what its sandbox is like.
pub(super) fn service() -> Scene {
    scene("strict").set("limits.time=\"60s\"").probe(&format!("say ready , line , {}", walls::INSIDE))
}

impl Bench {
    pub(super) fn on(address: &str) -> Bench {
        let (server, room) = (service().listen_on(address), stage::room());
        let before = Left::of(&server).but_for_mounts();
        let expected = sandbox(&server).expect("a service without faults answers");
        assert!(expected.contains("kill 1 0: "), "the probe did not come to its end: {expected}");
        before.settle(&server);
        Bench { before, server, room, expected, tally: Tally::new() }
    }

    /// How often each call is made in a round.
    pub(super) fn record(&self, whose: Whose) -> Counts {
        self.play(whose, None).1.counts()
    }

    /// One call fails in a round of clients; what must not be is put down.
    pub(super) fn inject(&mut self, whose: Whose, injection: &Injection) {
        let lines = self.server.log().lines().count();
        let ticks = host::ticks(self.server.pid());
        let (got, trace) = self.play(whose, Some(injection));
        let mut faults: Vec<String> = Vec::new();
        let injected = trace.injected();
        let lost = got.iter().filter(|got| **got != Got::Everything).count();
        faults.extend(got.iter().filter_map(|got| match got {
            Got::Wrong(what) => Some(format!("a client: {what}")),
            Got::Everything | Got::Lost => None,
        }));
        if lost > injected {
            faults.push(format!("{lost} connections lost, {injected} calls failed"));
        }
        if let Err(left) = self.settled() {
            faults.push(left);
        }
        let spent = host::ticks(self.server.pid()) - ticks;
        if spent > TICKS {
            faults.push(format!("{spent} hundredths of a second of processor time"));
        }
        let log = self.server.log();
        let said: Vec<&str> = log.lines().skip(lines).collect();
        if lost > 0 && !said.iter().any(|line| injection.is_told_by(line)) {
            faults.push("a connection lost, and no line says why".to_string());
        }
        match sandbox(&self.server) {
            Ok(text) if text == self.expected => {}
            other => faults.push(format!("afterwards: {other:?}")),
        }
        self.before.settle(&self.server);
        self.tally.add(&format!("{whose:?}: {injection}"), (injected, lost), &faults, &said.join("\n"));
    }

    /// Three clients: one that was there before, and two that come one after the other.
    fn play(&self, whose: Whose, injection: Option<&Injection>) -> (Vec<Got>, Trace) {
        let mut first = self.server.connect();
        let ready = first.line();
        let process = match whose {
            Whose::Supervisor => self.server.pid(),
            Whose::Launcher => host::launcher_of(self.server.pid()),
        };
        let tracer = Tracer::attach(process, &self.room.path("trace"), injection);
        let mut got: Vec<Got> = (0..2).map(|_| self.got(text(&mut self.server.connect()))).collect();
        got.push(self.got(text(&mut first).map(|text| format!("{ready}\n{text}"))));
        // What clears up after the sessions is of the round.
        let _ = self.settled();
        (got, tracer.detach())
    }

    fn got(&self, text: Result<String, String>) -> Got {
        match text {
            Ok(text) if self.expected.ends_with(&text) && !text.is_empty() => Got::Everything,
            Ok(text) if self.expected.contains(&text) => Got::Lost,
            Ok(text) => Got::Wrong(format!("another sandbox: {text:?} instead of {:?}", self.expected)),
            Err(what) => Got::Wrong(what),
        }
    }

    fn settled(&self) -> Result<(), String> {
        settles(&self.server, &self.before)
    }
}

/// Whether a server comes back to what it held before.
pub(super) fn settles(server: &Server, before: &Left) -> Result<(), String> {
    let deadline = Instant::now() + patience();
    loop {
        let now = Left::of(server).but_for_mounts();
        if now == *before {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(format!("{LEFT}{now:?} instead of {before:?}"));
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// What a client finds its sandbox to be, from outside and from inside.
pub(super) fn sandbox(server: &Server) -> Result<String, String> {
    let mut client = server.connect();
    let ready = client.line();
    let outside = if ready == "ready" { walls::outside(server) } else { String::new() };
    Ok(format!("{outside}\n{ready}\n{}", text(&mut client)?))
}

/// Says a line and reads to the end. The error is a server that neither answers nor closes.
fn text(client: &mut Client) -> Result<String, String> {
    // Refused by a connection that is closed already: the end is to be read all the same.
    let _ = client.write_all(b"go\n");
    let mut bytes = Vec::new();
    match client.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(format!("no end: {error}")),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
