// SPDX-License-Identifier: Apache-2.0
//! What a relay asks of the kernel that rustix lacks, allocates for, or makes with a copy of the address on the stack.
//! Runs after the clone: nothing here may allocate, log or keep state.

use super::checked;
use nix::errno::Errno;
use nix::libc;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

/// Room for one address; the kernel asks for no alignment beyond its first member's.
const SLOT: usize = 32;

/// The addresses of a relay's peers, in memory that cannot be written any more. A filter sees the pointer that
/// connect(2) is called with, not what is behind it: where that cannot change, the one stands for the other.
#[derive(Debug)]
pub struct Peers {
    page: *const u8,
    lengths: Vec<u32>,
}

impl Peers {
    /// For the life of the process, and of its children without CLONE_VM, which have it at the same place. ENOMEM where
    /// they do not fit into a page.
    pub fn new(peers: impl Iterator<Item = SocketAddr>) -> Result<Peers, Errno> {
        const PAGE: usize = 4096;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous page at an address of the kernel's choice; nothing of ours is there.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let page = page.cast::<u8>();
        let mut lengths = Vec::new();
        for (slot, peer) in peers.enumerate() {
            let (bytes, length) = encode(peer);
            if (slot + 1) * SLOT > PAGE {
                return Err(Errno::ENOMEM);
            }
            // SAFETY: the slot lies inside of the page.
            let place = unsafe { page.add(slot * SLOT) };
            // SAFETY: the page is ours alone and writable still, and the slot has room for all of them.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, SLOT) };
            lengths.push(length);
        }
        // SAFETY: the page is ours, and nothing but this function writes to it.
        Errno::result(unsafe { libc::mprotect(page.cast(), PAGE, libc::PROT_READ) })?;
        Ok(Peers { page, lengths })
    }

    /// Pointer and length that connect(2) is called with.
    pub fn arguments(&self, peer: usize) -> Option<(u64, u32)> {
        let length = *self.lengths.get(peer)?;
        Some((self.page as u64 + (peer * SLOT) as u64, length))
    }

    /// connect(2) of a non-blocking socket. EINPROGRESS is no error.
    pub fn connect(&self, peer: usize, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        let (address, length) = self.arguments(peer).ok_or(Errno::EINVAL)?;
        // SAFETY: the address lies in a page that is there for the life of the process; the kernel only reads it.
        let made = checked(unsafe { libc::syscall(libc::SYS_connect, socket.as_raw_fd(), address, length) });
        match made {
            Ok(_) | Err(Errno::EINPROGRESS) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// A `sockaddr_in` or `sockaddr_in6`: see ip(7) and ipv6(7).
fn encode(peer: SocketAddr) -> ([u8; SLOT], u32) {
    let mut bytes = [0; SLOT];
    bytes[2..4].copy_from_slice(&peer.port().to_be_bytes());
    let (family, length) = match peer {
        SocketAddr::V4(v4) => {
            bytes[4..8].copy_from_slice(&v4.ip().octets());
            (libc::AF_INET, size_of::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
        }
    };
    bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    (bytes, length as u32)
}

/// splice(2) of up to `most` bytes, without waiting; 0 is the end of what there is to read.
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> Result<usize, Errno> {
    let (from, to, none) = (from.as_raw_fd(), to.as_raw_fd(), std::ptr::null_mut::<i64>());
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: two descriptors, no offsets.
    let moved = checked(unsafe { libc::syscall(libc::SYS_splice, from, none, to, none, most, flags) });
    moved.map(|moved| moved as usize)
}

/// A pipe that never waits: the end to read from, and the end to write to.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends: [RawFd; 2] = [-1; 2];
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: room for two numbers, alive and writable.
    checked(unsafe { libc::syscall(libc::SYS_pipe2, ends.as_mut_ptr(), flags) })?;
    // SAFETY: the kernel has just made it for us.
    let reading = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: and this one.
    let writing = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((reading, writing))
}

/// accept4(2) of a non-blocking socket; nobody asks who it is.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let (none, flags) = (std::ptr::null_mut::<u8>(), libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    // SAFETY: no room for an address is given.
    let socket = checked(unsafe { libc::syscall(libc::SYS_accept4, listener.as_raw_fd(), none, none, flags) })?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(socket as RawFd) })
}

/// A non-blocking TCP socket of this process's network namespace.
pub fn stream(family: Family) -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    let socket = checked(unsafe { libc::syscall(libc::SYS_socket, family as i32, kind, 0) })?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(socket as RawFd) })
}

/// A non-blocking UDP socket of this process's network namespace.
pub fn datagram(family: Family) -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    let socket = checked(unsafe { libc::syscall(libc::SYS_socket, family as i32, kind, 0) })?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(socket as RawFd) })
}

/// Who sent a datagram, as the kernel gives and takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    address: [u8; SLOT],
    length: u32,
}

/// recvfrom(2) of a datagram, with its source. EAGAIN where there is none.
pub fn receive_from(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(Source, usize), Errno> {
    let mut source = Source { address: [0; SLOT], length: SLOT as u32 };
    let (socket, flags) = (socket.as_raw_fd(), libc::MSG_DONTWAIT);
    let (address, length) = (source.address.as_mut_ptr(), &raw mut source.length);
    let (start, most) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: buffer and address are alive, writable and as long as we say.
    let got = checked(unsafe { libc::syscall(libc::SYS_recvfrom, socket, start, most, flags, address, length) })?;
    Ok((source, got as usize))
}

/// The same of a connected socket: there is one source.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    let (socket, flags, none) = (socket.as_raw_fd(), libc::MSG_DONTWAIT, std::ptr::null_mut::<u8>());
    // SAFETY: the buffer is alive, writable and as long as we say; no room for an address is given.
    let got = unsafe { libc::syscall(libc::SYS_recvfrom, socket, bytes.as_mut_ptr(), bytes.len(), flags, none, none) };
    checked(got).map(|got| got as usize)
}

/// What a relay sends with: without waiting, and without SIGPIPE.
pub const SENDING: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// sendto(2) of a datagram to whoever has sent another.
pub fn send_to(socket: BorrowedFd<'_>, bytes: &[u8], to: &Source) -> Result<(), Errno> {
    let (socket, address, length) = (socket.as_raw_fd(), to.address.as_ptr(), to.length.min(SLOT as u32));
    // SAFETY: buffer and address are alive and as long as we say; the kernel only reads them.
    let sent =
        unsafe { libc::syscall(libc::SYS_sendto, socket, bytes.as_ptr(), bytes.len(), SENDING, address, length) };
    checked(sent).map(drop)
}

/// The same of a connected socket.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    let (socket, none) = (socket.as_raw_fd(), std::ptr::null::<u8>());
    // SAFETY: the buffer is alive and as long as we say; no address is given.
    let sent = unsafe { libc::syscall(libc::SYS_sendto, socket, bytes.as_ptr(), bytes.len(), SENDING, none, 0) };
    checked(sent).map(drop)
}

/// A family of addresses, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Family {
    V4 = libc::AF_INET,
    V6 = libc::AF_INET6,
}

impl Family {
    /// That of an address.
    pub fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }
}

/// shutdown(2) of one direction: `SHUT_RD` or `SHUT_WR`. Errors say that it is shut already.
pub fn shut(socket: BorrowedFd<'_>, direction: i32) {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_shutdown, socket.as_raw_fd(), direction) };
}

/// Lets the peer of a TCP socket know by a reset, when it is closed, that something went wrong.
pub fn reset_on_close(socket: BorrowedFd<'_>) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (level, name, length) = (libc::SOL_SOCKET, libc::SO_LINGER, size_of::<libc::linger>());
    // SAFETY: a whole structure, alive here; the kernel only reads it. Where it is refused, the end is an orderly one.
    unsafe { libc::syscall(libc::SYS_setsockopt, socket.as_raw_fd(), level, name, &linger, length) };
}

/// poll(2), no longer than until `deadline`, if there is one. Entries with a negative descriptor are left out.
pub fn poll(entries: &mut [libc::pollfd], deadline: Option<Instant>) -> Result<(), Errno> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_millis());
    let timeout = left.map_or(-1, |left| i32::try_from(left).unwrap_or(i32::MAX));
    // SAFETY: the entries are alive and writable, and as many as we say.
    checked(unsafe { libc::syscall(libc::SYS_poll, entries.as_mut_ptr(), entries.len(), timeout) }).map(drop)
}

/// poll(2) of nothing, for a millisecond.
pub fn rest() {
    // SAFETY: no entries. Where it is interrupted, it was shorter.
    unsafe { libc::syscall(libc::SYS_poll, std::ptr::null_mut::<libc::pollfd>(), 0, 1) };
}

/// Gives the loopback interface of the current network namespace one address more; `index` tells IPv4's apart.
pub fn add_address(socket: BorrowedFd<'_>, address: &SocketAddr, index: u8) -> Result<(), Errno> {
    /// `struct in6_ifreq` of linux/ipv6.h.
    #[repr(C)]
    struct Request6 {
        address: [u8; 16],
        prefix: u32,
        interface: i32,
    }
    match address {
        SocketAddr::V4(v4) => {
            let (bytes, _) = encode(SocketAddr::V4(*v4));
            let mut name = [0; libc::IFNAMSIZ];
            // An alias, which is what an interface's second address is called there: see netdevice(7).
            let digits = [b'l', b'o', b':', b'0' + index / 10, b'0' + index % 10];
            name.iter_mut().zip(digits).for_each(|(place, byte)| *place = byte as libc::c_char);
            let mut family = [0; 14];
            family.iter_mut().zip(&bytes[2..]).for_each(|(place, byte)| *place = *byte as libc::c_char);
            // No port in an address of an interface.
            family[..2].fill(0);
            let address = libc::sockaddr { sa_family: libc::AF_INET as u16, sa_data: family };
            let request = libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_addr: address } };
            // SAFETY: a whole ifreq, alive here; the kernel only reads it.
            Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &request) }).map(drop)
        }
        SocketAddr::V6(v6) => {
            // The first interface of a network namespace is its loopback.
            let request = Request6 { address: v6.ip().octets(), prefix: 128, interface: 1 };
            // SAFETY: a whole in6_ifreq, alive here; the kernel only reads it.
            Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &request) }).map(drop)
        }
    }
}
