// SPDX-License-Identifier: Apache-2.0
//! The figures of a run, and how one is made of many: a median of rounds, and the median of the ratios within each.

use crate::load::Seen;
use crate::processor::Used;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is measured of a server's speed. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Connect to first byte, one client, one connection after the other.
    ClosedP50,
    ClosedP90,
    ClosedP99,
    /// The same with a rest after each.
    RestedP50,
    RestedP90,
    RestedP99,
    /// Connections a second.
    RateOf1,
    RateOf8,
    RateOf64,
    /// Processor time of a connection.
    ProcessorOf1,
    ProcessorOf8,
}

impl Measure {
    pub(crate) const ALL: [Measure; 11] = [
        Measure::ClosedP50,
        Measure::ClosedP90,
        Measure::ClosedP99,
        Measure::RestedP50,
        Measure::RestedP90,
        Measure::RestedP99,
        Measure::RateOf1,
        Measure::RateOf8,
        Measure::RateOf64,
        Measure::ProcessorOf1,
        Measure::ProcessorOf8,
    ];
}

/// A figure for each measure.
pub(crate) type Speed = BTreeMap<Measure, f64>;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    /// Rounds that others spoilt.
    pub(crate) dropped: usize,
    pub(crate) servers: Vec<Row>,
    /// Who is not here, and why.
    pub(crate) left_out: Vec<String>,
}

/// What was measured of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) server: String,
    pub(crate) sandbox: String,
    pub(crate) speed: Speed,
    /// As a multiple of the bare server's, on the same kind of socket.
    pub(crate) times_bare: Speed,
    /// Connections that were not answered.
    pub(crate) lost: usize,
    pub(crate) idle: Option<Idle>,
    /// What a new client waits with so many idle sessions.
    pub(crate) sessions: Vec<Grown>,
    /// The same with so many more mounts on the host, where a server makes mounts of its own.
    pub(crate) mounts: Vec<Grown>,
    /// What was not measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// What an idle session takes; KiB of each, but for what the server takes without any.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Idle {
    pub(crate) sessions: usize,
    pub(crate) base_kib: u64,
    /// The server's own, which are no commands.
    pub(crate) processes: f64,
    pub(crate) own_kib: f64,
    pub(crate) command_kib: f64,
    /// All that the kernel has allocated but page tables, which are in the others.
    pub(crate) kernel_kib: f64,
}

/// A median of connect to first byte among so many of something.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grown {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    /// As a multiple of that with the fewest.
    pub(crate) times: f64,
}

/// What a server's clients saw in one round.
pub(crate) struct Round {
    pub(crate) closed: (Seen, Used),
    pub(crate) rested: (Seen, Used),
    pub(crate) eight: (Seen, Used),
    pub(crate) sixty_four: (Seen, Used),
}

impl Round {
    /// The worst of what others took.
    pub(crate) fn foreign(&self) -> f64 {
        let parts = [&self.closed, &self.rested, &self.eight, &self.sixty_four];
        parts.into_iter().map(|(_, used)| used.foreign).fold(0.0, f64::max)
    }

    pub(crate) fn lost(&self) -> usize {
        [&self.closed, &self.rested, &self.eight, &self.sixty_four].into_iter().map(|(seen, _)| seen.lost).sum()
    }

    pub(crate) fn speed(&self) -> Speed {
        let figure = |measure: Measure| match measure {
            Measure::ClosedP50 => percentile(&self.closed.0.latencies, 50),
            Measure::ClosedP90 => percentile(&self.closed.0.latencies, 90),
            Measure::ClosedP99 => percentile(&self.closed.0.latencies, 99),
            Measure::RestedP50 => percentile(&self.rested.0.latencies, 50),
            Measure::RestedP90 => percentile(&self.rested.0.latencies, 90),
            Measure::RestedP99 => percentile(&self.rested.0.latencies, 99),
            Measure::RateOf1 => rate(&self.closed.0),
            Measure::RateOf8 => rate(&self.eight.0),
            Measure::RateOf64 => rate(&self.sixty_four.0),
            Measure::ProcessorOf1 => each(&self.closed),
            Measure::ProcessorOf8 => each(&self.eight),
        };
        Measure::ALL.into_iter().map(|measure| (measure, short(figure(measure)))).collect()
    }
}

/// The nearest rank: so many percent of all took no longer.
pub(crate) fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}

/// The middle one, or between the two in the middle.
pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    match all.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => all[odd / 2],
        even => (all[even / 2 - 1] + all[even / 2]) / 2.0,
    }
}

/// The median of each measure.
pub(crate) fn medians(all: &[Speed]) -> Speed {
    let of = |measure: Measure| median(all.iter().map(|speed| speed[&measure]).collect());
    Measure::ALL.into_iter().map(|measure| (measure, short(of(measure)))).collect()
}

/// Each measure as a multiple of another server's.
pub(crate) fn times(speed: &Speed, other: &Speed) -> Speed {
    speed.iter().map(|(measure, figure)| (*measure, figure / other[measure])).collect()
}

/// Medians by number, the fewest first.
pub(crate) fn grown(all: Vec<(usize, f64)>) -> Vec<Grown> {
    let first = all.first().map_or(f64::NAN, |(_, p50)| *p50);
    all.into_iter().map(|(count, p50)| Grown { count, p50: short(p50), times: short(p50 / first) }).collect()
}

fn rate(seen: &Seen) -> f64 {
    seen.latencies.len() as f64 / seen.took.as_secs_f64()
}

fn each((seen, used): &(Seen, Used)) -> f64 {
    used.server.as_secs_f64() * 1e6 / seen.latencies.len() as f64
}

/// Without digits that mean nothing, so that the same figure is read back.
pub(crate) fn short(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// What figures are made by is right: for the short form, since a benchmark has no unit tests.
pub(crate) fn assert_right() {
    let hundred: Vec<Duration> = (1..=100).rev().map(Duration::from_micros).collect();
    assert_eq!([50, 90, 99, 100].map(|percent| percentile(&hundred, percent).round()), [50.0, 90.0, 99.0, 100.0]);
    assert_eq!(percentile(&hundred[..1], 50).round(), 100.0);
    assert!(percentile(&[], 50).is_nan());
    assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
}
