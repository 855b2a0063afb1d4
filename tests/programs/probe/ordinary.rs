// SPDX-License-Identifier: Apache-2.0
//! What honest commands do with their connection, which is standard input and output, one way after the other.

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{KeepAlive, Linger, PeerCredentials, ReceiveTimeout, SocketError, TcpNoDelay};
use nix::sys::socket::{
    MsgFlags, SetSockOpt, Shutdown, SockaddrStorage, getpeername, getsockname, getsockopt, setsockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::{IoSlice, IoSliceMut, Read, Write, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd};

/// Does what `name` says; `None` where this file knows no such use.
pub(crate) fn attempt(name: &str, arguments: &[&str]) -> Option<Result<String, Errno>> {
    let first = arguments.first().copied().unwrap_or_default();
    let result = match name {
        "peer-name" => getpeername::<SockaddrStorage>(0).map(drop),
        "own-name" => getsockname::<SockaddrStorage>(0).map(drop),
        "peer-credentials" => getsockopt(&stdin(), PeerCredentials).map(drop),
        "pending-error" => getsockopt(&stdin(), SocketError).map(drop),
        "tcp-state" => tcp_state(),
        "keep-alive" => set(KeepAlive, &true),
        "no-delay" => set(TcpNoDelay, &true),
        "cork" => cork(1).and_then(|()| cork(0)),
        "receive-timeout" => set(ReceiveTimeout, &TimeVal::seconds(60)),
        "linger" => set(Linger, &libc::linger { l_onoff: 0, l_linger: 0 }),
        "poll" => ready(PollFlags::POLLIN),
        "epoll" => epoll(),
        "peek" => receive(MsgFlags::MSG_PEEK),
        "how-much" => how_much(),
        "receive" => receive(MsgFlags::empty()),
        "receive-message" => receive_message(),
        "send" => nix::sys::socket::send(1, b"sent\n", MsgFlags::MSG_NOSIGNAL).map(drop),
        "send-message" => {
            nix::sys::socket::sendmsg::<()>(1, &[IoSlice::new(b"sent\n")], &[], MsgFlags::MSG_NOSIGNAL, None).map(drop)
        }
        "write-vector" => nix::sys::uio::writev(stdout(), &[IoSlice::new(b"vec"), IoSlice::new(b"tor\n")]).map(drop),
        "without-blocking" => without_blocking(),
        "splice" => splice(),
        "send-file" => send_file(first),
        "half-close" => nix::sys::socket::shutdown(1, Shutdown::Write),
        // The client's half is still open: what it says is the exit status.
        "exit-as-told" => exit_as_told(),
        _ => return None,
    };
    Some(result.map(|()| String::new()))
}

fn set<O: SetSockOpt<Val = V>, V>(option: O, value: &V) -> Result<(), Errno> {
    setsockopt(&stdin(), option, value)
}

fn cork(value: i32) -> Result<(), Errno> {
    // SAFETY: the pointer is to an int that outlives the call, and the length is its size.
    Errno::result(unsafe { libc::setsockopt(0, libc::IPPROTO_TCP, libc::TCP_CORK, (&raw const value).cast(), 4) })
        .map(drop)
}

fn tcp_state() -> Result<(), Errno> {
    let mut room = [0_u8; 256];
    let mut length = 256_u32;
    // SAFETY: the pointers are to the room and its length, both alive and writable here.
    let asked =
        unsafe { libc::getsockopt(0, libc::IPPROTO_TCP, libc::TCP_INFO, room.as_mut_ptr().cast(), &mut length) };
    Errno::result(asked).map(drop)
}

fn ready(what: PollFlags) -> Result<(), Errno> {
    let stdin = stdin();
    poll(&mut [PollFd::new(stdin.as_fd(), what)], PollTimeout::NONE).map(drop)
}

fn epoll() -> Result<(), Errno> {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(stdin(), EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    epoll.wait(&mut [EpollEvent::empty()], PollTimeout::NONE).map(drop)
}

fn receive(flags: MsgFlags) -> Result<(), Errno> {
    nix::sys::socket::recv(0, &mut [0], flags).map(drop)
}

fn receive_message() -> Result<(), Errno> {
    let mut byte = [0];
    nix::sys::socket::recvmsg::<()>(0, &mut [IoSliceMut::new(&mut byte)], None, MsgFlags::empty()).map(drop)
}

fn how_much() -> Result<(), Errno> {
    let mut bytes = 0_i32;
    // SAFETY: FIONREAD writes an int.
    Errno::result(unsafe { libc::ioctl(0, libc::FIONREAD, &mut bytes) }).map(drop)
}

fn without_blocking() -> Result<(), Errno> {
    for value in [1_i32, 0] {
        // SAFETY: FIONBIO reads an int.
        Errno::result(unsafe { libc::ioctl(0, libc::FIONBIO, &value) })?;
    }
    Ok(())
}

/// Eight bytes from the connection to the connection, past this process's memory.
fn splice() -> Result<(), Errno> {
    let (read, write) = nix::unistd::pipe()?;
    let null = std::ptr::null_mut();
    for (from, to) in [(0, write.as_raw_fd()), (read.as_raw_fd(), 1)] {
        // SAFETY: numbers and null pointers: neither end has a position.
        Errno::result(unsafe { libc::splice(from, null, to, null, 8, 0) })?;
    }
    Ok(())
}

fn send_file(path: &str) -> Result<(), Errno> {
    let file = std::fs::File::open(path).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    // SAFETY: numbers and a null pointer: from where the file stands.
    Errno::result(unsafe { libc::sendfile(1, file.as_raw_fd(), std::ptr::null_mut(), 16) }).map(drop)
}

fn exit_as_told() -> ! {
    let _ = stdout().flush();
    let mut text = String::new();
    let _ = stdin().read_to_string(&mut text);
    std::process::exit(text.trim().parse().unwrap_or(1))
}
