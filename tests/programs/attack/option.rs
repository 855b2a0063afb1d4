// SPDX-License-Identifier: Apache-2.0
//! Options of the connection: parts of the kernel behind setsockopt(2), and what getsockopt(2) hands out.

use crate::attempt::{Attempt, Verdict, served, together};
use crate::connection::AS_IT_IS;
use crate::kernel::{at, call, into};
use crate::world::World;
use nix::errno::Errno;
use nix::libc;

const SOCKET: u64 = libc::SOL_SOCKET as u64;
const TCP: u64 = libc::IPPROTO_TCP as u64;
const IP: u64 = libc::IPPROTO_IP as u64;
/// Of asm-generic/socket.h.
const SO_PASSRIGHTS: u64 = 83;
const SO_PEERPIDFD: u64 = 77;
/// Of linux/tcp.h; the other options of fast open want a socket that is not connected.
const TCP_FASTOPEN_KEY: u64 = 33;

pub(crate) const ALL: &[Attempt] = &[
    together("connection: attach a socket filter", |_| attach(libc::SO_ATTACH_FILTER as u64).into()),
    together("connection: attach a socket filter with a high bit", |_| {
        attach(1 << 32 | libc::SO_ATTACH_FILTER as u64).into()
    }),
    together("connection: attach a filter to its port", |_| {
        served(attach(libc::SO_ATTACH_REUSEPORT_CBPF as u64), AS_IT_IS)
    }),
    together("connection: upper-layer protocol module", |world| for_tcp(world, libc::TCP_ULP as u64, b"tls")),
    together("connection: another congestion control", |world| for_tcp(world, libc::TCP_CONGESTION as u64, b"reno")),
    together("connection: repair mode", |world| for_tcp(world, libc::TCP_REPAIR as u64, &1_i32.to_ne_bytes())),
    together("connection: signatures", |world| for_tcp(world, libc::TCP_MD5SIG as u64, &key_of_another())),
    together("connection: fast open", |world| for_tcp(world, TCP_FASTOPEN_KEY, &[1; 16])),
    together("connection: bind to a device", |_| set(SOCKET, libc::SO_BINDTODEVICE as u64, b"lo\0")),
    together("connection: mark packets", |_| set_number(SOCKET, libc::SO_MARK as u64, 1)),
    together("connection: priority of packets", |_| set_number(SOCKET, libc::SO_PRIORITY as u64, 1)),
    together("connection: poll busily", |_| set_number(SOCKET, libc::SO_BUSY_POLL as u64, 1)),
    together("connection: buffers past the limit", |_| set_number(SOCKET, libc::SO_SNDBUFFORCE as u64, 1 << 24)),
    together("connection: packets of its own route", |world| match world.tcp {
        true => set(IP, libc::IP_OPTIONS as u64, &[1, 1, 1, 0]),
        false => Verdict::Absent("the connection is a UNIX socket"),
    }),
    together("connection: a transparent address", |world| match world.tcp {
        true => set_number(IP, libc::IP_TRANSPARENT as u64, 1),
        false => Verdict::Absent("the connection is a UNIX socket"),
    }),
    together("connection: descriptors by SO_PASSRIGHTS", |world| match world.tcp {
        true => Verdict::Absent("TCP carries no descriptors"),
        false => set_number(SOCKET, SO_PASSRIGHTS, 1),
    }),
    together("connection: pidfd of the client", |world| pidfd_of_client(world, 0)),
    together("connection: pidfd of the client with a high bit", |world| pidfd_of_client(world, 1 << 32)),
];

fn set(level: u64, name: u64, value: &[u8]) -> Verdict {
    call(libc::SYS_setsockopt, &[0, level, name, at(value), value.len() as u64]).into()
}

fn set_number(level: u64, name: u64, value: i32) -> Verdict {
    set(level, name, &value.to_ne_bytes())
}

fn for_tcp(world: &World, name: u64, value: &[u8]) -> Verdict {
    if world.tcp { set(TCP, name, value) } else { Verdict::Absent("the connection is a UNIX socket") }
}

fn attach(name: u64) -> Result<i64, Errno> {
    // Lets everything through: BPF_RET of all ones.
    let program = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: u32::MAX }];
    let filter = libc::sock_fprog { len: 1, filter: program.as_ptr().cast_mut() };
    call(libc::SYS_setsockopt, &[0, SOCKET, name, at(&filter), size_of_val(&filter) as u64])
}

/// `struct tcp_md5sig` of linux/tcp.h: four bytes of a key for 127.0.0.9, so that this connection goes on without.
fn key_of_another() -> [u8; 216] {
    let mut request = [0; 216];
    request[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    request[4..8].copy_from_slice(&[127, 0, 0, 9]);
    request[130..132].copy_from_slice(&4_u16.to_ne_bytes());
    request
}

fn pidfd_of_client(world: &World, high: u64) -> Verdict {
    if world.tcp {
        return Verdict::Absent("the client of a TCP connection is no process");
    }
    let mut value = 0_i32;
    let mut length = 4_u32;
    call(libc::SYS_getsockopt, &[0, SOCKET, high | SO_PEERPIDFD, into(&mut value), into(&mut length)]).into()
}
