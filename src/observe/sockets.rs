// SPDX-License-Identifier: Apache-2.0
//! Which calls have the address of a socket, and what one says. A file is told as a path; the rest here.

use super::event::About;
use nix::libc;
use nix::unistd::Pid;
use rustix::net::{SocketType, sockopt};
use rustix::process::{Pid as Process, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Those whose address always matters; sendto(2) and sendmsg(2) may have none.
pub(super) const CALLS: &[libc::c_long] = &[libc::SYS_connect, libc::SYS_bind];

/// What an address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Internet(SocketAddr),
    File(PathBuf),
    Abstract(Vec<u8>),
    /// Netlink and the like: what the family may do is the call's to say.
    Other,
}

/// Reads an address as the kernel would.
pub(super) fn parse(bytes: &[u8]) -> Option<Address> {
    let family = libc::c_int::from(u16::from_ne_bytes(*bytes.first_chunk()?));
    let port = || bytes.get(2..4).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(Address::Internet(SocketAddr::from((Ipv4Addr::from(ip), port()?))))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(Address::Internet(SocketAddr::from((Ipv6Addr::from(ip).to_canonical(), port()?))))
        }
        libc::AF_UNIX => match bytes.get(2..)? {
            // Without a name the kernel chooses one.
            [] => Some(Address::Other),
            [0, name @ ..] => Some(Address::Abstract(name.to_vec())),
            path => {
                let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
                Some(Address::File(PathBuf::from(OsStr::from_bytes(&path[..end]))))
            }
        },
        _ => Some(Address::Other),
    }
}

/// The same, where it is one of the internet.
pub fn internet_address(bytes: &[u8]) -> Option<SocketAddr> {
    match parse(bytes)? {
        Address::Internet(address) => Some(address),
        Address::File(_) | Address::Abstract(_) | Address::Other => None,
    }
}

/// What a port is mostly for, where the socket cannot be asked.
pub fn is_mostly_a_stream(address: &SocketAddr) -> bool {
    address.port() != 53
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_kernel_reads_it() {
        let mapped = [&[10, 0, 0, 25, 0, 0, 0, 0][..], &[0; 10], &[0xff, 0xff, 192, 0, 2, 1], &[0; 4]].concat();
        for (bytes, expected) in [
            (&[2, 0, 0, 53, 127, 0, 0, 53][..], Some(Address::Internet("127.0.0.53:53".parse().unwrap()))),
            (&mapped, Some(Address::Internet("192.0.2.1:25".parse().unwrap()))),
            (b"\x01\0/run/x\0junk", Some(Address::File("/run/x".into()))),
            (b"\x01\0\0name", Some(Address::Abstract(b"name".to_vec()))),
            (b"\x01\0", Some(Address::Other)),
            (&[16, 0, 0, 0], Some(Address::Other)),
            (&[2, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(parse(bytes), expected, "{bytes:?}");
        }
    }
}
