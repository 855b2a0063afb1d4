// SPDX-License-Identifier: Apache-2.0
//! Messages with descriptors, without allocation: nix and std build their control messages in vectors.
//! The child uses these after the clone, so nothing here may allocate, log or keep state.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The most descriptors that one message of ours carries.
pub const MAX_DESCRIPTORS: usize = 3;

/// Room for a control message header and [`MAX_DESCRIPTORS`] descriptors, aligned as the kernel wants it.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    descriptors: [RawFd; MAX_DESCRIPTORS + 1],
}

const HEADER: usize = size_of::<libc::cmsghdr>();

impl Control {
    fn empty() -> Self {
        let header = libc::cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 };
        Control { header, descriptors: [-1; MAX_DESCRIPTORS + 1] }
    }
}

fn message(iov: &mut libc::iovec, control: *mut Control, length: usize) -> libc::msghdr {
    libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: iov,
        msg_iovlen: 1,
        msg_control: control.cast(),
        msg_controllen: length,
        msg_flags: 0,
    }
}

/// socketpair(2) for messages, close-on-exec: two numbers, for a process that closes none of them but by ending.
pub fn pair() -> Result<(RawFd, RawFd), Errno> {
    let mut numbers: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the array is alive and has room for the two numbers.
    let result = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, numbers.as_mut_ptr()) };
    Errno::result(result).map(|_| (numbers[0], numbers[1]))
}

/// Sends `bytes` (at least one is sent, a NUL if there are none) with `descriptors`. Never raises SIGPIPE.
pub fn send_descriptors(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    send_with(socket, bytes, descriptors, libc::MSG_NOSIGNAL)
}

/// The same, and never waits. EAGAIN: nobody has taken what was sent before.
pub fn send_descriptors_if_ready(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    send_with(socket, bytes, descriptors, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
}

fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: libc::c_int,
) -> Result<(), Errno> {
    let bytes = if bytes.is_empty() { &[0] } else { bytes };
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control::empty();
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    control.header.cmsg_len = HEADER + size_of_val(descriptors);
    for (slot, descriptor) in control.descriptors.iter_mut().zip(descriptors) {
        *slot = descriptor.as_raw_fd();
    }
    let length = control.header.cmsg_len.next_multiple_of(align_of::<usize>());
    let length = if descriptors.is_empty() { 0 } else { length };
    let header = message(&mut iov, &mut control, length);
    // SAFETY: the header points at `bytes` and `control`, both alive here; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &header, flags) };
    Errno::result(sent).map(drop)
}

/// Receives one message without descriptors and says how long it was.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is alive and as long as we say.
    let got = unsafe { libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    Errno::result(got).map(|length| length as usize)
}

/// The same, and never waits. EAGAIN: there is none.
pub fn receive_if_ready(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is alive and as long as we say.
    let got = unsafe { libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
    Errno::result(got).map(|length| length as usize)
}

/// Receives one message and up to [`MAX_DESCRIPTORS`] descriptors, close-on-exec. EMFILE where not all of them fit
/// under the limit on open files: the kernel delivers the rest and says so in a flag alone, see recvmsg(2). The bytes
/// are there then, so that whoever is meant by them can be told.
pub fn receive_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(usize, [Option<OwnedFd>; MAX_DESCRIPTORS]), Errno> {
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control::empty();
    let mut header = message(&mut iov, &mut control, HEADER + size_of::<[RawFd; MAX_DESCRIPTORS]>());
    // SAFETY: the header points at `bytes` and `control`, both alive and writable here.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC) };
    let length = Errno::result(got)? as usize;
    let count = match header.msg_controllen {
        0 => 0,
        _ => control.header.cmsg_len.saturating_sub(HEADER) / size_of::<RawFd>(),
    };
    let mut descriptors = [None, None, None];
    for (slot, raw) in descriptors.iter_mut().zip(&control.descriptors[..count.min(MAX_DESCRIPTORS)]) {
        // SAFETY: the kernel has just installed this descriptor for us; no one else knows its number.
        *slot = Some(unsafe { OwnedFd::from_raw_fd(*raw) });
    }
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Errno::EMFILE);
    }
    Ok((length, descriptors))
}

/// `SO_PASSRIGHTS` of asm-generic/socket.h, Linux 6.16; not in libc yet.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Whether descriptors may be sent over this UNIX socket. An accepted socket inherits it from its listener.
/// ENOPROTOOPT before Linux 6.16.
pub fn set_pass_rights(socket: BorrowedFd<'_>, value: libc::c_int) -> Result<(), Errno> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer is to an int that outlives the call, and the length is its size.
    let r = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const value).cast(), length)
    };
    Errno::result(r).map(drop)
}

/// What [`set_pass_rights`] has set, or the kernel's 1.
pub fn pass_rights(socket: BorrowedFd<'_>) -> Result<libc::c_int, Errno> {
    let mut value: libc::c_int = 0;
    let mut length = size_of_val(&value) as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, SO_PASSRIGHTS);
    // SAFETY: the pointers are to an int and its size, both alive and writable here.
    let r = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &mut length) };
    Errno::result(r).map(|_| value)
}

/// The supplementary groups of the process at the other end of a UNIX connection, as it was when it connected:
/// `SO_PEERGROUPS`, Linux 4.13.
pub fn peer_groups(socket: BorrowedFd<'_>) -> Result<Vec<libc::gid_t>, Errno> {
    // As many as there can be: NGROUPS_MAX of linux/limits.h.
    let mut groups: Vec<libc::gid_t> = vec![0; 65536];
    let mut length = size_of_val(&groups[..]) as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
    // SAFETY: the pointers are to so many numbers and to their size in bytes, both alive and writable here.
    let r = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, groups.as_mut_ptr().cast(), &mut length) };
    Errno::result(r)?;
    groups.truncate(length as usize / size_of::<libc::gid_t>());
    Ok(groups)
}

/// `SO_ATTACH_FILTER`: of the messages that come to a netlink socket, these two kinds are kept and all others are
/// dropped before they take room or wake anybody. See socket(7) and netlink(7).
pub fn pass_two_kinds(socket: BorrowedFd<'_>, kinds: [u16; 2]) -> Result<(), Errno> {
    // The kind follows the length in the header, in this machine's order, and the filter loads it in the network's.
    const KIND: u32 = 4;
    let code = |code: u32| code as u16;
    let (load, equal, end) = (
        code(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS),
        code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
        code(libc::BPF_RET | libc::BPF_K),
    );
    let statement = |code, k, (jt, jf)| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        statement(load, KIND, (0, 0)),
        statement(equal, u32::from(kinds[0].to_be()), (1, 0)),
        statement(equal, u32::from(kinds[1].to_be()), (0, 1)),
        statement(end, u32::MAX, (0, 0)),
        statement(end, 0, (0, 0)),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let (level, name) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    let length = size_of_val(&filter) as libc::socklen_t;
    // SAFETY: the pointers are to a structure and to the program that it names, both alive; the kernel copies them.
    let r = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const filter).cast(), length) };
    Errno::result(r).map(drop)
}

/// `SO_PEEK_OFF`: where the next look at what is queued begins, and -1 for always at its start. See socket(7).
pub fn set_peek_offset(socket: BorrowedFd<'_>, value: libc::c_int) -> Result<(), Errno> {
    let length = size_of_val(&value) as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEEK_OFF);
    // SAFETY: the pointer is to an int that outlives the call, and the length is its size.
    let r = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    Errno::result(r).map(drop)
}

/// What a TCP connection has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that were sent, each counted once.
    pub sent: u64,
    /// Bytes that were received.
    pub received: u64,
    /// How long ago a byte was sent, be it again, or received.
    pub last: Duration,
}

/// What a TCP connection has carried, by `struct tcp_info` in linux/tcp.h (Linux 4.19), which libc's structure ends
/// before.
pub fn tcp_traffic(socket: BorrowedFd<'_>) -> Result<Traffic, Errno> {
    // Words of 64 bits: `tcpi_last_data_sent` and `tcpi_last_data_recv`, milliseconds, are the second halves of theirs.
    const LAST_SENT: usize = 5;
    const LAST_RECEIVED: usize = 6;
    const RECEIVED: usize = 16;
    const SENT: usize = 25;
    const SENT_AGAIN: usize = 26;
    let mut words = [0_u64; SENT_AGAIN + 1];
    let mut length = size_of_val(&words) as libc::socklen_t;
    let (number, place) = (socket.as_raw_fd(), words.as_mut_ptr().cast());
    // SAFETY: the pointers are to the words and their size, both alive and writable here.
    let r = unsafe { libc::getsockopt(number, libc::IPPROTO_TCP, libc::TCP_INFO, place, &mut length) };
    Errno::result(r)?;
    if (length as usize) < size_of_val(&words) {
        return Err(Errno::ENOPROTOOPT);
    }
    let millis = (words[LAST_SENT] >> 32).min(words[LAST_RECEIVED] >> 32);
    Ok(Traffic {
        sent: words[SENT] - words[SENT_AGAIN],
        received: words[RECEIVED],
        last: Duration::from_millis(millis),
    })
}

/// What a look at a queue finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// Bytes alone.
    Bytes,
    /// Descriptors with them, or other control data. None was received.
    Control,
    /// Nothing more.
    Nothing,
}

/// Looks at what is queued on a UNIX socket and takes nothing. Without room for control data the kernel drops its copy
/// of that and says so in a flag, see recvmsg(2).
pub fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<Peeked, Errno> {
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut header = message(&mut iov, std::ptr::null_mut(), 0);
    // SAFETY: the header points at `bytes`, alive and writable here, and at no control data.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    match Errno::result(got) {
        Ok(_) if header.msg_flags & libc::MSG_CTRUNC != 0 => Ok(Peeked::Control),
        Ok(0) | Err(Errno::EAGAIN | Errno::ECONNRESET) => Ok(Peeked::Nothing),
        Ok(_) => Ok(Peeked::Bytes),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clone::{self, Side};
    use crate::sys::process;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::fd::AsFd;

    /// In a child that has `socket` alone and room for so many more; raw system calls only, as between clone and exec.
    fn received_with_room(socket: &OwnedFd, room: u64) -> Result<usize, Errno> {
        match clone::clone_child().unwrap() {
            Side::Parent(child) => match nix::sys::wait::waitpid(child, None).unwrap() {
                nix::sys::wait::WaitStatus::Exited(_, status) if status < 100 => Ok(status as usize),
                nix::sys::wait::WaitStatus::Exited(_, status) => Err(Errno::from_raw(status - 100)),
                other => panic!("{other:?}"),
            },
            Side::Child => {
                let limit = 1 + room;
                let limited = process::duplicate_stdio(socket.as_raw_fd(), 0)
                    .and_then(|()| process::close_from(1))
                    .and_then(|()| process::set_limit(libc::RLIMIT_NOFILE, limit, limit));
                let received = limited.and_then(|()| receive_descriptors(process::fixed(0), &mut [0]));
                process::exit(match received {
                    Ok((_, descriptors)) => descriptors.iter().flatten().count() as i32,
                    Err(errno) => 100 + errno as i32,
                });
            }
        }
    }

    #[test]
    fn a_tcp_connection_says_what_it_has_carried_and_when() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let nothing = tcp_traffic(accepted.as_fd()).unwrap();
        assert_eq!((nothing.sent, nothing.received), (0, 0));
        client.write_all(&[b'x'; 7]).unwrap();
        accepted.read_exact(&mut [0; 7]).unwrap();
        accepted.write_all(&[b'y'; 3]).unwrap();
        let before = tcp_traffic(accepted.as_fd()).unwrap();
        assert_eq!((before.sent, before.received), (3, 7));
        std::thread::sleep(Duration::from_millis(300));
        let after = tcp_traffic(accepted.as_fd()).unwrap();
        // The kernel counts in ticks of its own.
        let passed = after.last.checked_sub(before.last).unwrap();
        assert!(passed >= Duration::from_millis(280), "{before:?} {after:?}");
    }

    #[test]
    fn descriptors_that_do_not_all_fit_are_an_error() {
        for (room, expected) in [(3, Ok(3)), (2, Err(Errno::EMFILE)), (0, Err(Errno::EMFILE))] {
            let (ours, theirs) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
            send_descriptors(ours.as_fd(), &[], &[ours.as_fd(); 3]).unwrap();
            assert_eq!(received_with_room(&theirs, room), expected, "room for {room}");
        }
    }
}
