// SPDX-License-Identifier: Apache-2.0
//! How much is measured: what the arguments say, and the short form that shows that the harness works.

use crate::peers::Peer;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// How much is measured. Every count ends, and so does every measurement.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    /// Rounds that count, each with every server.
    pub(crate) rounds: usize,
    /// Rounds that may be dropped because others were at work.
    pub(crate) spoilt: usize,
    /// The part of this machine that others may have while a server is measured.
    pub(crate) foreign: f64,
    /// Connections of one client, one after the other.
    pub(crate) closed: usize,
    /// Connections of one client that rests between them.
    pub(crate) rested: usize,
    /// Connections of several clients at once, together.
    pub(crate) crowd: usize,
    /// Idle sessions at which memory is looked at: fewer than the most of `sessions`.
    pub(crate) idle: usize,
    /// Idle sessions among which a new client comes.
    pub(crate) sessions: &'static [usize],
    /// Mounts of the host, beside its own.
    pub(crate) mounts: &'static [usize],
    /// Connections of one client among each of these.
    pub(crate) grown: usize,
    /// The longest that one measurement of these goes on.
    pub(crate) longest: Duration,
    /// Servers by name; all where there are none.
    pub(crate) only: Vec<String>,
    /// Where every figure is written to.
    pub(crate) json: PathBuf,
    /// Whether the README is to show the tables.
    pub(crate) readme: bool,
}

/// Compare spawnbox and its peers with a bare accept, vfork and exec.
#[derive(Parser)]
#[command(name = "cargo bench --")]
struct Arguments {
    /// Rounds that count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Processor time that others may have while a server is measured, of this machine, in percent
    #[arg(long, default_value_t = 8.0)]
    foreign: f64,
    /// Measure these servers only, beside the bare one
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where to write every figure
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench.json"))]
    json: PathBuf,
    /// Put the picture and the tables into the README
    #[arg(long)]
    readme: bool,
    /// cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the command line asks for; help and mistakes end the program here.
pub(crate) fn of_arguments() -> Result<Size, String> {
    let Arguments { rounds, foreign, only, json, readme, bench: _ } = Arguments::parse();
    if rounds == 0 {
        return Err("--rounds 0 measures nothing".to_string());
    }
    Ok(Size {
        rounds,
        spoilt: 3 * rounds,
        foreign: foreign / 100.0,
        closed: 400,
        rested: 150,
        crowd: 800,
        idle: 200,
        sessions: &[0, 1000, 5000],
        mounts: &[30, 300, 3000],
        grown: 200,
        longest: Duration::from_secs(3),
        only,
        json,
        readme,
    })
}

/// A few connections of each kind, on however busy a machine.
pub(crate) fn short() -> Size {
    Size {
        rounds: 1,
        spoilt: 0,
        foreign: f64::INFINITY,
        closed: 5,
        rested: 5,
        crowd: 64,
        idle: 5,
        sessions: &[0, 10],
        mounts: &[3, 30],
        grown: 3,
        longest: Duration::from_secs(20),
        only: Vec::new(),
        json: PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/bench-short.json")),
        readme: false,
    }
}

impl Size {
    /// Whether this server is to be measured. The bare ones always are.
    pub(crate) fn has(&self, peer: &Peer) -> bool {
        let named = |name: &String| peer.name.contains(name.as_str());
        self.only.is_empty() || peer.name.starts_with("bare") || self.only.iter().any(named)
    }
}
