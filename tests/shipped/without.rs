// SPDX-License-Identifier: Apache-2.0
//! What a policy grants, and what becomes of its service when one grant is taken away.

use super::named::{self, Said};
use super::service::Service;
use super::{start, text, traced};
use crate::postfix::private::Log;
use crate::scene::stage::room;
use crate::scene::{Server, a_second};
use std::time::{Duration, Instant};
use toml::{Table, Value};

/// So that the log names what is denied, and what is not shown or opened.
const TOLD: &str = "-ssyscalls.on-deny=report-all";

/// Lists of which each entry is a grant. What is `optional` is not always there, so nothing fails without it.
const LISTS: &[&[&str]] = &[
    &["extends"],
    &["files", "read"],
    &["files", "write"],
    &["files", "execute"],
    &["files", "scratch"],
    &["syscalls", "allow"],
    &["network", "forward"],
];

/// Keys that are grants as a whole.
const KEYS: &[&[&str]] = &[&["network", "mode"], &["network", "connect"], &["network", "udp"]];

/// What a policy extends for programs of its kind, though the one in these tests does without.
const FOR_OTHERS: &[(&str, &str)] = &[
    // An interpreter, or modules, that were built on the host.
    ("policyd-spf", "python3"),
    // awk(1), and scripts that make a FIFO.
    ("tcp-table", "shell"),
];

/// A policy without one of its grants, and the grant's name.
fn mutants(policy: &str) -> Vec<(String, Table)> {
    let table: Table = toml::from_str(&text(policy)).expect("it is TOML");
    let mut all = Vec::new();
    for path in LISTS {
        let Some(Value::Array(entries)) = at(&mut table.clone(), path).cloned() else { continue };
        for (index, entry) in entries.iter().enumerate() {
            let optional = entry.get("optional").and_then(Value::as_bool).unwrap_or(false);
            let name = entry.as_str().or_else(|| entry.get("path").and_then(Value::as_str)).unwrap_or_default();
            if optional || name == "strict" || FOR_OTHERS.contains(&(policy, name)) {
                continue;
            }
            let mut mutant = table.clone();
            if let Some(Value::Array(entries)) = at(&mut mutant, path) {
                entries.remove(index);
            }
            all.push((name.to_string(), mutant));
        }
    }
    for path in KEYS {
        let mut mutant = table.clone();
        let (key, above) = path.split_last().expect("a key has a name");
        let removed = parent(&mut mutant, above).and_then(|table| table.remove(*key));
        let name = path.join(".");
        if removed.is_some() && !FOR_OTHERS.contains(&(policy, &name)) {
            all.push((name, mutant));
        }
    }
    all
}

fn parent<'a>(table: &'a mut Table, path: &[&str]) -> Option<&'a mut Table> {
    path.iter().try_fold(table, |table, name| table.get_mut(*name).and_then(Value::as_table_mut))
}

fn at<'a>(table: &'a mut Table, path: &[&str]) -> Option<&'a mut Value> {
    let (key, above) = path.split_last()?;
    parent(table, above)?.get_mut(*key)
}

/// Without any of its grants the service does not do its work, and what is said names that grant; with all, in a file
/// written the same way, it does.
pub(super) fn each_grant(service: &Service, log: &Log) {
    let mutants = mutants(service.policy);
    assert!(!mutants.is_empty(), "{} grants nothing of its own", service.policy);
    let room = room();
    let mut told = Vec::new();
    for (number, (grant, mutant)) in mutants.iter().enumerate() {
        let file = room.file(&format!("{number}.toml"), &toml::to_string(mutant).expect("it was TOML"));
        let (why, said) = match start(service, &file.display().to_string(), &[TOLD]) {
            Err(refusal) => ("it is refused".to_string(), Said::Refusal(refusal)),
            Ok(server) => {
                let Err(why) = (service.work)(&server, log) else {
                    panic!("{} does its work without {grant}: {}", service.policy, server.log());
                };
                (why, Said::Log(whole_log(&server)))
            }
        };
        println!("{} without {grant}: {why}\n{}", service.policy, said.text());
        told.push((grant.clone(), said));
    }
    // Last, since the log keeps what it has been told.
    let table: Table = toml::from_str(&text(service.policy)).expect("it is TOML");
    let file = room.file("whole.toml", &toml::to_string(&table).expect("it was TOML"));
    let server = start(service, &file.display().to_string(), &[TOLD]).unwrap_or_else(|said| panic!("{said}"));
    (service.work)(&server, log).unwrap_or_else(|why| panic!("{why}\n{}", server.log()));
    let unnamed = named::judge(service.policy, &told, &whole_log(&server));
    drop(server);
    if unnamed.is_empty() {
        return;
    }
    let usual = traced::grants(service, log, &file, &room.path("whole.json"));
    for (number, (grant, _)) in mutants.iter().enumerate().filter(|(_, (grant, _))| unnamed.contains(grant.as_str())) {
        let lacks =
            traced::grants(service, log, &room.path(&format!("{number}.toml")), &room.path(&format!("{number}.json")));
        traced::names(service.policy, grant, &lacks, &usual);
    }
}

/// The log, with what a session that is over or about to end has to say; one that waits for its client may not end.
fn whole_log(server: &Server) -> String {
    let deadline = Instant::now() + a_second();
    while !server.log().contains(" outcome=") && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    server.log()
}
