// SPDX-License-Identifier: Apache-2.0
//! What of the host's network the filter's calls would reach if nothing but the namespace held them.
//! Two ways lead there: a socket made in the host's namespace, and the connection itself, which belongs to it.

use super::model::{Filter, NetworkMode, Relay, Verdict};
use super::request::Transport;
use nix::libc;

/// The ways out of one plan.
pub(super) struct Reach<'a> {
    filter: Option<&'a Filter>,
    /// Sockets that the command makes are the host's.
    host: bool,
    /// The connection is a TCP socket of the host, or may be one.
    tcp: bool,
}

impl<'a> Reach<'a> {
    pub(super) fn of(
        filter: Option<&'a Filter>,
        mode: NetworkMode,
        (transport, relay): (Transport, Option<&Relay>),
    ) -> Self {
        let tcp = match transport {
            // inetd and shells give `run` a socket as standard input.
            Transport::Tcp | Transport::Stdio => true,
            Transport::Unix => false,
        };
        // What a relay has, the command has not.
        let tcp = tcp && !relay.is_some_and(|relay| relay.connection);
        Reach { filter, host: mode == NetworkMode::Host, tcp }
    }

    /// What connect(2) reaches. The connection can be dissolved with AF_UNSPEC and connected anew.
    pub(super) fn connect(&self) -> Option<&'static str> {
        let connect = self.calls(libc::SYS_connect);
        if connect && self.host && self.makes(libc::SOCK_STREAM) {
            Some("connecting to any TCP port of the host's network")
        } else if connect && self.tcp {
            Some("turning the connection into one to any port of the host's network")
        } else {
            None
        }
    }

    /// What bind(2) reaches. A client that resets its connection leaves a socket that can be bound, if not listened on
    /// (Linux, `inet_bind` and `inet_listen`, net/ipv4/af_inet.c).
    pub(super) fn bind(&self) -> Option<&'static str> {
        let socket = self.host && self.makes(libc::SOCK_STREAM) || self.tcp;
        (self.calls(libc::SYS_bind) && socket).then_some("binding any TCP port of the host")
    }

    /// What listen(2) reaches.
    pub(super) fn listen(&self) -> Option<&'static str> {
        (self.calls(libc::SYS_listen) && self.serves()).then_some("listening on a TCP port of the host")
    }

    /// What a UDP socket reaches.
    pub(super) fn udp(&self) -> Option<&'static str> {
        (self.host && self.makes(libc::SOCK_DGRAM)).then_some("sending UDP to any port")
    }

    /// Sockets that Landlock's port rights do not know, such as SCTP.
    pub(super) fn other_protocols(&self) -> bool {
        self.host && self.internet(libc::SOCK_STREAM, libc::IPPROTO_SCTP)
    }

    /// A socket that could serve: one of the host's, or the connection once connect(2) has dissolved it; before that
    /// listen(2) fails with EINVAL (Linux, net/ipv4/af_inet.c).
    fn serves(&self) -> bool {
        self.host && self.makes(libc::SOCK_STREAM) || self.tcp && self.calls(libc::SYS_connect)
    }

    fn makes(&self, kind: libc::c_int) -> bool {
        self.internet(kind, 0)
    }

    fn internet(&self, kind: libc::c_int, protocol: libc::c_int) -> bool {
        let families = [libc::AF_INET, libc::AF_INET6];
        let flags = [0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK];
        let mut sockets = families.iter().flat_map(|family| flags.iter().map(move |flag| (*family, kind | flag)));
        sockets.any(|(family, kind)| {
            let [family, kind, protocol] = [family, kind, protocol].map(|value| value as u64);
            self.permits(libc::SYS_socket, &[family, kind, protocol, 0, 0, 0])
        })
    }

    fn calls(&self, call: libc::c_long) -> bool {
        match self.verdict(call) {
            Some(Verdict::Allow | Verdict::AllowIf(..)) => true,
            Some(Verdict::Deny(_)) => false,
            None => self.filter.is_none(),
        }
    }

    fn permits(&self, call: libc::c_long, arguments: &[u64; 6]) -> bool {
        self.filter.is_none_or(|filter| filter.permits(call, *arguments))
    }

    fn verdict(&self, call: libc::c_long) -> Option<&'a Verdict> {
        self.filter.and_then(|filter| filter.calls.get(&u32::try_from(call).ok()?))
    }
}

/// Whether the command can connect to a UNIX socket by its path, where it sees one and the user's rights reach.
pub(super) fn connects_by_path(filter: Option<&Filter>) -> bool {
    let Some(filter) = filter else { return true };
    let unix = libc::AF_UNIX as u64;
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].map(|kind| kind as u64);
    let made = kinds.into_iter().any(|kind| filter.permits(libc::SYS_socket, [unix, kind, 0, 0, 0, 0]));
    // One of a pair that takes datagrams sends to any address as well: `unix_dgram_sendmsg`, net/unix/af_unix.c.
    let paired = filter.permits(libc::SYS_socketpair, [unix, libc::SOCK_DGRAM as u64, 0, 0, 0, 0]);
    // With an address, which sendmsg(2) has behind a pointer that no filter follows.
    let calls = [libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_sendmmsg, libc::SYS_sendto];
    (made || paired) && calls.into_iter().any(|call| filter.permits(call, [0, 1, 1, 0, 1, 16]))
}

impl Filter {
    /// Whether a call with these arguments is made.
    pub(super) fn permits(&self, call: libc::c_long, arguments: [u64; 6]) -> bool {
        match u32::try_from(call).ok().and_then(|call| self.calls.get(&call)) {
            Some(Verdict::Allow) => true,
            Some(Verdict::AllowIf(alternatives, _)) => {
                alternatives.iter().any(|all| all.iter().all(|condition| condition.holds(arguments)))
            }
            Some(Verdict::Deny(_)) | None => false,
        }
    }
}
