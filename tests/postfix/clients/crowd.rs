// SPDX-License-Identifier: Apache-2.0
//! A crowd of SMTP clients with numbered messages. Each message is offered until it is taken, as a mail server offers
//! it, and a ledger has every attempt and what came of it.

use crate::postfix::smtp::Smtp;
use crate::scene::patience;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// How many messages a client has for one session.
const SESSION: usize = 5;
/// What a client does something else between two messages.
const PAUSE: Duration = Duration::from_millis(300);
/// After how long a message is offered again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a client waits for a reply, in patiences: under load, Postfix spends most of a second on a reload.
const LONG: u32 = 15;
/// How often one message is offered; a service that is there takes it long before.
const OFFERS: u32 = 100;

/// Who sends what.
pub(super) struct Crowd<'a> {
    /// A word in every message, so that two crowds can be told apart.
    pub(super) name: &'a str,
    pub(super) address: &'a str,
    pub(super) messages: u32,
    pub(super) clients: u32,
    /// The address that the client of a message pretends to have.
    pub(super) pose: fn(u32) -> String,
}

/// What became of every attempt.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) attempts: u32,
    pub(super) took: Duration,
    pub(super) taken: u32,
    /// Replies that ask to come again, for each message that had one.
    pub(super) deferred: BTreeMap<u32, Vec<String>>,
    /// Connections that ended in the middle.
    pub(super) broken: Vec<String>,
}

impl Ledger {
    /// How many attempts were asked to come again.
    pub(super) fn deferrals(&self) -> u32 {
        self.deferred.values().map(|replies| replies.len() as u32).sum()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { attempts, taken, broken, took, .. } = self;
        let (deferred, broken) = (self.deferrals(), broken.len());
        write!(to, "{attempts} attempts in {took:.1?}: {taken} taken, {deferred} to come again, {broken} broken")
    }
}

/// What became of one attempt.
enum Offer {
    Taken,
    Deferred(String),
    Broken(String),
}

/// The messages that are not taken yet, each with the time of its next offer.
type Waiting = Mutex<VecDeque<(Instant, u32)>>;

impl Crowd<'_> {
    /// Sends everything; returns when all is taken.
    pub(super) fn send(&self) -> Ledger {
        let waiting = Mutex::new((0..self.messages).map(|number| (Instant::now(), number)).collect());
        let ledger = Mutex::new(Ledger::default());
        let began = Instant::now();
        thread::scope(|scope| {
            for _ in 0..self.clients {
                scope.spawn(|| while self.session(&waiting, &ledger) {});
            }
        });
        Ledger { took: began.elapsed(), ..ledger.into_inner().expect("no holder panics") }
    }

    /// One session; says whether there is more to do.
    fn session(&self, waiting: &Waiting, ledger: &Mutex<Ledger>) -> bool {
        let mut smtp = None;
        for _ in 0..SESSION {
            let (due, number) = match waiting.lock().expect("no holder panics").pop_front() {
                Some(next) => next,
                // Another client may have to put its message back: whoever has it offers it again.
                None => return false,
            };
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
            let offer = self.offer(&mut smtp, number);
            let over = !matches!(offer, Offer::Taken);
            if over {
                waiting.lock().expect("no holder panics").push_back((Instant::now() + AGAIN, number));
            }
            note(&mut ledger.lock().expect("no holder panics"), number, offer);
            if over {
                break;
            }
            thread::park_timeout(PAUSE);
        }
        if let Some(mut smtp) = smtp {
            // Whatever is left of the session, its end is no loss.
            let _ = smtp.ask("QUIT");
        }
        true
    }

    fn offer(&self, smtp: &mut Option<Smtp>, number: u32) -> Offer {
        let connected = match smtp {
            Some(_) => Ok(None),
            None => self.connect(number).map(|(connection, reply)| {
                *smtp = Some(connection);
                reply
            }),
        };
        let said = match connected {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => self.message(smtp.as_mut().expect("it was just made"), number),
            Err(error) => Err(error),
        };
        match said {
            Ok(reply) if reply.starts_with("250 2.0.0 Ok: queued as ") => Offer::Taken,
            Ok(reply) if reply.starts_with('4') => Offer::Deferred(reply),
            Ok(reply) => panic!("{} {number} is refused: {reply}", self.name),
            Err(error) => Offer::Broken(error.to_string()),
        }
    }

    /// A session, and the reply that ends it early.
    fn connect(&self, number: u32) -> io::Result<(Smtp, Option<String>)> {
        let (mut smtp, greeting) = Smtp::open(self.address, LONG * patience())?;
        if !greeting.starts_with("220 ") {
            return Ok((smtp, Some(greeting)));
        }
        let pose = format!("XCLIENT ADDR={} NAME=[UNAVAILABLE]", (self.pose)(number));
        for (line, expected) in [("EHLO localhost", "250"), (&*pose, "220"), ("EHLO client.example", "250")] {
            let reply = smtp.ask(line)?;
            if !reply.starts_with(expected) {
                return Ok((smtp, Some(reply)));
            }
        }
        Ok((smtp, None))
    }

    /// The reply to the whole message, or the first one that is not as it should be.
    fn message(&self, smtp: &mut Smtp, number: u32) -> io::Result<String> {
        let name = self.name;
        let lines = [
            (format!("MAIL FROM:<{number}.{name}@open.example>"), "250"),
            (format!("RCPT TO:<{number}.{name}@here.example>"), "250"),
            ("DATA".to_string(), "354"),
        ];
        for (line, expected) in lines {
            let reply = smtp.ask(&line)?;
            if !reply.starts_with(expected) {
                return Ok(reply);
            }
        }
        smtp.ask(&format!("Subject: {name} number {number}.\r\n\r\nhello\r\n."))
    }
}

fn note(ledger: &mut Ledger, number: u32, offer: Offer) {
    ledger.attempts += 1;
    match offer {
        Offer::Taken => ledger.taken += 1,
        Offer::Broken(why) => ledger.broken.push(why),
        Offer::Deferred(reply) => {
            let replies = ledger.deferred.entry(number).or_default();
            replies.push(reply);
            assert!((replies.len() as u32) < OFFERS, "{number} is never taken: {replies:?}");
        }
    }
}
