// SPDX-License-Identifier: Apache-2.0
//! What master is told of each client, and what its end means.

use super::*;
use crate::plan::{hosts, resolve};
use crate::supervise::{Client, Outcome, PassError, Usage};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

/// A gate that lets this many clients in at once, and master's end of the channel.
fn gate(max_use: u32, concurrency: usize, on_end: OnEnd) -> (Gate, OwnedFd) {
    let (status, master) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_NONBLOCK).unwrap();
    let limits = (max_use, Duration::from_secs(100));
    let mut gate = Gate::new((status, 8), Lock::None, on_end, limits, Watchdog).unwrap();
    gate.serve(concurrency);
    assert_eq!(gate.opens(), Advice::Accept);
    (gate, master)
}

fn end(gate: &mut Gate, live: usize) -> Advice {
    let request = hosts::master("nobody", &["/bin/cat"]);
    let plan = resolve(&request, &hosts::compatible(), &hosts::root_on_618()).unwrap();
    let (outcome, time, usage) = (Outcome::Exited(0), Duration::ZERO, Usage::default());
    let client = Client::Given;
    let ended =
        Ended { service: 0, session: 1, plan: &plan, client: &client, user: None, outcome, trouble: None, time, usage };
    gate.ended(&ended, live)
}

fn told(master: &OwnedFd) -> Vec<u8> {
    let mut bytes = [0; 64];
    let length = nix::unistd::read(master, &mut bytes).unwrap_or(0);
    bytes[..length].to_vec()
}

fn messages(statuses: &[Status]) -> Vec<u8> {
    let message = |status: &Status| protocol::encode(nix::unistd::getpid().as_raw(), 8, *status);
    statuses.iter().flat_map(message).collect()
}

#[test]
fn master_is_told_of_each_client_twice() {
    let (mut gate, master) = gate(100, 1, OnEnd::Leave);
    for _ in 0..2 {
        assert_eq!(gate.accepted(0, 1), Advice::Hold);
        assert_eq!(told(&master), messages(&[Status::Taken]));
        assert_eq!(end(&mut gate, 0), Advice::Accept);
        assert_eq!(told(&master), messages(&[Status::Available]));
    }
}

#[test]
fn with_room_left_master_is_told_both_at_once_and_without_it_the_second_when_there_is_room() {
    let (mut gate, master) = gate(100, 2, OnEnd::Leave);
    assert_eq!(gate.accepted(0, 1), Advice::Continue);
    assert_eq!(told(&master), messages(&[Status::Taken, Status::Available]));
    assert_eq!(gate.accepted(0, 2), Advice::Hold);
    assert_eq!(told(&master), messages(&[Status::Taken]));
    assert_eq!(end(&mut gate, 1), Advice::Accept);
    assert_eq!(told(&master), messages(&[Status::Available]));
    assert_eq!(end(&mut gate, 0), Advice::Continue);
    assert!(told(&master).is_empty());
}

#[test]
fn a_client_that_was_not_handed_over_after_all_leaves_room_for_another() {
    let (mut gate, master) = gate(100, 3, OnEnd::Leave);
    let lose = |gate: &mut Gate, live| {
        let why = NotAccepted::Passed(PassError { what: "cannot receive file descriptor", why: "end of file".into() });
        gate.not_accepted("policy", live, &why, Tell::Now)
    };
    // The two others have a place each, and their clients are still to come.
    assert_eq!(gate.accepted(0, 3), Advice::Hold);
    assert_eq!(told(&master), messages(&[Status::Taken]));
    assert_eq!(lose(&mut gate, 2), Advice::Accept);
    assert_eq!(told(&master), messages(&[Status::Available]));
    assert_eq!(lose(&mut gate, 1), Advice::Continue);
    assert!(told(&master).is_empty());
}

#[test]
fn the_last_client_that_max_use_allows_is_served_and_no_other() {
    let (mut gate, master) = gate(2, 1, OnEnd::Leave);
    assert_eq!(gate.accepted(0, 1), Advice::Hold);
    assert_eq!(end(&mut gate, 0), Advice::Accept);
    assert_eq!(gate.accepted(0, 1), Advice::Hold);
    assert_eq!(end(&mut gate, 0), Advice::Drain);
    assert_eq!(told(&master).len(), 4 * protocol::LENGTH);
}

#[test]
fn with_several_at_once_max_use_waits_until_nobody_is_served() {
    let (mut gate, _master) = gate(1, 3, OnEnd::Leave);
    assert_eq!(gate.accepted(0, 1), Advice::Continue);
    assert_eq!(gate.accepted(0, 2), Advice::Continue);
    assert_eq!(end(&mut gate, 1), Advice::Continue);
    assert_eq!(end(&mut gate, 0), Advice::Drain);
}

#[test]
fn without_master_who_is_served_goes_on_elsewhere_but_under_stress_here() {
    for (on_end, advice) in [(OnEnd::Leave, Advice::Leave), (OnEnd::Stay, Advice::Drain)] {
        let (mut gate, master) = gate(100, 2, on_end);
        assert_eq!(gate.accepted(0, 1), Advice::Continue);
        drop(master);
        assert_eq!(gate.ready(), advice);
        assert_eq!(end(&mut gate, 0), Advice::Continue);
    }
}

#[test]
fn a_reload_that_nobody_looked_at_yet_is_seen_when_master_is_told() {
    for (concurrency, accepted) in [(1, Advice::Hold), (2, Advice::Leave)] {
        let (mut gate, master) = gate(100, concurrency, OnEnd::Leave);
        drop(master);
        assert_eq!(gate.accepted(0, 1), accepted);
        assert_eq!(end(&mut gate, 0), if concurrency == 1 { Advice::Leave } else { Advice::Continue });
    }
}

#[test]
fn the_thirteenth_client_that_cannot_be_accepted_is_one_too_many() {
    let (mut gate, _master) = gate(100, 1, OnEnd::Leave);
    let refuse = |gate: &mut Gate, errno| gate.not_accepted("policy", 0, &NotAccepted::Errno(errno), Tell::No);
    for _ in 1..MOST_ERRORS {
        assert_eq!(refuse(&mut gate, Errno::EMFILE), Advice::Continue);
        assert_eq!(refuse(&mut gate, Errno::ENOBUFS), Advice::Continue);
    }
    assert!(gate.verdict().is_ok());
    assert_eq!(refuse(&mut gate, Errno::EMFILE), Advice::Leave);
    assert_eq!(gate.verdict().unwrap_err().to_string(), "too many errors - program terminated");
}
