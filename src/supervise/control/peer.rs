// SPDX-License-Identifier: Apache-2.0
//! Who is at the other end of the control socket: root and the supervisor's own user may look and give orders, members
//! of the socket's group may look. A command of ours may neither, whoever it is: it may have the supervisor's own user.

use super::super::exchange::Exchange;
use crate::host::errno_text;
use crate::sys::socket::peer_groups;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use std::fs::read_to_string;
use std::os::fd::{AsFd, OwnedFd};

/// One who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervise) struct Visitor {
    pub(super) rank: Rank,
    pub(super) uid: u32,
    pub(super) pid: i32,
}

/// What it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Look, and give orders.
    Operator,
    /// Look.
    Observer,
}

impl Visitor {
    /// Whether it may give orders.
    pub(in crate::supervise) fn is_operator(self) -> bool {
        self.rank == Rank::Operator
    }

    /// Asks the kernel; the reason where it may not ask us.
    pub(in crate::supervise) fn ask(exchange: &Exchange, group: Option<u32>) -> Result<Visitor, String> {
        let unknown = |errno| format!("the kernel does not say who asks: {}", errno_text(errno));
        let peer = getsockopt(&exchange, sockopt::PeerCredentials).map_err(unknown)?;
        let (pid, uid) = (peer.pid(), peer.uid());
        let own = rustix::process::geteuid().as_raw();
        let is_member = || -> Result<bool, String> {
            let Some(group) = group else { return Ok(false) };
            Ok(peer.gid() == group || peer_groups(exchange.as_fd()).map_err(unknown)?.contains(&group))
        };
        let rank = match uid == 0 || uid == own {
            true => Rank::Operator,
            false if is_member()? => Rank::Observer,
            false => {
                return Err(format!("user {uid} may not ask: only root, user {own} and members of the socket's group"));
            }
        };
        let process = process(exchange).map_err(unknown)?;
        if is_sandboxed(pid) {
            return Err(
                "a process in a PID namespace of its own may not ask, since sandboxed commands are in one".into()
            );
        }
        // After the look: its number may be another's by now, as long as one that it has started holds the connection.
        match process.as_ref().map(has_ended).transpose().map_err(unknown)? {
            Some(true) => Err("whoever connected has ended".into()),
            Some(false) | None => Ok(Visitor { rank, uid, pid }),
        }
    }
}

/// The process that connected, where the kernel tells: from Linux 6.5 on. Before, its number is all that there is,
/// which is given to another only after all others were.
fn process(connection: &Exchange) -> nix::Result<Option<OwnedFd>> {
    match getsockopt(connection, sockopt::PeerPidfd) {
        Ok(process) => Ok(Some(process)),
        Err(Errno::ENOPROTOOPT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn has_ended(process: &OwnedFd) -> nix::Result<bool> {
    let mut ended = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut ended, PollTimeout::ZERO).map(|count| count > 0)
}

/// Whether a process is in a PID namespace below ours, or cannot be looked at. One of a namespace above has no number
/// here. Everybody may read how many numbers a process has, see proc_pid_status(5); its namespace itself, only who may
/// trace it.
fn is_sandboxed(pid: i32) -> bool {
    let numbers = |pid: &str| {
        let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| Some(line.strip_prefix("NSpid:")?.split_whitespace().count()))
    };
    let theirs = numbers(&pid.to_string());
    pid != 0 && (theirs.is_none() || theirs != numbers("self"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    #[test]
    fn our_own_user_may_give_orders() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let visitor = Visitor::ask(&Exchange::new(ours.into(), Instant::now()), None).unwrap();
        assert_eq!((visitor.rank, visitor.pid), (Rank::Operator, std::process::id() as i32));
    }

    #[test]
    fn who_cannot_be_looked_at_is_taken_for_a_command() {
        assert!(is_sandboxed(i32::MAX));
        assert!(!is_sandboxed(0) && !is_sandboxed(std::process::id() as i32));
    }
}
