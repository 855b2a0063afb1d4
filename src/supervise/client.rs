// SPDX-License-Identifier: Apache-2.0
//! Who is at the other end of a connection, in our words: for the log, and for commands that ask for it.
//! Knows what the kernel says about the socket; never a byte that came over it.

use crate::plan::model::ClientNames;
use crate::sys::errno;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use rustix::net::SocketAddrAny;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A client of a proxy's, which has said who it is.
    Proxied {
        /// Its address.
        client: SocketAddr,
        /// The address that it has connected to.
        server: SocketAddr,
        /// The proxy.
        by: Box<Client>,
    },
    /// A process on this host, as it was when it connected.
    Unix {
        /// Its process id, 0 where it is in a PID namespace that is not below ours.
        pid: i32,
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
    },
    /// Whatever standard input is.
    Given,
}

impl Client {
    /// Asks the kernel. `peer` is what accept(2) said; without it, the socket is asked too.
    pub fn of(connection: BorrowedFd<'_>, peer: Option<SocketAddrAny>) -> Client {
        Client::ask(connection, peer).unwrap_or(Client::Given)
    }

    /// The same for what must be a connection: why the kernel does not say who is there.
    pub(super) fn ask(connection: BorrowedFd<'_>, peer: Option<SocketAddrAny>) -> Result<Client, Errno> {
        let peer = peer.or_else(|| rustix::net::getpeername(connection).ok().flatten());
        if let Some(address) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
            return Ok(Client::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port())));
        }
        let peer = getsockopt(&connection, sockopt::PeerCredentials)?;
        Ok(Client::Unix { pid: peer.pid(), uid: peer.uid(), gid: peer.gid() })
    }

    /// What is told to a command about its client, under these names: NUL-terminated strings.
    pub fn environment(&self, connection: BorrowedFd<'_>, names: ClientNames) -> Vec<u8> {
        let mut variables = Vec::new();
        let mut add = |name: &str, value: &dyn fmt::Display| variables.extend(format!("{name}={value}\0").into_bytes());
        match (self, names) {
            (Client::Tcp(remote) | Client::Proxied { client: remote, .. }, ClientNames::Tcpserver) => {
                // "TCP6" is what ucspi-tcp6 says.
                add("PROTO", if remote.is_ipv4() { &"TCP" } else { &"TCP6" });
                add("TCPREMOTEIP", &remote.ip());
                add("TCPREMOTEPORT", &remote.port());
                if let Some(local) = self.server(connection) {
                    add("TCPLOCALIP", &local.ip().to_canonical());
                    add("TCPLOCALPORT", &local.port());
                }
            }
            (Client::Tcp(remote) | Client::Proxied { client: remote, .. }, ClientNames::Xinetd) => {
                add("REMOTE_HOST", &remote.ip());
            }
            (Client::Tcp(remote) | Client::Proxied { client: remote, .. }, ClientNames::Systemd) => {
                add("REMOTE_ADDR", &remote.ip());
                add("REMOTE_PORT", &remote.port());
            }
            // The names of ucspi-unix: neither xinetd nor systemd has any.
            (Client::Unix { pid, uid, gid }, _) => {
                if names == ClientNames::Tcpserver {
                    add("PROTO", &"UNIX");
                }
                add("UNIXREMOTEPID", pid);
                add("UNIXREMOTEEUID", uid);
                add("UNIXREMOTEEGID", gid);
            }
            (Client::Given, _) => {}
        }
        variables
    }

    /// The address that the client has connected to.
    fn server(&self, connection: BorrowedFd<'_>) -> Option<SocketAddr> {
        match self {
            Client::Proxied { server, .. } => Some(*server),
            Client::Tcp(_) | Client::Unix { .. } | Client::Given => {
                rustix::net::getsockname(connection).ok().and_then(|local| SocketAddr::try_from(local).ok())
            }
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Tcp(address) => address.fmt(f),
            Client::Proxied { client, by, .. } => write!(f, "{client} proxy={by}"),
            Client::Unix { pid, uid, .. } => write!(f, "pid:{pid}/uid:{uid}"),
            Client::Given => f.write_str("stdin"),
        }
    }
}

/// Asks the kernel to notice a TCP peer that is gone for good, as Postfix does for every connection.
pub(super) fn keep_alive(connection: impl AsFd) -> Result<(), Errno> {
    rustix::net::sockopt::set_socket_keepalive(connection, true).map_err(errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_tcp_client_is_named_by_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let found = Client::of(accepted.as_fd(), None);
        let (remote, local) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(found.to_string(), remote.to_string());
        let environment = String::from_utf8(found.environment(accepted.as_fd(), ClientNames::Tcpserver)).unwrap();
        let expected = format!(
            "PROTO=TCP\0TCPREMOTEIP=127.0.0.1\0TCPREMOTEPORT={}\0TCPLOCALIP=127.0.0.1\0TCPLOCALPORT={}\0",
            remote.port(),
            local.port()
        );
        assert_eq!(environment, expected);
    }

    #[test]
    fn a_client_of_ipv4_on_a_socket_of_ipv6_is_one_of_ipv4() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let client = TcpStream::connect(("127.0.0.1", listener.local_addr().unwrap().port())).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        assert!(peer.is_ipv6());
        assert_eq!(Client::of(accepted.as_fd(), None), Client::Tcp(client.local_addr().unwrap()));
    }

    #[test]
    fn a_unix_client_is_named_by_its_credentials() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (pid, uid) = (std::process::id(), nix::unistd::geteuid());
        assert_eq!(Client::of(ours.as_fd(), None).to_string(), format!("pid:{pid}/uid:{uid}"));
    }

    #[test]
    fn each_has_its_names_and_a_unix_client_those_of_ucspi() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let tcp = Client::Tcp("[2001:db8::1]:7".parse().unwrap());
        let unix = Client::Unix { pid: 1, uid: 2, gid: 3 };
        let ids = "UNIXREMOTEPID=1\0UNIXREMOTEEUID=2\0UNIXREMOTEEGID=3\0";
        for (names, of_tcp, of_unix) in [
            (ClientNames::Xinetd, "REMOTE_HOST=2001:db8::1\0", ids.to_string()),
            (ClientNames::Systemd, "REMOTE_ADDR=2001:db8::1\0REMOTE_PORT=7\0", ids.to_string()),
            (
                ClientNames::Tcpserver,
                "PROTO=TCP6\0TCPREMOTEIP=2001:db8::1\0TCPREMOTEPORT=7\0",
                format!("PROTO=UNIX\0{ids}"),
            ),
        ] {
            assert_eq!(tcp.environment(null.as_fd(), names), of_tcp.as_bytes(), "{names:?}");
            assert_eq!(unix.environment(null.as_fd(), names), of_unix.as_bytes(), "{names:?}");
        }
    }

    #[test]
    fn what_is_no_socket_has_no_name() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let found = Client::of(null.as_fd(), None);
        assert_eq!(
            (found.to_string().as_str(), found.environment(null.as_fd(), ClientNames::Tcpserver).len()),
            ("stdin", 0)
        );
    }
}
