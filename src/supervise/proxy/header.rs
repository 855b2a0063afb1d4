// SPDX-License-Identifier: Apache-2.0
//! The header of the PROXY protocol, versions 1 and 2, by haproxy's doc/proxy-protocol.txt: who a proxy's client is,
//! said before the first byte of the conversation. Pure; takes nothing that the text does not allow, and not one byte
//! more than the header has. A library that is as strict was looked for: those that there are take signs before numbers
//! or pass over checksums.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest header that is taken. Text ends before; what is longer in version 2 are certificates that nobody reads
/// here.
pub(super) const LONGEST: usize = 4096;

/// Version 1 in whole, with its end: section 2.1.
const LONGEST_TEXT: usize = 107;
const TEXT: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;
/// `PP2_TYPE_CRC32C`
const CHECKSUM: u8 = 0x03;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// A proxy speaks for itself, or does not know: the ends of the connection are what the kernel says.
    Own,
    /// Who its client is, and which address that has connected to.
    Client { client: SocketAddr, server: SocketAddr },
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A part of a header: all of them belong to it, and more must come.
    Part,
    /// A header, of this length.
    Whole(Said, usize),
    /// No header, for this reason.
    Nothing(&'static str),
}

/// Looks at the first bytes of a connection.
pub(super) fn find(bytes: &[u8]) -> Found {
    if bytes.starts_with(TEXT) {
        text(bytes)
    } else if bytes.starts_with(SIGNATURE) {
        binary(bytes)
    } else if TEXT.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
        Found::Part
    } else {
        Found::Nothing("what it sends first is no header of the PROXY protocol")
    }
}

/// Version 1: a line.
fn text(bytes: &[u8]) -> Found {
    let end = bytes.windows(2).take(LONGEST_TEXT - 1).position(|pair| pair == b"\r\n");
    match end {
        None if bytes.len() < LONGEST_TEXT => Found::Part,
        None => Found::Nothing("its header of version 1 does not end"),
        Some(end) => match line(&bytes[TEXT.len()..end]) {
            Some(said) => Found::Whole(said, end + 2),
            None => Found::Nothing("its header of version 1 does not say what it may"),
        },
    }
}

fn line(bytes: &[u8]) -> Option<Said> {
    let words: Vec<&str> = std::str::from_utf8(bytes).ok().map(|text| text.split(' ').collect()).unwrap_or_default();
    match words[..] {
        // Whatever stands behind it.
        _ if bytes == b"UNKNOWN" || bytes.starts_with(b"UNKNOWN ") => Some(Said::Own),
        ["TCP4", client, server, from, to] => ends::<Ipv4Addr>([client, server], [from, to]),
        ["TCP6", client, server, from, to] => ends::<Ipv6Addr>([client, server], [from, to]),
        _ => None,
    }
}

fn ends<Ip: FromStr + Into<IpAddr>>(addresses: [&str; 2], ports: [&str; 2]) -> Option<Said> {
    let [client, server] = addresses.map(|address| address.parse::<Ip>().ok());
    let [from, to] = ports.map(port);
    Some(said((client?.into(), from?), (server?.into(), to?)))
}

/// Digits alone, and none of them a zero before others.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// An address of IPv4 inside of one of IPv6 is one of IPv4, as it is for a client without a proxy.
fn said(client: (IpAddr, u16), server: (IpAddr, u16)) -> Said {
    let end = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Said::Client { client: end(client), server: end(server) }
}

/// Version 2: a fixed part, addresses, and values that are passed over.
fn binary(bytes: &[u8]) -> Found {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else { return Found::Part };
    let (command, family) = (fixed[12], fixed[13]);
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST {
        return Found::Nothing("its header of version 2 is longer than 4096 bytes");
    }
    if !matches!(command, 0x20 | 0x21) {
        return Found::Nothing("its header of version 2 has an unknown version or command");
    }
    let Some(header) = bytes.get(..length) else { return Found::Part };
    // LOCAL: what else it says is to be passed over.
    if command == 0x20 {
        return Found::Whole(Said::Own, length);
    }
    match addresses(family, &header[FIXED..]) {
        Ok((said, values)) => match checked(header, FIXED + values) {
            Ok(()) => Found::Whole(said, length),
            Err(why) => Found::Nothing(why),
        },
        Err(why) => Found::Nothing(why),
    }
}

/// What the addresses say, and how long they are.
fn addresses(family: u8, rest: &[u8]) -> Result<(Said, usize), &'static str> {
    const SHORT: &str = "its header of version 2 is shorter than its addresses";
    let port = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    match family {
        0x00 => Ok((Said::Own, 0)),
        0x11 => {
            let [a, b, c, d, e, f, g, h, ports @ ..] = *rest.first_chunk::<12>().ok_or(SHORT)?;
            let (client, server) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
            let [from, to] = [port(ports[0], ports[1]), port(ports[2], ports[3])];
            Ok((said((client.into(), from), (server.into(), to)), 12))
        }
        0x21 => {
            let all = rest.first_chunk::<36>().ok_or(SHORT)?;
            let ip = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&all[at..at + 16]);
                IpAddr::from(Ipv6Addr::from(octets))
            };
            Ok((said((ip(0), port(all[32], all[33])), (ip(16), port(all[34], all[35]))), 36))
        }
        // A UNIX socket of the proxy's host has no address that means something here.
        0x31 => rest.first_chunk::<216>().map(|_| (Said::Own, 216)).ok_or(SHORT),
        0x12 | 0x22 | 0x32 => Err("its header of version 2 is for datagrams"),
        _ => Err("its header of version 2 has an unknown family or protocol"),
    }
}

/// Goes over the values, which must fill the header; the checksum among them, if there is one, must be right.
fn checked(header: &[u8], mut at: usize) -> Result<(), &'static str> {
    const BROKEN: &str = "its header of version 2 has a value that is cut off";
    while at < header.len() {
        let [kind, high, low] = *header[at..].first_chunk::<3>().ok_or(BROKEN)?;
        let (start, length) = (at + 3, usize::from(u16::from_be_bytes([high, low])));
        let value = header.get(start..start + length).ok_or(BROKEN)?;
        if kind == CHECKSUM && value != checksum(header, start..start + length).to_be_bytes() {
            return Err("its header of version 2 has a wrong checksum");
        }
        at = start + length;
    }
    Ok(())
}

/// CRC32c of the header, with zeros where the checksum stands: RFC 4960, appendix B.
fn checksum(header: &[u8], zeros: std::ops::Range<usize>) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
    let bytes = header.iter().enumerate().map(|(at, byte)| if zeros.contains(&at) { 0 } else { *byte });
    !bytes.fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(byte), step))
}

/// Whatever the bytes are: a part of a header stays one until it is whole or none, and what is behind a header changes
/// nothing about it.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    let whole = find(bytes);
    let end = match whole {
        Found::Part => bytes.len(),
        Found::Whole(_, length) => length,
        Found::Nothing(why) => return crate::fuzz::assert_one_line(why),
    };
    assert!(end <= bytes.len() && bytes.len().min(end) <= LONGEST, "{whole:?}");
    for cut in 0..end {
        assert_eq!(find(&bytes[..cut]), Found::Part, "at {cut} of {whole:?}");
    }
    assert_eq!(find(&bytes[..end]), whole);
}

#[cfg(test)]
mod tests;
