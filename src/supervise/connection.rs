// SPDX-License-Identifier: Apache-2.0
//! What may be a session's connection, where somebody else made it. It is a hole in the command's network namespace, so
//! it must be no more than a connection: one that listens or sends datagrams reaches others from the host's network, as
//! sendmsg(2) does with an address behind a pointer, and one that takes descriptors brings what no policy grants.

use crate::host::HostError;
use crate::sys::errno;
use crate::sys::socket::{Peeked, pass_rights, peek, set_pass_rights, set_peek_offset};
use nix::errno::Errno;
use rustix::fs::FileType;
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::os::fd::BorrowedFd;

/// Refuses a socket that is no connection, and descriptors over one that is. What is no socket stays as it is.
pub fn lock(connection: BorrowedFd<'_>, name: &str) -> Result<(), HostError> {
    if !is_socket(connection) {
        return Ok(());
    }
    let failed = |error: rustix::io::Errno| HostError::new(format!("ask what socket {name} is"), errno(error));
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
        AddressFamily::UNIX => shut(connection),
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

/// Refuses descriptors over one connection, whose client may have sent some before: where somebody else made the
/// listener, clients wait before we do. Then the connection itself is refused.
pub(super) fn shut(connection: BorrowedFd<'_>) -> Result<(), HostError> {
    match pass_rights(connection) {
        // As the listener has it, or Linux before 6.16, where a client may send them at any time.
        Ok(0) | Err(Errno::ENOPROTOOPT) => return Ok(()),
        Ok(_) => {}
        Err(errno) => return Err(HostError::new("ask whether clients may send descriptors (SO_PASSRIGHTS)", errno)),
    }
    // Before the look, or more could come behind it.
    refuse_descriptors(connection)?;
    let failed = |errno| HostError::new("look whether the client has sent descriptors", errno);
    match waiting(connection).map_err(failed)? {
        false => Ok(()),
        true => Err(HostError {
            doing: "take the connection".into(),
            why: "its client has sent descriptors with it, which no policy grants".into(),
        }),
    }
}

/// More than any sender's buffer holds, which net.core.wmem_max bounds.
const MOST_LOOKS: usize = 1024;

/// Whether descriptors wait on a connection. Nothing is taken from it, and no byte is looked into.
fn waiting(connection: BorrowedFd<'_>) -> Result<bool, Errno> {
    set_peek_offset(connection, 0)?;
    let mut room = vec![0; 1 << 16];
    let mut found = true;
    for _ in 0..MOST_LOOKS {
        found = match peek(connection, &mut room)? {
            Peeked::Bytes => continue,
            Peeked::Control => true,
            Peeked::Nothing => false,
        };
        break;
    }
    set_peek_offset(connection, -1)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket::send_descriptors;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_that_were_sent_before_are_found_behind_any_number_of_bytes() {
        let (mut client, mut connection) = UnixStream::pair().unwrap();
        if pass_rights(connection.as_fd()) == Err(Errno::ENOPROTOOPT) {
            eprintln!("skipped: SO_PASSRIGHTS needs Linux 6.16");
            return;
        }
        client.write_all(&[b'x'; 70_000]).unwrap();
        shut(connection.as_fd()).unwrap();
        assert_eq!(send_descriptors(client.as_fd(), b"y", &[client.as_fd()]), Err(Errno::EPERM));
        // What was looked at is still there, and looked at from its start.
        let mut bytes = [0; 70_000];
        connection.read_exact(&mut bytes).unwrap();

        set_pass_rights(connection.as_fd(), 1).unwrap();
        client.write_all(&[b'x'; 70_000]).unwrap();
        send_descriptors(client.as_fd(), b"y", &[client.as_fd()]).unwrap();
        let refused = shut(connection.as_fd()).unwrap_err();
        assert!(refused.to_string().contains("its client has sent descriptors"), "{refused}");
    }
}
