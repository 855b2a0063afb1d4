// SPDX-License-Identifier: Apache-2.0
//! xinetd.conf(5): one service, in a file of its own or among others; a second one is named as lost.

use super::{Draft, list, words};
use std::collections::BTreeSet;

pub(super) fn read(text: &str, draft: &mut Draft<'_>) -> Result<(), String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found = false;
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("service").filter(|rest| rest.starts_with([' ', '\t']));
        let Some(name) = name.map(|name| name.trim_matches([' ', '\t', '{'])) else {
            draft.lose(line, "it is outside of a service");
            continue;
        };
        if found {
            draft.lose(line, "it is another service: give it a file of its own");
        }
        let mut service = Service::default();
        for line in lines.by_ref().skip_while(|line| *line == "{").take_while(|line| *line != "}") {
            match line.split_once('=') {
                Some((key, value)) if !found => service.assign(line, key, value.trim(), draft),
                Some(_) => {}
                None => draft.lose(line, "it is no attribute"),
            }
        }
        if !found {
            draft.text("service", "description", name);
            service.finish(draft);
        }
        found = true;
    }
    if found { Ok(()) } else { Err("there is no service in it".to_string()) }
}

/// The attributes that are lists, for which there are `+=` and `-=`.
const LISTS: &[&str] = &["only_from", "no_access", "log_on_success", "log_on_failure", "passenv", "env"];

/// What two attributes say together.
#[derive(Default)]
struct Service {
    seen: BTreeSet<String>,
    server: Option<String>,
    arguments: Vec<String>,
}

impl Service {
    /// An attribute with its operator, which stands at the end of `key`. A list can be said in several lines, each of
    /// which adds to it: there is no other for it to take the place of.
    fn assign(&mut self, line: &str, key: &str, value: &str, draft: &mut Draft<'_>) {
        let (key, operator) = match key.as_bytes().last() {
            Some(b'+') => (key.trim_end_matches('+'), '+'),
            Some(b'-') => (key.trim_end_matches('-'), '-'),
            Some(_) | None => (key, '='),
        };
        let key = key.trim_end();
        match (LISTS.contains(&key), operator) {
            (false, '+' | '-') => draft.lose(line, "xinetd has this operator for lists alone"),
            (false, _) if !self.seen.insert(key.to_string()) => {
                draft.lose(line, "it is said before, and xinetd takes it once");
            }
            (true, '-') if key == "env" => draft.lose(line, "xinetd takes nothing from env"),
            (true, '+' | '-') => self.one(key, value, line, draft),
            (_, _) => self.one(key, value, &format!("{key} = {value}"), draft),
        }
    }

    fn one(&mut self, key: &str, value: &str, part: &str, draft: &mut Draft<'_>) {
        match key {
            "server" => self.server = Some(value.to_string()),
            "server_args" => self.arguments = value.split_whitespace().map(str::to_string).collect(),
            "user" => draft.text(part, "command.user", value),
            "group" => draft.text(part, "command.group", value),
            "umask" => draft.text(part, "command.umask", value),
            "instances" if value != "UNLIMITED" => draft.number(part, "connection.concurrency", value),
            "env" => match words(value) {
                Some(all) => all.iter().for_each(|variable| draft.variable(part, variable)),
                None => draft.lose(part, "a quote is open"),
            },
            "rlimit_as" => draft.bytes(part, "limits.address-space", value, 1),
            "rlimit_stack" => draft.bytes(part, "limits.stack", value, 1),
            "rlimit_cpu" => draft.text(part, "limits.processor-time", value),
            "rlimit_files" => draft.number(part, "limits.open-files", value),
            // What is so for every command here.
            "socket_type" if value == "stream" => {}
            "protocol" if value == "tcp" => {}
            "wait" if value == "no" => {}
            "disable" if value == "no" => {}
            "flags" if value == "REUSE" => {}
            "port" | "bind" | "interface" => draft.lose(part, "say it to spawnbox listen"),
            "per_source" if value != "UNLIMITED" => draft.number(part, "clients.per-source", value),
            "cps" => draft.lose(part, "it stops the service for a while: clients.rate has clients wait"),
            "only_from" => draft.lose(part, "say it as clients.allow, whose networks have a prefix length"),
            "no_access" => draft.lose(part, "say it as clients.deny, whose networks have a prefix length"),
            "instances" | "per_source" | "max_load" => draft.lose(part, "there is no such limit"),
            _ => draft.lose(part, "there is no such key"),
        }
    }

    fn finish(self, draft: &mut Draft<'_>) {
        match self.server {
            Some(server) => {
                let argv = [vec![server], self.arguments].concat();
                draft.put("server", "command.argv", list(&argv));
            }
            None => draft.lose("server", "it is not said, so the command is named elsewhere"),
        }
    }
}
