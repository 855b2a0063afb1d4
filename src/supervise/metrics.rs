// SPDX-License-Identifier: Apache-2.0
//! The numbers of all services for Prometheus, and whether the supervisor lives and is ready, over HTTP on an address
//! that the operator chose. Nothing can be changed there, and nothing that is sent is repeated.

pub mod names;
mod page;
mod request;

use super::change;
use super::inherited::METRICS;
use super::supervisor::{Phase, Supervisor};
use super::visits::{Answer, Kind};
use crate::host::HostError;
use crate::plan::model::Listen;
use crate::policy::address::Address;
pub(super) use request::Asked;
#[cfg(any(test, fuzzing))]
pub(crate) use request::law;

/// How many may wait to be accepted.
const BACKLOG: i32 = 64;
/// The text format that Prometheus calls 0.0.4.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

impl Supervisor {
    /// Answers at this address from here on.
    pub fn open_metrics(&mut self, address: &Address) -> Result<(), HostError> {
        let how = Listen { backlog: BACKLOG, ..Listen::NOWHERE };
        let bound = change::listen(METRICS, &how, address, &mut self.inherited)?;
        self.open_desk(bound.listener, Kind::Metrics)?;
        match address {
            Address::Tcp(_) => tracing::info!("metrics: http://{}/metrics", bound.address),
            Address::Unix(_) | Address::Abstract(_) => tracing::info!("metrics: /metrics at {}", bound.address),
        }
        Ok(())
    }

    /// Answers one request, which is the last of its connection.
    pub(super) fn answer_http(&self, asked: Asked) -> Answer {
        let Asked { what, head } = asked;
        let (status, kind, body) = match what {
            request::What::Metrics => ("200 OK", FORMAT, self.metrics_page()),
            request::What::Live => ("200 OK", TEXT, "alive\n".to_string()),
            request::What::Ready => match self.unready() {
                None => ("200 OK", TEXT, "ready\n".to_string()),
                Some(why) => ("503 Service Unavailable", TEXT, format!("{why}\n")),
            },
            request::What::Nothing => ("404 Not Found", TEXT, "there are /metrics, /livez and /readyz\n".to_string()),
            request::What::OtherMethod => ("405 Method Not Allowed", TEXT, "there are GET and HEAD\n".to_string()),
            request::What::TooLong => ("431 Request Header Fields Too Large", TEXT, "too long\n".to_string()),
            request::What::NoRequest => ("400 Bad Request", TEXT, "no request of HTTP/1\n".to_string()),
        };
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let length = body.len();
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        .into_bytes();
        if !head {
            bytes.extend_from_slice(body.as_bytes());
        }
        Answer { bytes, last: true }
    }

    /// Why clients should be sent elsewhere: a service whose self-test has not passed, one that an operator has paused,
    /// or the supervisor's own end.
    pub(super) fn unready(&self) -> Option<String> {
        match self.phase {
            Phase::Serving => {}
            Phase::Leaving => return Some("leaving: it was told to end, and accepts for a moment yet".to_string()),
            Phase::Draining => return Some("draining: it accepts nobody more".to_string()),
            Phase::Stopping | Phase::GivenUp => return Some("stopping".to_string()),
        }
        let mut services = self.services.iter().filter(|it| !it.admission.is_closed() && it.succeeds.is_none());
        let unready = services.find_map(|service| match self.standing(service) {
            ("ready" | "full" | "slowed", _) => None,
            (state, why) => Some(format!("{}: {state}: {}", service.plan.service, why.unwrap_or_default())),
        });
        unready.or_else(|| self.refused.iter().next().map(|(name, why)| format!("{name}: refused: {why}")))
    }
}

/// A whole request, where one has come.
pub(super) fn whole(came: &[u8]) -> Option<Asked> {
    request::whole(came)
}
