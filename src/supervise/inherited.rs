// SPDX-License-Identifier: Apache-2.0
//! Listening sockets that were open before this program was: passed by a service manager, see sd_listen_fds(3), or kept
//! from a spawnbox before this one. Each has a name, which says for which service it is. A service that is to listen at
//! such a place takes the socket instead of opening one, and gives back what was passed when it goes: its clients wait.

use super::listener::Listener;
use crate::host::{HostError, errno_text};
use crate::plan::listen::transport;
use crate::policy::address::{Address, DEFAULT_MODE, UnixAddress};
use crate::sys::{errno, inherit};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, sockopt};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The number of the first one.
const FIRST: RawFd = 3;
/// More than anybody passes.
const MOST: usize = 10_000;
/// What stands before the name of a service whose own listener was kept, followed by a slash and a number. No service
/// has a slash in its name.
const KEPT: &str = "listen/";
/// The names of sockets that are no service's, but the supervisor's own, as they are for the program after this one.
pub(super) const CONTROL: &str = "desk/control";
pub(super) const METRICS: &str = "desk/metrics";
/// The name of those that have none, as sd_listen_fds_with_names(3) has it.
const UNNAMED: &str = "unknown";
/// How many bytes a name can have, see FileDescriptorName= in systemd.socket(5).
const LONGEST: usize = 255;

/// The sockets that no service has taken.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
    /// Every place that was passed, with the service that it is for; what is in here is never closed.
    passed: Vec<(String, Address)>,
    /// The program before this one still serves, and what was kept has its names until then.
    lent: bool,
}

#[derive(Debug)]
struct Socket {
    name: String,
    service: String,
    whose: Whose,
    address: Address,
    fd: OwnedFd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Who passed it has it too, and its name in the file system.
    Theirs,
    /// A spawnbox before this one opened it: its name goes with it.
    Ours,
}

/// The name under which a service's own listener is kept for the spawnbox after this one; none where systemd does not
/// take such a name. No other socket has it, as long as this one is open somewhere.
pub fn kept_name(service: &str, listener: impl AsFd) -> Option<String> {
    rustix::fs::fstat(listener).ok().and_then(|found| numbered(service, found.st_ino))
}

fn numbered(service: &str, number: u64) -> Option<String> {
    let name = format!("{KEPT}{service}/{number}");
    let fits = name.len() <= LONGEST && name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b':');
    fits.then_some(name)
}

impl Inherited {
    /// Takes all that there are, and says why some cannot be used. Once, before anything is opened.
    pub fn take() -> Result<(Inherited, Vec<HostError>), HostError> {
        let names = names(|name| std::env::var_os(name), std::process::id())?;
        let (mut inherited, mut unfit) = (Inherited::default(), Vec::new());
        for (number, name) in (FIRST..).zip(names) {
            let taken = inherit::adopt(number).map_err(errno_text).and_then(|fd| look(fd.as_fd()).map(|at| (fd, at)));
            match taken {
                Ok((fd, address)) => inherited.add(&name, fd, address),
                Err(why) => {
                    unfit.push(HostError { doing: format!("take the socket `{name}` (descriptor {number})"), why });
                }
            }
        }
        Ok((inherited, unfit))
    }

    fn add(&mut self, name: &str, fd: OwnedFd, mut address: Address) {
        let kept = name.strip_prefix(KEPT).and_then(|rest| rest.rsplit_once('/'));
        let (service, whose) = match kept {
            Some((service, _)) => (service, Whose::Ours),
            None if is_desk(name) => (name, Whose::Ours),
            None => (name, Whose::Theirs),
        };
        match (whose, &mut address) {
            (Whose::Theirs, _) => self.passed.push((service.to_string(), address.clone())),
            // Unlike any that is written, so that mode and owner are set to what the policy says by now.
            (Whose::Ours, Address::Unix(unix)) => unix.mode = 0,
            (Whose::Ours, Address::Tcp(_) | Address::Abstract(_)) => {}
        }
        self.sockets.push(Socket { name: name.to_string(), service: service.to_string(), whose, address, fd });
    }

    /// The same, all for this service.
    pub fn all_for(mut self, service: &str) -> Inherited {
        let of_services = self.sockets.iter_mut().filter(|socket| !is_desk(&socket.name));
        of_services.for_each(|socket| socket.service = service.to_string());
        self.passed.iter_mut().for_each(|(name, _)| *name = service.to_string());
        self
    }

    /// The same, with names that stay the other's until that serves no longer.
    pub fn lent(self) -> Inherited {
        Inherited { lent: true, ..self }
    }

    /// The program before this one serves no longer.
    pub(super) fn own(&mut self) {
        self.lent = false;
    }

    /// Every socket that no service has, with its name.
    pub(super) fn left(&self) -> Vec<(String, BorrowedFd<'_>)> {
        self.sockets.iter().map(|socket| (socket.name.clone(), socket.fd.as_fd())).collect()
    }

    /// The name under which a listener of a service is for the program after this one.
    pub(super) fn name(&self, service: &str, listener: &Listener) -> Option<String> {
        match self.is_passed(service, listener) {
            true => Some(service.to_string()).filter(|name| !name.contains(':')),
            false => kept_name(service, listener),
        }
    }

    /// Where each service was passed sockets. What was kept is not in it: the service's policy says where it listens.
    pub fn passed(&self) -> BTreeMap<String, Vec<Address>> {
        let mut places: BTreeMap<String, Vec<Address>> = BTreeMap::new();
        for (service, address) in &self.passed {
            places.entry(service.clone()).or_default().push(address.clone());
        }
        places
    }

    /// The names of what was kept and no service has taken.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        let names = self.sockets.iter().filter(|socket| socket.whose == Whose::Ours).map(|socket| socket.name.as_str());
        names.filter(|name| !is_desk(name))
    }

    /// Whether this listener of a service was passed.
    pub fn is_passed(&self, service: &str, listener: &Listener) -> bool {
        self.place(service, listener).is_some()
    }

    fn place(&self, service: &str, listener: &Listener) -> Option<&(String, Address)> {
        let own = listener.address()?;
        self.passed.iter().find(|(name, address)| name == service && own.is_same_place(address))
    }

    /// Takes a service's socket at this place.
    pub(super) fn claim(&mut self, service: &str, address: &Address) -> Option<Listener> {
        let is_it = |socket: &Socket| {
            socket.service == service && stands_for(&socket.address, address) && socket.has_its_name()
        };
        let at = self.sockets.iter().position(is_it)?;
        let mut listener = self.sockets.remove(at).listener();
        if self.lent {
            listener.leave_name();
        }
        Some(listener)
    }

    /// A service needs these no longer. What was not passed is closed.
    pub(super) fn give_back(&mut self, service: &str, listeners: impl IntoIterator<Item = Listener>) {
        for listener in listeners {
            if let Some((service, address)) = self.place(service, &listener).cloned() {
                let name = service.clone();
                self.sockets.push(Socket { name, service, whose: Whose::Theirs, address, fd: listener.into() });
            }
        }
    }

    /// Closes what was kept and no service has taken, but for these services, of which nothing is known now.
    pub(super) fn forget_kept(&mut self, unknown: &BTreeSet<String>) {
        if self.lent {
            return;
        }
        let is_left = |socket: &Socket| socket.whose == Whose::Theirs || unknown.contains(&socket.service);
        let (left, forgotten): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sockets).into_iter().partition(is_left);
        self.sockets = left;
        // With their names.
        forgotten.into_iter().map(Socket::listener).for_each(drop);
    }
}

fn is_desk(name: &str) -> bool {
    [CONTROL, METRICS].contains(&name)
}

impl Socket {
    /// Whether clients find it, if it is ours to see to that.
    fn has_its_name(&self) -> bool {
        match (self.whose, &self.address) {
            (Whose::Ours, Address::Unix(unix)) => unix.path.exists(),
            (Whose::Ours, Address::Tcp(_) | Address::Abstract(_)) | (Whose::Theirs, _) => true,
        }
    }

    fn listener(self) -> Listener {
        let listener = match (self.whose, &self.address) {
            (Whose::Ours, Address::Unix(unix)) => Listener::with_file(self.fd, unix.path.clone()),
            (Whose::Ours, Address::Tcp(_) | Address::Abstract(_)) | (Whose::Theirs, _) => {
                Listener::new(self.fd, transport(&self.address))
            }
        };
        listener.at(self.address)
    }
}

/// Whether a socket that listens at `there` is what `wanted` asks for.
fn stands_for(there: &Address, wanted: &Address) -> bool {
    match (there, wanted) {
        // The kernel has chosen before.
        (Address::Tcp(there), Address::Tcp(wanted)) if wanted.port() == 0 => there.ip() == wanted.ip(),
        (Address::Tcp(_) | Address::Unix(_) | Address::Abstract(_), _) => there.is_same_place(wanted),
    }
}

/// The names of what was passed to this process, in order.
fn names(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> Result<Vec<String>, HostError> {
    let refused = |why: String| HostError { doing: "take the sockets that were passed".into(), why };
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    let number = |name: &str, most: usize| {
        let Some(value) = text(name) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| *number <= most);
        number.map(Some).ok_or_else(|| refused(format!("{name} is `{value}`, which is no number up to {most}")))
    };
    // Those of another process, which has passed its environment on.
    if number("LISTEN_PID", i32::MAX as usize)? != Some(own as usize) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS", MOST)?.unwrap_or_default();
    let names: Vec<String> = match text("LISTEN_FDNAMES") {
        Some(names) if count > 0 => names.split(':').map(str::to_string).collect(),
        Some(_) | None => vec![UNNAMED.to_string(); count],
    };
    match names.len() == count {
        true => Ok(names),
        false => Err(refused(format!("LISTEN_FDS is {count}, and LISTEN_FDNAMES has {} names", names.len()))),
    }
}

/// Where a socket listens, made fit for the loop; or why no service can have it.
fn look(socket: BorrowedFd<'_>) -> Result<Address, String> {
    let failed = |error: rustix::io::Errno| errno_text(errno(error));
    if !super::connection::is_socket(socket) {
        return Err("it is no socket".into());
    }
    if sockopt::socket_type(socket).map_err(failed)? != SocketType::STREAM {
        return Err("it is no socket for streams; in its unit, ListenStream= makes one".into());
    }
    if !sockopt::socket_acceptconn(socket).map_err(failed)? {
        return Err("it does not listen; a connection, as of a unit with Accept=yes, is for `spawnbox run`".into());
    }
    let bound = rustix::net::getsockname(socket).map_err(failed)?;
    let address = match sockopt::socket_domain(socket).map_err(failed)? {
        AddressFamily::INET | AddressFamily::INET6 => SocketAddr::try_from(bound).map(Address::Tcp).map_err(failed)?,
        AddressFamily::UNIX => {
            super::connection::refuse_descriptors(socket).map_err(|error| error.to_string())?;
            named(&SocketAddrUnix::try_from(bound).map_err(failed)?)
        }
        _ => return Err("it is of no kind that is served: those are TCP and UNIX".into()),
    };
    // Another process may take a connection first; whoever else has the socket open, as systemd has, accepts nothing.
    rustix::io::ioctl_fionbio(socket, true).map_err(failed)?;
    Ok(address)
}

fn named(address: &SocketAddrUnix) -> Address {
    if let Some(name) = address.abstract_name() {
        return Address::Abstract(String::from_utf8_lossy(name).into_owned());
    }
    let path = PathBuf::from(OsString::from_vec(address.path_bytes().unwrap_or_default().to_vec()));
    // Who may connect is the business of whoever made it.
    Address::Unix(UnixAddress { path, mode: DEFAULT_MODE, user: None, group: None })
}

/// What must hold whatever stands in LISTEN_FDNAMES, and in LISTEN_FDS before its first line end.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(text: &str) {
    let (count, listed) = text.split_once('\n').unwrap_or((text, ""));
    let variables = [("LISTEN_PID", "7"), ("LISTEN_FDS", count), ("LISTEN_FDNAMES", listed)];
    let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    match names(variable, 7) {
        Ok(names) => {
            assert_eq!(Ok(names.len()), count.parse());
            assert!(names.is_empty() || names.join(":") == listed);
            names.iter().filter_map(|name| numbered(name, 1)).for_each(|kept| {
                assert!(kept.len() <= LONGEST && !kept.contains(':'), "{kept:?}");
            });
        }
        Err(error) => assert!(error.to_string().starts_with("cannot take the sockets that were passed: LISTEN_FD")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    fn read(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        names(variable, 7).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_passed_to_another_process_is_not_ours() {
        for variables in [&[][..], &[("LISTEN_FDS", "2")], &[("LISTEN_FDS", "2"), ("LISTEN_PID", "8")]] {
            assert_eq!(read(variables), Ok(vec![]), "{variables:?}");
        }
    }

    #[test]
    fn each_socket_has_its_name() {
        let ours = ("LISTEN_PID", "7");
        let names = |variables: &[(&str, &str)]| read(&[&[ours], variables].concat());
        assert_eq!(names(&[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "a:b")]).unwrap(), ["a", "b"]);
        assert_eq!(names(&[("LISTEN_FDS", "2")]).unwrap(), [UNNAMED, UNNAMED]);
        assert_eq!(names(&[("LISTEN_FDS", "0"), ("LISTEN_FDNAMES", "")]), Ok(vec![]));
        assert_eq!(names(&[]), Ok(vec![]));
    }

    #[test]
    fn wrong_variables_are_refused_in_words() {
        let table = [
            (["x", "7", "a"], "LISTEN_FDS is `x`, which is no number up to 10000"),
            (["-1", "7", "a"], "LISTEN_FDS is `-1`, which is no number up to 10000"),
            (["10001", "7", "a"], "LISTEN_FDS is `10001`, which is no number up to 10000"),
            (["1", "me", "a"], "LISTEN_PID is `me`, which is no number up to 2147483647"),
            (["2", "7", "a"], "LISTEN_FDS is 2, and LISTEN_FDNAMES has 1 names"),
            (["1", "7", "a:b"], "LISTEN_FDS is 1, and LISTEN_FDNAMES has 2 names"),
        ];
        for ([count, pid, listed], why) in table {
            let found = read(&[("LISTEN_FDS", count), ("LISTEN_PID", pid), ("LISTEN_FDNAMES", listed)]);
            assert_eq!(found, Err(format!("cannot take the sockets that were passed: {why}")));
        }
    }

    #[test]
    fn only_what_listens_for_streams_is_for_a_service() {
        let why = |fd: &dyn AsFd| look(fd.as_fd()).unwrap_err();
        assert_eq!(why(&std::fs::File::open("/dev/null").unwrap()), "it is no socket");
        assert!(why(&UnixDatagram::unbound().unwrap()).starts_with("it is no socket for streams"));
        assert!(why(&UnixStream::pair().unwrap().0).starts_with("it does not listen"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(look(listener.as_fd()).unwrap(), Address::Tcp(listener.local_addr().unwrap()));
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_was_passed_is_never_closed_and_what_was_kept_goes_when_nobody_wants_it() {
        let path = std::env::temp_dir().join(format!("spawnbox-inherited-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut inherited = Inherited::default();
        let mut add = |name: &str, fd: OwnedFd| {
            let address = look(fd.as_fd()).unwrap();
            inherited.add(name, fd, address.clone());
            address
        };
        let passed = add("web", TcpListener::bind("127.0.0.1:0").unwrap().into());
        let kept = add(&numbered("mail", 1).unwrap(), UnixListener::bind(&path).unwrap().into());
        assert_eq!(inherited.passed(), BTreeMap::from([("web".to_string(), vec![passed.clone()])]));

        assert!(inherited.claim("mail", &passed).is_none() && inherited.claim("web", &kept).is_none());
        let listener = inherited.claim("web", &"127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(inherited.claim("web", &passed).is_none());
        inherited.give_back("web", [listener]);
        let listener = inherited.claim("mail", &kept).unwrap();
        inherited.give_back("mail", [listener]);
        assert!(inherited.claim("mail", &kept).is_none() && !path.exists());

        add_kept(&mut inherited, &path);
        std::fs::rename(&path, path.with_extension("away")).unwrap();
        assert!(inherited.claim("mail", &kept).is_none(), "nobody would find it");
        std::fs::rename(path.with_extension("away"), &path).unwrap();
        inherited.forget_kept(&BTreeSet::from(["mail".to_string()]));
        assert!(path.exists());
        inherited.forget_kept(&BTreeSet::new());
        assert!(!path.exists());
        assert!(inherited.claim("web", &passed).is_some());
    }

    fn add_kept(inherited: &mut Inherited, path: &std::path::Path) {
        let fd = OwnedFd::from(UnixListener::bind(path).unwrap());
        let address = look(fd.as_fd()).unwrap();
        inherited.add(&numbered("mail", 2).unwrap(), fd, address);
    }

    #[test]
    fn a_name_that_systemd_does_not_take_is_not_kept() {
        assert_eq!(numbered("spf", 7).as_deref(), Some("listen/spf/7"));
        for service in ["a:b", "a\n", "ä", &"x".repeat(247)] {
            assert_eq!(numbered(service, 7), None, "{service}");
        }
    }
}
