// SPDX-License-Identifier: Apache-2.0
//! What may be a session's connection, where somebody else made it. It is a hole in the command's network namespace, so
//! it must be no more than a connection: one that listens or sends datagrams reaches others from the host's network, as
//! sendmsg(2) does with an address behind a pointer, and one that takes descriptors brings what no policy grants.

use crate::host::HostError;
use crate::sys::socket::set_pass_rights;
use nix::errno::Errno;
use rustix::fs::FileType;
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::os::fd::BorrowedFd;

/// Refuses a socket that is no connection, and descriptors over one that is. What is no socket stays as it is.
pub fn lock(connection: BorrowedFd<'_>, name: &str) -> Result<(), HostError> {
    if !is_socket(connection) {
        return Ok(());
    }
    let failed = |error: rustix::io::Errno| {
        HostError::new(format!("ask what socket {name} is"), Errno::from_raw(error.raw_os_error()))
    };
    let kind = sockopt::socket_type(connection).map_err(failed)?;
    if !matches!(kind, SocketType::STREAM | SocketType::SEQPACKET)
        || sockopt::socket_acceptconn(connection).map_err(failed)?
    {
        return Err(HostError {
            doing: format!("hand over {name}"),
            why: "it is a socket but no connection; from inetd, take a service with stream and nowait".into(),
        });
    }
    match sockopt::socket_domain(connection).map_err(failed)? {
        AddressFamily::UNIX => refuse_descriptors(connection),
        _ => Ok(()),
    }
}

/// Whether it is a socket of any kind.
pub fn is_socket(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Socket)
}

/// A client could otherwise hand the command descriptors that no policy grants. Older kernels cannot refuse them, and
/// there the filter's list and Landlock must do: an open descriptor asks neither.
pub fn refuse_descriptors(socket: BorrowedFd<'_>) -> Result<(), HostError> {
    match set_pass_rights(socket, 0) {
        // Linux before 6.16.
        Ok(()) | Err(Errno::ENOPROTOOPT) => Ok(()),
        Err(errno) => Err(HostError::new("refuse descriptors from clients (SO_PASSRIGHTS)", errno)),
    }
}
