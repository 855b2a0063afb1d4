// SPDX-License-Identifier: Apache-2.0
//! One session: what it holds, and the verbs of `turn` that touch nothing else.
//! Holds no rule about when to do what: that is `turn`'s.

mod end;
mod offer;
mod words;

use super::client::Client;
use super::denials::{Denials, Heard};
use super::idle::{Idle, Look};
use super::outcome::Usage;
use super::relay::RelayEnd;
use super::stderr::{self, Stderr};
use super::turn::{Event, Stage, State};
use super::watch::{Timer, Token, Watch};
use crate::host::errno_text;
use crate::plan::model::Ids;
use crate::plan::{self, Plan, Step};
use crate::sandbox::{Cgroup, Claim, Cord, Launcher, Message, Purpose, Record, SetupError, Slice, Users};
use crate::sys::errno;
use crate::sys::socket::tcp_traffic;
use crate::sys::wait::{self, Reaped};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

pub(super) use offer::Offer;

/// A session that is not over.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) service: usize,
    pub(super) state: State,
    /// Whose it is; a spare is nobody's yet.
    pub(super) client: Option<Client>,
    /// What its first process is made for.
    purpose: Purpose,
    /// When the connection was accepted; of a spare, when it was made.
    pub(super) began: Instant,
    pub(super) limit: Option<Instant>,
    /// Its idle limit.
    pub(super) idle: Option<Idle>,
    pub(super) alarm: Option<Instant>,
    /// What could not be made on our side.
    pub(super) trouble: Option<String>,
    pub(super) usage: Usage,
    /// Our copies of the connection: until the process is there, or, where they are held, to the end.
    connection: Vec<OwnedFd>,
    cord: Option<Cord>,
    /// What the launcher is to have, until it has.
    far: Option<Far>,
    cgroup: Option<Cgroup>,
    /// Its cgroup may be another session's after it.
    keeps_cgroup: bool,
    /// Its first process is what ends the others.
    ends_by_reaper: bool,
    /// Its user id, where it has one of its own.
    user: Option<Claim>,
    /// The user id of its processes.
    runs_as: Option<u32>,
    first: Option<First>,
    /// How that ended, where we have reaped it.
    ended: Option<i32>,
    /// What the command says, where that is for the log.
    stderr: Option<Stderr>,
    /// What its reaper tells of denied calls.
    pub(super) denials: Denials,
    /// How its relay ended, and whether that was told.
    pub(super) relay: RelayEnd,
    /// When its standard error is looked at again.
    pub(super) resume: Option<Instant>,
    /// Why it cannot be killed.
    refused: Option<Errno>,
    /// When the launcher was asked for it.
    asked: Option<Instant>,
}

/// What the first process is made with.
#[derive(Debug)]
struct Far {
    /// The child's end of the cord.
    cord: OwnedFd,
    /// What it is cloned into.
    cgroup: Option<OwnedFd>,
}

/// The sandbox's first process.
#[derive(Debug)]
struct First {
    pid: Pid,
    /// None where the cord is to say that it has ended: see [`Session::rely_on_cord`].
    pidfd: Option<OwnedFd>,
    kin: Kin,
}

/// Whose child the first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kin {
    /// Ours: we reap it.
    Ours,
    /// That of a process which is gone; somebody else reaps it.
    Orphan,
}

impl Session {
    /// A session with its cord and cgroup, its connection already in the cord. Where something cannot be made the
    /// session is there all the same, so that it ends like every other, with a line in the log.
    pub(super) fn new(
        (id, service): (u64, usize),
        plan: &Plan,
        with: (Option<&Slice>, Option<&mut Users>),
        offer: Offer,
    ) -> (Session, Option<Event>) {
        let mut session = Session::empty((id, service), State::Queued, Purpose::Session, offer.began);
        session.take(plan, offer);
        let made = session.prepare(plan, with).and_then(|()| session.hand_over(plan));
        (session, made.err().map(Event::Failed))
    }

    /// A session that waits for its client.
    pub(super) fn spare(
        (id, service): (u64, usize),
        plan: &Plan,
        with: (Option<&Slice>, Option<&mut Users>),
        now: Instant,
    ) -> (Session, Option<Event>) {
        let mut session = Session::empty((id, service), State::Spare(Stage::Queued), Purpose::Spare, now);
        let failed = session.prepare(plan, with).err().map(Event::Failed);
        (session, failed)
    }

    fn empty((id, service): (u64, usize), state: State, purpose: Purpose, began: Instant) -> Session {
        Session {
            id,
            service,
            state,
            client: None,
            purpose,
            began,
            limit: None,
            idle: None,
            alarm: None,
            trouble: None,
            usage: Usage::default(),
            connection: Vec::new(),
            cord: None,
            far: None,
            cgroup: None,
            keeps_cgroup: false,
            user: None,
            ends_by_reaper: false,
            runs_as: None,
            first: None,
            ended: None,
            stderr: None,
            denials: Denials::new(began),
            relay: RelayEnd::Untold,
            resume: None,
            refused: None,
            asked: None,
        }
    }

    fn prepare(&mut self, plan: &Plan, (slice, users): (Option<&Slice>, Option<&mut Users>)) -> Result<(), SetupError> {
        let failed = |step, errno| SetupError { step, index: 0, errno };
        if let Some(users) = users {
            let claim = users.claim().map_err(|error| {
                self.trouble = Some(error.to_string());
                failed(Step::Identity, Errno::EAGAIN)
            })?;
            self.user = Some(claim);
        }
        self.ends_by_reaper = plan.tree == plan::model::Tree::Domain;
        self.runs_as = match plan.identity.ids {
            Ids::One { uid, .. } => Some(uid),
            Ids::Each { .. } => self.uid(),
        };
        let (ours, cord) = Cord::pair().map_err(|errno| {
            self.trouble = Some(format!("cannot make a socket pair: {}", errno_text(errno)));
            failed(Step::Clone, errno)
        })?;
        self.cord = Some(ours);
        let mut far = Far { cord, cgroup: None };
        if let Some(slice) = slice {
            self.keeps_cgroup = plan.keeps_cgroups();
            let kept = self.keeps_cgroup.then(|| slice.kept()).flatten();
            let made = kept.map_or_else(|| slice.session(self.id, &plan.cgroup), Ok);
            let (cgroup, directory) = made.map_err(|error| {
                self.trouble = Some(error.to_string());
                failed(Step::Clone, Errno::EIO)
            })?;
            (self.cgroup, far.cgroup) = (Some(cgroup), Some(directory));
        }
        self.far = Some(far);
        Ok(())
    }

    /// Puts the connection into the cord, with all that depends on it.
    fn hand_over(&mut self, plan: &Plan) -> Result<(), SetupError> {
        let failed = |errno| SetupError { step: Step::Handover, index: 0, errno };
        let environment = match (plan.command.client_environment, &self.client, self.connection.first()) {
            (Some(names), Some(client), Some(connection)) => client.environment(connection.as_fd(), names),
            (Some(_), _, _) | (None, _, _) => Vec::new(),
        };
        let (error, ours) = stderr::open(plan.stderr, self.began).map_err(|errno| {
            self.trouble = Some(format!("cannot open standard error for the command: {}", errno_text(errno)));
            failed(errno)
        })?;
        self.stderr = ours;
        let stdio: Vec<_> = match (&error, &self.connection[..]) {
            (Some(error), [input]) => vec![input.as_fd(), input.as_fd(), error.as_fd()],
            (Some(error), [input, output, ..]) => vec![input.as_fd(), output.as_fd(), error.as_fd()],
            (None, connection) | (Some(_), connection) => connection.iter().map(AsFd::as_fd).collect(),
        };
        let cord = self.cord.as_ref().ok_or(failed(Errno::EPIPE))?;
        cord.hand_over(&stdio, &environment).map_err(failed)
    }

    /// Asks the launcher for the first process. EAGAIN: the launcher is behind.
    pub(super) fn ask(&mut self, launcher: &Launcher) -> Result<(), Errno> {
        let Some(far) = &self.far else { return Err(Errno::EBADF) };
        let cgroup = far.cgroup.as_ref().map(AsFd::as_fd);
        launcher.request((self.id, self.uid(), self.purpose), far.cord.as_fd(), cgroup)?;
        self.far = None;
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// Its user id, where it has one of its own.
    pub(super) fn uid(&self) -> Option<u32> {
        self.user.as_ref().map(Claim::uid)
    }

    /// The user id of its processes.
    pub(super) fn runs_as(&self) -> Option<u32> {
        self.runs_as
    }

    /// Takes its user id from it, for the next session; not from one of which something is left, which has it for as
    /// long as this process lives.
    pub(super) fn take_user(&mut self) -> Option<Claim> {
        match (self.user.take(), &self.cgroup) {
            (Some(claim), Some(_)) => {
                std::mem::forget(claim);
                None
            }
            (claim, _) => claim,
        }
    }

    /// Whether the launcher is to be asked for it.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued | State::Spare(Stage::Queued) | State::Offered(Stage::Queued))
    }

    /// Whether it waits for the launcher, or its client may yet need another session.
    pub(super) fn may_need_launcher(&self) -> bool {
        self.awaits_launcher() || matches!(self.state, State::Offered(_) | State::Recalled(_))
    }

    /// Whether it waits for a word of the launcher.
    pub(super) fn awaits_launcher(&self) -> bool {
        match self.state {
            State::Queued | State::Asked | State::Abandoned(_) => true,
            State::Spare(stage) | State::Offered(stage) => stage != Stage::There,
            State::Recalled(_)
            | State::Running
            | State::Ended(_)
            | State::Killing(..)
            | State::Clearing(..)
            | State::Over => false,
        }
    }

    /// The first process is there: how long it took, from the request on.
    pub(super) fn launched(&mut self, pid: Pid, pidfd: OwnedFd) -> Option<Duration> {
        self.first = Some(First { pid, pidfd: Some(pidfd), kin: Kin::Ours });
        self.asked.map(|asked| asked.elapsed())
    }

    /// Its first process is not our child any more.
    pub(super) fn orphan(&mut self) {
        if let Some(first) = &mut self.first {
            first.kin = Kin::Orphan;
        }
    }

    /// Where it is, in a word for whoever looks.
    pub(super) fn standing(&self) -> &'static str {
        match self.state {
            State::Queued | State::Asked | State::Spare(_) | State::Offered(_) | State::Recalled(_) => "starting",
            State::Running => "running",
            State::Abandoned(_) | State::Ended(_) | State::Killing(..) | State::Clearing(..) | State::Over => "ending",
        }
    }

    /// Bytes that it has now, where the kernel counts them for it alone.
    pub(super) fn memory(&self) -> Option<u64> {
        self.cgroup.as_ref().and_then(Cgroup::memory)
    }

    /// Its first process, while it is not reaped.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.first.as_ref().map(|first| first.pid)
    }

    /// Watches process and cord, where that is not cut, from now on. The cord's next event is watched for by
    /// [`Session::listen_on`].
    pub(super) fn watch(&self, watch: &Watch) -> Result<(), Errno> {
        if let Some(pidfd) = self.first.as_ref().and_then(|first| first.pidfd.as_ref()) {
            watch.add(pidfd, Token::First(self.id))?;
        }
        if let Some(stderr) = &self.stderr {
            watch.add(stderr, Token::Stderr(self.id))?;
        }
        match &self.cord {
            Some(cord) => watch.add_once(cord, Token::Cord(self.id)),
            None => Ok(()),
        }
    }

    /// Lets go of the process's descriptor: the process holds the other end of the cord, which closes when it ends. Its
    /// number is its own until we reap it, and gives another descriptor for it. Before it is watched.
    pub(super) fn rely_on_cord(&mut self) {
        if let (Some(first), Some(_)) = (&mut self.first, &self.cord) {
            first.pidfd = None;
        }
    }

    /// Watches for the end of the process, of which the cord says nothing more.
    fn await_death(&mut self, watch: &Watch) {
        let Some(first) = self.first.as_mut().filter(|first| first.pidfd.is_none()) else { return };
        // Where there is no descriptor left, the alarm asks whether it has ended: one is set in each such state.
        if let Ok(pidfd) = open(first.pid)
            && watch.add(&pidfd, Token::First(self.id)).is_ok()
        {
            first.pidfd = Some(pidfd);
        }
    }

    /// Watches for what comes up the cord next.
    pub(super) fn listen_on(&self, watch: &Watch) -> Result<(), Errno> {
        self.cord.as_ref().map_or(Ok(()), |cord| watch.go_on(cord, Token::Cord(self.id)))
    }

    /// Lets go of our copy of the connection.
    pub(super) fn release(&mut self) {
        self.connection.clear();
    }

    /// Cuts the cord and shuts the connection down: copies of both may lie unread in the cord's far end, which a
    /// launcher holds that does not run.
    pub(super) fn cut(&mut self, watch: &Watch) {
        self.cut_cord(watch);
        // What was given to us is not ours alone to shut down.
        if self.client != Some(Client::Given) {
            for connection in &self.connection {
                // ENOTCONN: the client has left already.
                let _ = rustix::net::shutdown(connection, rustix::net::Shutdown::Both);
            }
        }
        self.release();
    }

    /// The moment has come at which its connection may have carried nothing for too long.
    pub(super) fn look_for_idleness(&mut self, watch: &mut Watch, now: Instant) -> Option<Event> {
        let idle = self.idle.as_mut()?;
        // Where it is held no longer the session is ending.
        let connection = self.connection.first()?;
        let again = match tcp_traffic(connection.as_fd()).map(|traffic| idle.look(traffic, now)) {
            Ok(Look::Over) => return Some(Event::IdleLimit),
            Ok(Look::Again(at)) => at,
            Err(_) => idle.postpone(now),
        };
        watch.set(Timer::Idleness(self.id), None, again);
        None
    }

    /// Cuts the cord alone.
    pub(super) fn cut_cord(&mut self, watch: &Watch) {
        if let Some(cord) = self.cord.take() {
            watch.remove(&cord);
        }
        self.far = None;
        self.await_death(watch);
    }

    /// Takes the listener of a command that is traced.
    pub(super) fn take_listener(&mut self, plan: &Plan) -> Option<OwnedFd> {
        let traced = plan.filter.as_ref().is_some_and(|filter| filter.denials == plan::model::Denials::Traced);
        let cord = self.cord.as_ref().filter(|_| traced)?;
        // What is wrong with a message is seen again where it is read as another.
        cord.receive_listener().ok().flatten()
    }

    /// Takes everything that came up the cord.
    pub(super) fn hear(&mut self, watch: &Watch) -> Vec<Event> {
        let events = self.take_events(watch);
        // After its status there may be no more to be heard, and its end comes next.
        if self.cord.is_none() || events.iter().any(|event| matches!(event, Event::Status(_))) {
            self.await_death(watch);
        }
        events
    }

    fn take_events(&mut self, watch: &Watch) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(cord) = &self.cord {
            let event = match cord.receive() {
                Ok(Some(Message::Record(Record::Status(status)))) => Event::Status(status),
                Ok(Some(Message::Record(Record::Setup(error)))) => Event::Setup(error),
                Ok(Some(Message::Denied(denied))) => match self.denials.hear(*denied, Instant::now()) {
                    Heard::Kept => continue,
                    Heard::TooMany => Event::Foreign,
                },
                Ok(Some(Message::Record(Record::Taken))) => Event::Taken,
                // Before there is a client nobody has told it to end, and without it there is no session.
                Ok(Some(Message::Record(Record::Relay(_)))) if self.client.is_none() => Event::Foreign,
                Ok(Some(Message::Record(Record::Relay(status)))) => match self.relay.hear(status) {
                    Heard::Kept => continue,
                    Heard::TooMany => Event::Foreign,
                },
                // A session proves nothing; who says that it does is no child of ours.
                Ok(Some(Message::Record(Record::Proof(_)) | Message::Foreign)) => Event::Foreign,
                Err(errno) => {
                    self.trouble = Some(format!("cannot hear from the sandbox: {}", errno_text(errno)));
                    Event::Foreign
                }
                Ok(Some(Message::Closed)) => Event::Closed,
                Ok(None) => break,
            };
            // After either nothing more is to be heard; a closed cord would be ready for ever.
            if matches!(event, Event::Closed | Event::Foreign) {
                watch.remove(cord);
                self.cord = None;
            }
            events.push(event);
        }
        events
    }

    /// Reaps the first process if it is dead.
    pub(super) fn reap(&mut self, watch: &Watch) -> Option<Event> {
        let first = self.first.as_ref()?;
        let reaped = match first.kin {
            Kin::Ours => match wait::reap(first.pid) {
                Ok(None) => return None,
                Ok(Some(reaped)) => Some(reaped),
                Err(Errno::EINTR) => return None,
                // Somebody else has reaped it, which nobody should: it is gone all the same.
                Err(_) => None,
            },
            Kin::Orphan if first.pidfd.as_ref().is_some_and(|pidfd| !is_dead(pidfd)) => return None,
            Kin::Orphan => None,
        };
        if let Some(pidfd) = &first.pidfd {
            watch.remove(pidfd);
        }
        self.first = None;
        if let Some(Reaped { status, processor, resident }) = reaped {
            self.ended = Some(status);
            self.usage.processor = processor;
            self.usage.memory = resident;
        }
        Some(Event::Died(reaped.map(|reaped| reaped.status)))
    }
}

/// A descriptor of a child that we have not reaped.
pub(super) fn open(child: Pid) -> Result<OwnedFd, Errno> {
    let child = rustix::process::Pid::from_raw(child.as_raw()).ok_or(Errno::ESRCH)?;
    rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).map_err(errno)
}

/// Whether a process has ended: its pidfd can be read then, whoever its parent is, see pidfd_open(2).
pub(super) fn is_dead(pidfd: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    // Where the kernel does not say, it is alive: the next alarm asks again.
    poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
