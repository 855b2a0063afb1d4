// SPDX-License-Identifier: Apache-2.0
//! Where several clients come at once, a service has two launchers: `supervise/twin.rs`.

use crate::scene::{Client, Server, host, patience, scene, soon};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// A twin without use is there for longer than this.
const UNUSED: Duration = Duration::from_secs(3);

/// The launchers of a server: its children that are in no sandbox.
fn launchers(server: &Server) -> Vec<u32> {
    let lives = |pid: &u32| host::status_of(*pid, "State").is_some_and(|state| !state.starts_with('Z'));
    host::children(server.pid()).into_iter().filter(|pid| lives(pid) && !host::is_inside(*pid)).collect()
}

/// Has so many come at once that there are two launchers, which come back: the first one, and its twin.
fn crowd(server: &Server) -> [u32; 2] {
    let mut both = None;
    host::eventually("there are two launchers", patience(), || {
        let first = host::watch(&launchers(server));
        // Until it goes on, all of them wait.
        first.signal(Signal::SIGSTOP);
        let clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
        first.signal(Signal::SIGCONT);
        clients.into_iter().for_each(|client| assert_eq!(client.rest(), "hello\n"));
        both = launchers(server).try_into().ok();
        both.is_some()
    });
    both.expect("they were there")
}

/// Does this with two launchers until that was quick enough for none to be let go of meanwhile, as it may be where
/// others keep the machine busy: what came of it then.
fn with_two<T>(server: &Server, mut play: impl FnMut([u32; 2]) -> T) -> T {
    let mut came = None;
    host::eventually("it is quick enough", patience(), || {
        let both = crowd(server);
        let start = Instant::now();
        came = Some(play(both)).filter(|_| start.elapsed() < UNUSED);
        came.is_some()
    });
    came.expect("it was quick enough")
}

#[test]
fn who_comes_while_one_of_two_launchers_is_stopped_is_served_by_the_other() {
    needs!(root);
    needs!(processors 2);
    let server = scene("strict").probe("say hello").listen();
    let served = with_two(&server, |both| {
        let first = host::watch(&both[..1]);
        first.signal(Signal::SIGSTOP);
        // It owes nothing, so nobody can know that it is stopped.
        let given = server.connect();
        let others = [(); 3].map(|()| server.connect().rest());
        first.signal(Signal::SIGCONT);
        (others, given.rest(), launchers(&server) == both)
    });
    let hello = || "hello\n".to_string();
    assert_eq!(served, ([(); 3].map(|()| hello()), hello(), true), "{}", server.log());
}

#[test]
fn each_of_two_launchers_goes_on_when_the_other_is_killed() {
    needs!(root);
    needs!(processors 2);
    let server = scene("strict").probe("say hello").listen();
    for killed in [0, 1] {
        let (served, is_left) = with_two(&server, |both| {
            host::watch(&both[killed..=killed]).signal(Signal::SIGKILL);
            host::eventually("one is left", patience(), || launchers(&server).len() == 1);
            (server.connect().rest(), launchers(&server) == [both[1 - killed]])
        });
        assert!(served == "hello\n" && is_left, "{served}: {}", server.log());
    }
    server.logs("the launcher is gone; another one goes on");
    host::eventually("the dead are reaped", patience(), || host::children(server.pid()).len() == 1);
}

#[test]
fn two_launchers_end_with_their_supervisor() {
    needs!(root);
    needs!(processors 2);
    let server = scene("strict").probe("say hello").listen();
    let (watched, there) = with_two(&server, |both| {
        let watched = host::watch(&both);
        // Who is stopped reads no end of file.
        watched.signal(Signal::SIGSTOP);
        let there = launchers(&server) == both;
        (watched, there)
    });
    server.signal(Signal::SIGKILL);
    assert!(there && watched.end_within(soon()), "a launcher outlives its supervisor");
}
