// SPDX-License-Identifier: Apache-2.0
//! A client of a listening spawnbox, over TCP or a UNIX socket. Every read and write has a deadline.

use super::patience;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A connection to the server.
pub(crate) enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    /// Connects to `HOST:PORT` or `unix:PATH`.
    pub(crate) fn connect(address: &str) -> Client {
        let limit = Some(patience());
        match address.strip_prefix("unix:") {
            Some(path) => {
                let stream =
                    UnixStream::connect(path).unwrap_or_else(|error| panic!("cannot connect to {path}: {error}"));
                stream
                    .set_read_timeout(limit)
                    .and_then(|()| stream.set_write_timeout(limit))
                    .expect("a time-out can be set");
                Client::Unix(stream)
            }
            None => {
                let stream =
                    TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
                stream
                    .set_read_timeout(limit)
                    .and_then(|()| stream.set_write_timeout(limit))
                    .expect("a time-out can be set");
                Client::Tcp(stream)
            }
        }
    }

    /// Its own address, where it has one.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self {
            Client::Tcp(stream) => stream.local_addr().ok(),
            Client::Unix(_) => None,
        }
    }

    /// Sends all of this.
    pub(crate) fn send(mut self, bytes: &[u8]) -> Self {
        self.write_all(bytes).expect("the server reads");
        self
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(self) -> Self {
        let result = match &self {
            Client::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Client::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        result.expect("the connection is there");
        self
    }

    /// One line, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.read(&mut byte).expect("the server answers") == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Has a service that sends back what it is sent answer: from here on the client is being served.
    pub(crate) fn served(self) -> Self {
        let mut client = self.send(b"are you there\n");
        assert_eq!(client.line(), "are you there");
        client
    }

    /// Everything until the server closes or resets the connection.
    pub(crate) fn rest(mut self) -> String {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection is not closed: {error}"),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Closes so that the server sees a reset instead of an end.
    pub(crate) fn reset(self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        nix::sys::socket::setsockopt(&self.as_fd(), nix::sys::socket::sockopt::Linger, &linger)
            .expect("linger can be set");
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Client::Tcp(stream) => stream.as_fd(),
            Client::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Client {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Client::Tcp(stream) => stream.read(bytes),
            Client::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Client::Tcp(stream) => stream.write(bytes),
            Client::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
