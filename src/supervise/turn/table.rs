// SPDX-License-Identifier: Apache-2.0
//! The rows of the table, a function for each state. No wildcard stands for an event.

use super::{Action, CLEAR_ATTEMPTS, Event, First, Rules, Rung, State};
use crate::plan::model::Ends;
use crate::supervise::outcome::Outcome;

pub(super) fn clear(outcome: Outcome) -> (State, Action) {
    (State::Clearing(outcome, 0), Action::Clear)
}

pub(super) fn kill(outcome: Outcome) -> (State, Action) {
    (State::Killing(outcome, Rung::Tree), Action::KillTree)
}

pub(super) fn queued(event: Event) -> (State, Action) {
    match event {
        Event::Asked => (State::Asked, Action::Nothing),
        // Nobody asked for it: a bug, and a process that nothing would end.
        Event::Launched => kill(Outcome::Foreign),
        Event::Failed(error) => clear(Outcome::SetupFailed(error)),
        Event::LauncherGone => clear(Outcome::NotLaunched),
        Event::LauncherSilent => (State::Queued, Action::KillLauncher),
        Event::TimeLimit => clear(Outcome::TimeLimit),
        Event::IdleLimit => clear(Outcome::IdleLimit),
        Event::Stop => clear(Outcome::Stopped),
        Event::Offered
        | Event::Taken
        | Event::Status(_)
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

pub(super) fn asked(event: Event) -> (State, Action) {
    match event {
        Event::Launched => (State::Running, Action::Release),
        Event::Failed(error) => clear(Outcome::SetupFailed(error)),
        // A process may have been made and not been told of: the cord that is cut now ends it.
        Event::LauncherGone => clear(Outcome::NotLaunched),
        Event::LauncherSilent => (State::Asked, Action::KillLauncher),
        Event::TimeLimit => (State::Abandoned(Outcome::TimeLimit), Action::Cut),
        Event::IdleLimit => (State::Abandoned(Outcome::IdleLimit), Action::Cut),
        Event::Stop => (State::Abandoned(Outcome::Stopped), Action::Cut),
        // The cord is watched only once the process is known, so that its records cannot overtake it.
        Event::Offered
        | Event::Taken
        | Event::Status(_)
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

pub(super) fn abandoned(outcome: Outcome, event: Event) -> (State, Action) {
    match event {
        Event::Launched => kill(outcome),
        Event::Failed(_) | Event::LauncherGone => clear(outcome),
        Event::LauncherSilent => (State::Abandoned(outcome), Action::KillLauncher),
        Event::Asked
        | Event::Offered
        | Event::Taken
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        | Event::TimeLimit
        | Event::IdleLimit
        | Event::Stop
        | Event::KillRefused
        | Event::Alarm
        | Event::Cleared
        | Event::NotCleared => (State::Abandoned(outcome), Action::Nothing),
    }
}

pub(super) fn running(rules: Rules, event: Event) -> (State, Action) {
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
        // Whoever was made for its client has nothing to take; a spare says it once.
        Event::Foreign | Event::Taken => kill(Outcome::Foreign),
        Event::Closed => match rules.first {
            First::Reaper => (State::Running, Action::Linger),
            First::Command => (State::Running, Action::Nothing),
        },
        Event::Died(status) => clear(match rules.first {
            First::Reaper => Outcome::Lost(status),
            First::Command => status.map_or(Outcome::Lost(None), Outcome::of_status),
        }),
        Event::TimeLimit => kill(Outcome::TimeLimit),
        Event::IdleLimit => kill(Outcome::IdleLimit),
        Event::Stop => kill(Outcome::Stopped),
        // Only a reaper that closed its cord without a word has an alarm here.
        Event::Alarm => kill(Outcome::Lost(None)),
        Event::Asked
        | Event::Offered
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::KillRefused
        | Event::Cleared
        | Event::NotCleared => (State::Running, Action::Nothing),
    }
}

pub(super) fn ended(rules: Rules, outcome: Outcome, event: Event) -> (State, Action) {
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
        Event::IdleLimit => kill(or(Outcome::IdleLimit)),
        Event::Stop => kill(or(Outcome::Stopped)),
        // The process that was to become the command says which step failed, then its reaper how it ended.
        Event::Status(_) if matches!(outcome, Outcome::SetupFailed(_)) => (State::Ended(outcome), Action::Nothing),
        // Nothing else is sent twice on a cord.
        Event::Foreign | Event::Taken | Event::Status(_) | Event::Setup(_) => kill(Outcome::Foreign),
        Event::Asked
        | Event::Offered
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::KillRefused
        | Event::Cleared
        | Event::NotCleared => (State::Ended(outcome), Action::Nothing),
    }
}

pub(super) fn killing(outcome: Outcome, rung: Rung, event: Event) -> (State, Action) {
    match event {
        Event::Died(_) => clear(outcome),
        Event::KillRefused | Event::Alarm => match rung {
            Rung::Tree => (State::Killing(outcome, Rung::First), Action::KillFirst),
            Rung::First => (State::Killing(outcome, Rung::Complained), Action::Complain),
            Rung::Complained => (State::Killing(outcome, Rung::Tree), Action::KillTree),
        },
        Event::Asked
        | Event::Offered
        | Event::Taken
        | Event::Launched
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::TimeLimit
        | Event::IdleLimit
        | Event::Stop
        | Event::Cleared
        | Event::NotCleared => (State::Killing(outcome, rung), Action::Nothing),
    }
}

pub(super) fn clearing(outcome: Outcome, attempts: u8, event: Event) -> (State, Action) {
    match event {
        Event::Cleared => (State::Over, Action::Finish(outcome)),
        Event::NotCleared if attempts >= CLEAR_ATTEMPTS => (State::Over, Action::FinishUncleared(outcome)),
        Event::NotCleared => (State::Clearing(outcome, attempts + 1), Action::ClearLater(attempts)),
        Event::Alarm => (State::Clearing(outcome, attempts), Action::Clear),
        Event::Asked
        | Event::Offered
        | Event::Taken
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
        | Event::IdleLimit
        | Event::Stop
        | Event::KillRefused => (State::Clearing(outcome, attempts), Action::Nothing),
    }
}
