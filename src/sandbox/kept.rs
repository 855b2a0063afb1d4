// SPDX-License-Identifier: Apache-2.0
//! Namespaces that a launcher keeps for a later session: to make one of a network and to take it down costs more than
//! all the rest of a sandbox, one of IPC has a file system of its own, and one of users a table of files below
//! /proc/sys. Each is for one session at a time, and for another only once all of these are so:
//!
//! * The plan says that nothing can be left in one ([`crate::plan::Plan::keeps_networks`],
//!   [`crate::plan::Plan::keeps_ipc`], [`crate::plan::Plan::keeps_users`]): clients come over TCP, which carries no
//!   descriptor away, and no call makes what could stay.
//! * The first process of the session is dead. The kernel ends all others of its PID namespace before it says so. Where
//!   a user namespace is kept, it is reaped too, and so no more counted there.
//! * Of a network, the kernel counts no socket of any family in it, nor one in TIME_WAIT: `/proc/net/sockstat` counts
//!   each until it is freed, also one that is closed and still in flight in another one's queue. What is not empty at
//!   once is given up.
//!
//! So there is nothing that could remember. Of a network, addresses, routes, rules, interfaces and sysctls need
//! CAP_NET_ADMIN in the namespace, which belongs to the launcher's user namespace and not to the session's; abstract
//! names end with their sockets, as do memberships and queues of netlink; neighbours, fragments, metrics and counters
//! need a packet, and no interface is up. Of IPC, there is no object that no call has made, and no file system of
//! queues is mounted. How a session ended makes no difference to any of that.
//!
//! Of users, the maps are written once and for all; limits (`user.*`) and a table of binary formats need a capability
//! in the namespace, and a session has none from before its first foreign instruction on; the map of projects is a
//! file below /proc, which such a session has not; keys are registered by calls that no such plan grants; and what is
//! counted there ends with the processes. It belongs to the command's user, as one that a session makes for itself:
//! what a session has is counted for whoever made its namespace, all the way up. The launcher's would charge
//! processes, signals and timers of all clients to root, and let none of a limit on the command's user hold.
//!
//! So, as in one of its own, a process of the host that has this user's id has every capability there, and what it
//! writes stays for later sessions. Over their processes it has nothing by that which the id alone does not give it,
//! or which their memory, made outside, does not refuse; lower limits could end sessions, which it may kill as well;
//! higher ones raise none that a plan sets, since the plans that set any keep none. Each session of a range of users
//! makes its own.
//!
//! Where one of the calls here is refused, or answered and not done, sessions are cloned with a namespace of their own.

mod user;

use super::prepare::Own;
use crate::plan::Plan;
use crate::plan::model::Ids;
use crate::sys::process;
use crate::sys::{self, errno};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{Mode, OFlags};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// How many are known at most, free or in use; five descriptors each. With more sessions at once, the oldest take
/// theirs with them when they end.
const MOST: usize = 32;
/// A session that has seen so many others begin does the same: for each of those its process would be asked after, and
/// its descriptors copied and closed.
const LONG: u64 = 64;
/// One that has not been needed for so many sessions is let go of.
const LATELY: u64 = 1024;

/// The names of this process's own ones below /proc.
const NETWORK: &CStr = c"thread-self/ns/net";
const IPC: &CStr = c"thread-self/ns/ipc";

/// What one session has after another.
#[derive(Default)]
pub(super) struct Kept {
    network: Option<Network>,
    ipc: Option<OwnedFd>,
    user: Option<OwnedFd>,
}

/// A network namespace.
struct Network {
    namespace: OwnedFd,
    /// An open file shows the namespace in which it was opened, whoever reads it.
    sockets: OwnedFd,
}

/// Of what kinds namespaces are kept.
pub(super) struct Kinds {
    /// Those of the network.
    pub(super) network: bool,
    /// Those of System V's objects and of message queues.
    pub(super) ipc: bool,
    /// Those of users, and whose they are.
    pub(super) user: Option<Own>,
}

/// Those that a launcher keeps.
pub(super) struct Stock {
    kinds: Kinds,
    /// Empty ones, each with the number of the session that it was seen to be empty for; the one last used is last.
    free: VecDeque<(u64, Kept)>,
    /// Those of sessions whose first process may be there, each with the session's number and that process's pidfd; the
    /// oldest is first.
    lent: VecDeque<(u64, OwnedFd, Kept)>,
    /// How many sessions there were.
    sessions: u64,
}

impl Kinds {
    /// Those that the plan lets sessions have after one another.
    pub(super) fn of(plan: &Plan) -> Kinds {
        let ids = match plan.identity.ids {
            Ids::One { uid, gid } if plan.keeps_users() => Some((uid, gid)),
            Ids::One { .. } | Ids::Each { .. } => None,
        };
        Kinds { network: plan.keeps_networks(), ipc: plan.keeps_ipc(), user: ids.map(|ids| Own::of(plan, ids)) }
    }

    /// These, with what is missing made anew if it can be; in them afterwards, but in none of users.
    fn complete(&self, kept: Kept, proc: BorrowedFd<'_>) -> Kept {
        let network = kept.network.filter(|network| process::enter_network(network.namespace.as_fd()).is_ok());
        let ipc = kept.ipc.filter(|ipc| process::enter_ipc(ipc.as_fd()).is_ok());
        let made = || if self.network { Network::enter_new(proc).ok() } else { None };
        let made_of_ipc = || if self.ipc { enter_new(proc, libc::CLONE_NEWIPC, IPC).ok() } else { None };
        let made_of_users = || self.user.as_ref().and_then(|own| user::make(own, proc).ok());
        Kept { network: network.or_else(made), ipc: ipc.or_else(made_of_ipc), user: kept.user.or_else(made_of_users) }
    }
}

impl Stock {
    /// Makes two of each kind, and goes from one to the other; a kind where that is not what happens is not kept.
    /// `None`: nothing is. `proc` is the host's /proc.
    pub(super) fn new(mut kinds: Kinds, proc: BorrowedFd<'_>) -> Option<Stock> {
        let [mut first, mut second] = [kinds.complete(Kept::default(), proc), kinds.complete(Kept::default(), proc)];
        let networks = (&first.network, &second.network);
        if !matches!(networks, (Some(one), Some(other)) if one.is_reached_from(other, proc)) {
            (kinds.network, first.network, second.network) = (false, None, None);
        }
        let ipc = (&first.ipc, &second.ipc);
        if !matches!(ipc, (Some(one), Some(other)) if is_reached(one, other, proc)) {
            (kinds.ipc, first.ipc, second.ipc) = (false, None, None);
        }
        let users = (&first.user, &second.user);
        let usable = |one, other| kinds.user.as_ref().is_some_and(|own| are_usable(one, other, own, proc));
        if !matches!(users, (Some(one), Some(other)) if usable(one, other)) {
            (kinds.user, first.user, second.user) = (None, None, None);
        }
        let some = kinds.network || kinds.ipc || kinds.user.is_some();
        some.then(|| Stock {
            kinds,
            free: VecDeque::from([(0, second), (0, first)]),
            lent: VecDeque::new(),
            sessions: 0,
        })
    }

    /// Takes those that nobody is in, or makes some, and enters them.
    pub(super) fn enter(&mut self, proc: BorrowedFd<'_>) -> Kept {
        self.sessions += 1;
        self.take_back();
        if self.free.front().is_some_and(|(last, _)| self.sessions - last > LATELY) {
            self.free.pop_front();
        }
        let kept = self.free.pop_back().map(|(_, kept)| kept);
        self.kinds.complete(kept.unwrap_or_default(), proc)
    }

    /// Notes that a session has them, by the pidfd of its first process.
    pub(super) fn lend(&mut self, kept: Kept, pidfd: OwnedFd) {
        self.lent.retain(|(number, ..)| self.sessions - number < LONG);
        if self.free.len() + self.lent.len() >= MOST {
            self.lent.pop_front();
        }
        self.lent.push_back((self.sessions, pidfd, kept));
    }

    /// Lets go of what is not in use.
    pub(super) fn rest(&mut self) {
        self.take_back();
        self.free.clear();
    }

    /// Forgets all of them, which another launcher keeps.
    pub(super) fn leave(&mut self) {
        (self.free, self.lent) = (VecDeque::new(), VecDeque::new());
    }

    /// Takes back those of sessions that are over; lets go of each that is not empty.
    fn take_back(&mut self) {
        let mut entries: Vec<_> =
            self.lent.iter().map(|(_, pidfd, _)| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)).collect();
        // Where the kernel does not say, all of them are alive.
        if entries.is_empty() || !poll(&mut entries, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            return;
        }
        let events = entries.iter().map(|entry| entry.revents().unwrap_or(PollFlags::empty()));
        let over = events.zip(&self.lent).map(|(events, (.., kept))| events.contains(kept.told_by()));
        let over: Vec<bool> = over.collect();
        for (over, (number, pidfd, kept)) in over.into_iter().zip(std::mem::take(&mut self.lent)) {
            match over {
                false => self.lent.push_back((number, pidfd, kept)),
                true if kept.is_empty() => self.free.push_back((self.sessions, kept)),
                true => {}
            }
        }
    }
}

impl Kept {
    /// Flags of clone3 for what the session is not to make, because the launcher is in it.
    pub(super) fn made_before(&self) -> u64 {
        let network = if self.network.is_some() { libc::CLONE_NEWNET } else { 0 };
        let ipc = if self.ipc.is_some() { libc::CLONE_NEWIPC } else { 0 };
        (network | ipc) as u64
    }

    /// The user namespace that the session is to enter.
    pub(super) fn user(&self) -> Option<RawFd> {
        self.user.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// What the kernel says of the first process's pidfd when it has ended, or, where that is waited for, been reaped.
    fn told_by(&self) -> PollFlags {
        if self.user.is_some() { PollFlags::POLLHUP } else { PollFlags::POLLIN }
    }

    fn is_empty(&self) -> bool {
        self.network.as_ref().is_none_or(Network::is_empty)
    }
}

impl Network {
    /// Whether who is in the other one can enter it, and both are empty.
    fn is_reached_from(&self, other: &Network, proc: BorrowedFd<'_>) -> bool {
        let (own, there) = (self.namespace.as_fd(), other.namespace.as_fd());
        let entered = differ(own, there) && process::enter_network(own).is_ok() && is_current(proc, NETWORK, own);
        entered && self.is_empty() && other.is_empty()
    }

    /// Makes one, in which this process is afterwards.
    fn enter_new(proc: BorrowedFd<'_>) -> Result<Network, Errno> {
        let namespace = enter_new(proc, libc::CLONE_NEWNET, NETWORK)?;
        Ok(Network { namespace, sockets: open(proc, c"thread-self/net/sockstat")? })
    }

    /// Whether the kernel counts no socket in it. What cannot be read is no proof.
    fn is_empty(&self) -> bool {
        let mut text = [0; 256];
        rustix::io::pread(&self.sockets, &mut text, 0).is_ok_and(|length| counts_none(&text[..length]))
    }
}

/// Whether the text of a sockstat file, see proc_pid_net(5), has no socket of any family and none in TIME_WAIT.
fn counts_none(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let Some(("sockets: used 0", rest)) = text.split_once('\n') else { return false };
    let Some((tcp, _)) = rest.split_once('\n') else { return false };
    tcp.starts_with("TCP: inuse 0 ") && tcp.contains(" tw 0 ")
}

/// Makes a namespace of this kind, in which this process is afterwards.
fn enter_new(proc: BorrowedFd<'_>, kind: i32, link: &CStr) -> Result<OwnedFd, Errno> {
    let before = open(proc, link)?;
    sys::mount::unshare(kind)?;
    let namespace = open(proc, link)?;
    match differ(before.as_fd(), namespace.as_fd()) {
        true => Ok(namespace),
        // A filter around us has answered for the kernel.
        false => Err(Errno::ENOSYS),
    }
}

/// Whether who is in the other one can enter this one of IPC.
fn is_reached(one: &OwnedFd, other: &OwnedFd, proc: BorrowedFd<'_>) -> bool {
    let entered = differ(one.as_fd(), other.as_fd()) && process::enter_ipc(one.as_fd()).is_ok();
    entered && is_current(proc, IPC, one.as_fd())
}

/// Whether these are two user namespaces that processes can enter.
fn are_usable(one: &OwnedFd, other: &OwnedFd, own: &Own, proc: BorrowedFd<'_>) -> bool {
    let usable = |namespace: &OwnedFd| user::is_usable(namespace.as_fd(), own, proc);
    differ(one.as_fd(), other.as_fd()) && usable(one) && usable(other)
}

fn is_current(proc: BorrowedFd<'_>, link: &CStr, namespace: BorrowedFd<'_>) -> bool {
    let now = open(proc, link).and_then(|now| identity(now.as_fd()));
    now.is_ok() && now == identity(namespace)
}

fn open(proc: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)
}

/// Whether they are known to be two.
fn differ(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one != other)
}

/// By device and inode, see namespaces(7).
fn identity(namespace: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    rustix::fs::fstat(namespace).map(|stat| (stat.st_dev, stat.st_ino)).map_err(errno)
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
