// SPDX-License-Identifier: Apache-2.0
//! A command that was taken over: tries, one after the other, what a sandbox must withstand, and prints what came of
//! it, a line each: `NAME | open | WHY`, or `blocked`, or `n/a` where the attack cannot be tried on this connection at
//! all.
//!
//! Each attempt is made in a child of its own with an alarm, so that a filter that kills counts as blocked and the rest
//! goes on. `broken` is a fault of this program and never a result. What an attack aims at is told in the first line of
//! the connection, since it may not be known before the command is. Knows nothing of what ought to be open: the tests
//! do.
//!
//! `attack list` prints every name. `attack burdened PROGRAM...` becomes that program with all that a careless parent
//! leaves to its children. `attack targets DIRECTORY` makes what is aimed at.
// Test program, never installed: it asks the kernel things that safe wrappers rightly do not offer.
#![allow(unsafe_code)]

mod attempt;
mod burden;
mod start;
mod world;
mod kernel;
mod process;
mod proc;
mod device;
mod inherit;
mod identity;
mod file;
mod set_id;
mod connection;
mod option;
mod smuggle;
mod net;
mod ipc;
mod key;
mod namespace;
mod call;
mod corner;
mod memory;
mod limit;
mod another;
mod behave;
mod targets;

use attempt::{Attempt, When, run};
use world::World;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        None => attack(),
        Some("list") => all().for_each(|one| println!("{} | {}", one.name, one.when.word())),
        Some("targets") => targets::make(&arguments[1]),
        Some("burdened") => burden::become_program(&arguments[1..]),
        Some("effective-user") => println!("{}", nix::unistd::geteuid()),
        Some("say") => println!("{}", arguments[1..].join(" ")),
        Some(other) => panic!("{other} is nothing that this program does"),
    }
}

/// Every attempt, in the order in which they are made: those that may leave something behind come last.
fn all() -> impl Iterator<Item = &'static Attempt> {
    let inside = [process::ALL, proc::ALL, device::ALL, inherit::ALL, identity::ALL, file::ALL, set_id::ALL];
    let sockets = [connection::ALL, option::ALL, smuggle::ALL, net::ALL, ipc::ALL, key::ALL];
    let kernel = [namespace::ALL, call::ALL, corner::ALL, memory::ALL, limit::ALL, another::ALL];
    [&inside[..], &sockets[..], &kernel[..]].concat().into_iter().flatten()
}

fn attack() {
    let world = World::hear();
    if let Some(manner) = world.manner() {
        return behave::behave(manner, &world);
    }
    let chosen = |one: &&Attempt| match world.only() {
        Some(name) => one.name == name,
        None => one.when == When::Together,
    };
    for one in all().filter(chosen) {
        world::print(&format!("{} | {}", one.name, run(one, &world)));
    }
    world::print("done");
}
