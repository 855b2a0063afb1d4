// SPDX-License-Identifier: Apache-2.0
//! What came of the injections of a phase, counted.

use std::io::Write;

#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    tried: usize,
    injected: usize,
    lost: usize,
    refused: usize,
    unharmed: usize,
    faults: Vec<String>,
}

impl Tally {
    /// One injection: calls that failed, connections lost, what must not be, and the log.
    pub(super) fn add(&mut self, what: &str, (injected, lost): (usize, usize), faults: &[String], log: &str) {
        self.tried += 1;
        self.injected += injected;
        self.lost += lost;
        self.unharmed += usize::from(lost == 0);
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
        let Tally { tried, injected, lost, refused, unharmed, faults } = self;
        let _ = writeln!(
            std::io::stderr(),
            "faults, {phase}: failures tried {tried}, system calls that failed {injected}, without effect {unharmed}, \
             starts refused in words {refused}, connections lost {lost}, left behind or worse {}",
            faults.len()
        );
        assert!(injected * 2 >= *tried && *tried > 0, "{phase}: of {tried} failures {injected} happened");
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }
}
