// SPDX-License-Identifier: Apache-2.0
//! A name server for a test: answers from a table over UDP on 127.0.0.1:53 of the test's own network.
//! Knows TXT and A; every other question about a name in the table has no answer, and other names do not exist.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TYPE_A: u16 = 1;
const TYPE_TXT: u16 = 16;
const CLASS_IN: u16 = 1;

/// A running name server. Dropping it stops it.
pub(crate) struct Resolver {
    questions: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

/// A record of the table: owner and text, or owner and address.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    Txt(&'static str, &'static str),
    A(&'static str, [u8; 4]),
}

impl Resolver {
    /// Starts to answer from `table`.
    pub(crate) fn start(table: &'static [Entry]) -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("the test has a network of its own");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out can be set");
        let resolver = Resolver { questions: Arc::default(), stop: Arc::default() };
        let (questions, stop) = (Arc::clone(&resolver.questions), Arc::clone(&resolver.stop));
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut bytes) else { continue };
                let Some(question) = Question::parse(&bytes[..length]) else { continue };
                questions.lock().expect("no holder panics").push(question.name.clone());
                let _ = socket.send_to(&question.answer(table), client);
            }
        });
        resolver
    }

    /// Whether anyone asked for this name.
    pub(crate) fn was_asked_for(&self, name: &str) -> bool {
        self.questions.lock().expect("no holder panics").iter().any(|asked| asked == name)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The question of a query, see RFC 1035 section 4.1.
struct Question {
    id: [u8; 2],
    /// As it was sent, to be sent back.
    section: Vec<u8>,
    name: String,
    kind: u16,
}

impl Question {
    fn parse(query: &[u8]) -> Option<Question> {
        let (header, rest) = query.split_at_checked(12)?;
        let mut labels = Vec::new();
        let mut at = 0;
        while *rest.get(at)? != 0 {
            let end = at + 1 + usize::from(rest[at]);
            labels.push(String::from_utf8_lossy(rest.get(at + 1..end)?).to_ascii_lowercase());
            at = end;
        }
        let section = rest.get(..at + 5)?.to_vec();
        let kind = u16::from_be_bytes([rest[at + 1], rest[at + 2]]);
        Some(Question { id: [header[0], header[1]], section, name: labels.join("."), kind })
    }

    fn answer(&self, table: &[Entry]) -> Vec<u8> {
        let known = table.iter().filter(|entry| entry.name() == self.name);
        let answers: Vec<Vec<u8>> = known.clone().filter_map(|entry| entry.record(self.kind)).collect();
        let code = if known.count() == 0 { 3 } else { 0 };
        let count = u16::try_from(answers.len()).expect("a short table");
        // A response, recursion desired and available, with this response code; one question.
        let header = [self.id, [0x81, 0x80 | code], [0, 1], count.to_be_bytes(), [0; 2], [0; 2]].concat();
        [header, self.section.clone(), answers.concat()].concat()
    }
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Entry::Txt(name, _) | Entry::A(name, _) => name,
        }
    }

    /// The record, if it is of this type. Its owner is a pointer to the question's name, which stands at byte 12.
    fn record(&self, kind: u16) -> Option<Vec<u8>> {
        let (own, value) = match self {
            Entry::Txt(_, text) => (TYPE_TXT, [&[u8::try_from(text.len()).ok()?], text.as_bytes()].concat()),
            Entry::A(_, address) => (TYPE_A, address.to_vec()),
        };
        let length = u16::try_from(value.len()).ok()?;
        let numbers = [own, CLASS_IN, 0, 60, length].map(u16::to_be_bytes).concat();
        (own == kind).then(|| [vec![0xc0, 12], numbers, value].concat())
    }
}
