// SPDX-License-Identifier: Apache-2.0
//! `[clients]`: who may connect, and how often. One spelling for each client and for each rate.
//! Nothing is looked up: a client is known by what the kernel says of its connection.

use super::check::Check;
use super::file;
use super::origin::Sourced;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// `[clients]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clients {
    /// Nobody else may connect, where somebody is named.
    pub allow: Vec<Sourced<Who>>,
    /// Who may not, whatever is allowed.
    pub deny: Vec<Sourced<Who>>,
    /// The most connections at once from one source.
    pub per_source: Option<Sourced<u64>>,
    /// How many bits of an IPv4 address are one source.
    pub ipv4_prefix_length: Option<Sourced<u64>>,
    /// How many bits of an IPv6 address are one source.
    pub ipv6_prefix_length: Option<Sourced<u64>>,
    /// How often the service accepts a connection.
    pub rate: Option<Sourced<Frequency>>,
    /// How often one source may connect.
    pub rate_per_source: Option<Sourced<Frequency>>,
    /// Proxies that say who their clients are, and through which all of them come.
    pub proxies: Vec<Sourced<Who>>,
    /// What a client is told for whom there is no place.
    pub busy: Option<Sourced<String>>,
}

/// Clients that are named together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Those of this network.
    Network(IpNet),
    /// Processes of this user, over a UNIX socket.
    User(u32),
    /// Processes of this group.
    Group(u32),
}

/// So many in so much time, which may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency {
    /// How many.
    pub count: u32,
    /// In how much time.
    pub time: Duration,
}

/// A million in a second is more than a host accepts.
const MOST_OFTEN: u32 = 1_000_000;
/// A line or two. It is written into a buffer of the kernel's, which has room for this at once.
const LONGEST_BUSY: usize = 512;

pub(super) fn clients(check: &mut Check<'_>, written: file::Clients) -> Clients {
    Clients {
        allow: who(check, "allow", written.allow.unwrap_or_default()),
        deny: who(check, "deny", written.deny.unwrap_or_default()),
        per_source: check.count("per-source", written.per_source, 1..=1_000_000),
        ipv4_prefix_length: check.count("ipv4-prefix-length", written.ipv4_prefix_length, 1..=32),
        ipv6_prefix_length: check.count("ipv6-prefix-length", written.ipv6_prefix_length, 1..=128),
        rate: check.value("rate", written.rate, |text| text.parse()),
        rate_per_source: check.value("rate-per-source", written.rate_per_source, |text| text.parse()),
        proxies: proxies(check, written.proxy_protocol),
        busy: check.value("busy", written.busy, busy),
    }
}

fn who(check: &mut Check<'_>, key: &str, written: file::List<String>) -> Vec<Sourced<Who>> {
    written.into_iter().filter_map(|text| check.value(key, Some(text), |text| text.parse())).collect()
}

fn proxies(check: &mut Check<'_>, written: Option<file::Table<file::ProxyProtocol>>) -> Vec<Sourced<Who>> {
    let Some(file::Table(file::ProxyProtocol { from })) = written else { return Vec::new() };
    if from.get_ref().is_empty() {
        check.impossible("from", from.span(), "nobody could connect: name the proxies");
    }
    who(check, "from", from.into_inner())
}

fn busy(text: String) -> Result<String, String> {
    match text.len() {
        0 => Err("a text is needed, such as \"421 4.3.2 too busy\\r\\n\"".to_owned()),
        1..=LONGEST_BUSY => Ok(text),
        _ => Err(format!("the longest text is {LONGEST_BUSY} bytes")),
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Who, String> {
        let id = |number: &str, who: fn(u32) -> Who| {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let id = number.parse().ok().filter(|_| digits);
            id.map(who).ok_or_else(|| "an id is a number, as in \"uid:104\"".to_owned())
        };
        match text.split_once(':') {
            Some(("uid", number)) => id(number, Who::User),
            Some(("gid", number)) => id(number, Who::Group),
            _ => network(text).map(Who::Network),
        }
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            "write an address or a network, such as \"192.0.2.1\" or \"2001:db8::/32\", or a user, as in \"uid:104\""
                .to_owned()
        })?,
    };
    match network {
        // Such a client is one of IPv4 here, and its network would hold nobody.
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err("write it as IPv4".to_owned()),
        network if network.trunc() != network => {
            Err(format!("bits are set behind the prefix: write \"{}\"", network.trunc()))
        }
        network => Ok(network),
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Network(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            Who::Network(network) => network.fmt(f),
            Who::User(uid) => write!(f, "uid:{uid}"),
            Who::Group(gid) => write!(f, "gid:{gid}"),
        }
    }
}

impl FromStr for Frequency {
    type Err = String;

    fn from_str(text: &str) -> Result<Frequency, String> {
        let spelling = || "write COUNT/TIME, such as \"50/1s\" or \"30/5m\"".to_owned();
        let (count, time) = text.split_once('/').ok_or_else(spelling)?;
        let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|_| digits).ok_or_else(spelling)?;
        let time = super::amount::time(time)?;
        match (count, time.is_zero()) {
            (0, _) => Err("no connection at all: leave the service out instead".to_owned()),
            (_, true) => Err("must be at least 1s".to_owned()),
            (1..=MOST_OFTEN, false) => Ok(Frequency { count, time }),
            (_, false) => Err(format!("the most are {MOST_OFTEN}")),
        }
    }
}

impl Frequency {
    /// In how much time there is one more.
    pub fn each(self) -> Duration {
        self.time / self.count
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.count, self.time.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::layer;
    use super::*;

    #[test]
    fn what_names_no_client_is_refused() {
        for (text, why) in [
            ("", "write an address or a network"),
            ("localhost", "write an address or a network"),
            ("10.0.0.0/33", "write an address or a network"),
            ("10.0.0.1:25", "write an address or a network"),
            ("10.0.0.1/8", "bits are set behind the prefix: write \\\"10.0.0.0/8\\\""),
            ("2001:db8::1/32", "bits are set behind the prefix: write \\\"2001:db8::/32\\\""),
            ("::ffff:10.0.0.1", "write it as IPv4"),
            ("::ffff:10.0.0.0/104", "write it as IPv4"),
            ("uid:", "an id is a number"),
            ("uid:+1", "an id is a number"),
            ("uid:root", "an id is a number"),
            ("gid:4294967296", "an id is a number"),
        ] {
            let error = layer(&format!("clients.allow=[\"{text}\"]")).unwrap_err().to_string();
            assert!(error.contains(&why.replace('\\', "")), "{text}: {error}");
        }
    }

    #[test]
    fn a_client_is_printed_as_it_is_written() {
        for text in ["192.0.2.1", "10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0", "uid:0", "gid:110"] {
            let policy = layer(&format!("clients.deny=[\"{text}\"]")).unwrap().policy;
            assert_eq!(policy.clients.deny[0].value.to_string(), text);
        }
    }

    #[test]
    fn a_rate_is_a_count_in_a_time() {
        for (text, why) in [
            ("50", "write COUNT/TIME"),
            ("/1s", "write COUNT/TIME"),
            ("+5/1s", "write COUNT/TIME"),
            ("0/1s", "no connection at all"),
            ("5/0s", "must be at least 1s"),
            ("5/1min", "a time is a number and one of s, m, h, d, w"),
            ("5/", "a time starts with a number"),
            ("1000001/1s", "the most are 1000000"),
        ] {
            let error = layer(&format!("clients.rate=\"{text}\"")).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let rate: Frequency = "50/2m".parse().unwrap();
        assert_eq!((rate.each(), rate.to_string().as_str()), (Duration::from_millis(2400), "50/120s"));
        assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[test]
    fn without_a_proxy_to_trust_there_is_no_proxy_protocol() {
        for (text, why) in [
            ("clients.proxy-protocol.from=[]", "nobody could connect: name the proxies"),
            ("clients.proxy-protocol={}", "`from` must be written here"),
            ("clients.proxy-protocol=true", "expected a table such as `{ from = [\"10.0.0.1\"] }`"),
        ] {
            let error = layer(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let policy = layer("clients.proxy-protocol={ from = [\"10.0.0.1\", \"uid:7\"] }").unwrap().policy;
        let proxies = policy.clients.proxies.iter().map(|who| who.value.to_string()).collect::<Vec<_>>();
        assert_eq!(proxies, ["10.0.0.1", "uid:7"]);
    }

    #[test]
    fn a_busy_line_is_short_and_may_end_in_what_its_protocol_wants() {
        let long = format!("clients.busy=\"{}\"", "x".repeat(LONGEST_BUSY + 1));
        for text in [long.as_str(), "clients.busy=\"\""] {
            assert!(layer(text).is_err(), "{text}");
        }
        let policy = layer("clients.busy=\"421 too busy\\r\\n\"").unwrap().policy;
        assert_eq!(policy.clients.busy.unwrap().value, "421 too busy\r\n");
    }
}
