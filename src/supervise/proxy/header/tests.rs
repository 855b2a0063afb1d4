// SPDX-License-Identifier: Apache-2.0
//! The examples of doc/proxy-protocol.txt, and what it does not allow.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn client(client: &str, server: &str) -> Said {
    Said::Client { client: client.parse().unwrap(), server: server.parse().unwrap() }
}

/// A header of version 2.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE as &[u8], &[command, family], &length, rest].concat()
}

/// One for a client of IPv4, with these values.
fn ipv4(values: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&[192, 0, 2, 1, 192, 0, 2, 9, 0x12, 0x67, 0, 25][..], values].concat())
}

#[test]
fn what_the_text_does_not_allow_is_no_header() {
    for line in [
        "EHLO example.com",
        "PROXY",
        "PROXY ",
        "PROXY  TCP4 192.0.2.1 192.0.2.9 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.9 1",
        "PROXY TCP4 192.0.2.1 192.0.2.9 1 2 ",
        "PROXY TCP4 192.0.2.1 192.0.2.9 01 2",
        "PROXY TCP4 192.0.2.1 192.0.2.9 +1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.9 1 65536",
        "PROXY TCP4 192.0.2.1  192.0.2.9 1 2",
        "PROXY TCP4 192.0.2.01 192.0.2.9 1 2",
        "PROXY TCP4 ::1 ::2 1 2",
        "PROXY TCP6 192.0.2.1 192.0.2.9 1 2",
        "PROXY UDP4 192.0.2.1 192.0.2.9 1 2",
        "PROXY UNKNOWNS",
        "proxy TCP4 192.0.2.1 192.0.2.9 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.9 1 2\n",
    ] {
        let found = find(format!("{line}\r\n").as_bytes());
        assert!(matches!(found, Found::Nothing(_)), "{line}: {found:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(LONGEST));
    assert_eq!(find(endless.as_bytes()), Found::Nothing("its header of version 1 does not end"));
    assert_eq!(find(&endless.as_bytes()[..LONGEST_TEXT - 1]), Found::Part);
}

#[test]
fn the_examples_of_version_1_are_read() {
    let unknown = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
    let longest =
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    let all = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    for (line, expected) in [
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", {
            client("255.255.255.255:65535", "255.255.255.255:65535")
        }),
        ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", client("192.168.0.1:56324", "192.168.0.11:443")),
        ("PROXY TCP6 2001:db8::1 ::1 0 25\r\n", client("[2001:db8::1]:0", "[::1]:25")),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", client("192.0.2.1:1", "[::1]:25")),
        (longest, client(all, all)),
        ("PROXY UNKNOWN\r\n", Said::Own),
        (unknown, Said::Own),
    ] {
        // What follows is the conversation's.
        let bytes = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(find(bytes.as_bytes()), Found::Whole(expected, line.len()), "{line}");
        law(bytes.as_bytes());
    }
}

#[test]
fn a_header_of_version_2_that_says_what_it_may_not_is_none() {
    let long = u16::try_from(LONGEST - FIXED + 1).unwrap();
    for (bytes, why) in [
        (v2(0x11, 0x11, &[0; 12]), "unknown version or command"),
        (v2(0x22, 0x11, &[0; 12]), "unknown version or command"),
        (v2(0x21, 0x10, &[0; 12]), "unknown family or protocol"),
        (v2(0x21, 0x41, &[0; 12]), "unknown family or protocol"),
        (v2(0x21, 0x12, &[0; 12]), "for datagrams"),
        (v2(0x21, 0x11, &[0; 11]), "shorter than its addresses"),
        (v2(0x21, 0x21, &[0; 35]), "shorter than its addresses"),
        (v2(0x21, 0x31, &[0; 215]), "shorter than its addresses"),
        (ipv4(&[4, 0]), "a value that is cut off"),
        (ipv4(&[4, 0, 2, 0]), "a value that is cut off"),
        (ipv4(&[CHECKSUM, 0, 4, 1, 2, 3, 4]), "a wrong checksum"),
        (ipv4(&[CHECKSUM, 0, 0]), "a wrong checksum"),
        ([SIGNATURE as &[u8], &[0x21, 0x11], &long.to_be_bytes()].concat(), "longer than 4096 bytes"),
    ] {
        match find(&bytes) {
            Found::Nothing(found) => assert!(found.contains(why), "{bytes:?}: {found}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

#[test]
fn a_header_of_version_2_is_read_and_its_values_are_passed_over() {
    let v6: Vec<u8> = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0, 7, 0, 25]].concat();
    let from = client("192.0.2.1:4711", "192.0.2.9:25");
    for (header, expected) in [
        (ipv4(&[]), from),
        // An authority of five bytes, and three bytes of nothing.
        (ipv4(&[2, 0, 5, b'e', b'x', b'.', b'e', b'x', 4, 0, 3, 0, 0, 0]), from),
        (v2(0x21, 0x21, &v6), client("[2001:db8::1]:7", "[::1]:25")),
        (v2(0x21, 0x31, &[0; 216]), Said::Own),
        (v2(0x21, 0x00, &[]), Said::Own),
        // LOCAL: whatever else it says.
        (v2(0x20, 0x00, &[]), Said::Own),
        (v2(0x20, 0x11, &[1; 3]), Said::Own),
    ] {
        let bytes = [&header as &[u8], b"EHLO"].concat();
        assert_eq!(find(&bytes), Found::Whole(expected, header.len()), "{header:?}");
        law(&bytes);
    }
}

#[test]
fn a_checksum_that_is_right_is_taken_and_one_bit_makes_it_wrong() {
    // RFC 3720, appendix B.4.
    assert_eq!(checksum(&[0; 32], 0..0), 0x8a91_36aa);
    assert_eq!(checksum(b"123456789", 0..0), 0xe306_9283);
    let mut header = ipv4(&[CHECKSUM, 0, 4, 0, 0, 0, 0]);
    let at = header.len() - 4..header.len();
    let sum = checksum(&header, at.clone()).to_be_bytes();
    header[at].copy_from_slice(&sum);
    assert_eq!(find(&header), Found::Whole(client("192.0.2.1:4711", "192.0.2.9:25"), header.len()));
    for bit in 8 * FIXED..8 * (header.len() - 7) {
        let mut other = header.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(find(&other), Found::Nothing("its header of version 2 has a wrong checksum"), "bit {bit}");
    }
}

/// Two addresses with ports.
fn ends_of_one_family() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let pair = |client: IpAddr, server: IpAddr, ports: (u16, u16)| {
        (SocketAddr::new(client, ports.0), SocketAddr::new(server, ports.1))
    };
    let v4 = any::<(Ipv4Addr, Ipv4Addr, (u16, u16))>();
    let v6 = any::<(Ipv6Addr, Ipv6Addr, (u16, u16))>();
    prop_oneof![
        v4.prop_map(move |(client, server, ports)| pair(client.into(), server.into(), ports)),
        v6.prop_map(move |(client, server, ports)| pair(client.into(), server.into(), ports)),
    ]
}

proptest! {
    #[test]
    fn no_bytes_break_the_law(bytes in vec(any::<u8>(), 0..300), start in 0..4usize, cut in 0..20usize) {
        let first = [TEXT, SIGNATURE as &[u8], b"PROXY TCP4 192.0.2.1 192.0.2.9 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10"][start];
        law(&[first, &bytes].concat());
        law(&[&first[..first.len().saturating_sub(cut)], &bytes].concat());
    }

    #[test]
    fn every_pair_of_ends_is_read_as_it_was_written((client, server) in ends_of_one_family()) {
        let kind = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {kind} {} {} {} {}\r\n", client.ip(), server.ip(), client.port(), server.port());
        let octets = |end: SocketAddr| match end.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
        let family = if client.is_ipv4() { 0x11 } else { 0x21 };
        let packed = v2(0x21, family, &[octets(client), octets(server), ports].concat());
        let expected = said((client.ip(), client.port()), (server.ip(), server.port()));
        prop_assert_eq!(find(line.as_bytes()), Found::Whole(expected, line.len()));
        prop_assert_eq!(find(&packed), Found::Whole(expected, packed.len()));
    }
}
