// SPDX-License-Identifier: Apache-2.0
//! A call that fails while the program is told to end: it ends all the same, takes its session along, and leaves
//! nothing that it does not name.

use super::bench::service;
use super::strace::{Counts, Injection, Trace, Tracer};
use super::tally::{LEFT, Tally};
use crate::scene::stage::Room;
use crate::scene::{host, patience, stage};
use nix::sys::signal::Signal;

/// A program that is ended again and again.
pub(super) struct Ends {
    room: Room,
    pub(super) tally: Tally,
}

impl Ends {
    pub(super) fn new() -> Ends {
        Ends { room: stage::room(), tally: Tally::new() }
    }

    /// How often the supervisor makes each call from the first signal on.
    pub(super) fn record(&self) -> Counts {
        let (faults, _, trace) = self.play(None);
        assert!(faults.is_empty(), "without a failure: {}", faults.join("\n"));
        trace.counts()
    }

    /// One call fails.
    pub(super) fn inject(&mut self, injection: &Injection) {
        let (faults, log, trace) = self.play(Some(injection));
        self.tally.add(&format!("end: {injection}"), (trace.injected(), 0), &faults, &log);
    }

    /// Two signals: the first one drains, the second one ends the session that is there.
    fn play(&self, injection: Option<&Injection>) -> (Vec<String>, String, Trace) {
        let server = service().listen();
        let mut client = server.connect();
        assert_eq!(client.line(), "ready");
        let all = host::watch(&host::tree(server.pid()));
        let cgroups = format!("/spawnbox-{}-", server.pid());
        let tracer = Tracer::attach(server.pid(), &self.room.path("trace"), injection);
        server.signal(Signal::SIGTERM);
        // Two that wait for the same process are one.
        host::eventually("the first signal was taken", patience(), || {
            host::status_of(server.pid(), "ShdPnd").is_none_or(|set| set.chars().all(|digit| digit == '0'))
        });
        server.signal(Signal::SIGTERM);
        let (status, log) = server.end();
        let mut faults = Vec::new();
        if !matches!(status.code(), Some(0 | 1)) {
            faults.push(format!("it ended with {status}"));
        }
        if !all.end_within(patience()) {
            faults.push(format!("{LEFT}a process"));
        }
        let root = host::cgroup_root().expect("a cgroup was made");
        let left: Vec<_> = host::cgroups_below(&root)
            .into_iter()
            .filter(|path| path.display().to_string().contains(&cgroups))
            .collect();
        if !left.is_empty() && !log.contains("cannot remove cgroup") {
            faults.push(format!("{LEFT}without a word: {left:?}"));
        }
        // The next start sweeps what was named; here it is in the way of the next count.
        left.iter().for_each(|path| drop(std::fs::remove_dir(path)));
        (faults, log, tracer.detach())
    }
}
