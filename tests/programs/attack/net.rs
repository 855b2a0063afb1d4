// SPDX-License-Identifier: Apache-2.0
//! Sockets of the command's own: the host's ports, and families of sockets that no ordinary command needs.

use crate::attempt::{Attempt, Verdict, found, together};
use crate::kernel::{at, call, loopback, socket};
use crate::world::World;
use nix::errno::Errno;
use nix::libc;

const STREAM: i32 = libc::SOCK_STREAM;
const DATAGRAM: i32 = libc::SOCK_DGRAM;
const RAW: i32 = libc::SOCK_RAW;
/// Of linux/in.h.
const IPPROTO_SMC: i32 = 256;
const IPPROTO_MPTCP: i32 = 262;

pub(crate) const ALL: &[Attempt] = &[
    together("net: tcp to a host port", |world| tcp(world, 0)),
    together("net: mptcp to a host port", |world| tcp(world, IPPROTO_MPTCP)),
    together("net: smc to a host port", |world| tcp(world, IPPROTO_SMC)),
    together("net: tcp to a host port by fast open", |world| {
        let target = loopback(world.number("port"));
        let made = socket(libc::AF_INET, STREAM, 0);
        made.and_then(|socket| {
            call(libc::SYS_sendto, &[socket as u64, at(b"x"), 1, libc::MSG_FASTOPEN as u64, at(&target), 16])
        })
        .into()
    }),
    together("net: udp to a host port", |world| {
        let target = loopback(world.number("udp"));
        let made = socket(libc::AF_INET, DATAGRAM, 0);
        made.and_then(|socket| call(libc::SYS_sendto, &[socket as u64, at(b"x"), 1, 0, at(&target), 16])).into()
    }),
    together("net: listen on a tcp port", |_| {
        let made = socket(libc::AF_INET, STREAM, 0);
        made.and_then(|socket| call(libc::SYS_listen, &[socket as u64, 1])).into()
    }),
    together("net: bind a udp port", |_| {
        let made = socket(libc::AF_INET, DATAGRAM, 0);
        made.and_then(|socket| call(libc::SYS_bind, &[socket as u64, at(&loopback(0)), 16])).into()
    }),
    together("net: interfaces of the host", |_| match nix::net::if_::if_nameindex() {
        Ok(all) => found(all.iter().count() > 1, format!("{} interfaces", all.iter().count())),
        Err(errno) => Err::<(), _>(errno).into(),
    }),
    together("net: routes of the host", |_| {
        let routes = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
        found(routes.lines().count() > 3, "interfaces in /proc/net/dev")
    }),
    together("net: inet", |_| family(libc::AF_INET, STREAM, 0)),
    together("net: inet6", |_| family(libc::AF_INET6, STREAM, 0)),
    together("net: ping", |_| family(libc::AF_INET, DATAGRAM, libc::IPPROTO_ICMP)),
    together("net: raw", |_| family(libc::AF_INET, RAW, libc::IPPROTO_ICMP)),
    together("net: sctp", |_| family(libc::AF_INET, STREAM, libc::IPPROTO_SCTP)),
    together("net: udp-lite", |_| family(libc::AF_INET, DATAGRAM, libc::IPPROTO_UDPLITE)),
    together("net: packets", |_| family(libc::AF_PACKET, RAW, 0)),
    together("net: route netlink", |_| family(libc::AF_NETLINK, RAW, libc::NETLINK_ROUTE)),
    together("net: netfilter netlink", |_| family(libc::AF_NETLINK, RAW, libc::NETLINK_NETFILTER)),
    together("net: audit netlink", |_| family(libc::AF_NETLINK, RAW, libc::NETLINK_AUDIT)),
    together("net: events of devices", |_| family(libc::AF_NETLINK, RAW, libc::NETLINK_KOBJECT_UEVENT)),
    together("net: socket diagnostics", |_| family(libc::AF_NETLINK, RAW, libc::NETLINK_SOCK_DIAG)),
    together("net: crypto netlink", |_| family(libc::AF_NETLINK, RAW, libc::NETLINK_CRYPTO)),
    together("net: vsock", |_| family(libc::AF_VSOCK, STREAM, 0)),
    together("net: vsock datagrams", |_| family(libc::AF_VSOCK, DATAGRAM, 0)),
    together("net: crypto", |_| family(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
    together("net: keys", |_| family(libc::AF_KEY, RAW, 2)),
    together("net: bluetooth", |_| family(libc::AF_BLUETOOTH, RAW, 1)),
    together("net: can", |_| family(libc::AF_CAN, RAW, 1)),
    together("net: tipc", |_| family(libc::AF_TIPC, STREAM, 0)),
    together("net: rds", |_| family(libc::AF_RDS, libc::SOCK_SEQPACKET, 0)),
    together("net: xdp", |_| family(libc::AF_XDP, RAW, 0)),
    together("net: kcm", |_| family(41, DATAGRAM, 0)),
    together("net: qrtr", |_| family(42, DATAGRAM, 0)),
    together("net: smc", |_| family(43, STREAM, 0)),
    together("net: pppox", |_| family(libc::AF_PPPOX, STREAM, 0)),
    together("net: appletalk", |_| family(libc::AF_APPLETALK, DATAGRAM, 0)),
    together("net: x25", |_| family(libc::AF_X25, libc::SOCK_SEQPACKET, 0)),
];

fn family(family: i32, kind: i32, protocol: i32) -> Verdict {
    socket(family, kind, protocol).into()
}

fn tcp(world: &World, protocol: i32) -> Verdict {
    let target = loopback(world.number("port"));
    let connected = |socket: i32| -> Result<i64, Errno> { call(libc::SYS_connect, &[socket as u64, at(&target), 16]) };
    socket(libc::AF_INET, STREAM, protocol).and_then(connected).into()
}
