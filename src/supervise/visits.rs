// SPDX-License-Identifier: Apache-2.0
//! Those who ask the supervisor itself something, and never a command: where they come in, how many there may be, how
//! long each may take. They are served between the events of sessions, one bounded request at a time; whoever is slow
//! is dropped at its deadline, or earlier for one who comes after it, and nobody waits for it.

use super::control::{self, Visitor};
use super::exchange::{Exchange, Heard, Sent};
use super::inherited::{CONTROL, METRICS};
use super::listener::Listener;
use super::metrics;
use super::supervisor::Supervisor;
use super::watch::{Timer, Token};
use crate::host::{HostError, errno_text};
use rustix::net::SocketFlags;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a request may take to come, and its answer to be read.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many are served at once of each rank: none can take the places of another.
const MOST: usize = 32;
/// How many one desk takes before others are looked at.
const TURN: usize = 8;
/// How long a desk is closed where the process has no room for a visitor.
const PAUSE: Duration = Duration::from_secs(1);

/// All desks, and who stands at them.
#[derive(Debug, Default)]
pub(super) struct Visits {
    desks: Vec<Desk>,
    all: BTreeMap<u64, Visit>,
    next: u64,
}

/// Where visitors come in.
#[derive(Debug)]
struct Desk {
    listener: Listener,
    kind: Kind,
}

/// What is asked there, and who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The control socket; members of this group may look.
    Control {
        /// Where it was given one.
        group: Option<u32>,
    },
    /// The metrics: whoever can connect.
    Metrics,
}

/// One who asks.
#[derive(Debug)]
struct Visit {
    exchange: Exchange,
    asker: Asker,
    /// A whole request has come.
    asked: bool,
    /// Nothing more is taken from it after this answer.
    last: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// Over the control socket.
    Control(Visitor),
    /// For the metrics.
    Metrics,
}

/// An answer, and whether another request may follow.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) last: bool,
}

impl Kind {
    /// How many stand there at once.
    fn places(self) -> usize {
        match self {
            Kind::Control { group: Some(_) } => 2 * MOST,
            Kind::Control { group: None } | Kind::Metrics => MOST,
        }
    }
}

impl Visits {
    /// Where they come in, by the names for the program after this one.
    pub(super) fn listeners(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        self.desks.iter().map(|desk| {
            let name = match desk.kind {
                Kind::Control { .. } => CONTROL,
                Kind::Metrics => METRICS,
            };
            (name.to_string(), desk.listener.as_fd())
        })
    }
}

impl Asker {
    /// Whether both take places of the same kind: operators have theirs, whoever may look or scrape.
    fn is_like(self, other: Asker) -> bool {
        match (self, other) {
            (Asker::Control(one), Asker::Control(other)) => one.is_operator() == other.is_operator(),
            (Asker::Metrics, Asker::Metrics) => true,
            (Asker::Control(_), Asker::Metrics) | (Asker::Metrics, Asker::Control(_)) => false,
        }
    }
}

impl Supervisor {
    /// Opens a desk.
    pub(super) fn open_desk(&mut self, listener: Listener, kind: Kind) -> Result<(), HostError> {
        let number = self.visits.desks.len();
        let watched = self.watch.add(&listener, Token::Desk(number));
        watched.map_err(|errno| HostError::new("watch a listener", errno))?;
        self.files.keep(kind.places());
        self.visits.desks.push(Desk { listener, kind });
        Ok(())
    }

    /// Closes all desks: they are another program's now. Who stands there is answered.
    pub(super) fn leave_desks(&mut self) {
        for mut desk in std::mem::take(&mut self.visits.desks) {
            self.watch.remove(&desk.listener);
            desk.listener.leave_name();
        }
    }

    /// They are this program's own now.
    pub(super) fn own_desks(&mut self) {
        self.visits.desks.iter_mut().for_each(|desk| desk.listener.own_name());
    }

    /// Somebody stands before a desk.
    pub(super) fn receive_visitors(&mut self, number: usize) {
        for _ in 0..TURN {
            let Some(Desk { listener, kind }) = self.visits.desks.get(number) else { return };
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(connection) => {
                    let kind = *kind;
                    self.receive_visitor(connection, kind);
                }
                Err(error) if super::admit::is_gone(crate::sys::errno(error)) => return,
                Err(error) => {
                    let why = errno_text(crate::sys::errno(error));
                    tracing::warn!(
                        "cannot accept a connection to the control socket or for the metrics: {why}; trying again"
                    );
                    self.watch.remove(listener);
                    return self.watch.set(Timer::Desk(number), None, Instant::now() + PAUSE);
                }
            }
        }
    }

    /// A desk is open again.
    pub(super) fn reopen_desk(&mut self, number: usize) {
        let Some(Desk { listener, .. }) = self.visits.desks.get(number) else { return };
        if self.watch.add(listener, Token::Desk(number)).is_err() {
            self.watch.set(Timer::Desk(number), None, Instant::now() + PAUSE);
        }
    }

    fn receive_visitor(&mut self, connection: OwnedFd, kind: Kind) {
        let now = Instant::now();
        let mut exchange = Exchange::new(connection, now + PATIENCE);
        let asker = match kind {
            Kind::Control { group } => match Visitor::ask(&exchange, group) {
                Ok(visitor) => Asker::Control(visitor),
                Err(why) => return refuse(&mut exchange, &why),
            },
            Kind::Metrics => Asker::Metrics,
        };
        self.make_room(asker);
        let id = self.visits.next;
        // Unwatched, it is closed here: its end is all that there is to be told.
        if self.watch.add(&exchange, Token::Visit(id)).is_ok() {
            self.visits.next += 1;
            self.watch.set(Timer::Visit(id), None, exchange.until);
            self.visits.all.insert(id, Visit { exchange, asker, asked: false, last: false });
            // What it has said already is answered before anybody who comes next could take its place.
            self.attend(id);
        }
    }

    /// Where all places are taken, one gives way: who has never asked before who has, and of those the one from whom
    /// nothing was heard for longest. Nobody can keep others out by being there first.
    fn make_room(&mut self, newcomer: Asker) {
        let like = self.visits.all.iter_mut().filter(|(_, visit)| visit.asker.is_like(newcomer));
        let like: Vec<_> = like.collect();
        if like.len() < MOST {
            return;
        }
        let first = like.into_iter().min_by_key(|(_, visit)| (visit.asked, visit.exchange.until));
        let Some((&id, visit)) = first else { return };
        match visit.asker {
            Asker::Control(_) if !visit.exchange.is_answering() => {
                refuse(&mut visit.exchange, "too many ask at once: try again");
            }
            // Whoever scrapes takes a closed connection for a failure, and comes again.
            Asker::Control(_) | Asker::Metrics => {}
        }
        self.end_visit(id);
    }

    /// A visitor says something, reads something, or is gone.
    pub(super) fn attend(&mut self, id: u64) {
        let Some(visit) = self.visits.all.get_mut(&id) else { return };
        if visit.exchange.is_answering() {
            let sent = visit.exchange.send();
            return self.answered(id, sent);
        }
        match visit.exchange.hear() {
            Heard::Nothing => {}
            Heard::End => self.end_visit(id),
            Heard::Bytes => {
                let came = visit.exchange.came();
                let answer = match visit.asker {
                    Asker::Control(visitor) => control::whole(came).map(|whole| self.answer_control(visitor, whole)),
                    Asker::Metrics => metrics::whole(came).map(|asked| self.answer_http(asked)),
                };
                // What is not whole yet has until its deadline.
                if let Some(answer) = answer {
                    self.answer_visit(id, answer);
                }
            }
        }
    }

    fn answer_visit(&mut self, id: u64, Answer { bytes, last }: Answer) {
        let Some(visit) = self.visits.all.get_mut(&id) else { return };
        (visit.asked, visit.last) = (true, last);
        let sent = visit.exchange.answer(bytes);
        self.answered(id, sent);
    }

    fn answered(&mut self, id: u64, sent: Sent) {
        let Some(visit) = self.visits.all.get_mut(&id) else { return };
        let turned = match sent {
            Sent::Nobody => return self.end_visit(id),
            Sent::Part => self.watch.await_output(&visit.exchange, Token::Visit(id)),
            Sent::Whole if visit.last => return self.end_visit(id),
            Sent::Whole => {
                let before = std::mem::replace(&mut visit.exchange.until, Instant::now() + PATIENCE);
                self.watch.set(Timer::Visit(id), Some(before), visit.exchange.until);
                self.watch.await_input(&visit.exchange, Token::Visit(id))
            }
        };
        if turned.is_err() {
            self.end_visit(id);
        }
    }

    /// A visitor is gone, served, or has had its time.
    pub(super) fn end_visit(&mut self, id: u64) {
        let Some(Visit { exchange, .. }) = self.visits.all.remove(&id) else { return };
        self.watch.remove(&exchange);
        self.watch.cancel(Timer::Visit(id), Some(exchange.until));
        exchange.finish();
    }
}

fn refuse(exchange: &mut Exchange, why: &str) {
    // Short enough for an empty buffer; whoever does not read it is not served either.
    let _ = exchange.answer(control::refusal(why));
}
