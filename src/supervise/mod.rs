// SPDX-License-Identifier: Apache-2.0
//! From a plan to sessions: one thread, one event loop, many services and sessions.
//! Parses nothing of a conversation, and waits for nobody without a limit.
//!
//! A front makes a [`Supervisor`], adds services to it or says what is [`Wanted`], and runs it with a [`Door`] through
//! which the two speak.

mod supervisor;
pub mod door;
mod line;
mod arrive;
mod pass;
mod act;
mod stop;
mod part;
pub mod turn;
pub mod outcome;
mod service;
mod services;
mod change;
mod slices;
mod trial;
mod prove;
mod files;
mod rights;
mod renewal;
mod twin;
mod retry;
mod shown;
mod session;
mod spares;
mod stderr;
mod denials;
mod audit;
mod relay;
mod quiet;
mod admit;
mod gate;
mod sources;
mod farewell;
mod proxy;
mod counts;
mod exchange;
mod visits;
pub mod control;
pub mod metrics;
mod idle;
mod listener;
mod socket;
pub mod inherited;
mod upgrade;
mod standing;
mod systemd;
pub mod connection;
mod passer;
pub mod client;
mod watch;
mod strays;

pub use admit::Tell;
#[cfg(any(test, fuzzing))]
pub(crate) use audit::law as audit_law;
pub use change::Wanted;
pub use client::Client;
#[cfg(any(test, fuzzing))]
pub(crate) use control::law as control_law;
pub use door::{Advice, Door, Ended, NotAccepted};
pub use inherited::Inherited;
#[cfg(any(test, fuzzing))]
pub(crate) use inherited::law as inherited_law;
pub use listener::{Arrival, Listener};
#[cfg(any(test, fuzzing))]
pub(crate) use metrics::law as metrics_law;
pub use outcome::{Limit, Outcome, Usage};
pub use passer::{PassError, Passer};
#[cfg(any(test, fuzzing))]
pub(crate) use proxy::law as proxy_law;
pub use socket::Bound;
#[cfg(any(test, fuzzing))]
pub(crate) use stderr::law as stderr_law;
pub use supervisor::{OnSignal, Supervisor};
pub use systemd::Systemd;
pub use trial::Proofs;
pub use upgrade::{Predecessor, stays};
