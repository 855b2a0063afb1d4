// SPDX-License-Identifier: Apache-2.0
//! The connection itself: a socket of the host's network, whatever network the command is in.

use crate::attempt::{Attempt, Verdict, alone, served, together};
use crate::kernel::{at, call, into, loopback};
use crate::world::World;
use nix::errno::Errno;
use nix::libc;

const UNIX: &str = "the connection is a UNIX socket";
/// Names, flags and lists of interfaces any socket gives: see sock_do_ioctl and dev_ioctl of Linux's net directory.
const NO_INTERNET: &str = "only sockets of the internet's families know addresses (inet_ioctl of net/ipv4/af_inet.c)";

/// What a connected socket cannot do, and one that is dissolved can.
pub(crate) const AS_IT_IS: &[Errno] = &[Errno::EINVAL];

/// The first three dissolve the connection where they work, so that only the judge outside can see it.
pub(crate) const ALL: &[Attempt] = &[
    alone("connection: turned into a client of a host port", |world| {
        dissolved(world, || {
            let target = loopback(world.number("port"));
            call(libc::SYS_connect, &[0, at(&target), 16])?;
            call(libc::SYS_write, &[0, at(b"reached\n"), 8])
        })
    }),
    alone("connection: turned into a listener on a host port", |world| {
        dissolved(world, || {
            let name = loopback(world.number("free-port"));
            call(libc::SYS_bind, &[0, at(&name), 16])?;
            call(libc::SYS_listen, &[0, 1])
        })
    }),
    alone("connection: listens on a host port without bind", |world| {
        dissolved(world, || call(libc::SYS_listen, &[0, 1]))
    }),
    together("connection: listen as it is", |_| served(call(libc::SYS_listen, &[0, 1]), AS_IT_IS)),
    together("connection: accept on it", |_| served(call(libc::SYS_accept4, &[0, 0, 0, 0]), AS_IT_IS)),
    together("connection: bind it to another name", |world| {
        let (target, unix) = (loopback(0), *b"\x01\0\0attack-name");
        let (name, length) = if world.tcp { (at(&target), 16) } else { (at(&unix), unix.len() as u64) };
        served(call(libc::SYS_bind, &[0, name, length]), AS_IT_IS)
    }),
    together("connection: send it elsewhere by fast open", |world| by_fast_open(world, libc::SYS_sendto)),
    together("connection: send it elsewhere by fast open in a message", |world| by_fast_open(world, libc::SYS_sendmsg)),
    together("connection: send it elsewhere by fast open in messages", |world| by_fast_open(world, libc::SYS_sendmmsg)),
    together("connection: host interfaces by SIOCGIFCONF", |_| interfaces(0)),
    together("connection: host interfaces by SIOCGIFCONF with a high bit", |_| interfaces(1 << 32)),
    together("connection: an address of the host by SIOCGIFADDR", |world| match world.tcp {
        true => about_lo(libc::SIOCGIFADDR),
        false => Verdict::Absent(NO_INTERNET),
    }),
    together("connection: the host's loopback by SIOCGIFFLAGS", |_| about_lo(libc::SIOCGIFFLAGS)),
    together("connection: an interface's name by SIOCGIFNAME", |_| {
        let mut request = [0_u8; 40];
        request[16] = 1;
        ask(libc::SIOCGIFNAME, &mut request)
    }),
    together("connection: a neighbour by SIOCGARP", |world| match world.tcp {
        true => ask(0x8954, &mut [0; 68]),
        false => Verdict::Absent(NO_INTERNET),
    }),
    together("connection: its network namespace by SIOCGSKNS", |_| ask(0x894c, &mut [0; 8])),
    together("connection: what is not sent by SIOCOUTQNSD", |_| {
        let mut value = 0_i32;
        call(libc::SYS_ioctl, &[0, 0x894b, into(&mut value)]).into()
    }),
    together("connection: signals to others by FIOSETOWN", |world| {
        let peer = world.number("peer") as i32;
        call(libc::SYS_ioctl, &[0, 0x8901, at(&peer)]).into()
    }),
];

/// Does something with the connection once it is none any more; then waits, for the judge to look.
fn dissolved(world: &World, act: impl FnOnce() -> Result<i64, Errno>) -> Verdict {
    if !world.tcp {
        return Verdict::Absent(UNIX);
    }
    let unspecified = [0_u8; 16];
    let result = call(libc::SYS_connect, &[0, at(&unspecified), 16]).and_then(|_| act());
    if result.is_ok() {
        std::thread::sleep(std::time::Duration::from_secs(3));
    }
    result.into()
}

/// On a socket that is not connected any more this connects, past connect(2).
fn by_fast_open(world: &World, number: i64) -> Verdict {
    if !world.tcp {
        return Verdict::Absent(UNIX);
    }
    let target = loopback(world.number("port"));
    let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let message = [at(&target), 16, at(&vector), 1, 0, 0, 0, 0];
    let flags = (libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL) as u64;
    let result = match number {
        libc::SYS_sendto => call(number, &[0, at(b""), 0, flags, at(&target), 16]),
        libc::SYS_sendmsg => call(number, &[0, at(&message), flags]),
        _ => call(number, &[0, at(&message), 1, flags]),
    };
    served(result, &[Errno::EISCONN])
}

fn interfaces(high: u64) -> Verdict {
    let mut room = [0_u8; 400];
    let request =
        libc::ifconf { ifc_len: 400, ifc_ifcu: libc::__c_anonymous_ifc_ifcu { ifcu_buf: room.as_mut_ptr().cast() } };
    call(libc::SYS_ioctl, &[0, high | libc::SIOCGIFCONF, at(&request)]).into()
}

fn about_lo(command: u64) -> Verdict {
    let mut request = [0_u8; 40];
    request[..2].copy_from_slice(b"lo");
    ask(command, &mut request)
}

fn ask(command: u64, room: &mut [u8]) -> Verdict {
    call(libc::SYS_ioctl, &[0, command, into(room)]).into()
}
