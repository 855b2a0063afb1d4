// SPDX-License-Identifier: Apache-2.0
//! The steps of a session with a relay: a process stays in the host's network, the others go on into one of their own,
//! where each forwarded peer has a listener at its own address.
//!
//! The relay is made before the namespace is left, so it needs no descriptor of the host's namespace and no right to
//! join it, which an ordinary user has not. It takes the line's own steps for identity and rights, and a ruleset and a
//! filter of its own, and says so; only then does it receive the listeners, and later the connection, over a channel
//! that ends with the reaper and that the command's exec closes. What it could not do is the session's failure: no
//! command begins beside a relay that is not confined.

use super::{CORD, Line, Refused};
use crate::plan::Step;
use crate::plan::proofs::Station;
use crate::sandbox::relay::{self, CHANNEL};
use crate::sandbox::report::{self, Record, SetupError};
use crate::sys::clone::Side;
use crate::sys::socket::send_descriptors;
use crate::sys::{self, errno};
use nix::errno::Errno;
use nix::libc;
use rustix::fs::OFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// Above the numbers at which a reaper keeps its descriptors, so that none of them takes the channel's place.
const ABOVE: RawFd = 16;

/// The kernel takes a new address of IPv6 into use a moment later, in a worker of its own: `addrconf_dad_work`,
/// net/ipv6/addrconf.c. Two seconds of moments.
const ATTEMPTS: u32 = 2000;

/// What a relay takes of the line, as far as the plan has it.
const ITS_STEPS: [Step; 6] =
    [Step::Limits, Step::BoundingSet, Step::Securebits, Step::Rights, Step::NoNewPrivileges, Step::WriteExecute];

impl Line<'_> {
    /// Leaves the relay behind.
    pub(super) fn make_relay(&mut self) -> Result<(), Refused> {
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (near, far) = pair.map_err(|error| (0, errno(error)))?;
        let near = rustix::io::fcntl_dupfd_cloexec(&near, ABOVE).map_err(|error| (0, errno(error)))?;
        match sys::clone::clone_child().map_err(|errno| (1, errno))? {
            Side::Parent(relay) => {
                self.relay = Some((relay, near.into_raw_fd()));
                Ok(())
            }
            Side::Child => self.become_relay(&far),
        }
    }

    fn become_relay(&mut self, channel: &OwnedFd) -> ! {
        let mut channel = channel.as_raw_fd();
        let confined = self.confine_relay(&mut channel);
        if confined.is_ok() {
            self.prove(Station::Relay);
        }
        let listeners = confined.and_then(|()| {
            let prepared = self.prepared.relay.as_ref().ok_or(Errno::ENOENT);
            let taken = prepared.and_then(relay::take_listeners);
            taken.map_err(|errno| SetupError { step: Step::Relay, index: 8, errno })
        });
        // To the first process, whose failure it is. Where even this is refused, that one hears the channel's end.
        let said = match &listeners {
            Ok(_) => sys::process::write(channel, relay::READY),
            Err(error) => sys::process::write(channel, &Record::Setup(*error).encode()),
        };
        match (listeners, said, &mut self.prepared.relay, &self.test) {
            (Ok(listeners), Ok(_), Some(prepared), None) => relay::run(prepared, listeners),
            // No peer is to hear of it.
            (Ok(_listeners), Ok(_), Some(_), Some(_)) => relay::wait(),
            _ => sys::process::exit(super::FAILED),
        }
    }

    fn confine_relay(&mut self, channel: &mut RawFd) -> Result<(), SetupError> {
        for step in ITS_STEPS {
            let taken = match step {
                _ if !self.prepared.steps.contains(&step) => Ok(()),
                Step::Limits => self.limit_relay(),
                step => self.take(step),
            };
            taken.map_err(|(index, errno)| SetupError { step, index, errno })?;
        }
        self.enclose_relay(channel).map_err(|(index, errno)| SetupError { step: Step::Relay, index, errno })
    }

    /// Every process of the session is held to the policy's limits. Of descriptors it has what its own table takes: how
    /// many connections there can be is for the command's own limit to say.
    fn limit_relay(&self) -> Result<(), Refused> {
        super::each(self.prepared.limits.iter(), |&(resource, soft, hard)| match resource {
            libc::RLIMIT_NOFILE => Ok(()),
            resource => sys::process::set_limit(resource, soft, hard),
        })
    }

    /// Keeps the channel alone, under a ruleset and a filter of its own.
    fn enclose_relay(&mut self, channel: &mut RawFd) -> Result<(), Refused> {
        // Also without a PID namespace it ends with its reaper. Nobody was left to end it if that is gone already, but
        // the channel.
        sys::process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0).map_err(|errno| (2, errno))?;
        // A peer that is gone raises SIGPIPE in whoever writes to it. The end of its processor time ends it, and says
        // so.
        sys::signal::set_mask(!(1 << (libc::SIGXCPU - 1))).map_err(|errno| (3, errno))?;
        let Some(prepared) = &self.prepared.relay else { return Err((3, Errno::ENOENT)) };
        if let Some((ruleset, flags)) = &prepared.ruleset {
            // It asks for no_new_privs, which is a step of every plan.
            sys::lock::restrict_self(ruleset.as_fd(), *flags).map_err(|errno| (4, errno))?;
        }
        // Out of the way of both numbers.
        let cord = rustix::io::fcntl_dupfd_cloexec(sys::process::fixed(self.cord), ABOVE);
        let cord = cord.map_err(|e| (3, errno(e)))?.into_raw_fd();
        if *channel != CHANNEL {
            sys::process::duplicate_onto(*channel, CHANNEL, libc::O_CLOEXEC).map_err(|errno| (3, errno))?;
            *channel = CHANNEL;
        }
        // Its filter lets it write to this number: that of /dev/null, where nothing is to be proven.
        let cord = if self.test.is_some() { cord } else { 0 };
        sys::process::duplicate_onto(cord, CORD, libc::O_CLOEXEC).map_err(|errno| (3, errno))?;
        self.cord = CORD;
        sys::process::close_from(CHANNEL + 1).map_err(|errno| (3, errno))?;
        let Some(prepared) = &self.prepared.relay else { return Err((3, Errno::ENOENT)) };
        let most = prepared.open_files;
        sys::process::set_limit(libc::RLIMIT_NOFILE, most, most).map_err(|errno| (6, errno))?;
        sys::lock::install_filter(&prepared.filter).map_err(|errno| (5, errno))
    }

    /// Makes the network namespace, and in it a listener for each peer.
    pub(super) fn enter_network(&mut self) -> Result<(), Refused> {
        let (Some(prepared), Some((_, channel))) = (&self.prepared.relay, self.relay) else {
            return Err((0, Errno::ENOENT));
        };
        sys::mount::unshare(libc::CLONE_NEWNET).map_err(|errno| (0, errno))?;
        super::raise_loopback().map_err(|errno| (1, errno))?;
        for (index, peer) in prepared.addresses.iter().enumerate() {
            let item = 2 + 2 * index as u16;
            if !peer.ip().is_loopback() {
                add_address(peer, index as u8).map_err(|errno| (item, errno))?;
            }
            let listener = match index < prepared.datagrams {
                true => bind(sys::relay::datagram(sys::relay::Family::of(peer)), peer),
                false => bind(sys::relay::stream(sys::relay::Family::of(peer)), peer).and_then(listen),
            };
            let listener = listener.map_err(|errno| (item + 1, errno))?;
            match send_descriptors(sys::process::fixed(channel), relay::LISTENER, &[listener.as_fd()]) {
                // It is gone, and has said why.
                Err(Errno::EPIPE | Errno::ECONNRESET) => break,
                sent => sent.map_err(|errno| (item + 1, errno))?,
            }
        }
        match hear_relay(channel) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }

    /// Gives the relay what the command would have as its connection, and the command the other end of a pair. What is
    /// no socket, or one of UNIX, is of no network and stays: `run` may be given anything.
    pub(super) fn exchange_connection(&mut self) -> Result<(), Refused> {
        let Some((_, channel)) = self.relay else { return Err((4, Errno::ENOENT)) };
        let mut inodes = [None; 3];
        for (slot, descriptor) in inodes.iter_mut().zip(&self.stdio) {
            *slot = match descriptor {
                Some(descriptor) => of_a_network(descriptor.as_fd()).map_err(|errno| (0, errno))?,
                None => None,
            };
        }
        let [input, output, error] = inodes;
        let Some(connection) = input.or(output).or(error) else { return Ok(()) };
        // One relay, one connection: two of them, or one that is not the input, is nobody's use of a sandbox.
        if input.is_none() || [output, error].into_iter().flatten().any(|other| other != connection) {
            return Err((1, Errno::EXDEV));
        }
        let Some(given) = self.stdio[0].take() else { return Err((1, Errno::EXDEV)) };
        rustix::fs::fcntl_setfl(&given, OFlags::RDWR | OFlags::NONBLOCK).map_err(|e| (2, errno(e)))?;
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (near, far) = pair.map_err(|e| (3, errno(e)))?;
        rustix::fs::fcntl_setfl(&far, OFlags::RDWR | OFlags::NONBLOCK).map_err(|e| (2, errno(e)))?;
        send_descriptors(sys::process::fixed(channel), relay::CONNECTION, &[far.as_fd(), given.as_fd()])
            .map_err(|errno| (4, errno))?;
        for (descriptor, inode) in self.stdio.iter_mut().zip(inodes) {
            if inode.is_some() {
                // Where there is none, it is the input.
                *descriptor = None;
            }
        }
        self.stdio[0] = Some(near);
        Ok(())
    }
}

/// Hears that the relay is confined, or what it could not do. Not before all else is there, because it confines itself
/// meanwhile; and before anything of the command's is.
fn hear_relay(channel: RawFd) -> Result<(), SetupError> {
    let (mut word, channel) = ([0; report::LENGTH], sys::process::fixed(channel));
    let mut heard = sys::socket::receive(channel, &mut word);
    if heard == Err(Errno::ECONNRESET) {
        // It ended with a listener unread, which the kernel says before it gives out what was sent: see
        // `Cord::receive`.
        heard = sys::socket::receive(channel, &mut word);
    }
    let silent = |errno| SetupError { step: Step::Relay, index: 7, errno };
    match heard.map(|length| &word[..length]) {
        Ok(relay::READY) => Ok(()),
        // Else it ended, or was ended, without a word.
        Ok(word) => match Record::decode(word) {
            Some(Record::Setup(error)) => Err(error),
            Some(Record::Status(_) | Record::Proof(_) | Record::Relay(_) | Record::Taken) | None => {
                Err(silent(Errno::ECHILD))
            }
        },
        Err(errno) => Err(silent(errno)),
    }
}

/// The inode of a socket that belongs to a network, `None` for anything else.
fn of_a_network(descriptor: BorrowedFd<'_>) -> Result<Option<u64>, Errno> {
    match rustix::net::sockopt::socket_domain(descriptor) {
        Ok(AddressFamily::UNIX) | Err(rustix::io::Errno::NOTSOCK) => Ok(None),
        Ok(_) => rustix::fs::fstat(descriptor).map(|stat| Some(stat.st_ino)).map_err(errno),
        Err(error) => Err(errno(error)),
    }
}

/// The kernel makes 127.0.0.0/8 and `::1` addresses of a loopback interface; any other it has to be given.
fn add_address(peer: &SocketAddr, index: u8) -> Result<(), Errno> {
    let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).map_err(errno)?;
    match sys::relay::add_address(socket.as_fd(), peer, index) {
        // Another peer at the same address.
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

fn bind(socket: Result<OwnedFd, Errno>, peer: &SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket?;
    for _ in 0..ATTEMPTS {
        match rustix::net::bind(&socket, peer) {
            Ok(()) => return Ok(socket),
            Err(rustix::io::Errno::ADDRNOTAVAIL) => sys::relay::rest(),
            Err(error) => return Err(errno(error)),
        }
    }
    Err(Errno::EADDRNOTAVAIL)
}

fn listen(socket: OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::net::listen(&socket, relay::BACKLOG).map(|()| socket).map_err(errno)
}
