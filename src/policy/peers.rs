// SPDX-License-Identifier: Apache-2.0
//! `network.forward`: peers of the host's network, each one address and one port, of TCP where nothing is said.
//! Names are not looked up: an answer of the network's would decide what a sandbox reaches.

use super::check::Check;
use super::diagnose::Mistake;
use super::file::List;
use super::model::{Peer, Protocol};
use super::origin::Sourced;
use std::net::SocketAddr;
use std::str::FromStr;

/// Reads every peer.
pub(super) fn peers(check: &mut Check<'_>, written: List<String>) -> Vec<Sourced<Peer>> {
    let mut all: Vec<Sourced<Peer>> = Vec::new();
    for text in written {
        let span = text.span();
        let Some(address) = check.value("forward", Some(text), |text| text.parse()) else { continue };
        if all.iter().any(|other| other.value == address.value) {
            check.mistake(Mistake::new("address is written twice in `forward`").label("for the second time"), span);
        } else {
            all.push(address);
        }
    }
    all
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let (protocol, rest) = match text.split_once(':') {
            Some(("udp", rest)) => (Protocol::Udp, rest),
            // A name in the file system is of no network: the kernel's own way is shorter, and holds it as narrowly.
            Some(("unix", _)) => return Err(UNIX.to_owned()),
            _ if text.starts_with('/') => return Err(UNIX.to_owned()),
            _ => (Protocol::Tcp, text),
        };
        endpoint(rest).map(|address| Peer { protocol, address })
    }
}

const UNIX: &str = "a UNIX socket needs no relay: show it with `files.write` and allow \"unix-client\"";

/// An address that can be given to an interface, and a port.
fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err("write ADDRESS:PORT, such as \"127.0.0.1:10026\", \"[::1]:25\" or \"udp:127.0.0.53:53\"".to_owned());
    };
    let one = match address {
        SocketAddr::V4(v4) => !v4.ip().is_broadcast() && v4.ip().octets()[0] < 240 && v4.ip().octets()[0] != 0,
        // A scope is the number of an interface of the host's; a mapped address is one of IPv4.
        SocketAddr::V6(v6) => v6.scope_id() == 0 && v6.ip().to_ipv4_mapped().is_none(),
    };
    match one && !address.ip().is_unspecified() && !address.ip().is_multicast() && address.port() != 0 {
        true => Ok(address),
        false => Err("must be the address and port of one peer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::layer;

    #[test]
    fn what_is_not_one_peer_is_refused() {
        for (peer, why) in [
            ("127.0.0.1", "write ADDRESS:PORT"),
            ("localhost:25", "write ADDRESS:PORT"),
            ("127.0.0.1:65536", "write ADDRESS:PORT"),
            ("127.0.0.1:0", "must be the address and port of one peer"),
            ("0.0.0.0:25", "must be the address and port of one peer"),
            ("0.0.0.1:25", "must be the address and port of one peer"),
            ("224.0.0.1:25", "must be the address and port of one peer"),
            ("240.0.0.1:25", "must be the address and port of one peer"),
            ("255.255.255.255:25", "must be the address and port of one peer"),
            ("[::]:25", "must be the address and port of one peer"),
            ("[ff02::1]:25", "must be the address and port of one peer"),
            ("[::ffff:127.0.0.1]:25", "must be the address and port of one peer"),
            ("[fe80::1%2]:25", "must be the address and port of one peer"),
            ("udp:224.0.0.1:53", "must be the address and port of one peer"),
            ("udp:127.0.0.1", "write ADDRESS:PORT"),
            ("udp:udp:127.0.0.1:53", "write ADDRESS:PORT"),
            ("unix:/run/clamav/clamd.ctl", "show it with `files.write`"),
            ("/run/clamav/clamd.ctl", "show it with `files.write`"),
        ] {
            let error = layer(&format!("network.forward=[\"{peer}\"]")).unwrap_err().to_string();
            assert!(error.contains(why), "{peer}: {error}");
        }
    }

    #[test]
    fn a_peer_is_an_address_and_a_port() {
        for peer in ["127.0.0.1:25", "192.0.2.1:65535", "[::1]:25", "[2001:db8::1]:1", "udp:127.0.0.53:53"] {
            let policy = layer(&format!("network.forward={peer}")).unwrap().policy;
            assert_eq!(policy.network.forward[0].value.to_string(), peer);
        }
    }

    #[test]
    fn a_peer_is_written_once() {
        let error = layer("network.forward=[\"127.0.0.1:1\", \"127.0.0.1:1\"]").unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
        assert!(layer("network.forward=[\"127.0.0.1:1\", \"udp:127.0.0.1:1\"]").is_ok());
    }
}
