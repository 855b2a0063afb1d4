// SPDX-License-Identifier: Apache-2.0
//! Every limit that a policy itself writes is the one that holds: `explain` names the policy's line for it, and a
//! session has it. A limit that a profile makes smaller is written in vain unless the policy overrides it by name.

use super::service::Service;
use super::text;
use crate::scene::stage::program;
use crate::scene::{Scene, arguments, host, patience};
use std::collections::BTreeMap;
use toml::Table;

/// The limits that a policy writes, each with its line and its number: seconds, bytes, or how many.
fn written(policy: &str) -> BTreeMap<String, (usize, u64)> {
    let text = text(policy);
    let table: Table = toml::from_str(&text).expect("it is TOML");
    let limits = table["limits"].as_table().expect("it has limits");
    let within = text.lines().position(|line| line == "[limits]").expect("it has limits");
    let line = |key: &str| {
        let start = format!("{key} = ");
        within + 1 + text.lines().skip(within).position(|line| line.starts_with(&start)).expect("a line for each")
    };
    limits.iter().map(|(key, value)| (key.clone(), (line(key), number(&value.to_string())))).collect()
}

/// `"128M"`, `"3600s"`, `4`.
fn number(text: &str) -> u64 {
    let text = text.trim_matches('"');
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => panic!("{text}: a unit that no policy had before"),
    };
    digits.parse::<u64>().expect("a number") * factor
}

/// This program as the service's command, or `explain` of it.
fn words(service: &Service, verb: &[&str], actions: &str) -> Vec<String> {
    let probe = program("probe").display().to_string();
    let mut words: Vec<String> = verb.iter().map(|word| word.to_string()).collect();
    words.push(format!("--policy={}", service.policy));
    words.push(format!("-sfiles.execute=[\"{probe}\"]"));
    words.extend(service.user.map(|name| format!("-scommand.user=\"{name}\"")));
    words.extend(["--".to_string(), probe]);
    words.extend(actions.split(' ').map(str::to_string));
    words
}

fn run(words: &[String]) -> Scene {
    arguments(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn hold(service: &Service) {
    let written = written(service.policy);
    let page = run(&words(service, &["explain"], "limits")).run().exits(0);
    for (key, (line, number)) in &written {
        let origin = format!("profile {}:{line}", service.policy);
        let row = page.stdout.lines().find(|row| row.trim_end().ends_with(&origin));
        let row = row.unwrap_or_else(|| panic!("{key} of {} is written in vain: {page}", service.policy));
        match key.as_str() {
            "time" => assert!(row.contains(&format!("at the latest {number} s after accept")), "{row}"),
            _ => assert!(row.contains(&format!("{key} ")), "{row}"),
        }
    }
    let server = run(&words(service, &["listen", "127.0.0.1:0", "--print-port"], "limits , line")).listen_if_it_can();
    let server = server.unwrap_or_else(|(status, said)| panic!("{status}: {said}"));
    let mut client = server.connect();
    let limits = client.line();
    // The relay of a forwarded peer is one of the tasks that are not the command's, and so is the reaper.
    let forwards = page.stdout.lines().any(|row| row.starts_with("forward "));
    let own = if forwards { 2 } else { 1 };
    for (key, (_, number)) in written.iter().filter(|(key, _)| key.as_str() != "time") {
        let expected = match key.as_str() {
            // Past the first it is told, at the second it is killed.
            "processor-time" => format!("processor-time={number}/{}", number + 1),
            "tasks" => format!("tasks={0}/{0}", number + own),
            _ => format!("{key}={number}/{number}"),
        };
        assert!(limits.split(' ').any(|word| word == expected), "{}: no {expected} in {limits}", service.policy);
    }
    let probe = program("probe").display().to_string();
    let command = || host::tree(server.pid()).into_iter().find(|pid| host::command_line(*pid).starts_with(&probe));
    host::eventually("the command is there", patience(), || command().is_some());
    // Where control groups have a controller for it, it counts the session too.
    let cgroup = command().and_then(host::cgroup_of);
    let most = cgroup.and_then(|cgroup| std::fs::read_to_string(cgroup.join("pids.max")).ok());
    if let (Some(most), Some((_, tasks))) = (most, written.get("tasks")) {
        assert_eq!(most.trim(), (tasks + own).to_string(), "pids.max of {}", service.policy);
    }
}
