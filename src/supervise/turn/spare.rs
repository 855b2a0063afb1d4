// SPDX-License-Identifier: Apache-2.0
//! The rows of a spare: from the launcher's answer to the client. Once it has taken a connection it is a session like
//! any other. Until then the connection is ours too, so that a spare that fails loses no client.

use super::table::{clear, kill};
use super::{Action, Event, First, Rules, Rung, Stage, State};
use crate::supervise::outcome::Outcome;

/// Nobody has come yet.
pub(super) fn waiting(rules: Rules, stage: Stage, event: Event) -> (State, Action) {
    let there = stage == Stage::There;
    match event {
        Event::Asked if stage == Stage::Queued => (State::Spare(Stage::Asked), Action::Nothing),
        Event::Launched if stage == Stage::Asked => (State::Spare(Stage::There), Action::Nothing),
        // Nobody asked for it: a bug, and a process that nothing would end.
        Event::Launched if !there => kill(Outcome::Foreign),
        Event::Offered => (State::Offered(stage), if there { Action::Await } else { Action::Nothing }),
        Event::Failed(error) if !there => clear(Outcome::SetupFailed(error)),
        Event::LauncherGone if !there => clear(Outcome::NotLaunched),
        Event::LauncherSilent if !there => (State::Spare(stage), Action::KillLauncher),
        Event::Stop => match stage {
            Stage::Queued => clear(Outcome::Stopped),
            Stage::Asked => (State::Abandoned(Outcome::Stopped), Action::Cut),
            Stage::There => (State::Ended(Outcome::Stopped), Action::LetGo),
        },
        Event::Setup(error) if there => (State::Ended(Outcome::SetupFailed(error)), Action::Linger),
        Event::Status(status) if there => (State::Ended(Outcome::of_status(status)), Action::Linger),
        Event::Closed if there => (State::Ended(Outcome::Lost(None)), Action::Linger),
        // It has nothing to take.
        Event::Taken | Event::Foreign if there => kill(Outcome::Foreign),
        Event::Died(status) if there => clear(died(rules, status)),
        Event::Asked
        | Event::Launched
        | Event::Taken
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        // Its time begins with its client.
        | Event::TimeLimit
        | Event::IdleLimit
        | Event::KillRefused
        | Event::Alarm
        | Event::Cleared
        | Event::NotCleared => (State::Spare(stage), Action::Nothing),
    }
}

/// A client's connection is in its cord.
pub(super) fn offered(rules: Rules, stage: Stage, event: Event) -> (State, Action) {
    let there = stage == Stage::There;
    match event {
        Event::Asked if stage == Stage::Queued => (State::Offered(Stage::Asked), Action::Nothing),
        Event::Launched if stage == Stage::Asked => (State::Offered(Stage::There), Action::Await),
        Event::Launched if !there => kill(Outcome::Foreign),
        Event::Failed(error) if !there => serve_anew(Outcome::SetupFailed(error)),
        Event::LauncherGone if !there => serve_anew(Outcome::NotLaunched),
        Event::LauncherSilent if !there => (State::Offered(stage), Action::KillLauncher),
        Event::Taken if there => (State::Running, Action::Release),
        // Whatever it says instead, and where it says nothing in time: it must be dead before another has its client.
        Event::Setup(_) | Event::Status(_) | Event::Foreign | Event::Closed | Event::Alarm if there => {
            (State::Recalled(Rung::Tree), Action::Recall)
        }
        Event::Died(status) if there => serve_anew(died(rules, status)),
        Event::TimeLimit => end(stage, Outcome::TimeLimit),
        Event::IdleLimit => end(stage, Outcome::IdleLimit),
        Event::Stop => end(stage, Outcome::Stopped),
        Event::Asked
        | Event::Launched
        | Event::Offered
        | Event::Taken
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Died(_)
        | Event::KillRefused
        | Event::Alarm
        | Event::Cleared
        | Event::NotCleared => (State::Offered(stage), Action::Nothing),
    }
}

/// It is being killed, with a client's connection in its cord.
pub(super) fn recalled(rung: Rung, event: Event) -> (State, Action) {
    match event {
        Event::Died(status) => serve_anew(Outcome::Lost(status)),
        // It took it after all, and nobody knows how far it has come: nobody else may have that client.
        Event::Taken => (State::Killing(Outcome::Lost(None), rung), Action::Nothing),
        Event::TimeLimit => (State::Killing(Outcome::TimeLimit, rung), Action::Nothing),
        Event::IdleLimit => (State::Killing(Outcome::IdleLimit, rung), Action::Nothing),
        Event::Stop => (State::Killing(Outcome::Stopped, rung), Action::Nothing),
        Event::KillRefused | Event::Alarm => match rung {
            Rung::Tree => (State::Recalled(Rung::First), Action::KillFirst),
            Rung::First => (State::Recalled(Rung::Complained), Action::Complain),
            Rung::Complained => (State::Recalled(Rung::Tree), Action::Recall),
        },
        Event::Asked
        | Event::Launched
        | Event::Offered
        | Event::Failed(_)
        | Event::LauncherGone
        | Event::LauncherSilent
        | Event::Status(_)
        | Event::Setup(_)
        | Event::Foreign
        | Event::Closed
        | Event::Cleared
        | Event::NotCleared => (State::Recalled(rung), Action::Nothing),
    }
}

fn serve_anew(outcome: Outcome) -> (State, Action) {
    (State::Clearing(outcome, 0), Action::ServeAnew)
}

/// Its client is not served any more.
fn end(stage: Stage, outcome: Outcome) -> (State, Action) {
    match stage {
        Stage::Queued => clear(outcome),
        Stage::Asked => (State::Abandoned(outcome), Action::Cut),
        Stage::There => kill(outcome),
    }
}

fn died(rules: Rules, status: Option<i32>) -> Outcome {
    match rules.first {
        First::Reaper => Outcome::Lost(status),
        First::Command => status.map_or(Outcome::Lost(None), Outcome::of_status),
    }
}
