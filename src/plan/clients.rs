// SPDX-License-Identifier: Apache-2.0
//! `[clients]`: who is let in and how often, in numbers. What counts as one source is decided here too.
//! Whoever is given a connection already has let it in: `run` asks nothing of this, and `explain` says so.

use super::model::Off;
use super::refuse::{Refusal, Slip};
use super::request::{Front, Request, Transport};
pub use crate::policy::model::{Frequency, Who};
use crate::policy::{Policy, Sourced, model};
use std::collections::BTreeSet;

/// Bits of an address that are one source: a host of IPv4, and of IPv6 a network, of which whoever has one address has
/// them all, see RFC 4291, section 2.5.1.
const PREFIXES: Prefixes = Prefixes { v4: 32, v6: 64 };

/// Who is let in, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Nobody else, where somebody is named.
    pub allow: BTreeSet<Who>,
    /// Nobody of these, whatever is allowed.
    pub deny: BTreeSet<Who>,
    /// The most connections at once from one source.
    pub per_source: Option<u64>,
    /// What is one source.
    pub prefixes: Prefixes,
    /// How often the service accepts; more than that wait.
    pub rate: Option<Frequency>,
    /// How often one source may connect; more than that are refused.
    pub rate_per_source: Option<Frequency>,
    /// Proxies that say who their clients are; all clients come through one, where there is any.
    pub proxies: BTreeSet<Who>,
    /// What is written to a client that is refused for its number; nothing where it is empty.
    pub busy: String,
}

/// How many bits of an address are one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Prefixes {
    pub v4: u8,
    pub v6: u8,
}

/// Everybody, as often as they like.
impl Default for Clients {
    fn default() -> Clients {
        Clients {
            allow: BTreeSet::new(),
            deny: BTreeSet::new(),
            per_source: None,
            prefixes: PREFIXES,
            rate: None,
            rate_per_source: None,
            proxies: BTreeSet::new(),
            busy: String::new(),
        }
    }
}

/// Decides what is written, and refuses what would let nobody in or say nothing.
pub(super) fn resolve(request: &Request, policy: &Policy, off: &mut Vec<Off>) -> Result<Clients, Refusal> {
    let written = &policy.clients;
    if request.front == Front::Run {
        if *written != model::Clients::default() {
            off.push(Off::new("limits on clients", "spawnbox run takes the connection that it is given"));
        }
        return Ok(Clients::default());
    }
    let can_match = |who: &Who| match (request.transport, who) {
        (Transport::Tcp, Who::Network(_)) | (Transport::Unix, Who::User(_) | Who::Group(_)) => true,
        (Transport::Tcp, Who::User(_) | Who::Group(_)) | (Transport::Unix, Who::Network(_)) => false,
        (Transport::Stdio, _) => false,
    };
    let of_peers = [("clients.allow", &written.allow), ("clients.proxy-protocol.from", &written.proxies)];
    // Behind a proxy, who is allowed is known by address, whatever the proxy connects by.
    let behind = !written.proxies.is_empty();
    for (key, list) in of_peers {
        let anybody = list.iter().any(|who| can_match(&who.value)) || (key == "clients.allow" && behind);
        let (Some(first), false) = (list.first(), anybody) else { continue };
        let needs = match request.transport {
            Transport::Tcp => "a network where clients come over TCP",
            Transport::Unix | Transport::Stdio => "a \"uid:\" or \"gid:\" where clients come over UNIX sockets",
        };
        return Err(Refusal::new(Slip::Needs { key, needs }, &first.origin));
    }
    if let (Some(busy), None, None) = (&written.busy, &written.per_source, &written.rate_per_source) {
        let needs = "clients.per-source or clients.rate-per-source";
        return Err(Refusal::new(Slip::Needs { key: "clients.busy", needs }, &busy.origin));
    }
    let value = |number: &Option<Sourced<u64>>| number.as_ref().map(|number| number.value);
    let bits = |number, default| value(number).and_then(|bits| u8::try_from(bits).ok()).unwrap_or(default);
    Ok(Clients {
        allow: written.allow.iter().map(|who| who.value).collect(),
        deny: written.deny.iter().map(|who| who.value).collect(),
        per_source: value(&written.per_source),
        prefixes: Prefixes {
            v4: bits(&written.ipv4_prefix_length, PREFIXES.v4),
            v6: bits(&written.ipv6_prefix_length, PREFIXES.v6),
        },
        rate: written.rate.as_ref().map(|rate| rate.value),
        rate_per_source: written.rate_per_source.as_ref().map(|rate| rate.value),
        proxies: written.proxies.iter().map(|who| who.value).collect(),
        busy: written.busy.as_ref().map_or_else(String::new, |busy| busy.value.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{listen, root_on_618, strict};
    use super::super::{Plan, resolve};
    use super::*;
    use crate::policy::laws::laid_over;

    fn planned(transport: Transport, lines: &str) -> Result<Plan, String> {
        let policy = Policy { clients: laid_over(&[lines]).clients, ..strict() };
        let request = Request { transport, ..listen(&["sh"]) };
        resolve(&request, &policy, &root_on_618()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn who_would_let_nobody_in_is_told() {
        for (transport, lines, why) in [
            (Transport::Tcp, "clients.allow = [\"uid:0\"]", "needs a network where clients come over TCP"),
            (Transport::Unix, "clients.allow = [\"::1\"]", "needs a \"uid:\" or \"gid:\" where"),
            (Transport::Tcp, "clients.proxy-protocol.from = [\"uid:0\"]", "proxy-protocol.from needs a network"),
            (Transport::Tcp, "clients.busy = \"busy\"", "needs clients.per-source or clients.rate-per-source"),
        ] {
            let refused = planned(transport, lines).unwrap_err();
            assert!(refused.contains(why), "{lines}: {refused}");
        }
        let both = "clients.allow = [\"uid:0\", \"10.0.0.0/8\"]";
        let behind = "clients = { allow = [\"10.0.0.0/8\"], proxy-protocol = { from = [\"uid:104\"] } }";
        assert!(planned(Transport::Unix, behind).is_ok());
        assert!(planned(Transport::Tcp, both).is_ok() && planned(Transport::Unix, both).is_ok());
    }

    #[test]
    fn nothing_that_is_written_lets_everybody_in() {
        assert_eq!(planned(Transport::Tcp, "").unwrap().clients, Clients::default());
    }

    #[test]
    fn a_connection_that_is_given_is_let_in_and_that_is_said() {
        let policy = Policy { clients: laid_over(&["clients.per-source = 1"]).clients, ..strict() };
        let request = Request { front: Front::Run, ..listen(&["sh"]) };
        let plan = resolve(&request, &policy, &root_on_618()).unwrap();
        assert_eq!(plan.clients, Clients::default());
        assert!(plan.off.iter().any(|off| off.layer == "limits on clients"), "{:?}", plan.off);
    }

    #[test]
    fn what_is_laid_over_takes_the_place_of_who_is_allowed_and_adds_to_who_is_not() {
        let list = |who: &[Sourced<Who>]| who.iter().map(|who| who.value.to_string()).collect::<Vec<_>>();
        let below = "clients = { allow = [\"10.0.0.0/8\"], deny = [\"10.0.0.1\"] }";
        let clients = laid_over(&[below, "clients = { allow = [\"::1\"], deny = [\"10.0.0.2\"] }"]).clients;
        assert_eq!(
            (list(&clients.allow), list(&clients.deny)),
            (vec!["::1".to_string()], vec!["10.0.0.1".to_string(), "10.0.0.2".to_string()])
        );
        assert_eq!(list(&laid_over(&[below, "limits.time = 5"]).clients.allow), ["10.0.0.0/8"]);
    }
}
