// SPDX-License-Identifier: Apache-2.0
//! Every sequence of events up to a fixed length, under every rule, and what must hold in each.

use super::*;
use crate::plan::Step;
use nix::errno::Errno;

/// Long enough for asked, launched, ended, killed, refused and dead in one sequence.
const LENGTH: usize = 7;

const ERROR: SetupError = SetupError { step: Step::Scratch, index: 0, errno: Errno::ENOMEM };

const EVENTS: [Event; 18] = [
    Event::Asked,
    Event::Launched,
    Event::Offered,
    Event::Taken,
    Event::Failed(ERROR),
    Event::LauncherGone,
    Event::LauncherSilent,
    Event::Status(0),
    Event::Setup(ERROR),
    Event::Foreign,
    Event::Closed,
    Event::Died(Some(9)),
    Event::TimeLimit,
    Event::Stop,
    Event::KillRefused,
    Event::Alarm,
    Event::Cleared,
    Event::NotCleared,
];

/// What the world looks like beside the table.
#[derive(Clone, Copy, Default)]
struct World {
    asked: bool,
    process: bool,
    dead: bool,
    told_to_end: bool,
    /// It is, or was, a spare, and whether it had a client.
    spare: bool,
    offered: bool,
    taken: bool,
    served_anew: usize,
    finished: usize,
}

fn every_rule() -> [Rules; 4] {
    let rules = |first, ends| Rules { first, ends };
    [
        rules(First::Reaper, Ends::Command),
        rules(First::Reaper, Ends::Tree),
        rules(First::Command, Ends::Command),
        rules(First::Command, Ends::Tree),
    ]
}

/// Whether the world can send this event now.
fn possible(world: World, state: State, event: Event) -> bool {
    match event {
        Event::Asked => !world.asked && !matches!(state, State::Clearing(..) | State::Over),
        Event::Launched | Event::Failed(_) => world.asked && !world.process,
        Event::LauncherGone | Event::LauncherSilent | Event::Stop => true,
        // The time of a spare begins with its client, and goes with it.
        Event::TimeLimit | Event::IdleLimit => (!world.spare || world.offered) && world.served_anew == 0,
        Event::Offered => matches!(state, State::Spare(_)),
        Event::Taken | Event::Status(_) | Event::Setup(_) | Event::Foreign | Event::Closed => {
            world.process && !world.dead
        }
        Event::Died(_) => world.process && !world.dead,
        Event::KillRefused => matches!(state, State::Killing(..) | State::Recalled(_)),
        Event::Alarm => !matches!(state, State::Over),
        Event::Cleared | Event::NotCleared => matches!(state, State::Clearing(..)),
    }
}

fn apply(world: World, event: Event, action: Action) -> World {
    World {
        asked: world.asked || event == Event::Asked,
        process: world.process || event == Event::Launched,
        dead: world.dead || matches!(event, Event::Died(_)),
        offered: world.offered || event == Event::Offered,
        taken: world.taken || event == Event::Taken,
        served_anew: world.served_anew + usize::from(action == Action::ServeAnew),
        spare: world.spare,
        told_to_end: world.told_to_end || matches!(event, Event::TimeLimit | Event::IdleLimit | Event::Stop),
        finished: world.finished + usize::from(matches!(action, Action::Finish(_) | Action::FinishUncleared(_))),
    }
}

fn check(world: World, state: State, action: Action) {
    let ending = matches!(state, State::Abandoned(_) | State::Killing(..) | State::Clearing(..) | State::Over)
        // A spare that was let go; nobody has its connection.
        || (state == State::Ended(Outcome::Stopped) && !world.offered);
    assert!(!world.told_to_end || ending, "past its limit, yet {state:?}");
    assert_eq!(world.finished, usize::from(state == State::Over), "{state:?}");
    let kills = matches!(action, Action::KillTree | Action::Recall | Action::KillFirst | Action::Complain);
    assert!(!kills || (world.process && !world.dead), "{action:?} with nothing there in {state:?}");
    let has_process = has_process(state);
    assert!(!has_process || (world.process && !world.dead), "{state:?} without a process");
    let forgets = matches!(state, State::Queued | State::Asked | State::Abandoned(_))
        || matches!(state, State::Spare(stage) | State::Offered(stage) if stage != Stage::There);
    assert!(!forgets || !world.process, "{state:?} forgets a process");
    let anew = action == Action::ServeAnew;
    assert!(!anew || world.offered && !world.taken, "{state:?}: a client is served twice, or nobody is");
    assert!(!anew || !world.process || world.dead, "{state:?}: two processes have one connection");
    assert!(world.served_anew <= 1, "{state:?}");
    let waits = matches!(state, State::Spare(_));
    assert!(!waits || (world.spare && !world.offered), "{state:?}: a client waits for a client");
}

fn has_process(state: State) -> bool {
    matches!(state, State::Running | State::Ended(_) | State::Killing(..) | State::Recalled(_))
        || matches!(state, State::Spare(Stage::There) | State::Offered(Stage::There))
}

/// The world answers each state in the most reluctant honest way; every session must be over soon.
fn drive_to_the_end(rules: Rules, mut state: State, mut world: World) {
    for _ in 0..CLEAR_ATTEMPTS as usize + 8 {
        let event = match state {
            State::Queued | State::Asked | State::Abandoned(_) => Event::LauncherGone,
            State::Spare(Stage::There) => Event::Stop,
            State::Offered(Stage::There) => Event::Alarm,
            State::Spare(_) | State::Offered(_) => Event::LauncherGone,
            State::Running => Event::TimeLimit,
            State::Ended(_) => Event::Alarm,
            State::Killing(_, Rung::Tree | Rung::First) | State::Recalled(Rung::Tree | Rung::First) => {
                Event::KillRefused
            }
            State::Killing(_, Rung::Complained) | State::Recalled(Rung::Complained) => Event::Died(Some(9)),
            State::Clearing(..) => Event::NotCleared,
            State::Over => return assert_eq!(world.finished, 1),
        };
        let (next, action) = turn(rules, state, event);
        world = apply(world, event, action);
        check(world, next, action);
        state = next;
    }
    panic!("{state:?} never ends");
}

fn explore(rules: Rules, state: State, world: World, left: usize, seen: &mut usize) {
    *seen += 1;
    drive_to_the_end(rules, state, world);
    if left == 0 {
        return;
    }
    for event in EVENTS.into_iter().filter(|event| possible(world, state, *event)) {
        let (next, action) = turn(rules, state, event);
        let after = apply(world, event, action);
        check(after, next, action);
        explore(rules, next, after, left - 1, seen);
    }
}

#[test]
fn every_sequence_of_events_keeps_the_promises() {
    for rules in every_rule() {
        let mut seen = 0;
        explore(rules, State::Queued, World::default(), LENGTH, &mut seen);
        assert!(seen > 10_000, "only {seen} sequences");
    }
}

#[test]
fn every_sequence_of_events_keeps_the_promises_of_a_spare() {
    let world = World { spare: true, ..World::default() };
    for rules in every_rule() {
        let mut seen = 0;
        explore(rules, State::Spare(Stage::Queued), world, LENGTH, &mut seen);
        assert!(seen > 10_000, "only {seen} sequences");
    }
}

#[test]
fn a_spare_that_does_not_take_its_client_is_dead_before_another_does() {
    let rules = every_rule()[0];
    let (state, action) = turn(rules, State::Spare(Stage::There), Event::Offered);
    assert_eq!((state, action), (State::Offered(Stage::There), Action::Await));
    for silent in [Event::Alarm, Event::Closed, Event::Status(9), Event::Setup(ERROR), Event::Foreign] {
        assert_eq!(turn(rules, state, silent), (State::Recalled(Rung::Tree), Action::Recall));
    }
    let recalled = State::Recalled(Rung::Tree);
    let (state, action) = turn(rules, recalled, Event::Died(Some(9)));
    assert_eq!((state, action), (State::Clearing(Outcome::Lost(Some(9)), 0), Action::ServeAnew));
    // It was on its way: what its command has said is not known.
    let (state, action) = turn(rules, recalled, Event::Taken);
    assert_eq!((state, action), (State::Killing(Outcome::Lost(None), Rung::Tree), Action::Nothing));
}

#[test]
fn a_spare_that_is_there_outlives_its_launcher() {
    for state in [State::Spare(Stage::There), State::Offered(Stage::There)] {
        assert_eq!(turn(every_rule()[0], state, Event::LauncherGone), (state, Action::Nothing));
    }
}

#[test]
fn an_impossible_event_forgets_nothing() {
    let outcome = Outcome::TimeLimit;
    let with_process = [
        State::Spare(Stage::There),
        State::Offered(Stage::There),
        State::Recalled(Rung::First),
        State::Running,
        State::Ended(outcome),
        State::Killing(outcome, Rung::Tree),
        State::Killing(outcome, Rung::First),
    ];
    for (rules, state) in every_rule().into_iter().flat_map(|rules| with_process.map(|state| (rules, state))) {
        for event in EVENTS {
            let (next, _) = turn(rules, state, event);
            assert_eq!(!has_process(next), matches!(event, Event::Died(_)), "{state:?} {event:?} {next:?}");
        }
    }
}

#[test]
fn a_refused_kill_escalates_and_is_never_given_up() {
    let mut state = State::Killing(Outcome::TimeLimit, Rung::Tree);
    let mut actions = Vec::new();
    for _ in 0..6 {
        let (next, action) = turn(every_rule()[0], state, Event::KillRefused);
        actions.push(action);
        state = next;
    }
    let round = [Action::KillFirst, Action::Complain, Action::KillTree];
    assert_eq!(actions, [round, round].concat());
}

#[test]
fn a_session_over_before_its_process_is_known_is_cut_and_killed_on_arrival() {
    let rules = every_rule()[0];
    let (state, action) = turn(rules, State::Asked, Event::TimeLimit);
    assert_eq!((state, action), (State::Abandoned(Outcome::TimeLimit), Action::Cut));
    let (state, action) = turn(rules, state, Event::Launched);
    assert_eq!((state, action), (State::Killing(Outcome::TimeLimit, Rung::Tree), Action::KillTree));
}

#[test]
fn the_outcome_is_the_first_cause() {
    let rules = every_rule()[0];
    let table = [
        (vec![Event::Status(256), Event::TimeLimit, Event::Died(Some(9))], Outcome::Exited(1)),
        (vec![Event::TimeLimit, Event::Status(9), Event::Died(Some(9))], Outcome::TimeLimit),
        (vec![Event::Setup(ERROR), Event::Closed, Event::Died(Some(111 << 8))], Outcome::SetupFailed(ERROR)),
        (vec![Event::Setup(ERROR), Event::Status(111 << 8), Event::Died(None)], Outcome::SetupFailed(ERROR)),
        (vec![Event::Status(0), Event::Status(0), Event::Died(None)], Outcome::Foreign),
        (vec![Event::Closed, Event::Died(Some(31))], Outcome::Lost(Some(31))),
        (vec![Event::Foreign, Event::Died(Some(9))], Outcome::Foreign),
    ];
    for (events, outcome) in table {
        let end = events.iter().fold(State::Running, |state, event| turn(rules, state, *event).0);
        assert_eq!(end, State::Clearing(outcome, 0), "{events:?}");
    }
}

/// It is not among the events of the sequences, which would be many times as many.
#[test]
fn an_idle_limit_ends_a_session_in_every_state_as_a_time_limit_does() {
    let renamed = |outcome| if outcome == Outcome::TimeLimit { Outcome::IdleLimit } else { outcome };
    let other = Outcome::Exited(1);
    let states = [
        State::Queued,
        State::Asked,
        State::Abandoned(other),
        State::Spare(Stage::There),
        State::Offered(Stage::Queued),
        State::Offered(Stage::Asked),
        State::Offered(Stage::There),
        State::Recalled(Rung::Tree),
        State::Running,
        State::Ended(other),
        State::Killing(other, Rung::Tree),
        State::Clearing(other, 3),
        State::Over,
    ];
    for rules in every_rule() {
        for before in states {
            let (by_time, action) = turn(rules, before, Event::TimeLimit);
            let expected = match by_time {
                State::Abandoned(outcome) => State::Abandoned(renamed(outcome)),
                State::Ended(outcome) => State::Ended(renamed(outcome)),
                State::Killing(outcome, rung) => State::Killing(renamed(outcome), rung),
                State::Clearing(outcome, attempts) => State::Clearing(renamed(outcome), attempts),
                State::Queued | State::Asked | State::Running | State::Over => by_time,
                State::Spare(_) | State::Offered(_) | State::Recalled(_) => by_time,
            };
            assert_eq!(turn(rules, before, Event::IdleLimit), (expected, action), "{before:?}");
        }
    }
}
