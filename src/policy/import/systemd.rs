// SPDX-License-Identifier: Apache-2.0
//! systemd.exec(5), systemd.resource-control(5) and ExecStart= of systemd.service(5).

use super::{Draft, Quoting, Word, list, quote, quoted, words};
use std::collections::BTreeSet;

/// What a command has here anyway, with the words besides true for which that is so.
const ALWAYS: &[(&str, &[&str])] = &[
    ("NoNewPrivileges", &[]),
    ("PrivateDevices", &[]),
    ("PrivateUsers", &["self", "identity"]),
    ("PrivateIPC", &[]),
    ("ProtectHome", &["read-only", "tmpfs"]),
    ("ProtectSystem", &["full", "strict"]),
    ("ProtectKernelTunables", &[]),
    ("ProtectKernelModules", &[]),
    ("ProtectKernelLogs", &[]),
    ("ProtectControlGroups", &["private", "strict"]),
    ("ProtectClock", &[]),
    ("ProtectHostname", &["private"]),
    ("ProtectProc", &["noaccess", "invisible", "ptraceable"]),
    ("ProcSubset", &["pid"]),
    ("RestrictNamespaces", &[]),
    ("RestrictRealtime", &[]),
    ("RestrictSUIDSGID", &[]),
    ("LockPersonality", &[]),
    ("RemoveIPC", &[]),
];

/// What several lines say together.
#[derive(Default)]
struct Unit {
    /// The first list of calls, which says what holds of the calls in none.
    filter: Option<Filter>,
    /// Whether a line says what a denied call meets.
    answered: bool,
    dynamic: Option<String>,
    /// Whether it has a root directory of its own.
    rooted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    Allow,
    Deny,
}

pub(super) fn read(text: &str, draft: &mut Draft<'_>) -> Result<(), String> {
    let joined = text.replace("\\\n", " ");
    let (mut section, mut found) = ("", false);
    let mut lines = Vec::new();
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name,
            None => lines.push((section, line)),
        }
        found |= section == "Service";
    }
    let mut unit = Unit::default();
    let lines = standing(lines);
    let own = |(_, line): &&(&str, &str)| line.split_once('=').is_some_and(|(key, _)| key.trim() == "RootDirectory");
    if let Some((_, line)) = lines.iter().filter(|(section, _)| *section == "Service").rfind(own) {
        unit.rooted = true;
        draft.image(line, line.split_once('=').map_or("", |(_, value)| value.trim()), "files.execute");
    }
    for (section, line) in lines {
        match (section, line.split_once('=')) {
            ("Service", Some((key, value))) => unit.one(key.trim(), value.trim(), draft),
            ("Unit", Some(("Description", value))) => draft.text(line, "description", value.trim()),
            ("Socket" | "Unit" | "Install", Some(_)) => {
                draft.lose(line, "it says when and where the service runs, which is not a policy's");
            }
            _ => draft.lose(line, "there is no such key"),
        }
    }
    unit.finish(draft);
    if found { Ok(()) } else { Err("there is no [Service] in it".to_string()) }
}

/// The lines without those that a later one takes back: an empty value empties what the key has so far.
fn standing<'a>(lines: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut emptied = BTreeSet::new();
    let mut kept: Vec<_> = lines
        .into_iter()
        .rev()
        .filter(|(section, line)| {
            let Some((key, value)) = line.split_once('=') else { return true };
            // Both are one list there.
            let key = if key.trim() == "BindReadOnlyPaths" { "BindPaths" } else { key.trim() };
            let stands = !value.trim().is_empty() && !emptied.contains(&(*section, key));
            if value.trim().is_empty() {
                emptied.insert((*section, key));
            }
            stands
        })
        .collect();
    kept.reverse();
    kept
}

impl Unit {
    fn one(&mut self, key: &str, value: &str, draft: &mut Draft<'_>) {
        let part = format!("{key}={value}");
        if let Some((_, words)) = ALWAYS.iter().find(|(always, _)| *always == key) {
            return match boolean(value) {
                Some(true) => {}
                None if words.contains(&value) => {}
                Some(false) | None => draft.lose(&part, "it is so for every command here"),
            };
        }
        match (key, boolean(value)) {
            ("DynamicUser", Some(true)) => self.dynamic = Some(part),
            ("DynamicUser", Some(false)) => self.dynamic = None,
            // The profile has one of its own.
            ("PrivateTmp", Some(true)) => {}
            ("PrivateNetwork", Some(true)) => draft.text(&part, "network.mode", "none"),
            ("MemoryDenyWriteExecute", Some(deny)) => {
                draft.put(&part, "isolation.memory-deny-write-execute", deny.to_string());
            }
            ("DynamicUser" | "PrivateTmp" | "PrivateNetwork" | "MemoryDenyWriteExecute", _) => {
                draft.lose(&part, "no key says this");
            }
            ("RootDirectory", _) => {}
            ("BindPaths" | "BindReadOnlyPaths", _) if self.rooted => {
                draft.lose(&part, "only what is in the image is seen of the host");
            }
            ("SystemCallFilter", _) => self.calls(value, draft),
            ("SystemCallErrorNumber", _) => {
                self.answered = value != "kill";
                if !matches!(value, "kill" | "EPERM") {
                    draft.lose(&part, "a denied call fails with EPERM here");
                }
            }
            _ => plain(key, value, &part, draft),
        }
    }

    /// The first list says what holds of a call in none; each later one adds to what is allowed, or takes from it.
    fn calls(&mut self, value: &str, draft: &mut Draft<'_>) {
        let (filter, sign, value) = match value.strip_prefix('~') {
            Some(rest) => (Filter::Deny, "~", rest),
            None => (Filter::Allow, "", value),
        };
        self.filter.get_or_insert(filter);
        for word in value.split_whitespace() {
            let part = format!("SystemCallFilter={sign}{word}");
            let (name, errno) = word.split_once(':').map_or((word, None), |(name, errno)| (name, Some(errno)));
            if errno.is_some() {
                draft.lose(&part, "an errno of its own for one call");
            }
            match filter {
                Filter::Deny => draft.call(&part, "syscalls.deny", name),
                // In a list of what is allowed, such a call is one that is not.
                Filter::Allow if errno.is_some() => {}
                Filter::Allow => {
                    draft.call(&part, "syscalls.allow", name);
                    draft.give_back(&part, name);
                }
            }
        }
    }

    fn finish(self, draft: &mut Draft<'_>) {
        draft.closed = self.filter == Some(Filter::Allow);
        let part = "SystemCallFilter= without SystemCallErrorNumber=";
        match self.filter {
            Some(Filter::Allow) if !self.answered => draft.text(part, "syscalls.on-deny", "kill"),
            // More calls are denied here than the unit denies, and those are not to kill.
            Some(Filter::Deny) if !self.answered => {
                draft.lose(
                    part,
                    "a denied call kills; syscalls.on-deny = \"kill\" does so for all that the profile denies",
                );
            }
            Some(Filter::Allow | Filter::Deny) | None => {}
        }
        if let Some(part) = self.dynamic.filter(|_| !draft.values.contains_key("command.user")) {
            draft.lose(&part, "no account is made here; user = { range = \"61184-65519\" } is its like");
        }
    }
}

/// What one line says alone.
fn plain(key: &str, value: &str, part: &str, draft: &mut Draft<'_>) {
    match key {
        "ExecStart" => command(part, value, draft),
        "User" => draft.text(part, "command.user", value),
        "Group" => draft.text(part, "command.group", value),
        "WorkingDirectory" => draft.text(part, "command.directory", value),
        "UMask" => draft.text(part, "command.umask", value),
        "Environment" => match quoted(value, Quoting::Systemd) {
            Some(all) => all.iter().for_each(|word| variable(word, draft)),
            None => draft.lose(part, "a quote is open"),
        },
        "ReadOnlyPaths" | "BindReadOnlyPaths" => paths(key, "files.read", value, draft),
        "ReadWritePaths" | "BindPaths" => paths(key, "files.write", value, draft),
        "ExecPaths" => paths(key, "files.execute", value, draft),
        "SystemCallArchitectures" if value == "native" => {}
        "RuntimeMaxSec" => draft.text(part, "limits.time", value),
        "MemoryMax" => draft.bytes(part, "limits.memory", value, 1),
        "TasksMax" => draft.number(part, "limits.tasks", value),
        "CPUQuota" => draft.number(part, "limits.cpu", value.trim_end_matches('%')),
        _ => match limit(key) {
            Some((key, true)) => draft.bytes(part, key, value, 1),
            Some((key, false)) => draft.number(part, key, value),
            None => draft.lose(part, "there is no such key"),
        },
    }
}

/// One variable; what only systemd can read is lost alone, with what the variable was before.
fn variable(word: &Word, draft: &mut Draft<'_>) {
    let part = format!("Environment={}", word.written);
    if !word.written.contains(['\\', '%']) {
        return draft.variable(&part, &word.text);
    }
    draft.lose(&part, "an escape or a specifier is systemd's own");
    let name = word.text.split('=').next().unwrap_or_default();
    draft.environment.remove(&quote(name));
}

/// The key of a resource limit, and whether it is in bytes. `LimitNPROC` counts the user on the whole host,
/// `limits.tasks` the session: that is less, and enough.
fn limit(key: &str) -> Option<(&'static str, bool)> {
    Some(match key {
        "LimitNOFILE" => ("limits.open-files", false),
        "LimitNPROC" => ("limits.tasks", false),
        "LimitSIGPENDING" => ("limits.pending-signals", false),
        "LimitCPU" => ("limits.processor-time", false),
        "LimitFSIZE" => ("limits.file-size", true),
        "LimitAS" => ("limits.address-space", true),
        "LimitSTACK" => ("limits.stack", true),
        "LimitCORE" => ("limits.core-size", true),
        "LimitMEMLOCK" => ("limits.locked-memory", true),
        "LimitMSGQUEUE" => ("limits.message-queues", true),
        _ => return None,
    })
}

/// A truth value as systemd reads it.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

fn command(part: &str, value: &str, draft: &mut Draft<'_>) {
    if value.starts_with(['-', '@', ':', '+', '!', '|']) || value.contains(['$', '%', ';', '\\']) {
        return draft.lose(part, "its prefix, variable, escape or specifier is systemd's own");
    }
    if draft.values.contains_key("command.argv") {
        return draft.lose(part, "there is one command already");
    }
    match words(value) {
        Some(argv) => draft.put(part, "command.argv", list(&argv)),
        None => draft.lose(part, "a quote is open"),
    }
}

fn paths(name: &str, key: &'static str, value: &str, draft: &mut Draft<'_>) {
    for path in value.split_whitespace() {
        let part = format!("{name}={path}");
        match path.starts_with('/') && !path.contains([':', '%', '\\', '"', '\'']) {
            true => draft.add(&part, key, path),
            false => draft.lose(&part, "a prefix, another place, an escape or a specifier is systemd's own"),
        }
    }
}
