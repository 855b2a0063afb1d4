// SPDX-License-Identifier: Apache-2.0
//! A socket that clients connect to, and the name it may have in the file system.
//! Made by the fronts, and by a change of what is served; the loop accepts from it and drops it when it drains.

use super::admit::is_gone;
use super::client::{Client, keep_alive};
use super::passer::Passer;
use crate::plan::request::Transport;
use crate::policy::address::Address;
use crate::sys::errno;
use nix::errno::Errno;
use rustix::net::{SocketAddrUnix, SocketFlags, sockopt};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A listening socket. It must be non-blocking, since another process may take the connection first.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    transport: Transport,
    brings: Brings,
    /// It was told to keep connections alive, and whatever it accepts has been: `tcp_create_openreq_child`,
    /// net/ipv4/tcp_minisocks.c. Ours is told before it listens, and nobody tells it later: clients may wait there.
    keeps_alive: bool,
    /// Where it listens, if we have made it.
    address: Option<Address>,
    /// Removed at its end.
    file: Option<SocketFile>,
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    /// Clients.
    Clients,
    /// Daemons that hand clients over.
    Passers,
}

/// Who has connected.
#[derive(Debug)]
pub enum Arrival {
    /// A client. Its connection blocks, and is close-on-exec.
    Client(OwnedFd, Client),
    /// A daemon that will hand a client over.
    Passer(Passer),
    /// Somebody of whom the kernel did not say who it is; the connection is closed already.
    Nobody(Errno),
}

/// The name of a UNIX socket, removed when the listener is.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode when it was made: what somebody else has put there since is not removed.
    identity: Option<(u64, u64)>,
    /// A copy of the program that was forked from this one must not remove it.
    owner: u32,
}

impl Listener {
    /// A listener that somebody else made, and unlinks if need be.
    pub fn new(fd: OwnedFd, transport: Transport) -> Listener {
        let keeps_alive = transport == Transport::Tcp && sockopt::socket_keepalive(&fd).unwrap_or(false);
        Listener { fd, transport, brings: Brings::Clients, keeps_alive, address: None, file: None }
    }

    /// A UNIX listener of somebody else's on which clients are handed over.
    pub fn passing(fd: OwnedFd) -> Listener {
        Listener { brings: Brings::Passers, ..Listener::new(fd, Transport::Unix) }
    }

    /// A UNIX listener whose name goes when it goes.
    pub fn with_file(fd: OwnedFd, path: PathBuf) -> Listener {
        let identity = identity(&path);
        let file = SocketFile { path, identity, owner: std::process::id() };
        Listener { file: Some(file), ..Listener::new(fd, Transport::Unix) }
    }

    /// With the address that it was made for.
    pub(super) fn at(self, address: Address) -> Listener {
        Listener { address: Some(address), ..self }
    }

    /// Whether it is the one for this address, whatever mode and owner that has.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        // Of two ports that the kernel chose, each is as good as the other.
        self.address.as_ref().is_some_and(|own| own.is_same_place(address) || own == address)
    }

    /// It is for this address now.
    pub(super) fn move_to(&mut self, address: Address) {
        self.address = Some(address);
    }

    /// Its name stays when it goes: it is another program's.
    pub(super) fn leave_name(&mut self) {
        if let Some(file) = &mut self.file {
            file.identity = None;
        }
    }

    /// Its name is its own again.
    pub(super) fn own_name(&mut self) {
        if let Some(file) = &mut self.file {
            file.identity = identity(&file.path);
        }
    }

    /// The address that it was made for.
    pub(super) fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// Where it is, in the words of the command line, whoever has made it.
    pub(super) fn told(&self) -> String {
        let Ok(name) = rustix::net::getsockname(&self.fd) else { return "?".to_string() };
        if let Ok(address) = SocketAddr::try_from(name.clone()) {
            return address.to_string();
        }
        let text = match SocketAddrUnix::try_from(name) {
            Ok(name) => match (name.path(), name.abstract_name()) {
                (Some(path), _) => format!("unix:{}", String::from_utf8_lossy(path.to_bytes())),
                (None, Some(name)) => format!("unix:@{}", String::from_utf8_lossy(name)),
                (None, None) => "?".to_string(),
            },
            Err(_) => "?".to_string(),
        };
        crate::log::clean(&text)
    }

    /// Accepts one connection. None: whoever was there has left again, or another process was faster.
    pub fn accept(&self) -> Result<Option<Arrival>, Errno> {
        // Without SOCK_NONBLOCK the connection blocks, whatever the listener does: see accept(2).
        let flags = match self.brings {
            Brings::Clients => SocketFlags::CLOEXEC,
            Brings::Passers => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        };
        let accepted = rustix::net::acceptfrom_with(&self.fd, flags);
        let (connection, peer) = match accepted.map_err(errno) {
            Ok(accepted) => accepted,
            Err(errno) if is_gone(errno) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if self.brings == Brings::Passers {
            return Ok(Some(Arrival::Passer(Passer::new(connection))));
        }
        let client = match Client::ask(connection.as_fd(), peer) {
            Ok(client) => client,
            // A session without a client would have no line in the log.
            Err(errno) => return Ok(Some(Arrival::Nobody(errno))),
        };
        match self.transport {
            // A peer that has left already is the command's to notice.
            Transport::Tcp if !self.keeps_alive => drop(keep_alive(&connection)),
            Transport::Tcp | Transport::Unix | Transport::Stdio => {}
        }
        Ok(Some(Arrival::Client(connection, client)))
    }
}

/// Its name in the file system stays, also where that is ours.
impl From<Listener> for OwnedFd {
    fn from(mut listener: Listener) -> OwnedFd {
        listener.leave_name();
        listener.fd
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner == std::process::id() && self.identity.is_some() && identity(&self.path) == self.identity {
            // Nobody is left to be told.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &std::path::Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
