// SPDX-License-Identifier: Apache-2.0
//! The life of a session as a table: every state answers every event, so that a new event does not compile until each
//! state does. Pure: no clock, no descriptor, no process. Actions are verbs that `session` carries out.

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
    /// Its first process is there and has said nothing yet.
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
    /// Its first process is dead and reaped: its wait status.
    Died(i32),
    /// It has had its time.
    TimeLimit,
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
    /// Let go of our copy of the connection, unless it is held.
    Release,
    /// Cut the cord and shut the connection down.
    Cut,
    /// Kill the launcher: it is told to nobody else.
    KillLauncher,
    /// The session ends by itself in a moment: set the alarm in case it does not.
    Linger,
    /// Kill everything in the cgroup, and set the alarm. Without a cgroup: kill the first process.
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
        State::Queued => queued(event),
        State::Asked => asked(event),
        State::Abandoned(outcome) => abandoned(outcome, event),
        State::Running => running(rules, event),
        State::Ended(outcome) => ended(rules, outcome, event),
        State::Killing(outcome, rung) => killing(outcome, rung, event),
        State::Clearing(outcome, attempts) => clearing(outcome, attempts, event),
        State::Over => (State::Over, Action::Nothing),
    }
}

fn clear(outcome: Outcome) -> (State, Action) {
    (State::Clearing(outcome, 0), Action::Clear)
}

fn kill(outcome: Outcome) -> (State, Action) {
    (State::Killing(outcome, Rung::Tree), Action::KillTree)
}

fn queued(event: Event) -> (State, Action) {
    match event {
        Event::Asked => (State::Asked, Action::Nothing),
        // Nobody asked for it: a bug, and a process that nothing would end.
        Event::Launched => kill(Outcome::Foreign),
        Event::Failed(error) => clear(Outcome::SetupFailed(error)),
        Event::LauncherGone => clear(Outcome::NotLaunched),
        Event::LauncherSilent => (State::Queued, Action::KillLauncher),
        Event::TimeLimit => clear(Outcome::TimeLimit),
        Event::Stop => clear(Outcome::Stopped),
        Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        | Event::KillRefused
        | Event::Alarm
        | Event::Cleared
        | Event::NotCleared => (State::Queued, Action::Nothing),
    }
}

fn asked(event: Event) -> (State, Action) {
    match event {
        Event::Launched => (State::Running, Action::Release),
        Event::Failed(error) => clear(Outcome::SetupFailed(error)),
        // A process may have been made and not been told of: the cord that is cut now ends it.
        Event::LauncherGone => clear(Outcome::NotLaunched),
        Event::LauncherSilent => (State::Asked, Action::KillLauncher),
        Event::TimeLimit => (State::Abandoned(Outcome::TimeLimit), Action::Cut),
        Event::Stop => (State::Abandoned(Outcome::Stopped), Action::Cut),
        // The cord is watched only once the process is known, so that its records cannot overtake it.
        Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        | Event::Asked
        | Event::KillRefused
        | Event::Alarm
        | Event::Cleared
        | Event::NotCleared => (State::Asked, Action::Nothing),
    }
}

fn abandoned(outcome: Outcome, event: Event) -> (State, Action) {
    match event {
        Event::Launched => kill(outcome),
        Event::Failed(_) | Event::LauncherGone => clear(outcome),
        Event::LauncherSilent => (State::Abandoned(outcome), Action::KillLauncher),
        Event::Asked
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        | Event::TimeLimit
        | Event::Stop
        | Event::KillRefused
        | Event::Alarm
        | Event::Cleared
        | Event::NotCleared => (State::Abandoned(outcome), Action::Nothing),
    }
}

fn running(rules: Rules, event: Event) -> (State, Action) {
    match event {
        Event::Status(status) => {
            let linger = match rules.ends {
                Ends::Command => Action::Linger,
                // The reaper stays until the last process is gone, or the time limit comes.
                Ends::Tree => Action::Nothing,
            };
            (State::Ended(Outcome::of_status(status)), linger)
        }
        Event::Setup(error) => (State::Ended(Outcome::SetupFailed(error)), Action::Linger),
        Event::Foreign => kill(Outcome::Foreign),
        Event::Closed => match rules.first {
            First::Reaper => (State::Running, Action::Linger),
            First::Command => (State::Running, Action::Nothing),
        },
        Event::Died(status) => clear(match rules.first {
            First::Reaper => Outcome::Lost(Some(status)),
            First::Command => Outcome::of_status(status),
        }),
        Event::TimeLimit => kill(Outcome::TimeLimit),
        Event::Stop => kill(Outcome::Stopped),
        // Only a reaper that closed its cord without a word has an alarm here.
        Event::Alarm => kill(Outcome::Lost(None)),
        Event::Asked
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::KillRefused
        | Event::Cleared
        | Event::NotCleared => (State::Running, Action::Nothing),
    }
}

fn ended(rules: Rules, outcome: Outcome, event: Event) -> (State, Action) {
    // Where the session ends with its command, what comes after is only tidying up and changes no outcome.
    let or = |other| match rules.ends {
        Ends::Command => outcome,
        Ends::Tree => other,
    };
    match event {
        Event::Died(_) => clear(outcome),
        Event::Closed => (State::Ended(outcome), Action::Linger),
        Event::Alarm => kill(outcome),
        Event::TimeLimit => kill(or(Outcome::TimeLimit)),
        Event::Stop => kill(or(Outcome::Stopped)),
        // The process that was to become the command says which step failed, then its reaper how it ended.
        Event::Status(_) if matches!(outcome, Outcome::SetupFailed(_)) => (State::Ended(outcome), Action::Nothing),
        // Nothing else is sent twice on a cord.
        Event::Foreign | Event::Status(_) | Event::Setup(_) => kill(Outcome::Foreign),
        Event::Asked
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::KillRefused
        | Event::Cleared
        | Event::NotCleared => (State::Ended(outcome), Action::Nothing),
    }
}

fn killing(outcome: Outcome, rung: Rung, event: Event) -> (State, Action) {
    match event {
        Event::Died(_) => clear(outcome),
        Event::KillRefused | Event::Alarm => match rung {
            Rung::Tree => (State::Killing(outcome, Rung::First), Action::KillFirst),
            Rung::First => (State::Killing(outcome, Rung::Complained), Action::Complain),
            Rung::Complained => (State::Killing(outcome, Rung::Tree), Action::KillTree),
        },
        Event::Asked
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::TimeLimit
        | Event::Stop
        | Event::Cleared
        | Event::NotCleared => (State::Killing(outcome, rung), Action::Nothing),
    }
}

fn clearing(outcome: Outcome, attempts: u8, event: Event) -> (State, Action) {
    match event {
        Event::Cleared => (State::Over, Action::Finish(outcome)),
        Event::NotCleared if attempts >= CLEAR_ATTEMPTS => (State::Over, Action::FinishUncleared(outcome)),
        Event::NotCleared => (State::Clearing(outcome, attempts + 1), Action::ClearLater(attempts)),
        Event::Alarm => (State::Clearing(outcome, attempts), Action::Clear),
        Event::Asked
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        | Event::TimeLimit
        | Event::Stop
        | Event::KillRefused => (State::Clearing(outcome, attempts), Action::Nothing),
    }
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
