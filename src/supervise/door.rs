// SPDX-License-Identifier: Apache-2.0
//! What a front door and the loop say to each other. The loop knows no protocol; a door knows no session's insides.

use super::admit::Tell;
use super::change::Wanted;
use super::client::Client;
use super::line;
use super::outcome::{self, Limit, Outcome, Usage};
use super::passer::PassError;
use crate::host::{HostError, errno_text};
use crate::plan::model::Denials;
use crate::plan::{Plan, explain};
use crate::sandbox::SetupError;
use nix::errno::Errno;
use nix::libc;
use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// What a front door hears from the loop, and what it decides. Each method is called from the one thread.
pub trait Door {
    /// The loop begins. A door that must not accept yet says [`Advice::Hold`].
    fn opens(&mut self) -> Advice {
        Advice::Continue
    }

    /// The loop begins another turn, and will wait.
    fn turns(&mut self) {}

    /// A descriptor of the door's own that is watched for input or end of file.
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The watched descriptor is ready. After [`Advice::Drain`] or [`Advice::Leave`] it is not watched any more.
    fn ready(&mut self) -> Advice {
        Advice::Drain
    }

    /// A connection was accepted; with it there are `live` sessions of this service. The launcher is asked afterwards.
    fn accepted(&mut self, service: usize, live: usize) -> Advice {
        let _ = (service, live);
        Advice::Continue
    }

    /// Nothing was accepted although somebody was there; `live` have a place of this service, one less than before
    /// where it was kept for this client. The loop pauses where that is a reason to; `tell` says whether this is news.
    fn not_accepted(&mut self, service: &str, live: usize, why: &NotAccepted, tell: Tell) -> Advice {
        let _ = live;
        match tell {
            Tell::Now => tracing::warn!("{service}: cannot accept a connection: {why}; trying again"),
            Tell::No => {}
        }
        Advice::Continue
    }

    /// Writes the line of a session that is over. A door whose operators know other words overrides it.
    fn log(&mut self, ended: &Ended<'_>) {
        match (ended.outcome, ended.client) {
            // Whoever started one command on a terminal has its exit status.
            (Outcome::Exited(_), Client::Given) => {}
            (_, _) => line::tell(ended),
        }
    }

    /// A session is over, its connection closed; `live` are left of its service.
    fn ended(&mut self, ended: &Ended<'_>, live: usize) -> Advice {
        let _ = (ended, live);
        Advice::Continue
    }

    /// A command that is to be traced waits to be heard with this listener. Where it is dropped, the kernel answers
    /// ENOSYS.
    fn traced(&mut self, listener: OwnedFd) {
        drop(listener);
    }

    /// SIGTERM or SIGINT came, where the supervisor takes them; what it does about them is not the door's.
    fn signaled(&mut self, signal: i32) {
        let _ = signal;
    }

    /// SIGHUP came, where the supervisor takes it: what is to be served from here on. `None`: as before, and the door
    /// has said why.
    fn reloads(&mut self) -> Option<Wanted> {
        None
    }

    /// How long the loop may be without a session before it is drained.
    fn idle_limit(&self) -> Option<Duration> {
        None
    }
}

/// Why a connection was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// accept(2) failed for a reason that is not the client's.
    #[error("{}", errno_text(*.0))]
    Errno(Errno),
    /// Its client was not handed over.
    #[error(transparent)]
    Passed(#[from] PassError),
    /// Its client was not let in, and that has its own line.
    #[error("its client was not let in")]
    TurnedAway,
    /// Its connection could not be made fit for a command.
    #[error(transparent)]
    Locked(HostError),
}

/// What the loop should do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Go on.
    Continue,
    /// Accept nothing until the door says [`Advice::Accept`].
    Hold,
    /// Accept again.
    Accept,
    /// Accept nothing more, and end this process at once and well: a copy of it goes on with the sessions that there
    /// are, and their limits. Where only a parent hears how a command ended, the same as [`Advice::Drain`].
    Leave,
    /// Accept nothing more, and return after the last session.
    Drain,
}

/// A session that is over.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its service, as numbered by [`super::Supervisor::add`].
    pub service: usize,
    /// Its number; no two sessions of a supervisor have the same.
    pub session: u64,
    /// What it ran under.
    pub plan: &'a Plan,
    /// Who was served.
    pub client: &'a Client,
    /// Its user id, where it had one of its own.
    pub user: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
    /// What could not be made for it on our side, where that is the reason.
    pub trouble: Option<&'a str>,
    /// From accept to the end of its last process.
    pub time: Duration,
    /// What it used.
    pub usage: Usage,
}

impl Ended<'_> {
    /// Which limit ended it, if one did.
    pub fn limit(&self) -> Option<Limit> {
        outcome::limit(self.plan, self.outcome, &self.usage)
    }

    /// In a sentence, why it did not come to anything.
    pub fn why(&self) -> Option<String> {
        match (self.trouble, self.outcome) {
            (Some(trouble), _) => Some(trouble.to_string()),
            (None, Outcome::SetupFailed(error)) => Some(sentence(self.plan, error)),
            (None, Outcome::NotLaunched) => Some("the launcher died or did not answer".to_string()),
            // The kernel kills the whole session then (`memory.oom.group`), and the limit says so.
            (None, Outcome::Lost(_)) if self.usage.out_of_memory.is_some() => None,
            (None, Outcome::Lost(_)) => Some("the sandbox's first process died without a word".to_string()),
            (None, Outcome::Foreign) => Some("the sandbox sent a report that no child of ours writes".to_string()),
            (None, Outcome::Signaled(libc::SIGSYS)) if self.is_silent() => {
                let names = "syscalls.on-deny = \"report\" has the log name it";
                Some(format!("so ends a process that makes a call which the policy denies; {names}"))
            }
            (
                None,
                Outcome::Exited(_) | Outcome::Signaled(_) | Outcome::TimeLimit | Outcome::IdleLimit | Outcome::Stopped,
            ) => None,
        }
    }

    /// Whether calls are denied that the log does not name.
    fn is_silent(&self) -> bool {
        self.plan.filter.as_ref().is_some_and(|filter| filter.denials == Denials::Silent)
    }
}

/// The line of the log.
impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { service, policy, policy_hash, .. } = self.plan;
        let hash = policy_hash.get(..12).unwrap_or(policy_hash);
        write!(f, "{service}: session={} policy={policy}@{hash} client={}", self.session, self.client)?;
        if let Some(user) = self.user {
            write!(f, " uid={user}")?;
        }
        write!(f, " {}", self.outcome)?;
        if let Some(limit) = self.limit() {
            write!(f, " {limit}")?;
        }
        let (time, cpu) = (self.time.as_secs_f64(), self.usage.processor.as_secs_f64());
        write!(f, " time={time:.3}s cpu={cpu:.3}s memory={}", outcome::size(self.usage.memory))?;
        match self.why() {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// A failed step in words.
pub fn sentence(plan: &Plan, error: SetupError) -> String {
    explain::sentence(plan, error.step, error.index, &errno_text(error.errno))
}
