// SPDX-License-Identifier: Apache-2.0
//! `spawnbox run`: one command, with standard input as its connection, and its end as our exit status.

use super::arrange::{Arrangement, Failure};
use super::check::say_what_is_missing;
use super::cli::Run;
use super::given::Given;
use crate::host::Facts;
use crate::plan::request::Front;
use crate::plan::{Capabilities, Plan, Step};
use crate::supervise::connection::is_socket;
use crate::supervise::{Advice, Client, Door, Ended, Limit, OnSignal, Outcome, Supervisor};
use nix::errno::Errno;
use nix::libc;
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

/// The sandbox could not be made: see env(1) and timeout(1) for this and the next ones.
pub(super) const UNABLE: u8 = 125;
const TIMED_OUT: u8 = 124;
const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;
const SIGNALED: u8 = 128;

/// Remembers how the one session ended.
#[derive(Debug, Default)]
pub(super) struct Once {
    ended: Option<Outcome>,
    signal: Option<i32>,
}

impl Once {
    /// The exit status that says how it ended.
    pub(super) fn status(&self) -> ExitCode {
        ExitCode::from(status(self.ended, self.signal))
    }
}

impl Door for Once {
    fn ended(&mut self, ended: &Ended<'_>, _: usize) -> Advice {
        // Out of memory, the kernel kills the reaper along with the command, so nobody is left to say how that ended.
        self.ended = Some(match (ended.outcome, ended.limit()) {
            (Outcome::Lost(_), Some(Limit::Memory(_) | Limit::ServiceMemory(_) | Limit::HostMemory)) => {
                Outcome::Signaled(libc::SIGKILL)
            }
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

/// Runs the command to its end.
pub(super) fn run(options: &Run) -> Result<ExitCode, Failure> {
    let arrangement = Arrangement::new(&options.what, Front::Run)?;
    let given = if options.inetd { Given::connection() } else { Given::take() };
    let Given { connection, client, transport } = given.map_err(Failure::Host)?;
    let facts = arrangement.observe()?;
    let plan = arrangement.plan(transport, &facts)?;
    say_what_is_missing(&plan);
    let mut once = Once::default();
    serve(plan, &facts, (connection, client), &mut once)?;
    Ok(once.status())
}

/// One session.
pub(super) fn serve(
    plan: Plan,
    facts: &Facts,
    (connection, client): (Vec<OwnedFd>, Client),
    door: &mut dyn Door,
) -> Result<(), Failure> {
    let rights = Capabilities::of_supervisor(&plan);
    let mut supervisor = Supervisor::new(OnSignal::Stop, &facts.cgroup, rights).map_err(Failure::Host)?;
    let service = supervisor.add(plan, Vec::new()).map_err(Failure::Host)?;
    supervisor.begin(service, connection, client);
    supervisor.run(door).map_err(Failure::Host)
}

/// The exit status for an outcome.
fn status(ended: Option<Outcome>, signal: Option<i32>) -> u8 {
    let signaled = |number: i32| SIGNALED | u8::try_from(number).unwrap_or(0);
    match ended {
        Some(Outcome::Exited(status)) => status,
        Some(Outcome::Signaled(number)) => signaled(number),
        Some(Outcome::TimeLimit | Outcome::IdleLimit) => TIMED_OUT,
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
