// SPDX-License-Identifier: Apache-2.0
//! The address of a socket among the arguments of a call, as the kernel reads it, and the words for families. Asked by
//! a reaper that may not allocate: looks, and makes nothing.

use nix::libc;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// What an address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// A peer or a port of the internet.
    Internet(SocketAddr),
    /// A UNIX socket that is a file.
    File(&'a [u8]),
    /// One that is none, without its NUL.
    Abstract(&'a [u8]),
    /// Nothing: of a UNIX socket the kernel chooses the name. Or a family whose addresses no policy knows.
    Other(libc::c_int),
}

/// Reads an address; `None` for one that is too short.
pub fn name(bytes: &[u8]) -> Option<Name<'_>> {
    let family = libc::c_int::from(u16::from_ne_bytes(*bytes.first_chunk()?));
    let port = || bytes.get(2..4).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(Name::Internet(SocketAddr::from((Ipv4Addr::from(ip), port()?))))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(Name::Internet(SocketAddr::from((Ipv6Addr::from(ip).to_canonical(), port()?))))
        }
        libc::AF_UNIX => match bytes.get(2..)? {
            [] => Some(Name::Other(family)),
            [0, name @ ..] => Some(Name::Abstract(name)),
            path => {
                let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
                Some(Name::File(&path[..end]))
            }
        },
        other => Some(Name::Other(other)),
    }
}

/// What a port is mostly for, where the socket cannot be asked.
pub fn is_mostly_a_stream(address: &SocketAddr) -> bool {
    address.port() != 53
}

/// What a family is called, where it has a word.
pub fn family(family: libc::c_int) -> Option<&'static str> {
    match family {
        libc::AF_UNIX => Some("unix"),
        libc::AF_INET => Some("inet"),
        libc::AF_INET6 => Some("inet6"),
        libc::AF_NETLINK => Some("netlink"),
        libc::AF_PACKET => Some("packet"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_kernel_reads_it() {
        let mapped = [&[10, 0, 0, 25, 0, 0, 0, 0][..], &[0; 10], &[0xff, 0xff, 192, 0, 2, 1], &[0; 4]].concat();
        for (bytes, expected) in [
            (&[2, 0, 0, 53, 127, 0, 0, 53][..], Some(Name::Internet("127.0.0.53:53".parse().unwrap()))),
            (&mapped, Some(Name::Internet("192.0.2.1:25".parse().unwrap()))),
            (b"\x01\0/run/x\0junk", Some(Name::File(b"/run/x"))),
            (b"\x01\0\0name", Some(Name::Abstract(b"name"))),
            (b"\x01\0", Some(Name::Other(libc::AF_UNIX))),
            (&[16, 0, 0, 0], Some(Name::Other(libc::AF_NETLINK))),
            (&[2, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(name(bytes), expected, "{bytes:?}");
        }
    }
}
