// SPDX-License-Identifier: Apache-2.0
//! The kernel's audit log, as far as it speaks of Landlock. It is one for the whole host, told to a multicast group of
//! the first network namespace; whoever has CAP_AUDIT_READ may join, and needs no right to read from then on.
//! Takes what is there and waits for nothing, but where it is asked whether anything comes at all.

mod record;

pub use record::{Access, HEADER, Object, Record, read};

use crate::sys::clone::Side;
use crate::sys::{lock, probe, process, socket};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, connect, recvfrom, send, socket,
};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// `AUDIT_NLGRP_READLOG` of linux/audit.h, as the bit of a mask.
const READLOG: u32 = 1;
/// `AUDIT_GET`, and `NLM_F_REQUEST`.
const AUDIT_GET: u16 = 1000;
const REQUEST: u16 = 1;
/// `MAX_AUDIT_MESSAGE_LENGTH` of linux/audit.h.
const LONGEST: usize = 8970;
/// `LANDLOCK_ACCESS_FS_READ_DIR`.
const READ_DIR: u64 = 1 << 3;
/// How long whoever asks waits for a record that should be there in milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where its records come in.
#[derive(Debug)]
pub struct AuditLog {
    socket: OwnedFd,
}

/// What a look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// This.
    Record(Record),
    /// Something that is not the kernel's, or that nothing is known of.
    Other,
    /// Nothing more.
    Nothing,
}

impl AuditLog {
    /// Joins. EPERM: without CAP_AUDIT_READ in the host's first user namespace. EPROTONOSUPPORT: a kernel without it.
    pub fn open() -> Result<AuditLog, Errno> {
        let socket = endpoint()?;
        // Before it joins, so that nothing else ever wakes us or takes its room.
        socket::pass_two_kinds(socket.as_fd(), [record::ACCESS, record::DOMAIN])?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, READLOG))?;
        // From here on nobody but the kernel, which is number 0, can send to it: see `netlink_getsockbyportid`.
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(AuditLog { socket })
    }

    /// Takes the next message. ENOBUFS: some were lost, because they were not taken in time.
    pub fn take(&self) -> Result<Taken, Errno> {
        let mut message = [0; LONGEST];
        match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut message) {
            // Whoever has CAP_NET_ADMIN may send to the group too.
            Ok((_, sender)) if sender.is_none_or(|sender| sender.pid() != 0) => Ok(Taken::Other),
            Ok((length, _)) => Ok(read(&message[..length]).map_or(Taken::Other, Taken::Record)),
            Err(Errno::EAGAIN) => Ok(Taken::Nothing),
            Err(Errno::EINTR) => Ok(Taken::Other),
            Err(errno) => Err(errno),
        }
    }

    /// Whether there is more within this time.
    pub fn await_more(&self, time: Duration) -> Result<bool, Errno> {
        await_input(self.as_fd(), time)
    }

    /// Whether a record tells before `until` that a domain of this process has denied something.
    pub fn tells_of(&self, process: Pid, until: Instant) -> Result<bool, Errno> {
        loop {
            match self.take() {
                Ok(Taken::Record(Record::Made { pid, .. })) if pid == process.as_raw() => return Ok(true),
                Ok(Taken::Record(_) | Taken::Other) | Err(Errno::ENOBUFS) => {}
                Ok(Taken::Nothing) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() || !await_input(self.as_fd(), left)? {
                        return Ok(false);
                    }
                }
                Err(errno) => return Err(errno),
            }
            if Instant::now() > until {
                return Ok(false);
            }
        }
    }
}

impl AsFd for AuditLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What came of trying whether Landlock's denials are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// One was.
    Heard(Flood),
    /// It cannot be listened to: this errno.
    Refused(Errno),
    /// Audit is switched off.
    Off,
    /// Nothing came.
    Silent,
}

/// What happens where more is logged than the log takes, as far as it may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Records are lost.
    Loses,
    /// The kernel panics (`auditctl -f 2`).
    Panics,
}

/// Has a process be denied something by Landlock, and listens for it.
pub fn listen() -> Hearing {
    let log = match AuditLog::open() {
        Ok(log) => log,
        Err(errno) => return Hearing::Refused(errno),
    };
    let flood = match status() {
        // Nothing would come, and nobody needs to wait for that.
        Ok(Status { enabled: 0, .. }) => return Hearing::Off,
        Ok(Status { failure: 2, .. }) => Flood::Panics,
        // It asks for CAP_AUDIT_CONTROL.
        Ok(_) | Err(_) => Flood::Loses,
    };
    match be_denied().and_then(|process| log.tells_of(process, Instant::now() + PATIENCE)) {
        Ok(true) => Hearing::Heard(flood),
        Ok(false) => Hearing::Silent,
        Err(errno) => Hearing::Refused(errno),
    }
}

/// A process that made a domain and was denied something there. It has ended.
fn be_denied() -> Result<Pid, Errno> {
    let ruleset = probe::ruleset(READ_DIR)?;
    match probe::clone_quietly()? {
        Side::Child => {
            let confined = process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
                .and_then(|()| lock::restrict_self(ruleset.as_fd(), 0));
            let root = rustix::fs::open(c"/", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
            process::exit(i32::from(confined.is_err() || root.is_ok()))
        }
        Side::Parent(child) => {
            while let Err(Errno::EINTR) = waitpid(child, Some(WaitPidFlag::__WALL)) {}
            Ok(child)
        }
    }
}

/// The beginning of `struct audit_status`.
struct Status {
    enabled: u32,
    failure: u32,
}

fn status() -> Result<Status, Errno> {
    let socket = endpoint()?;
    let mut request = [0; HEADER];
    request[..4].copy_from_slice(&(HEADER as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&AUDIT_GET.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = [0; 128];
    if !await_input(socket.as_fd(), PATIENCE)? {
        return Err(Errno::ETIMEDOUT);
    }
    let (length, _) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut answer)?;
    let word = |place: usize| answer[..length].get(place..place + 4).and_then(|word| word.try_into().ok());
    let word = |place| word(place).map(u32::from_ne_bytes).ok_or(Errno::EPROTO);
    // Else it is an error: what was asked is more than we may know.
    if answer[4..6] != AUDIT_GET.to_ne_bytes() {
        return Err(Errno::EPERM);
    }
    Ok(Status { enabled: word(HEADER + 4)?, failure: word(HEADER + 8)? })
}

fn endpoint() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkAudit)
}

fn await_input(fd: BorrowedFd<'_>, left: Duration) -> Result<bool, Errno> {
    let millis = left.as_nanos().div_ceil(1_000_000).min(60_000);
    let timeout = PollTimeout::from(u16::try_from(millis).unwrap_or(60_000));
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(true),
        Err(errno) => Err(errno),
    }
}
