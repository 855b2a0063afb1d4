// SPDX-License-Identifier: Apache-2.0
//! What is answered over the control socket, as it is written and read. A field may be added at any time; one that is
//! gone or means something else makes another version.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the protocol.
pub const VERSION: u64 = 1;

/// A page of services.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Services {
    /// The protocol's.
    pub version: u64,
    /// The process itself.
    pub supervisor: Supervising,
    /// In the order of their numbers.
    pub services: Vec<ServiceState>,
    /// Names of which nothing is served, and why.
    pub not_served: BTreeMap<String, String>,
    /// After which number the next page begins, where there is one.
    pub next: Option<u64>,
}

/// The supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Supervising {
    /// Its process.
    pub pid: u32,
    /// The program's version.
    pub program: String,
    /// `serving`, `leaving`, `draining` or `stopping`.
    pub state: String,
    /// For how long it has run.
    pub age_s: f64,
    /// Sessions of all services.
    pub sessions: usize,
    /// Until the sessions that a drain waits for are ended.
    pub drain_left_s: Option<f64>,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceState {
    /// Two of one name have two numbers: a service of two kinds of sockets, or one that takes another's place.
    pub number: u64,
    /// Its name.
    pub service: String,
    /// Policy, and the first digits of its hash.
    pub policy: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// `ready`, `full`, `slowed`, `paused`, `starting`, `refused` or `draining`.
    pub state: String,
    /// Where there is more to say about it.
    pub why: Option<String>,
    /// Clients that are being served.
    pub sessions: usize,
    /// How many there may be at once.
    pub most: usize,
    /// Sandboxes that wait for clients.
    pub spares: usize,
    /// Clients who were let in.
    pub accepted: u64,
    /// How their sessions ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Who was not let in, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Calls that were denied, where they are named.
    pub denied_calls: u64,
    /// How long a session may take.
    pub time_limit_s: Option<f64>,
    /// For how long its connection may carry nothing.
    pub idle_limit_s: Option<f64>,
    /// From the request to the launcher until a first process is there.
    pub setup: Took,
    /// From a client's arrival until the process that serves it is there.
    pub handover: Took,
}

/// How long something took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Took {
    /// How often.
    pub count: u64,
    /// On average.
    pub mean_s: Option<f64>,
    /// Half of them took no longer than this.
    pub p50_s: Option<f64>,
    /// And 99 of a hundred no longer than this.
    pub p99_s: Option<f64>,
}

/// A page of sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sessions {
    /// The protocol's.
    pub version: u64,
    /// In the order in which they began.
    pub sessions: Vec<SessionState>,
    /// After which number the next page begins, where there is one.
    pub next: Option<u64>,
}

/// A session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionState {
    /// Its number.
    pub session: u64,
    /// Its service.
    pub service: String,
    /// Who is served.
    pub client: String,
    /// `starting`, `running` or `ending`.
    pub state: String,
    /// Its first process on this host.
    pub pid: Option<i32>,
    /// Since its client came.
    pub age_s: f64,
    /// Until its time limit.
    pub left_s: Option<f64>,
    /// Bytes, where the kernel counts them for each session.
    pub memory: Option<u64>,
}

/// What was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// The protocol's.
    pub version: u64,
    /// In words.
    pub done: String,
}

/// Why nothing is answered or done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    /// The protocol's.
    pub version: u64,
    /// In words.
    pub refused: String,
}
