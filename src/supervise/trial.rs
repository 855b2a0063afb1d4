// SPDX-License-Identifier: Apache-2.0
//! The self-test of a service: one sandbox is made before the first client comes, up to where it waits for a
//! connection, and ended by letting go of its cord. What fails here would fail for every client.
//! The one place that waits, with a deadline, and never while a client is served.

use super::door::sentence;
use crate::host::errno_text;
use crate::plan::{Plan, Step};
use crate::sandbox::{Cgroup, Cord, HostError, Launcher, Message, Record, Reply, Slice, Users};
use crate::sys::wait;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the self-test may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the sandbox of `plan` once.
pub(super) fn run(
    plan: &Plan,
    launcher: &Launcher,
    slice: Option<&Slice>,
    users: Option<&mut Users>,
) -> Result<(), HostError> {
    let Some(users) = users else { return make(plan, launcher, slice, None) };
    let claim = users.claim()?;
    let made = make(plan, launcher, slice, Some(claim.uid()));
    users.release(claim);
    made
}

fn make(plan: &Plan, launcher: &Launcher, slice: Option<&Slice>, user: Option<u32>) -> Result<(), HostError> {
    let deadline = Instant::now() + PATIENCE;
    let (cord, far) = Cord::pair().map_err(|errno| failed(errno_text(errno)))?;
    let cgroup = slice.map(|slice| slice.session(0, &plan.cgroup)).transpose()?;
    let asked = launcher.request((0, user), far.as_fd(), cgroup.as_ref().map(AsFd::as_fd));
    asked.map_err(|errno| failed(format!("the launcher cannot be asked: {}", errno_text(errno))))?;
    drop(far);
    let (pid, pidfd) = first(plan, launcher, deadline)?;
    let tried = try_session(plan, &cord, cgroup.as_ref(), pid, deadline);
    drop(cord);
    let ended = end(pid, &pidfd, deadline);
    if let Some(cgroup) = cgroup {
        tidy(&cgroup, deadline)?;
    }
    tried.and(ended)
}

fn failed(why: impl Into<String>) -> HostError {
    HostError { doing: "make a sandbox in the self-test".into(), why: why.into() }
}

/// The sandbox's first process.
fn first(plan: &Plan, launcher: &Launcher, deadline: Instant) -> Result<(Pid, OwnedFd), HostError> {
    loop {
        match launcher.reply() {
            Ok(Some(Reply::Launched { pid, pidfd, .. })) => return Ok((pid, pidfd)),
            Ok(Some(Reply::Failed { error, .. })) => return Err(failed(sentence(plan, error))),
            Ok(Some(Reply::Closed)) => return Err(failed("the launcher died")),
            Ok(None) => await_input(launcher.as_fd(), deadline)?,
            Err(errno) => return Err(failed(format!("the launcher does not answer: {}", errno_text(errno)))),
        }
    }
}

/// Sees it in its cgroup, lets it come to where it waits for the connection, and hears what it says.
fn try_session(
    plan: &Plan,
    cord: &Cord,
    cgroup: Option<&Cgroup>,
    pid: Pid,
    deadline: Instant,
) -> Result<(), HostError> {
    // A kernel or a constant that does not do what we asked would leave it outside, where no kill reaches it.
    if let Some(cgroup) = cgroup
        && !cgroup.holds(pid).map_err(|errno| failed(errno_text(errno)))?
    {
        return Err(failed(format!("process {pid} is not in its cgroup {}", cgroup.path().display())));
    }
    // Half closed: the child finds the end of file where it waits for the connection, and can still say what failed.
    rustix::net::shutdown(cord, rustix::net::Shutdown::Write)
        .map_err(|error| failed(errno_text(Errno::from_raw(error.raw_os_error()))))?;
    loop {
        match cord.receive().map_err(|errno| failed(errno_text(errno)))? {
            Some(Message::Record(Record::Setup(error))) if error.step < Step::Handover => {
                return Err(failed(sentence(plan, error)));
            }
            Some(Message::Record(_) | Message::Closed) => return Ok(()),
            Some(Message::Foreign) => return Err(failed("it sent a report that no child of ours writes")),
            None => await_input(cord.as_fd(), deadline)?,
        }
    }
}

/// Without its cord it must end; after the deadline it is killed and the test has failed.
fn end(pid: Pid, pidfd: &OwnedFd, deadline: Instant) -> Result<(), HostError> {
    let ended = await_input(pidfd.as_fd(), deadline);
    if ended.is_err() {
        // It is reaped below, or, where even this is refused, by whoever comes after us.
        let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        let _ = await_input(pidfd.as_fd(), Instant::now() + PATIENCE);
    }
    let _ = wait::reap(pid);
    ended.map_err(|error| HostError { doing: "end the sandbox of the self-test".into(), why: error.why })
}

fn tidy(cgroup: &Cgroup, deadline: Instant) -> Result<(), HostError> {
    loop {
        match cgroup.remove() {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            Err(errno) => return Err(HostError::new(format!("remove cgroup {}", cgroup.path().display()), errno)),
        }
    }
}

fn await_input(fd: BorrowedFd<'_>, deadline: Instant) -> Result<(), HostError> {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    let timeout = PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX));
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
        Ok(0) => Err(failed(format!("no answer within {} seconds", PATIENCE.as_secs()))),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(failed(errno_text(errno))),
    }
}
