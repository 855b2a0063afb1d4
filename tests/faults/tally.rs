// SPDX-License-Identifier: Apache-2.0
//! What came of the injections of a phase, and of all phases that are over, counted.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// How a fault begins that is something which nobody cleared up.
pub(super) const LEFT: &str = "left behind: ";

/// What the phases came to that are over.
static ALL: Mutex<Tally> = Mutex::new(Tally::new());

#[derive(Debug, Clone)]
pub(super) struct Tally {
    tried: usize,
    injected: usize,
    refused: usize,
    unharmed: usize,
    lost: usize,
    /// Of those that were lost, the ones for which no call had failed.
    strayed: usize,
    left: usize,
    faults: Vec<String>,
}

impl Tally {
    pub(super) const fn new() -> Tally {
        Tally { tried: 0, injected: 0, refused: 0, unharmed: 0, lost: 0, strayed: 0, left: 0, faults: Vec::new() }
    }

    /// One injection: calls that failed, connections lost, what must not be, and the log.
    pub(super) fn add(&mut self, what: &str, (injected, lost): (usize, usize), faults: &[String], log: &str) {
        self.tried += 1;
        self.injected += injected;
        self.lost += lost;
        self.strayed += lost.saturating_sub(injected);
        self.unharmed += usize::from(lost == 0);
        self.left += faults.iter().filter(|fault| fault.starts_with(LEFT)).count();
        let log = log.replace('\n', "\n      ");
        for fault in faults {
            let fault = format!("{what}: {fault}\n      {log}");
            let _ = writeln!(std::io::stderr(), "{fault}");
            self.faults.push(fault);
        }
    }

    /// The last one kept the program from starting.
    pub(super) fn refused(&mut self) {
        self.refused += 1;
        self.unharmed -= 1;
    }

    /// Prints the counts, on the real standard error, and fails where there is something that must not be.
    pub(super) fn told(&self, phase: &str) {
        self.print(phase);
        {
            let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
            all.join(self);
            all.print("all phases up to here");
        }
        let Tally { tried, injected, faults, .. } = self;
        assert!(injected * 2 >= *tried && *tried > 0, "{phase}: of {tried} failures {injected} happened");
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    fn print(&self, phase: &str) {
        let Tally { tried, injected, refused, unharmed, lost, strayed, left, faults } = self;
        let told = tried - refused - unharmed;
        let _ = writeln!(
            std::io::stderr(),
            "faults, {phase}: system calls injected {injected} in {tried} tries; outcomes: nothing lost {unharmed}, \
             start refused in words {refused}, clients refused {told}; connections lost {lost}, of them not by an \
             injected call {strayed}; leftovers {left}; all that must not be {}",
            faults.len()
        );
    }

    fn join(&mut self, other: &Tally) {
        self.tried += other.tried;
        self.injected += other.injected;
        self.refused += other.refused;
        self.unharmed += other.unharmed;
        self.lost += other.lost;
        self.strayed += other.strayed;
        self.left += other.left;
        self.faults.extend_from_slice(&other.faults);
    }
}
