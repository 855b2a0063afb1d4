// SPDX-License-Identifier: Apache-2.0
//! As many policy connections at once as a busy mail server has, with one supervisor and beside it with Postfix's own
//! spawn(8), which "runs only one external command at a time": what both take of the host, measured in one run.
//! `SPAWNBOX_CONNECTIONS=500` says how many; the README has the table.

use super::instance::{Postfix, Spawner};
use super::private::in_private;
use crate::scene::memory::{Taken, kernel_kib, taken};
use crate::scene::stage::room;
use crate::scene::{Client, host, patience};
use std::fs;

/// A policy server as small as one can be: what is measured is what is around it.
const SERVER: &str = "while read -r line; do [ -n \"$line\" ] || printf 'action=dunno\\n\\n'; done\n";

/// Both halves of a service under load, and what the kernel has allocated for it meanwhile.
struct Measured {
    own: Taken,
    commands: Taken,
    kernel_kib: u64,
}

#[test]
fn one_supervisor_serves_as_many_policy_connections_as_spawn_has_daemons() {
    needs!(root);
    needs!(program "postfix");
    let count = std::env::var("SPAWNBOX_CONNECTIONS");
    let count = count.map_or(40, |text| text.parse().expect("SPAWNBOX_CONNECTIONS is a number"));
    let room = room();
    let server = room.file("server.sh", SERVER);
    in_private(&room.path(""), |log| {
        let run = format!("user=nobody argv=/bin/sh {}", server.display());
        let strict = format!("policy={}", room.file("strict.toml", &strict(&server.display().to_string())).display());
        let entries = format!(
            "spawned unix - n n - 0 spawn {run}\n\
             compatible unix - n n - 1 spawnbox -o compatible_concurrency={count} {run}\n\
             strict unix - n n - 1 spawnbox -o strict_concurrency={count} {strict} {run}\n"
        );
        let postfix = Postfix::start_alone(&[], &room, &entries);
        println!(
            "| {count} connections | own processes | their memory | commands | their memory | rest of the kernel |"
        );
        let [theirs, compatible, strict] = ["spawned", "compatible", "strict"].map(|service| {
            let measured = measure(&postfix, service, count);
            print(service, &measured);
            measured
        });
        assert_eq!((theirs.own.processes, theirs.commands.processes), (count, count));
        for ours in [compatible, strict] {
            // The supervisor, its launcher, a second one while they come at once, and each sandbox's first process.
            let own = ours.own.processes - count;
            assert!((2..=3).contains(&own) && ours.commands.processes == count, "{own} beside {:?}", ours.commands);
            assert!(ours.own.memory_kib < theirs.own.memory_kib, "{:?} and {:?}", ours.own, theirs.own);
        }
        assert!(!log.text().contains("warning"), "{}", log.text());
        postfix.stop();
    });
}

/// A policy with every layer, for a script that is where nobody would have it.
fn strict(script: &str) -> String {
    format!("version = 1\nextends = [\"shell\"]\n[files]\nread = [\"{script}\"]\n[limits]\ntasks = 1\n")
}

/// So many clients of a service at once, each of whom has its answer and stays.
fn measure(postfix: &Postfix, service: &str, count: u64) -> Measured {
    let address = postfix.socket(service);
    let ask = || Client::connect(&address).send(b"request=smtpd_access_policy\n\n");
    let before = kernel_kib();
    let mut clients: Vec<Client> = (0..count).map(|_| ask()).collect();
    for client in &mut clients {
        assert_eq!(client.line(), "action=dunno");
    }
    let kernel_kib = kernel_kib().saturating_sub(before);
    let all: Vec<u32> = postfix.daemons(service).into_iter().flat_map(host::tree).collect();
    let (own, commands): (Vec<u32>, Vec<u32>) = all.into_iter().partition(|pid| is_own(*pid));
    let measured = Measured { own: taken(&own), commands: taken(&commands), kernel_kib };
    let watched = host::watch(&commands);
    drop(clients);
    assert!(watched.end_within(patience()), "a command goes on without its client");
    measured
}

/// Whether this is a process of the daemon and no command.
fn is_own(pid: u32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    host::is_ours(&program) || program.ends_with(Spawner::Theirs.name())
}

fn print(service: &str, measured: &Measured) {
    let mib = |kib: u64| format!("{} MiB", (kib + 512) / 1024);
    let Measured { own, commands, kernel_kib } = measured;
    let half = |half: &Taken| format!("{} | {}", half.processes, mib(half.memory_kib + half.tables_kib));
    println!("| {service} | {} | {} | {} |", half(own), half(commands), mib(*kernel_kib));
}
