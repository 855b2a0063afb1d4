// SPDX-License-Identifier: Apache-2.0
//! xinetd.conf(5): one service, in a file of its own or among others; a second one is named as lost.

use super::{Draft, list, words};

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
                Some((key, _)) if !found && key.ends_with('-') => {
                    draft.lose(line, "it takes from what is said elsewhere")
                }
                Some((key, value)) if !found => {
                    service.one(key.trim_end_matches(['+', '-', ' ', '\t']), value.trim(), draft)
                }
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

/// What two attributes say together.
#[derive(Default)]
struct Service {
    server: Option<String>,
    arguments: Vec<String>,
}

impl Service {
    fn one(&mut self, key: &str, value: &str, draft: &mut Draft<'_>) {
        let part = format!("{key} = {value}");
        match key {
            "server" => self.server = Some(value.to_string()),
            "server_args" => self.arguments = value.split_whitespace().map(str::to_string).collect(),
            "user" => draft.text(&part, "command.user", value),
            "group" => draft.text(&part, "command.group", value),
            "umask" => draft.text(&part, "command.umask", value),
            "instances" if value != "UNLIMITED" => draft.number(&part, "connection.concurrency", value),
            "env" => match words(value) {
                Some(all) => all.iter().for_each(|variable| draft.variable(&part, variable)),
                None => draft.lose(&part, "a quote is open"),
            },
            "rlimit_as" => draft.bytes(&part, "limits.address-space", value, 1),
            "rlimit_stack" => draft.bytes(&part, "limits.stack", value, 1),
            "rlimit_cpu" => draft.text(&part, "limits.processor-time", value),
            "rlimit_files" => draft.number(&part, "limits.open-files", value),
            // What is so for every command here.
            "socket_type" if value == "stream" => {}
            "protocol" if value == "tcp" => {}
            "wait" if value == "no" => {}
            "disable" if value == "no" => {}
            "flags" if value == "REUSE" => {}
            "port" | "bind" | "interface" => draft.lose(&part, "say it to spawnbox listen"),
            "instances" | "per_source" | "cps" | "max_load" => draft.lose(&part, "there is no such limit"),
            _ => draft.lose(&part, "there is no such key"),
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
