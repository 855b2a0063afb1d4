// SPDX-License-Identifier: Apache-2.0
//! Clients that come one after the other, each with a word of its own that must come back, until they are told to stop.

use crate::scene::{Client, host, patience};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

/// Numbers that nobody foresees, and that are the same again for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// What the clients have in common.
#[derive(Default)]
struct Sea {
    stop: AtomicBool,
    served: AtomicUsize,
    /// Supervisors that were killed.
    crashes: AtomicUsize,
    /// A client holds it for as long as it is one.
    sailing: RwLock<()>,
    /// Who was not answered, though its supervisor lives: its address, or the server's, where it has none.
    lost: Mutex<Vec<String>>,
}

/// All clients.
pub(super) struct Fleet {
    sea: Arc<Sea>,
    threads: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// One after the other at each of these addresses.
    pub(super) fn of(addresses: &[&str], seed: u64) -> Fleet {
        let sea = Arc::new(Sea::default());
        let begin = |(index, address): (usize, &&str)| {
            let (sea, address, mut dice) = (Arc::clone(&sea), address.to_string(), Dice(seed + 2 * index as u64 + 2));
            std::thread::spawn(move || {
                while !sea.stop.load(SeqCst) {
                    sea.sail(&address, &mut dice);
                }
            })
        };
        let threads = addresses.iter().enumerate().map(begin).collect();
        Fleet { sea, threads }
    }

    /// Waits until so many more were served.
    pub(super) fn goes_on(&self, more: usize) {
        let before = self.sea.served.load(SeqCst);
        host::eventually("clients are served", patience(), || self.sea.served.load(SeqCst) >= before + more);
    }

    /// Waits until no client is there; none comes before the result is dropped.
    pub(super) fn rest(&self) -> impl Drop {
        self.sea.sailing.write().expect("no client panics")
    }

    /// Kills the supervisor by this: whoever is its client now is lost with it.
    pub(super) fn crashed(&self, kill: impl FnOnce()) {
        self.sea.crashes.fetch_add(1, SeqCst);
        kill();
    }

    /// How many were served, and who was lost.
    pub(super) fn end(self) -> (usize, Vec<String>) {
        self.sea.stop.store(true, SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().expect("no client is refused"));
        let lost = std::mem::take(&mut *self.sea.lost.lock().expect("no client panics"));
        (self.sea.served.load(SeqCst), lost)
    }
}

impl Sea {
    /// One client.
    fn sail(&self, address: &str, dice: &mut Dice) {
        let _sailing = self.sailing.read().expect("nobody panics while all rest");
        let crashes = self.crashes.load(SeqCst);
        let mut client = Client::connect(address);
        if dice.below(8) == 0 {
            // It has changed its mind.
            return client.reset();
        }
        let name = client.local().map_or(address.to_string(), |own| own.to_string());
        let word = format!("{}\n", dice.below(usize::MAX));
        // What was killed reads nothing.
        let _ = client.write_all(word.as_bytes());
        match client.rest() == word {
            true => drop(self.served.fetch_add(1, SeqCst)),
            false if self.crashes.load(SeqCst) != crashes => {}
            false => self.lost.lock().expect("no client panics").push(name),
        }
    }
}
