// SPDX-License-Identifier: Apache-2.0
//! The clients: each connects, waits for the first byte, waits for the end, and starts again.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// After this a client gives up; nobody here needs a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What a crowd of clients does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// How many there are.
    pub(crate) clients: usize,
    /// Connections of all of them together, of which none begins after `longest`.
    pub(crate) connections: usize,
    pub(crate) longest: Duration,
    /// How long each rests after a connection.
    pub(crate) rest: Duration,
    pub(crate) ends: Ends,
}

/// Who ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The command, which has said its line.
    Command,
    /// The client, for whom the command waits.
    Client,
}

/// What they saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From the start of connect(2) to the first byte, of each that was answered.
    pub(crate) latencies: Vec<Duration>,
    /// Connections that were refused, cut or not answered.
    pub(crate) lost: usize,
    /// From the first connect to the last end.
    pub(crate) took: Duration,
}

/// Plays this load against a server.
pub(crate) fn play(address: &Address, load: Load) -> Seen {
    let begun = AtomicUsize::new(0);
    let start = Instant::now();
    let client = || {
        let mut seen = Seen::default();
        while begun.fetch_add(1, Ordering::Relaxed) < load.connections && start.elapsed() < load.longest {
            match visit(address, load.ends) {
                Ok(latency) => seen.latencies.push(latency),
                Err(_) => seen.lost += 1,
            }
            if !load.rest.is_zero() {
                std::thread::sleep(load.rest);
            }
        }
        seen
    };
    let mut all = Seen::default();
    std::thread::scope(|scope| {
        // The first client is this thread, so that one alone is not woken by another.
        let others: Vec<_> = (1..load.clients).map(|_| scope.spawn(client)).collect();
        all.add(client());
        others.into_iter().for_each(|one| all.add(one.join().expect("a client does not panic")));
    });
    all.took = start.elapsed();
    all
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.latencies.extend(other.latencies);
        self.lost += other.lost;
    }
}

/// One connection, to its end.
fn visit(address: &Address, ends: Ends) -> io::Result<Duration> {
    let start = Instant::now();
    let mut connection = Connection::open(address)?;
    let latency = start.elapsed();
    match ends {
        Ends::Command => connection.end(),
        Ends::Client => connection.finish(),
    }?;
    Ok(latency)
}

/// A connection that was answered.
pub(crate) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// Connects and waits for the first byte.
    pub(crate) fn open(address: &Address) -> io::Result<Connection> {
        let mut connection = match address {
            Address::Tcp(address) => Connection::Tcp(TcpStream::connect(address)?),
            Address::Unix(path) => Connection::Unix(UnixStream::connect(path)?),
        };
        let mut first = [0];
        match &mut connection {
            Connection::Tcp(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.read_exact(&mut first))
            }
            Connection::Unix(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.read_exact(&mut first))
            }
        }?;
        match &first {
            b"o" => Ok(connection),
            _ => Err(io::Error::other("this is not what the command says")),
        }
    }

    /// Waits until the server has closed.
    fn end(&mut self) -> io::Result<()> {
        let mut rest = [0; 16];
        let read = |stream: &mut dyn Read, rest: &mut [u8]| -> io::Result<()> {
            while stream.read(rest)? > 0 {}
            Ok(())
        };
        match self {
            Connection::Tcp(stream) => read(stream, &mut rest),
            Connection::Unix(stream) => read(stream, &mut rest),
        }
    }

    /// Says that nothing more comes, and waits until the server has closed.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match &self {
            Connection::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Connection::Unix(stream) => stream.shutdown(Shutdown::Write),
        }?;
        self.end()
    }
}
