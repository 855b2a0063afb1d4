// SPDX-License-Identifier: Apache-2.0
//! Where several clients come at once, a service has two launchers: `supervise/twin.rs`.

use crate::scene::{Client, Server, host, patience, scene, soon};
use nix::sys::signal::Signal;

/// Has so many come at once that there are two launchers, which come back: the first one, and its twin.
fn crowd(server: &Server) -> [u32; 2] {
    let mut both = None;
    host::eventually("there are two launchers", patience(), || {
        let first = host::watch(&host::launchers_of(server.pid()));
        // Until it goes on, all of them wait.
        first.signal(Signal::SIGSTOP);
        let clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
        first.signal(Signal::SIGCONT);
        clients.into_iter().for_each(|client| assert_eq!(client.rest(), "hello\n"));
        both = host::launchers_of(server.pid()).try_into().ok();
        both.is_some()
    });
    both.expect("they were there")
}

/// Plays this with two launchers until they were the same ones from its start to its end, as it says: where others keep
/// the machine busy, one may be let go of as unused meanwhile, or go on as another process.
fn with_two<T>(server: &Server, mut play: impl FnMut([u32; 2]) -> Option<T>) -> T {
    let mut came = None;
    host::eventually("two launchers stay what they are", patience(), || {
        came = play(crowd(server));
        came.is_some()
    });
    came.expect("they did")
}

#[test]
fn who_comes_while_one_of_two_launchers_is_stopped_is_served_by_the_other() {
    needs!(root);
    needs!(processors 2);
    let server = scene("strict").probe("say hello").listen();
    with_two(&server, |both| {
        let first = host::watch(&both[..1]);
        first.signal(Signal::SIGSTOP);
        // It owes nothing, so nobody can know that it is stopped.
        let given = server.connect();
        (0..3).for_each(|_| assert_eq!(server.connect().rest(), "hello\n", "{}", server.log()));
        first.signal(Signal::SIGCONT);
        assert_eq!(given.rest(), "hello\n", "{}", server.log());
        (host::launchers_of(server.pid()) == both).then_some(())
    });
}

#[test]
fn each_of_two_launchers_goes_on_when_the_other_is_killed() {
    needs!(root);
    needs!(processors 2);
    let server = scene("strict").probe("say hello").listen();
    for killed in [0, 1] {
        with_two(&server, |both| {
            host::watch(&both[killed..=killed]).signal(Signal::SIGKILL);
            host::eventually("one is left", patience(), || host::launchers_of(server.pid()).len() == 1);
            assert_eq!(server.connect().rest(), "hello\n", "{}", server.log());
            (host::launchers_of(server.pid()) == [both[1 - killed]]).then_some(())
        });
    }
    server.logs("the launcher is gone; another one goes on");
    host::eventually("the dead are reaped", patience(), || host::children(server.pid()).len() == 1);
}

#[test]
fn two_launchers_end_with_their_supervisor() {
    needs!(root);
    needs!(processors 2);
    let server = scene("strict").probe("say hello").listen();
    let watched = with_two(&server, |both| {
        let watched = host::watch(&both);
        // Who is stopped reads no end of file.
        watched.signal(Signal::SIGSTOP);
        let there = host::launchers_of(server.pid()) == both;
        if !there {
            watched.signal(Signal::SIGCONT);
        }
        there.then_some(watched)
    });
    server.signal(Signal::SIGKILL);
    assert!(watched.end_within(soon()), "a launcher outlives its supervisor");
}
