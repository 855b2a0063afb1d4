// SPDX-License-Identifier: Apache-2.0
//! Which calls have the address of a socket, and what is known of one of the internet.

use super::event::About;
use crate::plan::calls::is_mostly_a_stream;
use nix::libc;
use nix::unistd::Pid;
use rustix::net::{SocketType, sockopt};
use rustix::process::{Pid as Process, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::net::SocketAddr;

/// Those whose address always matters; sendto(2) and sendmsg(2) may have none.
pub(super) const CALLS: &[libc::c_long] = &[libc::SYS_connect, libc::SYS_bind];

/// Whether this descriptor of a thread is a stream, by looking at a copy of it. Where that may not be had, what the
/// port is mostly for.
pub(super) fn is_stream(thread: Pid, descriptor: i32, address: &SocketAddr) -> bool {
    let guess = is_mostly_a_stream(address);
    let Some(process) = Process::from_raw(process_of(thread).as_raw()) else { return guess };
    let Ok(pidfd) = pidfd_open(process, PidfdFlags::empty()) else { return guess };
    let Ok(copy) = pidfd_getfd(&pidfd, descriptor, PidfdGetfdFlags::empty()) else { return guess };
    sockopt::socket_type(&copy).map_or(guess, |kind| kind == SocketType::STREAM)
}

/// The process that a thread is of, see proc_pid_status(5).
fn process_of(thread: Pid) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|number| number.trim().parse().ok()).map_or(thread, Pid::from_raw)
}

/// What a call with an internet address is about.
pub(super) fn internet(thread: Pid, descriptor: i32, bind: bool, address: SocketAddr) -> About {
    About::Internet { stream: is_stream(thread, descriptor, &address), bind, address }
}
