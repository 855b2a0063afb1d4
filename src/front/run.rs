// SPDX-License-Identifier: Apache-2.0
//! `spawnbox run`: one command, with standard input as its connection, and its end as our exit status.

use super::arrange::{Arrangement, Failure};
use super::cli::Run;
use super::socket::refuse_descriptors;
use crate::host::HostError;
use crate::plan::Step;
use crate::plan::request::{Front, Transport};
use crate::supervise::{Advice, Client, Door, Ended, Limit, OnSignal, Outcome, Supervisor};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

/// The sandbox could not be made: see env(1) and timeout(1) for this and the next ones.
pub(super) const UNABLE: u8 = 125;
const TIMED_OUT: u8 = 124;
const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;
const SIGNALED: u8 = 128;

/// Remembers how the one session ended.
#[derive(Debug, Default)]
struct Once {
    ended: Option<Outcome>,
    signal: Option<i32>,
}

impl Door for Once {
    fn ended(&mut self, ended: &Ended<'_>, _: usize) -> Advice {
        // Out of memory, the kernel kills the reaper along with the command, so nobody is left to say how that ended.
        self.ended = Some(match (ended.outcome, ended.limit()) {
            (Outcome::Lost(_), Some(Limit::Memory(_))) => Outcome::Signaled(libc::SIGKILL),
            (outcome, _) => outcome,
        });
        Advice::Drain
    }

    fn signaled(&mut self, signal: i32) {
        self.signal = self.signal.or(Some(signal));
    }
}

/// Keeps our own words from the client: under inetd standard error is the connection too. They go to syslog then, and
/// nothing else that is printed reaches it.
pub(super) fn keep_quiet_to_client() -> bool {
    let same = |a: BorrowedFd<'_>, b: BorrowedFd<'_>| {
        let (a, b) = (rustix::fs::fstat(a).ok(), rustix::fs::fstat(b).ok());
        matches!((a, b), (Some(a), Some(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    };
    let (stdin, stderr) = (std::io::stdin(), std::io::stderr());
    if !is_socket(stdin.as_fd()) || !same(stdin.as_fd(), stderr.as_fd()) {
        return false;
    }
    let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    // Without /dev/null the words are lost with their descriptor, which is still better than sent.
    let _ = null.map(nix::unistd::dup2_stderr);
    true
}

fn is_socket(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Socket)
}

/// Runs the command to its end.
pub(super) fn run(options: &Run) -> Result<ExitCode, Failure> {
    let arrangement = Arrangement::new(&options.what, None, Front::Run)?;
    let (connection, client, transport) = given().map_err(Failure::Host)?;
    let facts = arrangement.observe()?;
    let plan = arrangement.plan(transport, &facts)?;
    let mut supervisor = Supervisor::new(OnSignal::Stop, &facts.cgroup).map_err(Failure::Host)?;
    let service = supervisor.add(plan, Vec::new()).map_err(Failure::Host)?;
    supervisor.begin(service, connection, client);
    let mut once = Once::default();
    supervisor.run(&mut once).map_err(Failure::Host)?;
    Ok(ExitCode::from(status(once.ended, once.signal)))
}

/// Standard input alone where it and standard output are sockets, as inetd gives them; else all three.
fn given() -> Result<(Vec<OwnedFd>, Client, Transport), HostError> {
    let copy = |fd: BorrowedFd<'_>, name: &str| {
        let failed = |error: rustix::io::Errno| {
            HostError::new(format!("take over {name}"), Errno::from_raw(error.raw_os_error()))
        };
        let copied = rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(failed)?;
        if is_socket(copied.as_fd()) {
            lock(copied.as_fd(), name)?;
        }
        Ok(copied)
    };
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let family = |fd: BorrowedFd<'_>| {
        let address = getsockname::<SockaddrStorage>(fd.as_raw_fd()).ok();
        address.and_then(|address| address.family())
    };
    match (family(stdin.as_fd()), family(stdout.as_fd())) {
        (Some(family), Some(_)) => {
            let transport = match family {
                AddressFamily::Inet | AddressFamily::Inet6 => Transport::Tcp,
                // What has another family is no concern of a network namespace.
                _ => Transport::Unix,
            };
            let connection = copy(stdin.as_fd(), "standard input")?;
            let client = Client::of(connection.as_fd(), None);
            Ok((vec![connection], client, transport))
        }
        (None, _) | (_, None) => {
            let all = vec![
                copy(stdin.as_fd(), "standard input")?,
                copy(stdout.as_fd(), "standard output")?,
                copy(stderr.as_fd(), "standard error")?,
            ];
            Ok((all, Client::Given, Transport::Stdio))
        }
    }
}

/// A socket must be a connection: one that listens or sends datagrams reaches others from the host's network, which
/// sendmsg(2) does with an address behind a pointer. No descriptor comes over it from here on.
fn lock(socket: BorrowedFd<'_>, name: &str) -> Result<(), HostError> {
    use rustix::net::{AddressFamily, SocketType, sockopt};
    let failed = |error: rustix::io::Errno| {
        HostError::new(format!("ask what socket {name} is"), Errno::from_raw(error.raw_os_error()))
    };
    let kind = sockopt::socket_type(socket).map_err(failed)?;
    if !matches!(kind, SocketType::STREAM | SocketType::SEQPACKET)
        || sockopt::socket_acceptconn(socket).map_err(failed)?
    {
        return Err(HostError {
            doing: format!("hand over {name}"),
            why: "it is a socket but no connection; from inetd, take a service with stream and nowait".into(),
        });
    }
    match sockopt::socket_domain(socket).map_err(failed)? {
        AddressFamily::UNIX => refuse_descriptors(socket),
        _ => Ok(()),
    }
}

/// The exit status for an outcome.
fn status(ended: Option<Outcome>, signal: Option<i32>) -> u8 {
    let signaled = |number: i32| SIGNALED | u8::try_from(number).unwrap_or(0);
    match ended {
        Some(Outcome::Exited(status)) => status,
        Some(Outcome::Signaled(number)) => signaled(number),
        Some(Outcome::TimeLimit) => TIMED_OUT,
        Some(Outcome::SetupFailed(error)) if error.step == Step::Exec => match error.errno {
            Errno::ENOENT | Errno::ENOTDIR => NOT_FOUND,
            _ => CANNOT_EXECUTE,
        },
        Some(Outcome::Stopped) => signaled(signal.unwrap_or(libc::SIGTERM)),
        Some(Outcome::SetupFailed(_) | Outcome::Lost(_) | Outcome::NotLaunched | Outcome::Foreign) => UNABLE,
        // It could not be ended.
        None => UNABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::SetupError;

    #[test]
    fn the_exit_status_says_what_ended_it() {
        let failed = |step, errno| Some(Outcome::SetupFailed(SetupError { step, index: 0, errno }));
        let table = [
            (Some(Outcome::Exited(7)), None, 7),
            (Some(Outcome::Signaled(libc::SIGTERM)), None, 143),
            (Some(Outcome::TimeLimit), None, 124),
            (failed(Step::Landlock, Errno::EPERM), None, 125),
            (failed(Step::Exec, Errno::ENOENT), None, 127),
            (failed(Step::Exec, Errno::EACCES), None, 126),
            (Some(Outcome::Lost(None)), None, 125),
            (Some(Outcome::Stopped), Some(libc::SIGINT), 130),
            (None, Some(libc::SIGTERM), 125),
        ];
        for (ended, signal, expected) in table {
            assert_eq!(status(ended, signal), expected, "{ended:?}");
        }
    }
}
