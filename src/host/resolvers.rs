// SPDX-License-Identifier: Apache-2.0
//! Which name servers this host's libc asks: see resolv.conf(5).
//! Reads that file and looks whether this host has IPv6; asks nobody.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};

/// libc does not look at more of them (`MAXNS`).
const MOST: usize = 3;
/// More than anybody writes there.
const LONGEST: u64 = 64 << 10;

/// Those of /etc/resolv.conf. Where it is not there, or names none, libc asks the one of this host.
pub(super) fn observe() -> Vec<IpAddr> {
    let mut text = Vec::new();
    // What cannot be read cannot be read by a command either.
    let _ = File::open("/etc/resolv.conf").and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    parse(&String::from_utf8_lossy(&text), has_ipv6())
}

/// Whether this host has such sockets at all: not where it was booted with `ipv6.disable=1`.
fn has_ipv6() -> bool {
    let made = socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
    !matches!(made, Err(Errno::EAFNOSUPPORT))
}

fn parse(text: &str, has_ipv6: bool) -> Vec<IpAddr> {
    let named = text.lines().filter_map(|line| {
        let (key, value) = line.split_once([' ', '\t'])?;
        (key == "nameserver").then(|| value.split_whitespace().next())?
    });
    // An address with a scope is that of an interface, which a network of its own has not.
    let usable =
        |address: &IpAddr| !address.is_unspecified() && !address.is_multicast() && (address.is_ipv4() || has_ipv6);
    let mut all: Vec<IpAddr> = named.take(MOST).filter_map(|value| value.parse().ok()).filter(usable).collect();
    if all.is_empty() {
        all.push(Ipv4Addr::LOCALHOST.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_libc_reads_them() {
        let local = "127.0.0.1";
        for (text, expected) in [
            ("", &[local][..]),
            ("search example.org\noptions edns0\n", &[local]),
            ("nameserver 127.0.0.53\n", &["127.0.0.53"]),
            ("nameserver\t192.0.2.1   \nnameserver 2001:db8::1 # second\n", &["192.0.2.1", "2001:db8::1"]),
            (
                "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4",
                &["1.1.1.1", "1.1.1.2", "1.1.1.3"],
            ),
            ("# nameserver 192.0.2.1\n;nameserver 192.0.2.2\n nameserver 192.0.2.3\n", &[local]),
            ("nameserver fe80::1%eth0\nnameserver 0.0.0.0\nnameserver example.org\nnameserver", &[local]),
        ] {
            let found: Vec<String> = parse(text, true).iter().map(IpAddr::to_string).collect();
            assert_eq!(found, expected, "{text:?}");
        }
        let found = parse("nameserver 2001:db8::1\nnameserver 192.0.2.1\n", false);
        assert_eq!(found, [IpAddr::from([192, 0, 2, 1])]);
    }
}
