// SPDX-License-Identifier: Apache-2.0
//! The self-test of a service: before the first client comes, a sandbox is made as for one, and proves each of its
//! layers where it would execute the command. A step that succeeded may have done nothing: only what is seen counts.
//! The one place that waits, with a deadline. At the start nobody is served yet; where a service is new or changed
//! while others are served, their clients wait as well, and that deadline is a short one.

use super::door::sentence;
use crate::host::audit::AuditLog;
use crate::host::errno_text;
use crate::plan::Plan;
use crate::plan::proofs::{self, Doubt, Item, Proof, Station};
use crate::sandbox::launcher::SELF_TEST;
use crate::sandbox::{Cgroup, Cord, HostError, Launcher, Message, Purpose, Record, Reply, Seen, Slice, Users};
use crate::sys::{errno, wait};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the self-test may take. It takes milliseconds; an emulated machine under load has needed more than five
/// seconds to take a namespace down, and a service that is refused for that is worse off than one that starts late.
pub(super) const AT_THE_START: Duration = Duration::from_secs(20);
/// The same while clients of other services wait. A service that is not proven by then is tried again later.
pub(super) const AMONG_CLIENTS: Duration = Duration::from_secs(2);

/// The part of the patience that is for a record of the audit log, which takes milliseconds. Where that is silent
/// all of it is spent, at each attempt.
const FOR_AUDIT: u32 = 10;

/// What came of each proof; nothing where it succeeded.
pub type Proofs = BTreeMap<Item, Option<Doubt>>;

/// Until when is waited, in all.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    patience: Duration,
}

impl Deadline {
    fn after(patience: Duration) -> Self {
        Deadline { at: Instant::now() + patience, patience }
    }

    fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// Makes the sandbox of `plan` once. The first proof that does not succeed is the error.
pub(super) fn run(
    plan: &Plan,
    launcher: &Launcher,
    slice: Option<&Slice>,
    users: Option<&mut Users>,
    patience: Duration,
) -> Result<(), HostError> {
    let proofs = examine(plan, launcher, slice, users, patience)?;
    match proofs.into_iter().find_map(|(item, doubt)| Some((item, doubt?))) {
        None => Ok(()),
        Some((item, doubt)) => Err(HostError {
            doing: "prove the sandbox in the self-test".into(),
            why: proofs::sentence(plan, item, doubt),
        }),
    }
}

/// Makes the sandbox of `plan` once, and looks at every layer.
pub(super) fn examine(
    plan: &Plan,
    launcher: &Launcher,
    slice: Option<&Slice>,
    users: Option<&mut Users>,
    patience: Duration,
) -> Result<Proofs, HostError> {
    let deadline = Deadline::after(patience);
    let Some(users) = users else { return make(plan, launcher, slice, None, deadline) };
    let claim = users.claim()?;
    let made = make(plan, launcher, slice, Some(claim.uid()), deadline);
    users.release(claim);
    made
}

fn make(
    plan: &Plan,
    launcher: &Launcher,
    slice: Option<&Slice>,
    user: Option<u32>,
    deadline: Deadline,
) -> Result<Proofs, HostError> {
    let made = slice.map(|slice| slice.session(SELF_TEST, &plan.cgroup)).transpose()?;
    let (cgroup, directory) = made.unzip();
    let proofs = prove((plan, launcher, user), cgroup.as_ref(), directory, deadline);
    // Whatever came of it: the next one has a cgroup of the same name.
    let tidied = cgroup.map_or(Ok(()), |cgroup| tidy(&cgroup, deadline));
    proofs.and_then(|proofs| tidied.map(|()| proofs))
}

fn prove(
    (plan, launcher, user): (&Plan, &Launcher, Option<u32>),
    cgroup: Option<&Cgroup>,
    directory: Option<OwnedFd>,
    deadline: Deadline,
) -> Result<Proofs, HostError> {
    let (cord, far) = Cord::pair().map_err(|errno| failed(errno_text(errno)))?;
    let connection = connection(&cord)?;
    let into = directory.as_ref().map(AsFd::as_fd);
    // Before there is anything to be heard. Another one than that of the sessions, whose records are not for here.
    let log = plan.is_audited().then(AuditLog::open);
    let asked = launcher.request((SELF_TEST, user, Purpose::SelfTest), far.as_fd(), into);
    asked.map_err(|errno| failed(format!("the launcher cannot be asked: {}", errno_text(errno))))?;
    drop((far, directory));
    let (pid, pidfd) = first(plan, launcher, deadline)?;
    let mut proofs: Proofs =
        proofs::needed(plan, cgroup.is_some()).into_iter().map(|item| (item, Some(Doubt::Missing))).collect();
    let heard = hear(plan, &cord, (cgroup, pid), &mut proofs, deadline);
    drop(cord);
    // The connection is held until then, so that the command is alive when the supervisor lets go of its reaper.
    let held = plan.init.then_some(connection);
    let ended = end(pid, &pidfd, deadline);
    drop(held);
    heard.and(ended)?;
    settle(&mut proofs, Proof::Lifeline, true);
    if let Some(log) = log {
        listen(log, pid, &mut proofs, deadline);
    }
    Ok(proofs)
}

fn failed(why: impl Into<String>) -> HostError {
    HostError { doing: "make a sandbox in the self-test".into(), why: why.into() }
}

/// What the child finds as its connection: a socket that is nobody's, of which we hold the other end. It writes there
/// until that takes no more, which is soon, and so is there until we let go.
fn connection(cord: &Cord) -> Result<OwnedFd, HostError> {
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let (ours, theirs) = pair.map_err(|error| failed(errno_text(errno(error))))?;
    // The least that there can be, see socket(7).
    rustix::net::sockopt::set_socket_send_buffer_size(&theirs, 0).map_err(|error| failed(errno_text(errno(error))))?;
    cord.hand_over(&[theirs.as_fd()], b"").map_err(|errno| failed(errno_text(errno)))?;
    Ok(ours)
}

/// The sandbox's first process.
fn first(plan: &Plan, launcher: &Launcher, deadline: Deadline) -> Result<(Pid, OwnedFd), HostError> {
    loop {
        match launcher.reply() {
            Ok(Some(Reply::Launched { pid, pidfd, .. })) => return Ok((pid, pidfd)),
            Ok(Some(Reply::Failed { error, .. })) => return Err(failed(sentence(plan, error))),
            // Its cord ends it, and a program that cannot start needs no account of it.
            Ok(Some(Reply::OutOfReach { .. })) => return Err(failed(errno_text(Errno::EMFILE))),
            // What is made for a self-test has memory of its own.
            Ok(Some(Reply::Moved { .. } | Reply::Closed)) => return Err(failed("the launcher died")),
            Ok(None) => await_input(launcher.as_fd(), deadline)?,
            Err(errno) => return Err(failed(format!("the launcher does not answer: {}", errno_text(errno)))),
        }
    }
}

/// A kernel or a constant that does not do what we asked would leave the sandbox outside of its cgroup, where no kill
/// reaches it. Asked once it has said everything, while it lives: a process that has ended is in no list either, and
/// one that was made by clone(2) enters its cgroup by itself.
fn look_from_outside(cgroup: Option<&Cgroup>, pid: Pid, proofs: &mut Proofs) -> Result<(), HostError> {
    let Some(cgroup) = cgroup else { return Ok(()) };
    if cgroup.holds(pid).map_err(|errno| failed(errno_text(errno)))? {
        settle(proofs, Proof::ControlGroup, true);
    }
    Ok(())
}

/// For what is proven once, from outside.
fn settle(proofs: &mut Proofs, proof: Proof, holds: bool) {
    if let Some(doubt) = proofs.get_mut(&Item { proof, index: 0 }) {
        *doubt = if holds { None } else { Some(Doubt::Breach) };
    }
}

/// Takes what the child says until it has said everything.
fn hear(
    plan: &Plan,
    cord: &Cord,
    (cgroup, pid): (Option<&Cgroup>, Pid),
    proofs: &mut Proofs,
    deadline: Deadline,
) -> Result<(), HostError> {
    let is_owed = |(item, doubt): (&Item, &Option<Doubt>)| {
        item.proof.station() != Station::Outside && *doubt == Some(Doubt::Missing)
    };
    while proofs.iter().any(is_owed) {
        match cord.receive().map_err(|errno| failed(errno_text(errno)))? {
            Some(Message::Record(Record::Setup(error))) => return Err(failed(sentence(plan, error))),
            Some(Message::Record(Record::Proof(Seen { item, value }))) => {
                let doubt = match value {
                    Seen::HOLDS => None,
                    Seen::DOES_NOT => Some(Doubt::Breach),
                    errno => Some(Doubt::Unseen(errno)),
                };
                // What was not asked for proves nothing.
                proofs.entry(item).and_modify(|known| *known = doubt);
            }
            // A call that its proofs made in vain: it is told of before it is answered, and so before what it proves.
            Some(Message::Denied(denied)) => {
                if plan.filter.as_ref().is_some_and(|filter| proofs::told(filter).any(|call| call == denied.call)) {
                    settle(proofs, Proof::Heard, true);
                }
            }
            // Its end; what it has not said by then is missing. It is no spare, and has taken its connection at once.
            Some(Message::Record(Record::Status(_) | Record::Taken)) => {}
            Some(Message::Record(Record::Relay(_))) => return Err(failed("its relay ended before it was told to")),
            Some(Message::Closed) => return Ok(()),
            Some(Message::Foreign) => return Err(failed("it sent a report that no child of ours writes")),
            None => await_input(cord.as_fd(), deadline)?,
        }
    }
    look_from_outside(cgroup, pid, proofs)?;
    // The child is there and has said everything; these are others' to see, and nobody has.
    for proof in [Proof::ControlGroup, Proof::Heard] {
        if let Some(doubt @ Some(Doubt::Missing)) = proofs.get_mut(&Item { proof, index: 0 }) {
            *doubt = Some(Doubt::Breach);
        }
    }
    Ok(())
}

/// The kernel tells of what Landlock has denied to the child a moment later. That it does so after an exec too is not
/// seen here, where nothing is executed.
fn listen(log: Result<AuditLog, Errno>, pid: Pid, proofs: &mut Proofs, deadline: Deadline) {
    let until = Instant::now() + deadline.left().min(deadline.patience / FOR_AUDIT);
    match log.and_then(|log| log.tells_of(pid, until)) {
        Ok(told) => settle(proofs, Proof::Audited, told),
        Err(errno) => drop(proofs.insert(Item { proof: Proof::Audited, index: 0 }, Some(Doubt::Unseen(errno as i32)))),
    }
}

/// Without its cord it must end; after the deadline it is killed and the test has failed.
fn end(pid: Pid, pidfd: &OwnedFd, deadline: Deadline) -> Result<(), HostError> {
    let ended = await_input(pidfd.as_fd(), deadline);
    if ended.is_err() {
        // It is reaped below, or, where even this is refused, by whoever comes after us.
        let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        let _ = await_input(pidfd.as_fd(), Deadline::after(deadline.patience));
    }
    let _ = wait::reap(pid);
    ended.map_err(|error| HostError { doing: "end the sandbox of the self-test".into(), why: error.why })
}

fn tidy(cgroup: &Cgroup, deadline: Deadline) -> Result<(), HostError> {
    loop {
        match cgroup.remove() {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) if !deadline.left().is_zero() => std::thread::sleep(Duration::from_millis(1)),
            Err(errno) => return Err(HostError::new(format!("remove cgroup {}", cgroup.path().display()), errno)),
        }
    }
}

fn await_input(fd: BorrowedFd<'_>, deadline: Deadline) -> Result<(), HostError> {
    let left = deadline.left().as_millis();
    let timeout = PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX));
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
        Ok(0) => Err(failed(format!("no answer within {} seconds", deadline.patience.as_secs()))),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(failed(errno_text(errno))),
    }
}
