// SPDX-License-Identifier: Apache-2.0
//! From an address to a listening socket, with the name, mode and owner it should have.
//! A name in the file system is only taken over from a socket that nobody listens on.

use super::client::keep_alive;
use super::connection::refuse_descriptors;
use super::listener::Listener;
use crate::host::{HostError, errno_text};
use crate::plan::model::Listen;
use crate::plan::request::Transport;
use crate::policy::address::{Address, UnixAddress};
use crate::sys::errno;
use nix::errno::Errno;
use nix::sys::stat::umask;
use nix::unistd::{Group, User};
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with, sockopt};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A listener and where it is reached.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub listener: Listener,
    /// In the words of the command line.
    pub address: String,
    /// A port, or a path: what `--print-port` prints.
    pub port: String,
    /// A command that connects to it.
    pub example: String,
}

impl Address {
    /// Opens, binds and listens, as this says; its addresses are not looked at.
    pub fn listen(&self, how: &Listen) -> Result<Bound, HostError> {
        let listener = match self {
            Address::Tcp(address) => listen_tcp(*address, how),
            Address::Unix(address) => listen_unix(address, how),
            Address::Abstract(name) => listen_abstract(name, how),
        }?;
        Bound::of(listener.at(self.clone()), self)
    }
}

impl Bound {
    /// What listens at this address already; of a port of the kernel's choice it is asked.
    pub(super) fn of(listener: Listener, address: &Address) -> Result<Bound, HostError> {
        let (address, port, example) = match address {
            Address::Tcp(address) => {
                let failed = |error: rustix::io::Errno| HostError::new(format!("ask where {address} is"), errno(error));
                let bound = rustix::net::getsockname(&listener).map_err(failed)?;
                let bound = SocketAddr::try_from(bound).map_err(failed)?;
                let host = match (bound.ip().is_unspecified(), bound.is_ipv4()) {
                    (true, true) => "127.0.0.1".to_string(),
                    (true, false) => "::1".to_string(),
                    (false, _) => bound.ip().to_string(),
                };
                (bound.to_string(), bound.port().to_string(), format!("nc {host} {}", bound.port()))
            }
            Address::Unix(UnixAddress { path, .. }) => {
                let path = path.display().to_string();
                (format!("unix:{path}"), path.clone(), format!("nc -U {path}"))
            }
            Address::Abstract(name) => {
                (format!("unix:@{name}"), format!("@{name}"), format!("socat - ABSTRACT-CONNECT:{name}"))
            }
        };
        Ok(Bound { listener, address, port, example })
    }
}

fn listen_tcp(address: SocketAddr, how: &Listen) -> Result<Listener, HostError> {
    let doing = || format!("listen on {address}");
    let failed = |error: rustix::io::Errno| HostError::new(doing(), errno(error));
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, FLAGS, None).map_err(failed)?;
    sockopt::set_socket_reuseaddr(&socket, true).map_err(failed)?;
    if address.is_ipv6() {
        // [::] and 0.0.0.0 are two addresses here, and both can be given.
        sockopt::set_ipv6_v6only(&socket, true).map_err(failed)?;
    }
    if how.reuse_port {
        sockopt::set_socket_reuseport(&socket, true).map_err(failed)?;
    }
    // Whatever it accepts has it from here.
    keep_alive(&socket).map_err(|errno| HostError::new(doing(), errno))?;
    // A port that others listen on is refused by either call, see tcp(7) on SO_REUSEADDR.
    let bound = rustix::net::bind(&socket, &address).and_then(|()| rustix::net::listen(&socket, how.backlog));
    bound.map_err(|error| match (way_out(error, address), failed(error)) {
        (Some(way_out), failed) => HostError { why: format!("{}; {way_out}", failed.why), ..failed },
        (None, failed) => failed,
    })?;
    Ok(Listener::new(socket, Transport::Tcp))
}

/// What an operator can do about an address that cannot be had.
fn way_out(error: rustix::io::Errno, address: SocketAddr) -> Option<String> {
    let port = address.port();
    match error {
        rustix::io::Errno::ADDRINUSE => Some(format!("ss -ltnp sport = :{port} says by whom")),
        rustix::io::Errno::ADDRNOTAVAIL => Some("no interface of this host has that address".to_string()),
        rustix::io::Errno::ACCESS => Some(format!(
            "port {port} needs root, CAP_NET_BIND_SERVICE, or a lower net.ipv4.ip_unprivileged_port_start"
        )),
        _ => None,
    }
}

fn listen_abstract(name: &str, how: &Listen) -> Result<Listener, HostError> {
    let failed = |error: rustix::io::Errno| HostError::new(format!("listen on unix:@{name}"), errno(error));
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(failed)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None).map_err(failed)?;
    rustix::net::bind(&socket, &address).map_err(failed)?;
    refuse_descriptors(socket.as_fd())?;
    rustix::net::listen(&socket, how.backlog).map_err(failed)?;
    Ok(Listener::new(socket, Transport::Unix))
}

fn listen_unix(address: &UnixAddress, how: &Listen) -> Result<Listener, HostError> {
    let path = &address.path;
    let failed = |error: rustix::io::Errno| HostError::new(format!("listen on {}", path.display()), errno(error));
    let owner = owner(address)?;
    let name = SocketAddrUnix::new(path).map_err(failed)?;
    make_way(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None).map_err(failed)?;
    // On the socket, since the name could be another file by the time of a chmod; bind(2) takes the mode over, less the
    // umask: see unix_bind_bsd in net/unix/af_unix.c.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(address.mode)).map_err(failed)?;
    let before = umask(nix::sys::stat::Mode::empty());
    let bound = rustix::net::bind(&socket, &name);
    umask(before);
    bound.map_err(failed)?;
    let listener = Listener::with_file(socket, path.clone());
    if owner != (None, None) {
        give(path, owner)?;
    }
    refuse_descriptors(listener.as_fd())?;
    // Nobody can connect before this, so nobody has who would not be let in now.
    rustix::net::listen(&listener, how.backlog).map_err(failed)?;
    Ok(listener)
}

/// Gives the socket its owner. By a descriptor that was looked at: whoever may write in the directory could have put
/// another file in its place, and have that given away.
fn give(path: &Path, (uid, gid): Owner) -> Result<OwnedFd, HostError> {
    use rustix::fs::{AtFlags, CWD, FileType, Gid, OFlags, Uid};
    let failed = |error: rustix::io::Errno| HostError::new(format!("give {} its owner", path.display()), errno(error));
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&found).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket || stat.st_nlink != 1 {
        return Err(HostError {
            doing: format!("give {} its owner", path.display()),
            why: "somebody has put another file in its place".into(),
        });
    }
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    rustix::fs::chownat(&found, "", uid, gid, AtFlags::EMPTY_PATH).map_err(failed)?;
    Ok(found)
}

/// Makes a listener of the same place as another plan has it: its queue, and, of a name, mode and owner.
pub(super) fn adjust(listener: &mut Listener, address: &Address, how: &Listen) -> Result<(), HostError> {
    let failed = |error: rustix::io::Errno| HostError::new(format!("listen on {address}"), errno(error));
    // Said again, it changes the length of the queue and nothing else, see inet_listen() in net/ipv4/af_inet.c.
    rustix::net::listen(&*listener, how.backlog).map_err(failed)?;
    if listener.address() == Some(address) {
        return Ok(());
    }
    if let Address::Unix(unix) = address {
        let (uid, gid) = owner(unix)?;
        let own =
            (uid.or(Some(rustix::process::geteuid().as_raw())), gid.or(Some(rustix::process::getegid().as_raw())));
        // Whoever is let in no longer is kept out first.
        let found = give(&unix.path, own)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(unix.mode);
        std::fs::set_permissions(format!("/proc/self/fd/{}", found.as_raw_fd()), mode).map_err(|error| {
            HostError::new(
                format!("set the mode of {}", unix.path.display()),
                Errno::from_raw(error.raw_os_error().unwrap_or(0)),
            )
        })?;
    }
    listener.move_to(address.clone());
    Ok(())
}

/// Removes a socket of that name that nobody listens on.
fn make_way(path: &Path) -> Result<(), HostError> {
    let refused = |why: &str| HostError { doing: format!("listen on {}", path.display()), why: why.to_string() };
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(refused("a file that is no socket has that name"));
    }
    let asked = || {
        let name = SocketAddrUnix::new(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        rustix::net::connect(&socket, &name)
    };
    match asked() {
        // Without room in its queue it would have to be waited for.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Err(refused("another program listens there")),
        Err(rustix::io::Errno::CONNREFUSED) => {
            std::fs::remove_file(path).map_err(|error| refused(&format!("a dead socket of that name stays: {error}")))
        }
        Err(error) => {
            let why = errno_text(errno(error));
            Err(refused(&format!("a socket of that name is there, and does not answer: {why}")))
        }
    }
}

type Owner = (Option<u32>, Option<u32>);

/// The ids that the names stand for.
fn owner(address: &UnixAddress) -> Result<Owner, HostError> {
    let unknown = |kind: &str, name: &str| HostError {
        doing: format!("give {} its {kind}", address.path.display()),
        why: format!("there is no {kind} `{name}`"),
    };
    let failed = |errno| HostError::new("look up the owner of the socket", errno);
    let uid = match &address.user {
        None => None,
        Some(name) => Some(match name.parse() {
            Ok(uid) => uid,
            Err(_) => User::from_name(name).map_err(failed)?.ok_or_else(|| unknown("user", name))?.uid.as_raw(),
        }),
    };
    let gid = match &address.group {
        None => None,
        Some(name) => Some(match name.parse() {
            Ok(gid) => gid,
            Err(_) => Group::from_name(name).map_err(failed)?.ok_or_else(|| unknown("group", name))?.gid.as_raw(),
        }),
    };
    Ok((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::Arrival;
    use std::os::unix::net::UnixStream;

    fn unix(path: &Path) -> Address {
        format!("unix:{}", path.display()).parse().unwrap()
    }

    fn room(name: &str) -> std::path::PathBuf {
        let room = std::env::temp_dir().join(format!("spawnbox-socket-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&room).unwrap();
        room
    }

    #[test]
    fn a_name_that_is_in_use_is_not_taken_over() {
        let room = room("taken");
        let file = room.join("file");
        std::fs::write(&file, "precious").unwrap();
        let error = unix(&file).listen(&Listen::NOWHERE).err().unwrap().to_string();
        assert_eq!(error, format!("cannot listen on {}: a file that is no socket has that name", file.display()));
        let socket = room.join("socket");
        let first = unix(&socket).listen(&Listen::NOWHERE).unwrap();
        let error = unix(&socket).listen(&Listen::NOWHERE).err().unwrap().to_string();
        assert_eq!(error, format!("cannot listen on {}: another program listens there", socket.display()));
        drop(first);
        assert!(!socket.exists());
        std::fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_foreign_one_left() {
        let room = room("dead");
        let path = room.join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let bound = unix(&path).listen(&Listen::NOWHERE).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        std::fs::remove_file(&path).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists(), "the name of another program's socket was removed");
        std::fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn a_socket_is_its_owners_alone_unless_more_is_asked_for() {
        use std::os::unix::fs::PermissionsExt;
        let room = room("mode");
        let path = room.join("socket");
        let _bound = unix(&path).listen(&Listen::NOWHERE).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn a_listener_with_a_full_queue_is_not_waited_for() {
        let room = room("full");
        let path = room.join("socket");
        let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None).unwrap();
        let (name, listener) = (SocketAddrUnix::new(&path).unwrap(), socket());
        rustix::net::bind(&listener, &name).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let waiting = socket();
        rustix::net::connect(&waiting, &name).unwrap();
        let error = unix(&path).listen(&Listen::NOWHERE).err().unwrap().to_string();
        assert!(error.ends_with("another program listens there"), "{error}");
        std::fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn only_a_socket_is_given_away() {
        let room = room("give");
        let (file, socket) = (room.join("file"), room.join("socket"));
        std::fs::write(&file, "").unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&socket, room.join("link")).unwrap();
        let own = (Some(nix::unistd::geteuid().as_raw()), None);
        for name in ["file", "link"] {
            let error = give(&room.join(name), own).unwrap_err();
            assert_eq!(error.why, "somebody has put another file in its place", "{name}");
        }
        assert!(give(&socket, own).is_ok());
        std::fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn an_unknown_owner_is_named() {
        let error = "unix:/tmp/x,user=no-such-user".parse::<Address>().unwrap().listen(&Listen::NOWHERE).err().unwrap();
        assert_eq!(error.to_string(), "cannot give /tmp/x its user: there is no user `no-such-user`");
    }

    #[test]
    fn a_port_of_the_kernels_choice_is_told() {
        let bound = "127.0.0.1:0".parse::<Address>().unwrap().listen(&Listen::NOWHERE).unwrap();
        assert_eq!(bound.example, format!("nc 127.0.0.1 {}", bound.port));
        let taken = bound.address.parse::<Address>().unwrap().listen(&Listen::NOWHERE).err().unwrap().to_string();
        let by_whom = format!("ss -ltnp sport = :{} says by whom", bound.port);
        assert_eq!(taken, format!("cannot listen on {}: Address already in use; {by_whom}", bound.address));
    }

    #[test]
    fn a_client_who_waited_is_missed_too_when_it_is_gone() {
        let bound = "127.0.0.1:0".parse::<Address>().unwrap().listen(&Listen::NOWHERE).unwrap();
        let _client = std::net::TcpStream::connect(&bound.address).unwrap();
        let arrival = bound.listener.accept().unwrap().unwrap();
        let Arrival::Client(connection, _) = arrival else { panic!("{arrival:?}") };
        assert!(sockopt::socket_keepalive(&connection).unwrap());
    }

    #[test]
    fn an_address_that_is_nobodys_is_told_with_a_way_out() {
        let error = "192.0.2.1:0".parse::<Address>().unwrap().listen(&Listen::NOWHERE).unwrap_err().to_string();
        assert!(error.ends_with("; no interface of this host has that address"), "{error}");
        let privileged = way_out(rustix::io::Errno::ACCESS, "127.0.0.1:25".parse().unwrap()).unwrap();
        assert!(privileged.starts_with("port 25 needs root, CAP_NET_BIND_SERVICE"), "{privileged}");
    }

    #[test]
    fn a_port_is_shared_by_those_who_all_say_so() {
        let shared = Listen { reuse_port: true, ..Listen::NOWHERE };
        let first = "127.0.0.1:0".parse::<Address>().unwrap().listen(&shared).unwrap();
        let address: Address = first.address.parse().unwrap();
        assert!(address.listen(&Listen::NOWHERE).is_err());
        assert!(address.listen(&shared).is_ok());
    }

    #[test]
    fn an_abstract_name_is_taken_once_and_leaves_no_file() {
        let address: Address = format!("unix:@spawnbox-socket-{}", std::process::id()).parse().unwrap();
        let bound = address.listen(&Listen::NOWHERE).unwrap();
        assert_eq!((bound.address.as_str(), bound.port.starts_with('@')), (address.to_string().as_str(), true));
        let error = address.listen(&Listen::NOWHERE).unwrap_err().to_string();
        assert_eq!(error, format!("cannot listen on {address}: Address already in use"));
    }
}
