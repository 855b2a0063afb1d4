// SPDX-License-Identifier: Apache-2.0
//! Where connections come from, and how many each source has and had lately. Pure: the time is handed in.
//! Never larger than the sessions that there are and a fixed number of sources besides, however many addresses somebody
//! has: the one that was silent for longest is forgotten, and may come as often as if it were new.

use super::client::Client;
use crate::log::Rate;
use crate::plan::clients::{Frequency, Prefixes};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

/// How many sources without a connection are remembered, for their rate.
const MOST_IDLE: usize = 4096;

/// What is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The addresses that share a prefix.
    Network(IpNet),
    /// The processes of a user.
    User(u32),
}

/// Why one more connection of a source is too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMany {
    /// It has as many as it may.
    AtOnce,
    /// It has had as many lately as it may.
    Lately,
}

/// All sources that have a connection, or had one lately.
#[derive(Debug)]
pub(super) struct Sources {
    most: Option<u64>,
    rate: Option<Frequency>,
    known: BTreeMap<Source, Known>,
    /// Those that have none, by when they were last seen.
    idle: BTreeSet<(Instant, Source)>,
}

#[derive(Debug)]
struct Known {
    live: u64,
    rate: Option<Rate>,
    /// When it was last seen, where it has no connection.
    idle: Option<Instant>,
}

impl Source {
    /// Where a client comes from. `None` for what is no connection.
    pub(super) fn of(client: &Client, prefixes: Prefixes) -> Option<Source> {
        match client {
            Client::Tcp(address) | Client::Proxied { client: address, .. } => {
                let network = match address.ip() {
                    IpAddr::V4(ip) => Ipv4Net::new(ip, prefixes.v4).map(IpNet::V4),
                    IpAddr::V6(ip) => Ipv6Net::new(ip, prefixes.v6).map(IpNet::V6),
                };
                network.ok().map(|network| Source::Network(network.trunc()))
            }
            Client::Unix { uid, .. } => Some(Source::User(*uid)),
            Client::Given => None,
        }
    }
}

impl Sources {
    /// So many at once and so often from each.
    pub(super) fn new(most: Option<u64>, rate: Option<Frequency>) -> Sources {
        Sources { most, rate, known: BTreeMap::new(), idle: BTreeSet::new() }
    }

    /// One more connection of a source: whether it may be, and then it is.
    pub(super) fn enter(&mut self, source: Source, now: Instant) -> Result<(), TooMany> {
        if self.most.is_none() && self.rate.is_none() {
            return Ok(());
        }
        let rate = self.rate.map(|rate| Rate::new(rate.count, rate.each(), now));
        let known = self.known.entry(source).or_insert(Known { live: 0, rate, idle: None });
        if let Some(since) = known.idle.take() {
            self.idle.remove(&(since, source));
        }
        let answer = if self.most.is_some_and(|most| known.live >= most) {
            Err(TooMany::AtOnce)
        } else if known.rate.as_mut().is_some_and(|rate| !rate.take(now)) {
            Err(TooMany::Lately)
        } else {
            Ok(())
        };
        if answer.is_ok() {
            known.live += 1;
        }
        self.rest(source, now);
        answer
    }

    /// A connection of a source is over; nothing where it had not entered.
    pub(super) fn leave(&mut self, source: Source, now: Instant) {
        if let Some(known) = self.known.get_mut(&source).filter(|known| known.live > 0) {
            known.live -= 1;
            self.rest(source, now);
        }
    }

    /// Where a source has no connection it is remembered for its rate alone.
    fn rest(&mut self, source: Source, now: Instant) {
        let Some(known) = self.known.get_mut(&source).filter(|known| known.live == 0) else { return };
        if known.rate.is_none() {
            self.known.remove(&source);
            return;
        }
        known.idle = Some(now);
        self.idle.insert((now, source));
        while self.idle.len() > MOST_IDLE
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.known.remove(&oldest);
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Network(network) => network.fmt(f),
            Source::User(uid) => write!(f, "uid {uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::net::SocketAddr;
    use std::time::Duration;

    const PREFIXES: Prefixes = Prefixes { v4: 24, v6: 64 };

    fn from(address: &str) -> Option<Source> {
        let address: SocketAddr = address.parse().unwrap();
        Source::of(&Client::Tcp(address), PREFIXES)
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        for (one, other, same) in [
            ("192.0.2.1:1", "192.0.2.255:9", true),
            ("192.0.2.1:1", "192.0.3.1:1", false),
            ("[2001:db8::1]:1", "[2001:db8::ffff:1:2:3]:1", true),
            ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false),
            ("[::]:1", "0.0.0.0:1", false),
        ] {
            assert_eq!(from(one) == from(other), same, "{one} {other}");
        }
        assert_eq!(from("192.0.2.1:1").unwrap().to_string(), "192.0.2.0/24");
        let unix = |uid| Source::of(&Client::Unix { pid: 1, uid, gid: 1 }, PREFIXES);
        assert_eq!((unix(7), Source::of(&Client::Given, PREFIXES)), (Some(Source::User(7)), None));
    }

    #[test]
    fn whoever_has_many_networks_makes_the_table_no_larger() {
        let rate = Frequency { count: 1, time: Duration::from_secs(3600) };
        let (mut sources, start) = (Sources::new(Some(1), Some(rate)), Instant::now());
        let source = |n: usize| Source::Network(Ipv6Net::new((n as u128).into(), 128).unwrap().into());
        let held: Vec<Source> = (0..3).map(source).collect();
        held.iter().for_each(|source| assert_eq!(sources.enter(*source, start), Ok(())));
        for n in 3..3 * MOST_IDLE {
            let now = start + Duration::from_millis(n as u64);
            assert_eq!(sources.enter(source(n), now), Ok(()));
            sources.leave(source(n), now);
        }
        assert_eq!((sources.known.len(), sources.idle.len()), (held.len() + MOST_IDLE, MOST_IDLE));
        // Who has a connection is not forgotten, nor who was there just now; who was silent for longest is.
        let later = start + Duration::from_secs(60);
        held.iter().for_each(|source| assert_eq!(sources.enter(*source, later), Err(TooMany::AtOnce)));
        assert_eq!(sources.enter(source(3 * MOST_IDLE - 1), later), Err(TooMany::Lately));
        assert_eq!(sources.enter(source(4), later), Ok(()));
    }

    #[test]
    fn without_a_rate_nobody_is_remembered_who_has_left() {
        let (mut sources, now) = (Sources::new(Some(2), None), Instant::now());
        sources.enter(Source::User(1), now).unwrap();
        sources.enter(Source::User(1), now).unwrap();
        assert_eq!(sources.enter(Source::User(1), now), Err(TooMany::AtOnce));
        sources.leave(Source::User(1), now);
        sources.enter(Source::User(1), now).unwrap();
        (0..3).for_each(|_| sources.leave(Source::User(1), now));
        assert!(sources.known.is_empty() && sources.idle.is_empty());
    }

    /// A source comes or goes, and so many milliseconds pass before.
    fn steps() -> impl Strategy<Value = Vec<(u32, bool, u64)>> {
        vec((0..3u32, any::<bool>(), 0..400u64), 0..200)
    }

    proptest! {
        #[test]
        fn no_source_has_more_than_it_may_at_once_or_in_a_time(steps in steps(), most in 1..4u64, count in 1..4u32) {
            let time = Duration::from_secs(1);
            let start = Instant::now();
            let mut sources = Sources::new(Some(most), Some(Frequency { count, time }));
            let (mut now, mut live, mut came) = (start, [0; 3], [const { Vec::new() }; 3]);
            for (user, comes, millis) in steps {
                now += Duration::from_millis(millis);
                let (at, source) = (user as usize, Source::User(user));
                if !comes {
                    if live[at] > 0 {
                        live[at] -= 1;
                        sources.leave(source, now);
                    }
                    continue;
                }
                let lately = came[at].iter().filter(|then: &&Instant| now - **then < time).count();
                match sources.enter(source, now) {
                    Ok(()) => {
                        live[at] += 1;
                        came[at].push(now);
                        // As many at once, and as many again while these fill up.
                        prop_assert!(live[at] <= most && lately < 2 * count as usize);
                    }
                    Err(TooMany::AtOnce) => prop_assert_eq!(live[at], most),
                    Err(TooMany::Lately) => prop_assert!(lately >= count as usize),
                }
            }
        }

        #[test]
        fn what_one_source_does_is_nothing_to_another(steps in steps(), most in 1..4u64, count in 1..4u32) {
            let rate = Frequency { count, time: Duration::from_secs(1) };
            let answers = |only: Option<u32>| {
                let (mut sources, mut now) = (Sources::new(Some(most), Some(rate)), Instant::now());
                let mut answers = Vec::new();
                for (user, comes, millis) in &steps {
                    now += Duration::from_millis(*millis);
                    if only.is_some_and(|only| only != *user) {
                        continue;
                    }
                    match comes {
                        true => answers.push((*user, sources.enter(Source::User(*user), now))),
                        false => sources.leave(Source::User(*user), now),
                    }
                }
                answers.retain(|(user, _)| *user == 0);
                answers
            };
            prop_assert_eq!(answers(None), answers(Some(0)));
        }
    }
}
