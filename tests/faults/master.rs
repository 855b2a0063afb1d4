// SPDX-License-Identifier: Apache-2.0
//! The same under master(8), whose daemon has rights to take back and give up, and a master to tell: one call of the
//! daemon fails while it serves a client and others come.

use super::strace::{Counts, Injection, Trace, Tracer, every};
use super::tally::Tally;
use super::{SAMPLE, calls, chosen};
use crate::postfix::instance::Postfix;
use crate::postfix::private::{Log, in_private};
use crate::scene::stage::{Room, room};
use crate::scene::{Client, host, patience};
use std::io::{Read, Write};

/// Processes enough that master can start another one where the first accepts nobody any more.
const ECHO: &str = "echo unix - n n - 9 spawnbox -o echo_concurrency=20 user=nobody argv=/bin/cat\n";

struct Daemon<'a> {
    postfix: &'a Postfix,
    log: &'a Log,
    room: &'a Room,
}

#[test]
fn a_failed_call_under_master_costs_one_client_at_most() {
    needs!(root);
    needs!(program "postfix");
    needs!(program "strace");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "max_use = 100000\n", ECHO);
        let daemon = Daemon { postfix: &postfix, log, room: &room };
        let mut tally = Tally::new();
        for injection in chosen(every(&daemon.record(), errnos), SAMPLE / 2) {
            daemon.inject(&injection, &mut tally);
        }
        tally.told("under master");
        postfix.stop();
    });
}

/// A daemon that cannot give its rights up again aborts, and its sessions end with it: it must not go on with them.
fn errnos(call: &str) -> &'static [nix::errno::Errno] {
    if call.starts_with("setres") { &[] } else { calls::errnos(call) }
}

impl Daemon<'_> {
    fn record(&self) -> Counts {
        self.play(None).1.counts()
    }

    fn inject(&self, injection: &Injection, tally: &mut Tally) {
        let before = self.log.count();
        let (lost, trace) = self.play(Some(injection));
        let mut faults = Vec::new();
        let injected = trace.injected();
        if lost > injected {
            faults.push(format!("{lost} clients lost, {injected} calls failed"));
        }
        // A line may come after the client's end.
        if lost > 0 && self.log.find_after(before, patience(), |line| injection.is_told_by(line)).is_none() {
            faults.push("a client lost, and no line says why".to_string());
        }
        if !self.echoes() {
            faults.push("the next client was lost".to_string());
        }
        tally.add(&format!("under master: {injection}"), (injected, lost), &faults, &self.log.text_after(before));
    }

    /// One client that is served all the time, and two that come meanwhile: how many of them were lost.
    fn play(&self, injection: Option<&Injection>) -> (usize, Trace) {
        // One that is ending may be another daemon's.
        host::eventually("no session is left", patience(), || self.serving().is_empty());
        let mut first = Client::connect(&self.postfix.socket("echo")).send(b"first\n");
        assert_eq!(first.line(), "first", "{}", self.log.text());
        let [daemon] = self.serving()[..] else { panic!("{:?} serve one client", self.serving()) };
        let tracer = Tracer::attach(daemon, &self.room.path("trace"), injection);
        let mut lost = (0..2).filter(|_| !self.echoes()).count();
        let _ = first.write_all(b"still\n");
        lost += usize::from(first.line() != "still");
        let _ = first.finish().rest();
        (lost, tracer.detach())
    }

    /// The daemons that have sessions.
    fn serving(&self) -> Vec<u32> {
        self.postfix.daemons("echo").into_iter().filter(|daemon| !host::inside(*daemon).is_empty()).collect()
    }

    fn echoes(&self) -> bool {
        let mut client = Client::connect(&self.postfix.socket("echo"));
        // Refused by a connection that is closed already.
        let _ = client.write_all(b"hello\n");
        let Client::Unix(stream) = &client else { panic!("not a UNIX client") };
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut text = String::new();
        let _ = client.read_to_string(&mut text);
        text == "hello\n"
    }
}
