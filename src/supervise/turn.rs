// SPDX-License-Identifier: Apache-2.0
//! The life of a session as a table: every state answers every event, so that a new event does not compile until each
//! state does. Pure: no clock, no descriptor, no process. Actions are verbs that `session` carries out.

mod table;
mod spare;

use super::outcome::Outcome;
use crate::plan::model::{Ends, Plan};
use crate::sandbox::SetupError;

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Admitted; the launcher is behind and has not been asked yet.
    Queued,
    /// The launcher was asked; no process is known yet, so there is nothing that could be killed.
    Asked,
    /// Over before its process was known. Its cord is cut; if a process still comes, it is killed at once.
    Abandoned(Outcome),
    /// A spare: it has no client yet, and no line in the log.
    Spare(Stage),
    /// A spare that was offered to a client: the connection is in its cord, and it has not said that it took it.
    Offered(Stage),
    /// It does not take it: it is being killed, and once it is dead another session serves its client.
    Recalled(Rung),
    /// Its first process is there and has said nothing yet but, of a spare, that it took its client's connection.
    Running,
    /// What came of it is known; its first process is still there.
    Ended(Outcome),
    /// It is being killed.
    Killing(Outcome, Rung),
    /// Its first process is dead; what is left is cleared away. Counts the attempts.
    Clearing(Outcome, u8),
    /// Nothing of it is left.
    Over,
}

/// How far a spare is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The launcher has not been asked yet.
    Queued,
    /// The launcher was asked.
    Asked,
    /// Its first process is there.
    There,
}

/// How hard we are trying to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// The whole tree was killed by its cgroup.
    Tree,
    /// Its first process was sent SIGKILL by its pidfd.
    First,
    /// Neither helped; the operator was told.
    Complained,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The launcher took the request.
    Asked,
    /// Its first process is there.
    Launched,
    /// A client's connection was put into the cord of a spare.
    Offered,
    /// A spare says that it took the connection.
    Taken,
    /// Its first process could not be made, or the connection not be put into the cord.
    Failed(SetupError),
    /// The launcher is gone, with everything that it was asked and did not answer.
    LauncherGone,
    /// The launcher has not answered anyone for too long.
    LauncherSilent,
    /// The command's wait status came up the cord.
    Status(i32),
    /// A step that failed came up the cord.
    Setup(SetupError),
    /// Something else came up the cord.
    Foreign,
    /// No process holds the far end of the cord any more.
    Closed,
    /// Its first process is dead: its wait status, where we have reaped it.
    Died(Option<i32>),
    /// It has had its time.
    TimeLimit,
    /// Its connection carried nothing for too long.
    IdleLimit,
    /// The operator wants it to end.
    Stop,
    /// The kernel did not let us kill.
    KillRefused,
    /// The time that the last action set has passed.
    Alarm,
    /// Everything of it is gone.
    Cleared,
    /// Something of it is still there.
    NotCleared,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Let go of our copy of the connection, unless it is held. No alarm is set any more.
    Release,
    /// Set the alarm at which a spare must have taken the connection.
    Await,
    /// Kill everything in the cgroup, or the first process, and set the alarm; the cord is still heard.
    Recall,
    /// Have another session serve the client, then clear.
    ServeAnew,
    /// Cut the cord, at which it ends, and set the alarm in case it does not.
    LetGo,
    /// Cut the cord and shut the connection down.
    Cut,
    /// Kill the launcher: it is told to nobody else.
    KillLauncher,
    /// The session ends by itself in a moment: set the alarm in case it does not.
    Linger,
    /// Cut the cord, kill everything in the cgroup, and set the alarm. Without a cgroup: kill the first process.
    KillTree,
    /// Kill the first process, and set the alarm.
    KillFirst,
    /// Say that it cannot be killed, and set the alarm.
    Complain,
    /// Let go of connection and cord, kill what is left in the cgroup, remove it.
    Clear,
    /// Set the alarm to clear again; counts the attempts before.
    ClearLater(u8),
    /// Account for it and write its line.
    Finish(Outcome),
    /// The same; its cgroup could not be removed and is left to the next start.
    FinishUncleared(Outcome),
}

/// What of the plan the table depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Who the first process is.
    pub first: First,
    /// When the session is over.
    pub ends: Ends,
}

/// Who the first process of a sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// Our reaper, which holds the cord and reports how the command ended.
    Reaper,
    /// The command itself: the cord closes when it is executed, and its own wait status is the outcome.
    Command,
}

/// How often clearing away is tried; with the pauses of `session`, about a second.
pub const CLEAR_ATTEMPTS: u8 = 10;

impl Rules {
    /// The rules of a service.
    pub fn of(plan: &Plan) -> Rules {
        Rules { first: if plan.init { First::Reaper } else { First::Command }, ends: plan.ends }
    }
}

/// One step of a session's life.
pub fn turn(rules: Rules, state: State, event: Event) -> (State, Action) {
    match state {
        State::Queued => table::queued(event),
        State::Asked => table::asked(event),
        State::Abandoned(outcome) => table::abandoned(outcome, event),
        State::Spare(stage) => spare::waiting(rules, stage, event),
        State::Offered(stage) => spare::offered(rules, stage, event),
        State::Recalled(rung) => spare::recalled(rung, event),
        State::Running => table::running(rules, event),
        State::Ended(outcome) => table::ended(rules, outcome, event),
        State::Killing(outcome, rung) => table::killing(outcome, rung, event),
        State::Clearing(outcome, attempts) => table::clearing(outcome, attempts, event),
        State::Over => (State::Over, Action::Nothing),
    }
}

#[cfg(test)]
mod tests;
