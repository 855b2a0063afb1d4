// SPDX-License-Identifier: Apache-2.0
//! Each metric by its name, what kind it is, and what it says. Whoever reads one elsewhere, as the dashboard does, is
//! held against this list.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up; a supervisor that was started anew begins at zero.
    Counter,
    /// Counts in classes, with their sum.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Metric = Metric { name: $name, kind: Kind::$kind, help: $help };)*

        /// All of them, in the order in which they are told.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD = Gauge "spawnbox_build_info" "The program's version.";
    STARTED = Gauge "spawnbox_start_time_seconds" "When the supervisor was started, in seconds since 1970.";
    DRAINING = Gauge "spawnbox_draining" "1 once the supervisor accepts nobody more and waits for its sessions.";
    LOG_LOST = Counter "spawnbox_log_lines_dropped_total" "Lines of the log for which its reader had no room.";
    READY = Gauge "spawnbox_service_ready" "1 where the self-test of the service has passed and nobody has paused it.";
    SESSIONS = Gauge "spawnbox_sessions" "Sessions now.";
    LIMIT = Gauge "spawnbox_sessions_limit" "How many sessions there may be at once.";
    SPARES = Gauge "spawnbox_spares" "Sandboxes that wait for clients.";
    ACCEPTED = Counter "spawnbox_accepted_total" "Clients who were let in.";
    REFUSED = Counter "spawnbox_refused_total" "Clients who were not, by reason.";
    OUTCOMES = Counter "spawnbox_outcomes_total" "Sessions that are over, by the outcome that the log names.";
    ABNORMAL = Counter "spawnbox_abnormal_outcomes_total" "Sessions that did not end as those of a healthy service do.";
    DENIED = Counter "spawnbox_denied_calls_total" "System calls that were denied, where the policy has them named.";
    SPARES_USED = Counter "spawnbox_spares_used_total" "Clients who got a sandbox that waited.";
    SPARES_MISSED = Counter "spawnbox_spares_missed_total" "Clients who found none, where there may be some.";
    SETUP = Histogram "spawnbox_setup_seconds" "From the request for a sandbox until its first process is there.";
    HANDOVER = Histogram "spawnbox_handover_seconds" "From a client's arrival until the process that serves it is there.";
}
