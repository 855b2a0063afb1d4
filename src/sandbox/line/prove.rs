// SPDX-License-Identifier: Apache-2.0
//! The self-test's part in the child: on the way of every session, but instead of the command, each layer is looked at.
//! Says what it saw up the cord, one record a proof, and judges nothing. Nothing here allocates, logs or looks up.

use super::Line;
use crate::plan::Step;
use crate::plan::proofs::{CANARIES, Item, Proof, Station};
use crate::policy::model::Namespace;
use crate::sandbox::report::{self, Record, Seen};
use crate::sandbox::witness::{self, ROOT_FLAGS, Witness};
use crate::sys;
use crate::sys::errno;
use nix::errno::Errno;
use nix::libc;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::cell::Cell;
use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd, RawFd};

/// Where proofs are made on the way: before the first step that is not before this one.
const STATIONS: [(Station, Step); 4] = [
    (Station::Made, Step::Landlock),
    (Station::Confined, Step::CloseFds),
    (Station::Command, Step::Handover),
    (Station::Filtered, Step::Exec),
];
/// No descriptor above it was ever open in a launcher.
const HIGHEST: RawFd = 1024;
/// Numbers that the proofs of the first process use meanwhile.
const BORROWED: [RawFd; 2] = [1, 2];
const PR_CAP_AMBIENT_IS_SET: u64 = 1;
/// `TMPFS_MAGIC` and `PROC_SUPER_MAGIC` of linux/magic.h.
const TMPFS: i64 = 0x0102_1994;
const PROC: i64 = 0x9fa0;
/// `ST_RDONLY` and what else [`ROOT_FLAGS`] has.
const FLAGS: u64 = ROOT_FLAGS;

/// How far a self-test is.
pub(super) struct Progress {
    next: usize,
    /// The edge of the Landlock domain was seen.
    in_a_domain: Cell<bool>,
    /// An abstract UNIX socket made before Landlock, to be reached for under it.
    outside: Option<OwnedFd>,
}

/// What a proof came to: whether it holds, or an errno that is no answer.
type Answer = Result<bool, Errno>;

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { next: 0, in_a_domain: Cell::new(false), outside: None }
    }

    /// Whether signals end at its Landlock domain: one ruleset handles them and abstract sockets, which were tried.
    pub(super) fn is_in_a_domain(&self) -> bool {
        self.in_a_domain.get()
    }
}

impl Line<'_> {
    /// Makes every proof whose place is before `step`. Does not come back from the last one.
    pub(super) fn prove_before(&mut self, step: Step) {
        while let Some(test) = &mut self.test
            && let Some((station, before)) = STATIONS.get(test.next)
            && *before <= step
        {
            test.next += 1;
            match station {
                Station::Made => {
                    // The policy's limit on open files may leave no room; these are /dev/null still.
                    BORROWED.iter().for_each(|&number| sys::process::close(number));
                    test.outside = listen_abstract(&self.prepared.witness.socket).ok();
                    self.prove(*station);
                }
                Station::Confined => {
                    self.prove(*station);
                    if let Some(test) = &mut self.test {
                        test.outside = None;
                    }
                    for number in BORROWED {
                        // If this is refused, they are no better than closed, and the step Stdio says so.
                        let _ = sys::process::duplicate_stdio(0, number);
                    }
                }
                Station::Filtered => {
                    self.prove(*station);
                    // Alive until whoever tests lets go, so that its end can be seen. Every filter has this call.
                    while sys::process::write(0, &[0; 64]).is_ok() {}
                    sys::process::exit(0)
                }
                Station::Command | Station::Reaper | Station::Relay | Station::Outside => self.prove(*station),
            }
        }
    }

    /// Makes the proofs of one station, in a self-test.
    pub(super) fn prove(&self, station: Station) {
        let Some(test) = &self.test else { return };
        for &item in self.prepared.witness.items.iter().filter(|item| item.proof.station() == station) {
            let value = match self.look(item, test) {
                Ok(true) => Seen::HOLDS,
                Ok(false) => Seen::DOES_NOT,
                Err(errno) => errno as i32,
            };
            let said = sys::process::write(self.cord, &Record::Proof(Seen { item, value }).encode());
            // A proof that is missing is as good as failed. Whoever tests hears the cord's end, and would wait in vain
            // for what is lost as long as this process lives.
            if said != Ok(report::LENGTH) {
                sys::process::exit(super::FAILED);
            }
        }
    }

    fn look(&self, Item { proof, index }: Item, test: &Progress) -> Answer {
        let witness = &self.prepared.witness;
        let index = usize::from(index);
        match proof {
            // The supervisor's to see.
            Proof::ControlGroup | Proof::Heard | Proof::Audited | Proof::Lifeline => Err(Errno::ENOSYS),
            Proof::Namespace => self.has_own_namespace(index),
            Proof::PidSetting => self.has_setting(index),
            Proof::Keyring => sys::lock::session_keyring().map(|own| Some(own) != witness.keyring && own > 0),
            Proof::Outside => refused(open_below(&self.prepared.proc, c"self/stat"), &[Errno::EACCES]),
            Proof::Scope => match &test.outside {
                Some(_) => {
                    let held = refused(connect_abstract(&witness.socket), &[Errno::EPERM]);
                    test.in_a_domain.set(held == Ok(true));
                    held
                }
                None => Err(Errno::ENOTCONN),
            },
            Proof::Domain => refused(sys::process::may_signal_parent(), &[Errno::EPERM]),
            Proof::Port => use_port(index, witness.port),
            Proof::Root => has_own_root(witness),
            Proof::Mount => {
                let Some((path, flags)) = witness.mounts.get(index) else { return Err(Errno::ENOENT) };
                has_flags(path, *flags)
            }
            Proof::Scratch => self.has_scratch(index),
            Proof::Proc => self.has_own_proc(),
            Proof::Identity => self.has_identity(index),
            Proof::Rights => self.has_no_rights(index),
            Proof::NoNewPrivileges => asked(libc::PR_GET_NO_NEW_PRIVS, 0, 0).map(|set| set == 1),
            Proof::Limit => {
                let Some(&(resource, soft, hard)) = self.prepared.limits.get(index) else { return Err(Errno::ENOENT) };
                sys::process::limit(resource).map(|limit| limit == (soft, hard))
            }
            Proof::WriteExecute => {
                let told = asked(libc::PR_GET_MDWE, 0, 0)? & 1 == 1;
                refused(sys::probe::map_writable_executable(), &[Errno::EACCES]).map(|denied| denied && told)
            }
            Proof::Nesting => refused(sys::mount::unshare(libc::CLONE_NEWUSER), &[Errno::ENOSPC, Errno::EPERM]),
            Proof::Descriptors => Ok((super::CORD..HIGHEST).all(is_closed_by_exec)),
            Proof::Session => sys::process::leads_session(),
            Proof::Filter => match witness.canaries.get(index).copied().flatten() {
                Some(errno) => denied(index, errno),
                None => Err(Errno::ENOENT),
            },
            // The first canary, which the reaper's filter answers as every other does.
            Proof::Reaper | Proof::Relay => denied(0, libc::ENOSYS),
            Proof::Forward => {
                let Some(relay) = &self.prepared.relay else { return Err(Errno::ENOENT) };
                match relay.addresses.get(index) {
                    Some(peer) if index < relay.datagrams => is_taken(peer),
                    Some(peer) => is_listened_to(peer),
                    None => Err(Errno::ENOENT),
                }
            }
        }
    }

    fn has_own_namespace(&self, index: usize) -> Answer {
        let kinds = Namespace::ALL;
        let (Some(kind), Some(launchers)) = (kinds.get(index), self.prepared.witness.namespaces.get(index)) else {
            return Err(Errno::ENOENT);
        };
        witness::namespace(&self.prepared.proc, *kind).map(|own| own != *launchers)
    }

    fn has_setting(&self, index: usize) -> Answer {
        let (path, wanted) = match (index, &self.prepared.pid_max) {
            (0, Some(pid_max)) => (c"sys/kernel/pid_max", pid_max.as_bytes()),
            (1, _) => (c"sys/vm/memfd_noexec", &b"2"[..]),
            (_, _) => return Err(Errno::ENOENT),
        };
        let mut text = [0; 24];
        let file = open_below(&self.prepared.proc, path)?;
        let length = rustix::io::read(&file, &mut text).map_err(errno)?;
        Ok(text[..length].strip_suffix(b"\n") == Some(wanted))
    }

    fn has_scratch(&self, index: usize) -> Answer {
        let (mount, wanted) = (self.prepared.own.scratch.get(index), self.prepared.witness.scratch.get(index));
        let (Some(mount), Some(&(size, inodes, flags))) = (mount, wanted) else { return Err(Errno::ENOENT) };
        let found = rustix::fs::statfs(mount.target.as_c_str()).map_err(errno)?;
        let block = found.f_bsize as u64;
        let sized = found.f_blocks == size.div_ceil(block.max(1)) && found.f_files == inodes;
        Ok(i64::from(found.f_type as i32) == TMPFS && sized && found.f_flags as u64 & FLAGS & !1 == flags)
    }

    fn has_own_proc(&self) -> Answer {
        let Some(mount) = &self.prepared.proc_mount else { return Err(Errno::ENOENT) };
        let found = rustix::fs::statfs(mount.target.as_c_str()).map_err(errno)?;
        let mut number = [0; 20];
        let length = rustix::fs::readlinkat_raw(rustix::fs::CWD, c"/proc/self", &mut number).map_err(errno)?;
        let told = number[..length].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit.wrapping_sub(b'0')));
        let own = i64::from(rustix::process::getpid().as_raw_nonzero().get());
        Ok(i64::from(found.f_type as i32) == PROC && told == own)
    }

    fn has_identity(&self, index: usize) -> Answer {
        let (uid, gid) = (self.prepared.own.uid, self.prepared.own.gid);
        match index {
            0 => sys::credentials::has_ids(uid, gid),
            1 => sys::credentials::has_only_group(gid),
            // EINVAL: root is no one in a user namespace that maps the command's user alone.
            2 => refused(sys::credentials::set_uid(0, 0), &[Errno::EPERM, Errno::EINVAL]),
            _ => Err(Errno::ENOENT),
        }
    }

    fn has_no_rights(&self, index: usize) -> Answer {
        let mut all = 0..=u64::from(self.prepared.last_capability);
        match index {
            0 => sys::credentials::has_no_capabilities(),
            1 => Ok(all.all(|one| asked(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, one) == Ok(0))),
            2 => Ok(all.all(|one| asked(libc::PR_CAPBSET_READ, one, 0) == Ok(0))),
            3 => asked(libc::PR_GET_SECUREBITS, 0, 0).map(|bits| bits as u64 == super::SECUREBITS_LOCKED),
            _ => Err(Errno::ENOENT),
        }
    }
}

fn asked(option: i32, first: u64, second: u64) -> Result<i64, Errno> {
    sys::process::ask(option, first, second)
}

/// Whether an attempt met one of these; any other errno is no answer.
fn refused<T>(attempt: Result<T, Errno>, expected: &[Errno]) -> Answer {
    match attempt {
        Ok(_) => Ok(false),
        Err(errno) if expected.contains(&errno) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Whether the filter answers a canary, and not the kernel.
fn denied(canary: usize, expected: i32) -> Answer {
    let Some((_, number)) = CANARIES.get(canary) else { return Err(Errno::ENOENT) };
    match sys::probe::call_with_nonsense(*number) {
        Err(errno) if errno as i32 == expected => Ok(true),
        Ok(()) | Err(_) => Ok(false),
    }
}

fn has_own_root(witness: &Witness) -> Answer {
    let found = rustix::fs::statfs(c"/").map_err(errno)?;
    let root = witness::identity(c"/")?;
    // What lies over the root directory is what `..` leads to: the old root, had it not been taken away.
    let above = witness::identity(c"/..")?;
    let own = root != witness.host_root && above == root && i64::from(found.f_type as i32) == TMPFS;
    Ok(own && found.f_flags as u64 & FLAGS == FLAGS)
}

/// A place that the command's user may not look at is of no more use to the command.
fn has_flags(path: &CStr, flags: u64) -> Answer {
    match rustix::fs::statfs(path) {
        Ok(found) => Ok(found.f_flags as u64 & flags == flags),
        Err(rustix::io::Errno::ACCESS) => Ok(true),
        Err(error) => Err(errno(error)),
    }
}

fn is_closed_by_exec(number: RawFd) -> bool {
    match rustix::io::fcntl_getfd(sys::process::fixed(number)) {
        Ok(flags) => flags.contains(rustix::io::FdFlags::CLOEXEC),
        // No other answer says that there is none.
        Err(error) => error == rustix::io::Errno::BADF,
    }
}

fn use_port(kind: usize, port: u16) -> Answer {
    let socket_type = if kind == 2 { SocketType::DGRAM } else { SocketType::STREAM };
    let made = rustix::net::socket_with(AddressFamily::INET, socket_type, SocketFlags::CLOEXEC, None);
    let socket = match made {
        Ok(socket) => socket,
        // A kernel without such sockets has no port to use.
        Err(rustix::io::Errno::AFNOSUPPORT) => return Ok(true),
        Err(error) => return Err(errno(error)),
    };
    let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
    let used = if kind == 1 { rustix::net::bind(&socket, &address) } else { rustix::net::connect(&socket, &address) };
    match used {
        Err(rustix::io::Errno::ACCESS) => Ok(true),
        // It came past Landlock, wherever it ended.
        Ok(()) | Err(_) => Ok(false),
    }
}

/// Whether somebody listens there. The relay of a self-test takes no connection, so no peer hears of it.
fn is_listened_to(peer: &SocketAddr) -> Answer {
    let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(errno)?;
    match rustix::net::connect(&socket, peer) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(errno(error)),
    }
}

/// Whether a socket takes datagrams there: where none does, the kernel's answer is there before the next call. Both are
/// empty, and the relay of a self-test carries nothing.
fn is_taken(peer: &SocketAddr) -> Answer {
    let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).map_err(errno)?;
    rustix::net::connect(&socket, peer).map_err(errno)?;
    for _ in 0..2 {
        match rustix::net::send(&socket, &[], SendFlags::empty()) {
            Ok(_) => {}
            Err(rustix::io::Errno::CONNREFUSED) => return Ok(false),
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(true)
}

fn listen_abstract(name: &[u8]) -> Result<OwnedFd, Errno> {
    let socket = abstract_socket().map_err(errno)?;
    let address = rustix::net::SocketAddrUnix::new_abstract_name(name).map_err(errno)?;
    rustix::net::bind(&socket, &address).map_err(errno)?;
    rustix::net::listen(&socket, 1).map_err(errno)?;
    Ok(socket)
}

fn connect_abstract(name: &[u8]) -> Result<(), Errno> {
    let socket = abstract_socket().map_err(errno)?;
    let address = rustix::net::SocketAddrUnix::new_abstract_name(name).map_err(errno)?;
    rustix::net::connect(socket.as_fd(), &address).map_err(errno)
}

fn abstract_socket() -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

fn open_below(proc: &OwnedFd, path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)
}
