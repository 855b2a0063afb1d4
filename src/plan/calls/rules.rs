// SPDX-License-Identifier: Apache-2.0
//! Which arguments a call may have. Two strengths: what a group grants, and what even `all` and a single name keep.
//! Data and constructors only; never a decision about which call is granted.
//!
//! The kernel reads `int` and `unsigned int` arguments from the low half of a register, so those are compared on
//! 32 bits; a pointer is compared whole.

use crate::plan::model::Condition;
use nix::libc::{self, c_int};

/// Alternatives, each a list of conditions that must all hold. No alternatives: every argument will do.
pub(super) type Rule = &'static [&'static [Condition]];

/// Every argument will do.
pub(super) const ANY: Rule = &[];

pub(super) const fn bits(argument: u8, mask: u32, value: u32) -> Condition {
    Condition { argument, mask: mask as u64, value: value as u64, negated: false, wide: false }
}

pub(super) const fn is(argument: u8, value: u32) -> Condition {
    bits(argument, u32::MAX, value)
}

pub(super) const fn is_not(argument: u8, value: u32) -> Condition {
    Condition { argument, mask: u32::MAX as u64, value: value as u64, negated: true, wide: false }
}

pub(super) const fn clear(argument: u8, mask: u32) -> Condition {
    bits(argument, mask, 0)
}

const fn null(argument: u8) -> Condition {
    Condition { argument, mask: u64::MAX, value: 0, negated: false, wide: true }
}

/// setsockopt(2) and getsockopt(2): level and name.
const fn option(level: c_int, name: c_int) -> [Condition; 2] {
    [is(1, level as u32), is(2, name as u32)]
}

/// What a group grants of `call`, where that is not everything.
pub(super) fn common(call: &str) -> Rule {
    COMMON.iter().find(|(name, _)| *name == call).map_or_else(|| widest(call), |(_, rule)| rule)
}

/// What `all` and a single name grant of `call`: everything but the ways around another layer of the sandbox.
pub(super) fn widest(call: &str) -> Rule {
    WIDEST.iter().find(|(name, _)| *name == call).map_or(ANY, |(_, rule)| rule)
}

/// What a call says whose arguments are refused, where that is not EPERM.
pub(super) fn refusal(call: &str) -> i32 {
    match call {
        "ioctl" => libc::ENOTTY,
        "socket" => libc::EAFNOSUPPORT,
        _ => libc::EPERM,
    }
}

/// TCGETS2 of asm-generic/ioctls.h; libc names it for other targets only. glibc 2.42 asks with it whether this is a
/// terminal.
const TCGETS2: u32 = 0x802c_542a;
/// Of asm-generic/ioctls.h.
const TIOCLINUX: u32 = 0x541c;
/// `MSG_FASTOPEN` of linux/socket.h.
const FASTOPEN: u32 = 0x2000_0000;
/// `SECCOMP_FILTER_FLAG_TSYNC` and `SECCOMP_FILTER_FLAG_TSYNC_ESRCH` of linux/seccomp.h.
const FILTER_TSYNC: u32 = 1;
const FILTER_TSYNC_ESRCH: u32 = 1 << 4;
/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
/// With neither of these bits, open(2) does not read its mode. O_TMPFILE's other bit is O_DIRECTORY's.
const CREATING: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;
/// Every CLONE_NEW*. 0x80 is CLONE_NEWTIME in clone3 and unshare; in clone it belongs to the exit signal, which no
/// signal needs.
const NEW_NAMESPACES: u32 = 0x7e02_0080;

const COMMON: &[(&str, Rule)] = &[
    ("ioctl", IOCTL),
    ("prctl", PRCTL),
    ("prlimit64", &[&[null(2)]]),
    ("personality", &[&[is(0, 0)], &[is(0, u32::MAX)]]),
    // A program may lock itself further: for all its threads, and without a descriptor that answers its calls, a record
    // in the host's log for each of them, or less protection from speculation.
    ("seccomp", &[&[clear(1, !(FILTER_TSYNC | FILTER_TSYNC_ESRCH))]]),
    ("execveat", &[&[clear(4, libc::AT_EMPTY_PATH as u32)]]),
    // Leases hold up whoever opens the file on the host, and directory notices tell what the host does there: a shared
    // file that may only be read needs neither.
    ("fcntl", &[&[is_not(1, libc::F_SETLEASE as u32), is_not(1, libc::F_NOTIFY as u32)]]),
    ("socketpair", SOCKETPAIR),
    // Without a network group only the connected peer can be written to.
    ("sendto", &[&[clear(3, FASTOPEN), null(4)]]),
    ("getsockopt", GETSOCKOPT),
    ("setsockopt", SETSOCKOPT),
    ("open", &[&[clear(1, CREATING)], &[clear(2, SET_ID)]]),
    ("openat", &[&[clear(2, CREATING)], &[clear(3, SET_ID)]]),
    ("creat", MODE_SECOND),
    ("chmod", MODE_SECOND),
    ("fchmod", MODE_SECOND),
    ("mkdir", MODE_SECOND),
    ("mknod", MODE_SECOND),
    ("fchmodat", MODE_THIRD),
    ("fchmodat2", MODE_THIRD),
    ("mkdirat", MODE_THIRD),
    ("mknodat", MODE_THIRD),
];

/// A FIFO without set-id bits.
pub(super) const FIFO: &[(&str, Rule)] =
    &[("mknod", &[&[bits(1, KIND | SET_ID, libc::S_IFIFO)]]), ("mknodat", &[&[bits(2, KIND | SET_ID, libc::S_IFIFO)]])];
/// The bits of a mode that say what kind of file it is.
const KIND: u32 = libc::S_IFMT;

const MODE_SECOND: Rule = &[&[clear(1, SET_ID)]];
const MODE_THIRD: Rule = &[&[clear(2, SET_ID)]];

const WIDEST: &[(&str, Rule)] = &[
    ("clone", &[&[clear(0, NEW_NAMESPACES)]]),
    // Both type into the terminal that a command shares with whoever started it.
    ("ioctl", &[&[is_not(1, libc::TIOCSTI as u32), is_not(1, TIOCLINUX)]]),
    ("socket", SOCKET_ALL),
    // With this flag they connect, and Landlock asks its port question in connect(2) only.
    ("sendto", SENDTO),
    ("sendmmsg", SENDTO),
    ("sendmsg", &[&[clear(2, FASTOPEN)]]),
];

/// What twenty ordinary programs were seen to ask.
const IOCTL: Rule = &[
    &[is(1, libc::TCGETS as u32)],
    &[is(1, TCGETS2)],
    &[is(1, libc::TIOCGWINSZ as u32)],
    &[is(1, libc::TIOCGPGRP as u32)],
    &[is(1, libc::FIONREAD as u32)],
    &[is(1, libc::FIONBIO as u32)],
    &[is(1, libc::FIOCLEX as u32)],
    &[is(1, libc::FIONCLEX as u32)],
];

/// Not PR_SET_SECCOMP (mode 1 would strand libc), PR_SET_MM, PR_SET_TSC, PR_SET_PTRACER and whatever comes later.
const PRCTL: Rule = &[
    &[is(0, libc::PR_SET_NAME as u32)],
    &[is(0, libc::PR_GET_NAME as u32)],
    &[is(0, libc::PR_SET_PDEATHSIG as u32)],
    &[is(0, libc::PR_GET_PDEATHSIG as u32)],
    &[is(0, libc::PR_GET_DUMPABLE as u32)],
    &[is(0, libc::PR_SET_VMA as u32)],
    &[is(0, libc::PR_GET_NO_NEW_PRIVS as u32)],
    &[is(0, libc::PR_SET_NO_NEW_PRIVS as u32)],
    &[is(0, libc::PR_CAPBSET_READ as u32)],
    &[is(0, libc::PR_SET_CHILD_SUBREAPER as u32)],
    &[is(0, libc::PR_GET_CHILD_SUBREAPER as u32)],
    &[is(0, libc::PR_SET_THP_DISABLE as u32)],
    &[is(0, libc::PR_SET_TIMERSLACK as u32)],
];

/// `trace`: also lets another process attach.
pub(super) const TRACE: &[(&str, Rule)] = &[("prctl", &[&[is(0, libc::PR_SET_PTRACER as u32)]])];

/// A pidfd of the peer would be a handle on a process outside (Linux 6.5).
const GETSOCKOPT: Rule = &[&[is_not(1, libc::SOL_SOCKET as u32)], &[is_not(2, SO_PEERPIDFD)]];
/// Of asm-generic/socket.h.
const SO_PEERPIDFD: u32 = 77;

/// What serves a connection. Not SO_ATTACH_*, SO_PASSRIGHTS, TCP_ULP, TCP_REPAIR and the rest.
const SETSOCKOPT: Rule = &[
    &option(libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    &option(libc::SOL_SOCKET, libc::SO_RCVTIMEO),
    &option(libc::SOL_SOCKET, libc::SO_SNDTIMEO),
    &option(libc::SOL_SOCKET, libc::SO_LINGER),
    &option(libc::SOL_SOCKET, libc::SO_RCVBUF),
    &option(libc::SOL_SOCKET, libc::SO_SNDBUF),
    &option(libc::SOL_SOCKET, libc::SO_REUSEADDR),
    &option(libc::IPPROTO_TCP, libc::TCP_NODELAY),
    &option(libc::IPPROTO_TCP, libc::TCP_CORK),
    &option(libc::IPPROTO_TCP, libc::TCP_QUICKACK),
    &option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
    &option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
    &option(libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
];

/// What clients, servers and resolvers set beyond that: glibc's and other resolvers fail without RECVERR.
const SETSOCKOPT_INTERNET: Rule = &[
    &option(libc::SOL_SOCKET, libc::SO_BROADCAST),
    &option(libc::SOL_SOCKET, libc::SO_REUSEPORT),
    &option(libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    &option(libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
    &option(libc::IPPROTO_IP, libc::IP_RECVERR),
    &option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    &option(libc::IPPROTO_IP, libc::IP_TOS),
    &option(libc::IPPROTO_IP, libc::IP_PKTINFO),
    &option(libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT),
    &option(libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    &option(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    &option(libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    &option(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    &option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
];

/// A network group can send to any address that the network namespace and Landlock leave it.
const SENDTO: Rule = &[&[clear(3, FASTOPEN)]];

/// Kind of socket without its SOCK_CLOEXEC and SOCK_NONBLOCK.
const fn kind(value: c_int) -> Condition {
    bits(1, 0xf, value as u32)
}

const SOCKET_TCP: Rule = &[
    &[is(0, libc::AF_INET as u32), kind(libc::SOCK_STREAM), is(2, 0)],
    &[is(0, libc::AF_INET as u32), kind(libc::SOCK_STREAM), is(2, libc::IPPROTO_TCP as u32)],
    &[is(0, libc::AF_INET6 as u32), kind(libc::SOCK_STREAM), is(2, 0)],
    &[is(0, libc::AF_INET6 as u32), kind(libc::SOCK_STREAM), is(2, libc::IPPROTO_TCP as u32)],
];

/// No MPTCP, SCTP or raw sockets: Landlock's port rules do not hold them.
const SOCKET_INTERNET: Rule = &[
    &[is(0, libc::AF_INET as u32), kind(libc::SOCK_STREAM), is(2, 0)],
    &[is(0, libc::AF_INET as u32), kind(libc::SOCK_STREAM), is(2, libc::IPPROTO_TCP as u32)],
    &[is(0, libc::AF_INET as u32), kind(libc::SOCK_DGRAM), is(2, 0)],
    &[is(0, libc::AF_INET as u32), kind(libc::SOCK_DGRAM), is(2, libc::IPPROTO_UDP as u32)],
    &[is(0, libc::AF_INET6 as u32), kind(libc::SOCK_STREAM), is(2, 0)],
    &[is(0, libc::AF_INET6 as u32), kind(libc::SOCK_STREAM), is(2, libc::IPPROTO_TCP as u32)],
    &[is(0, libc::AF_INET6 as u32), kind(libc::SOCK_DGRAM), is(2, 0)],
    &[is(0, libc::AF_INET6 as u32), kind(libc::SOCK_DGRAM), is(2, libc::IPPROTO_UDP as u32)],
];

/// getaddrinfo(3) asks the kernel which addresses this network namespace has.
const SOCKET_ROUTE: Rule = &[&[is(0, libc::AF_NETLINK as u32), is(2, libc::NETLINK_ROUTE as u32)]];

const SOCKET_UNIX: Rule = &[&[is(0, libc::AF_UNIX as u32)]];

/// Not the datagram kind: sendmsg(2) sends from one to any socket with a name, which is behind a pointer. The others
/// speak to their other half only, see unix_seqpacket_sendmsg and unix_stream_sendmsg in net/unix/af_unix.c.
const SOCKETPAIR: Rule = &[
    &[is(0, libc::AF_UNIX as u32), kind(libc::SOCK_STREAM)],
    &[is(0, libc::AF_UNIX as u32), kind(libc::SOCK_SEQPACKET)],
];

/// The families that ordinary software uses. The others are large, seldom looked at, and some (AF_VSOCK) pass by
/// the network namespace. MPTCP (262) and SMC (256) speak TCP past Landlock's port rules.
const SOCKET_ALL: Rule = &[
    &[is(0, libc::AF_UNIX as u32)],
    &[is(0, libc::AF_INET as u32), is_not(2, 262), is_not(2, 256)],
    &[is(0, libc::AF_INET6 as u32), is_not(2, 262), is_not(2, 256)],
    &[is(0, libc::AF_NETLINK as u32)],
];

/// `resolve`: DNS and getaddrinfo(3).
pub(super) const RESOLVE: &[(&str, Rule)] = &[
    ("socket", SOCKET_INTERNET),
    ("socket", SOCKET_ROUTE),
    ("sendto", SENDTO),
    ("setsockopt", SETSOCKOPT),
    ("setsockopt", SETSOCKOPT_INTERNET),
];

/// `tcp-client`: what a forwarded peer needs, and no more.
pub(super) const TCP: &[(&str, Rule)] =
    &[("socket", SOCKET_TCP), ("setsockopt", SETSOCKOPT), ("setsockopt", SETSOCKOPT_INTERNET)];

/// `network-client` and `network-server`.
pub(super) const INTERNET: &[(&str, Rule)] =
    &[("socket", SOCKET_INTERNET), ("sendto", SENDTO), ("setsockopt", SETSOCKOPT), ("setsockopt", SETSOCKOPT_INTERNET)];

/// `unix-client`: syslog, nscd, milters and databases on a path.
pub(super) const UNIX: &[(&str, Rule)] = &[("socket", SOCKET_UNIX), ("socketpair", SOCKET_UNIX), ("sendto", SENDTO)];

/// systemd's `@network-io`: all of the above.
pub(super) const NETWORK_IO: &[(&str, Rule)] = &[
    ("socket", SOCKET_INTERNET),
    ("socket", SOCKET_ROUTE),
    ("socket", SOCKET_UNIX),
    ("socketpair", SOCKET_UNIX),
    ("sendto", SENDTO),
    ("setsockopt", SETSOCKOPT),
    ("setsockopt", SETSOCKOPT_INTERNET),
];
