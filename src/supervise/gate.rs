// SPDX-License-Identifier: Apache-2.0
//! Who is let in to a service, by what its plan says of clients; and what is said of those who are not.
//! Pure: the time is handed in. A client that is refused costs no other one its place, nor a part of the service's
//! rate.

use super::client::Client;
use super::quiet::Quiet;
use super::sources::{Source, Sources, TooMany};
use crate::log::Rate;
use crate::plan::clients::{Clients, Who};
use std::time::Instant;

/// The gate of one service.
#[derive(Debug)]
pub(super) struct Gate {
    clients: Clients,
    sources: Sources,
    rate: Option<Rate>,
    /// Whether each kind of refusal was told lately.
    denied: Quiet,
    at_once: Quiet,
    lately: Quiet,
    untrusted: Quiet,
    header: Quiet,
    /// And that the service accepts more slowly than clients come.
    slowed: Quiet,
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    /// The policy names it, or others and not it.
    Denied,
    /// There are too many of its source.
    TooMany(TooMany),
    /// It comes through no proxy that is trusted, and all must.
    Untrusted,
    /// Its proxy did not say who it is, for this reason.
    Header(&'static str),
}

impl Gate {
    /// Nobody has come yet.
    pub(super) fn new(clients: &Clients, now: Instant) -> Gate {
        Gate {
            clients: clients.clone(),
            sources: Sources::new(clients.per_source, clients.rate_per_source),
            rate: clients.rate.map(|rate| Rate::new(rate.count, rate.each(), now)),
            denied: Quiet::default(),
            at_once: Quiet::default(),
            lately: Quiet::default(),
            untrusted: Quiet::default(),
            header: Quiet::default(),
            slowed: Quiet::default(),
        }
    }

    /// When the next client may be let in, where that is not now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        self.rate.as_mut().and_then(|rate| rate.next(now))
    }

    /// Whether a proxy has connected that says who its client is. Where one may, all clients come through one: the
    /// first bytes of others are theirs to choose.
    pub(super) fn expects_header(&self, client: &Client) -> Result<bool, Turned> {
        let proxies = &self.clients.proxies;
        match proxies.iter().any(|who| is_of(client, who)) {
            true => Ok(true),
            false if proxies.is_empty() => Ok(false),
            false => Err(Turned::Untrusted),
        }
    }

    /// A client is there: whether it may stay. Then it is counted until it leaves.
    pub(super) fn enter(&mut self, client: &Client, now: Instant) -> Result<(), Turned> {
        if !self.is_allowed(client) {
            return Err(Turned::Denied);
        }
        if let Some(source) = Source::of(client, self.clients.prefixes) {
            self.sources.enter(source, now).map_err(Turned::TooMany)?;
        }
        // All come through proxies then, and each connection of theirs was counted before its header came.
        if self.clients.proxies.is_empty() {
            self.count(now);
        }
        Ok(())
    }

    /// Counts a connection for the rate of all. Asked before by `next`; one who was handed over comes all the same.
    pub(super) fn count(&mut self, now: Instant) {
        self.rate.as_mut().map(|rate| rate.take(now));
    }

    /// A client has left.
    pub(super) fn leave(&mut self, client: &Client, now: Instant) {
        if let Some(source) = Source::of(client, self.clients.prefixes) {
            self.sources.leave(source, now);
        }
    }

    fn is_allowed(&self, client: &Client) -> bool {
        let is = |who: &Who| is_of(client, who);
        let Clients { allow, deny, .. } = &self.clients;
        (allow.is_empty() || allow.iter().any(is)) && !deny.iter().any(is)
    }

    /// What is to be said of a client that was turned away, where that was not said lately.
    pub(super) fn told(&mut self, client: &Client, turned: Turned, now: Instant) -> Option<String> {
        let quiet = match turned {
            Turned::Denied => &mut self.denied,
            Turned::TooMany(TooMany::AtOnce) => &mut self.at_once,
            Turned::TooMany(TooMany::Lately) => &mut self.lately,
            Turned::Untrusted => &mut self.untrusted,
            Turned::Header(_) => &mut self.header,
        };
        let untold = quiet.tell(now)?;
        let source = Source::of(client, self.clients.prefixes).map_or_else(String::new, |source| source.to_string());
        let why = match (turned, self.clients.per_source, self.clients.rate_per_source) {
            (Turned::TooMany(TooMany::AtOnce), Some(most), _) => {
                format!("{most} connections of {source} are there, clients.per-source has no more")
            }
            (Turned::TooMany(TooMany::Lately), _, Some(rate)) => {
                format!("{source} connects more often than clients.rate-per-source, {rate}")
            }
            (Turned::Untrusted, _, _) => "clients.proxy-protocol.from does not have it".to_string(),
            (Turned::Header(why), _, _) => why.to_string(),
            (Turned::Denied | Turned::TooMany(_), _, _) if self.clients.deny.iter().any(|who| is_of(client, who)) => {
                "clients.deny has it".to_string()
            }
            (Turned::Denied | Turned::TooMany(_), _, _) => "clients.allow does not have it".to_string(),
        };
        Some(format!("refused client={client}: {why}{untold}"))
    }

    /// What is to be said where the service waits for its rate, if that was not said lately.
    pub(super) fn told_slow(&mut self, now: Instant) -> Option<String> {
        let rate = self.clients.rate?;
        let untold = self.slowed.tell(now)?;
        Some(format!("connections come more often than clients.rate, {rate}: they wait{untold}"))
    }
}

/// Whether a client is one of these.
fn is_of(client: &Client, who: &Who) -> bool {
    match (client, who) {
        // A client of IPv4 that an IPv6 socket has accepted is one of IPv4: see `Client::ask`.
        (Client::Tcp(address) | Client::Proxied { client: address, .. }, Who::Network(network)) => {
            network.contains(&address.ip())
        }
        (Client::Unix { uid, .. }, Who::User(user)) => uid == user,
        (Client::Unix { gid, .. }, Who::Group(group)) => gid == group,
        (Client::Tcp(_) | Client::Proxied { .. }, Who::User(_) | Who::Group(_))
        | (Client::Unix { .. }, Who::Network(_)) => false,
        (Client::Given, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::clients::Frequency;
    use std::time::Duration;

    fn tcp(address: &str) -> Client {
        Client::Tcp(address.parse().unwrap())
    }

    fn unix(uid: u32, gid: u32) -> Client {
        Client::Unix { pid: 1, uid, gid }
    }

    fn gate(allow: &[&str], deny: &[&str]) -> Gate {
        let who = |list: &[&str]| list.iter().map(|who| who.parse().unwrap()).collect();
        Gate::new(&Clients { allow: who(allow), deny: who(deny), ..Clients::default() }, Instant::now())
    }

    #[test]
    fn who_is_denied_or_not_allowed_is_turned_away() {
        let open = gate(&[], &["10.0.0.0/8", "uid:7"]);
        let closed = gate(&["10.0.0.0/8", "2001:db8::/32", "uid:7", "gid:8"], &["10.0.0.1"]);
        for (client, in_open, in_closed) in [
            (tcp("10.0.0.1:1"), false, false),
            (tcp("10.0.0.2:1"), false, true),
            (tcp("11.0.0.1:1"), true, false),
            (tcp("[2001:db8::1]:1"), true, true),
            (tcp("[2001:db9::1]:1"), true, false),
            (unix(7, 1), false, true),
            (unix(1, 8), true, true),
            (unix(8, 7), true, false),
        ] {
            assert_eq!((open.is_allowed(&client), closed.is_allowed(&client)), (in_open, in_closed), "{client}");
        }
    }

    #[test]
    fn where_a_proxy_may_say_who_its_client_is_nobody_else_may_connect() {
        let proxies = ["10.0.0.1".parse().unwrap(), "uid:7".parse().unwrap()].into();
        let gate = Gate::new(&Clients { proxies, ..Clients::default() }, Instant::now());
        for (client, expected) in [
            (tcp("10.0.0.1:5"), Ok(true)),
            (tcp("10.0.0.2:5"), Err(Turned::Untrusted)),
            (unix(7, 1), Ok(true)),
            (unix(8, 7), Err(Turned::Untrusted)),
        ] {
            assert_eq!(gate.expects_header(&client), expected, "{client}");
        }
        assert_eq!(super::Gate::new(&Clients::default(), Instant::now()).expects_header(&tcp("10.0.0.1:5")), Ok(false));
    }

    #[test]
    fn each_kind_of_refusal_has_one_line_a_minute_that_names_its_key() {
        let (start, rate) = (Instant::now(), Frequency { count: 2, time: Duration::from_secs(60) });
        let clients = Clients {
            deny: ["::1".parse().unwrap()].into(),
            per_source: Some(1),
            rate_per_source: Some(rate),
            ..Clients::default()
        };
        let mut gate = Gate::new(&clients, start);
        let mut lines = Vec::new();
        let mut come = |client: Client, stays: bool, seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            match gate.enter(&client, now) {
                Err(turned) => lines.extend(gate.told(&client, turned, now)),
                Ok(()) if !stays => gate.leave(&client, now),
                Ok(()) => {}
            }
        };
        (0..9).for_each(|_| come(tcp("[::1]:5"), true, 0));
        (0..9).for_each(|_| come(tcp("192.0.2.1:5"), true, 0));
        (0..9).for_each(|_| come(tcp("192.0.2.2:5"), false, 1));
        come(tcp("192.0.2.1:5"), true, 60);
        assert_eq!(
            lines,
            [
                "refused client=[::1]:5: clients.deny has it",
                "refused client=192.0.2.1:5: 1 connections of 192.0.2.1/32 are there, clients.per-source has no more",
                "refused client=192.0.2.2:5: 192.0.2.2/32 connects more often than clients.rate-per-source, 2/60s",
                "refused client=192.0.2.1:5: 1 connections of 192.0.2.1/32 are there, clients.per-source has no more; \
             as before, lines suppressed: 7",
            ]
        );
    }

    #[test]
    fn who_comes_through_a_proxy_counts_once_and_before_it_is_known_who_it_is() {
        let now = Instant::now();
        let rate = Some(Frequency { count: 2, time: Duration::from_secs(60) });
        let proxies = ["10.0.0.1".parse().unwrap()].into();
        let mut gate = Gate::new(&Clients { proxies, rate, ..Clients::default() }, now);
        gate.count(now);
        gate.count(now);
        let full = Some(now + Duration::from_secs(30));
        assert_eq!(gate.next(now), full);
        assert_eq!((gate.enter(&tcp("192.0.2.2:5"), now), gate.next(now)), (Ok(()), full));
    }

    #[test]
    fn who_is_turned_away_takes_nothing_of_the_service_s_rate() {
        let now = Instant::now();
        let rate = Some(Frequency { count: 2, time: Duration::from_secs(60) });
        let clients = Clients { per_source: Some(1), rate, ..Clients::default() };
        let mut gate = Gate::new(&clients, now);
        for _ in 0..100 {
            let _ = gate.enter(&tcp("192.0.2.1:5"), now);
        }
        assert_eq!((gate.next(now), gate.enter(&tcp("192.0.2.2:5"), now)), (None, Ok(())));
        assert_eq!(gate.next(now), Some(now + Duration::from_secs(30)));
        assert!(gate.told_slow(now).is_some_and(|line| line.contains("clients.rate, 2/60s: they wait")));
    }
}
