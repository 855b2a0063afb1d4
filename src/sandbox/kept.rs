// SPDX-License-Identifier: Apache-2.0
//! Network namespaces that a launcher keeps for a later session: to make one and to take it down costs more than all
//! the rest of a sandbox. One is for one session at a time, and for another only once all of these are so:
//!
//! * The plan says that nothing can be left in one ([`crate::plan::Plan::keeps_networks`]): clients come over TCP,
//!   which carries no descriptor away; no call makes a socket of a network, names one, or enters a namespace; no
//!   loopback.
//! * The first process of the session is dead. The kernel ends all others of its PID namespace before it says so.
//! * The kernel counts no socket of any family in it, nor one in TIME_WAIT: `/proc/net/sockstat` counts each until it
//!   is freed, also one that is closed and still in flight in another one's queue. What is not empty at once is given
//!   up.
//!
//! So there is nothing that could remember: addresses, routes, rules, interfaces and sysctls need CAP_NET_ADMIN in the
//! namespace, which belongs to the launcher's user namespace and not to the session's; abstract names end with their
//! sockets, as do memberships and queues of netlink; neighbours, fragments, metrics and counters need a packet, and no
//! interface is up. How a session ended makes no difference to any of that.
//!
//! Where one of the calls here is refused, or answered and not done, sessions are cloned with a namespace of their own.

use crate::sys::process;
use crate::sys::{self, errno};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{Mode, OFlags};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many are known at most, free or in use; three descriptors each. With more sessions at once, the oldest take
/// theirs with them when they end.
const MOST: usize = 32;
/// One that has not been needed for so many sessions is let go of.
const LATELY: u64 = 64;

/// A network namespace.
pub(super) struct Network {
    namespace: OwnedFd,
    /// An open file shows the namespace in which it was opened, whoever reads it.
    sockets: OwnedFd,
}

/// Those that a launcher keeps.
pub(super) struct Networks {
    /// Empty ones, each with the number of the session that it was seen to be empty for; the one last used is last.
    free: VecDeque<(u64, Network)>,
    /// Those of sessions whose first process may be alive, by its pidfd.
    lent: VecDeque<(OwnedFd, Network)>,
    /// How many sessions there were.
    sessions: u64,
}

impl Networks {
    /// Makes two and goes from one to the other; `None` where that is not what happens. `proc` is the host's /proc.
    pub(super) fn new(proc: BorrowedFd<'_>) -> Option<Networks> {
        let [first, second] = [Network::enter_new(proc).ok()?, Network::enter_new(proc).ok()?];
        let identity = |network: &Network| identity(network.namespace.as_fd()).ok();
        let differ = identity(&first).is_some() && identity(&first) != identity(&second);
        process::enter_network(first.namespace.as_fd()).ok()?;
        let entered = current(proc).ok()?;
        let done = differ && identity(&first) == self::identity(entered.as_fd()).ok();
        let empty = first.is_empty() && second.is_empty();
        let free = VecDeque::from([(0, second), (0, first)]);
        (done && empty).then_some(Networks { free, lent: VecDeque::new(), sessions: 0 })
    }

    /// Enters an empty one that nobody is in. `None`: there is none, and none can be made.
    pub(super) fn enter(&mut self, proc: BorrowedFd<'_>) -> Option<Network> {
        self.sessions += 1;
        self.take_back();
        if self.free.front().is_some_and(|(last, _)| self.sessions - last > LATELY) {
            self.free.pop_front();
        }
        match self.free.pop_back() {
            Some((_, network)) => process::enter_network(network.namespace.as_fd()).ok().map(|()| network),
            None => Network::enter_new(proc).ok(),
        }
    }

    /// Notes that a session has it, by the pidfd of its first process.
    pub(super) fn lend(&mut self, network: Network, pidfd: OwnedFd) {
        if self.free.len() + self.lent.len() >= MOST {
            self.lent.pop_front();
        }
        self.lent.push_back((pidfd, network));
    }

    /// Lets go of what is not in use.
    pub(super) fn rest(&mut self) {
        self.take_back();
        self.free.clear();
    }

    /// Takes back those of sessions that are over; lets go of each that is not empty.
    fn take_back(&mut self) {
        let mut entries: Vec<_> =
            self.lent.iter().map(|(pidfd, _)| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)).collect();
        // Where the kernel does not say, all of them are alive.
        if entries.is_empty() || !poll(&mut entries, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            return;
        }
        let over: Vec<bool> = entries.iter().map(|entry| entry.any() == Some(true)).collect();
        for (over, (pidfd, network)) in over.into_iter().zip(std::mem::take(&mut self.lent)) {
            match over {
                false => self.lent.push_back((pidfd, network)),
                true if network.is_empty() => self.free.push_back((self.sessions, network)),
                true => {}
            }
        }
    }
}

impl Network {
    /// Makes one, in which this process is afterwards.
    fn enter_new(proc: BorrowedFd<'_>) -> Result<Network, Errno> {
        let before = current(proc)?;
        sys::mount::unshare(libc::CLONE_NEWNET)?;
        let namespace = current(proc)?;
        match identity(before.as_fd())? == identity(namespace.as_fd())? {
            // A filter around us has answered for the kernel.
            true => Err(Errno::ENOSYS),
            false => Ok(Network { namespace, sockets: open(proc, c"thread-self/net/sockstat")? }),
        }
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

fn current(proc: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    open(proc, c"thread-self/ns/net")
}

fn open(proc: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)
}

/// By device and inode, see namespaces(7).
fn identity(namespace: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    rustix::fs::fstat(namespace).map(|stat| (stat.st_dev, stat.st_ino)).map_err(errno)
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
