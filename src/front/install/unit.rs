// SPDX-License-Identifier: Apache-2.0
//! What systemd's units say: our own, and what the one that starts Postfix withholds from it. Texts only.
//!
//! Debian 13's postfix.service is the model of what is withheld. `ci/debian-13` runs it under its own systemd, and
//! leaves out each line, each capability and the calls in turn: something is refused without each of them. The last
//! four calls are in systemd 257's @default, and withheld by such a list under Debian 12's 252. CAP_KILL is kept
//! where it is there, and not asked for: a session is ended by its control group, or by its own user's right.

use std::collections::BTreeSet;

/// The first line of every text that we write, by which we know it again.
pub(super) const MARK: &str =
    "# spawnbox install-postfix wrote this file, and spawnbox install-postfix --remove takes it away.\n";

/// The unit whose control group is that of all sessions; `host` looks for it by this name.
pub(in crate::front) const SESSIONS: &str = "spawnbox-sessions.service";
/// The units that start Postfix: Debian's, for one instance and for each of several.
pub(in crate::front) const POSTFIX: [&str; 2] = ["postfix.service", "postfix@.service"];
/// The name of our file in `UNIT.d`.
pub(in crate::front) const DROP_IN: &str = "spawnbox.conf";

const CAPABILITIES: [&str; 2] = ["CAP_SYS_ADMIN", "CAP_SETPCAP"];
const CALLS: [&str; 7] = [
    "@mount",
    "sethostname",
    "setdomainname",
    "seccomp",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
];

/// The unit, as the package has it too.
const SESSIONS_TEXT: &str = include_str!("spawnbox-sessions.service");
/// What the drop-in of each unit begins with, which is the package's whole one.
const WANTS_TEXT: &str = include_str!("spawnbox.conf");

/// The text of [`SESSIONS`].
pub(super) fn sessions() -> String {
    format!("{MARK}{SESSIONS_TEXT}")
}

/// What a unit with its drop-ins says about what a sandbox needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::front) struct Settings {
    namespaces: Option<String>,
    calls: Option<BTreeSet<String>>,
    capabilities: Option<BTreeSet<String>>,
    control_groups: Option<String>,
    tunables: Option<String>,
    proc: Option<String>,
    hostname: Option<String>,
    write_execute: Option<String>,
}

/// Something that a unit withholds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::front) struct Withheld {
    /// Why a sandbox needs it.
    why: &'static str,
    /// The setting that withholds it.
    pub(in crate::front) key: &'static str,
    /// The line that allows it again.
    line: String,
}

impl Settings {
    /// Reads a unit and then its drop-ins, in systemd's order.
    pub(in crate::front) fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Settings {
        let mut settings = Settings::default();
        for text in texts {
            let mut section = String::new();
            for line in logical_lines(text) {
                match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    Some(name) => section = name.to_string(),
                    None if section == "Service" => settings.assign(&line),
                    None => {}
                }
            }
        }
        settings
    }

    fn assign(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        let value = value.trim();
        let set = || Some(value.to_string());
        match key.trim() {
            "RestrictNamespaces" => self.namespaces = set(),
            "SystemCallFilter" if value.is_empty() => self.calls = None,
            "SystemCallFilter" => self.calls.get_or_insert_default().extend(words(value)),
            // "~" is all of them.
            "CapabilityBoundingSet" if value == "~" => self.capabilities = None,
            "CapabilityBoundingSet" if value.is_empty() => self.capabilities = Some(BTreeSet::new()),
            "CapabilityBoundingSet" => self.capabilities.get_or_insert_default().extend(words(value)),
            "ProtectControlGroups" => self.control_groups = set(),
            "ProtectKernelTunables" => self.tunables = set(),
            "ProcSubset" => self.proc = set(),
            "ProtectHostname" => self.hostname = set(),
            "MemoryDenyWriteExecute" => self.write_execute = set(),
            _ => {}
        }
    }

    /// Everything that is withheld.
    pub(in crate::front) fn withheld(&self) -> Vec<Withheld> {
        let mut found = Vec::new();
        let mut add = |key, value: &str, why| found.push(Withheld { why, key, line: format!("{key}={value}") });
        if is_on(&self.namespaces) {
            add("RestrictNamespaces", "no", "A session has namespaces of its own.");
        }
        if let Some(missing) = missing(&self.calls, &CALLS) {
            add("SystemCallFilter", &missing, "It mounts what it may see, hides the host's name, and locks itself in.");
        }
        if let Some(missing) = missing(&self.capabilities, &CAPABILITIES) {
            add("CapabilityBoundingSet", &missing, "Namespaces and mounts, and what a session may never have again.");
        }
        if is_on(&self.control_groups) {
            add(
                "ProtectControlGroups",
                "no",
                "A session is in a control group of its own, by which memory, tasks and cpu are limited.",
            );
        }
        if is_on(&self.tunables) {
            add("ProtectKernelTunables", "no", "Its process id is set by a sysctl of its own PID namespace.");
        }
        if self.proc.as_deref() == Some("pid") {
            add("ProcSubset", "all", "That sysctl is in /proc.");
        }
        if is_on(&self.hostname) {
            add("ProtectHostname", "no", "Its UTS namespace has another name.");
        }
        found
    }

    /// Whether every command inherits that memory cannot be both writable and executable.
    pub(super) fn denies_write_execute(&self) -> bool {
        is_on(&self.write_execute)
    }
}

/// The drop-in for a unit that says this.
pub(super) fn drop_in(settings: &Settings) -> String {
    let mut text = format!("{MARK}{WANTS_TEXT}");
    let withheld = settings.withheld();
    if !withheld.is_empty() {
        text.push_str("\n[Service]\n");
    }
    for Withheld { why, line, .. } in &withheld {
        text.push_str(&format!("# {why}\n{line}\n"));
    }
    text
}

/// Whether a process with this /proc/PID/cgroup is in the unit, or in an instance of it.
pub(super) fn holds(unit: &str, groups: &str) -> bool {
    let is_it = |name: &str| match unit.split_once("@.") {
        Some((before, kind)) => {
            name.strip_prefix(before).is_some_and(|rest| rest.starts_with('@') && rest.ends_with(kind))
        }
        None => name == unit,
    };
    groups.lines().filter_map(|line| line.rsplit(':').next()).flat_map(|path| path.split('/')).any(is_it)
}

/// What a unit of another name needs to say, whatever it says now: lines of its `[Service]` section.
pub(in crate::front) fn whole() -> Vec<String> {
    let nothing = Some(BTreeSet::new());
    let yes = || Some("yes".to_string());
    let strictest = Settings {
        namespaces: yes(),
        calls: nothing.clone(),
        capabilities: nothing,
        control_groups: yes(),
        tunables: yes(),
        proc: Some("pid".to_string()),
        hostname: yes(),
        write_execute: None,
    };
    strictest.withheld().into_iter().map(|one| one.line).chain(["Delegate=yes".to_string()]).collect()
}

/// Whether we wrote this text.
pub(super) fn is_ours(text: &[u8]) -> bool {
    text.starts_with(MARK.as_bytes())
}

/// Lines without comments; one that ends in a backslash goes on, see systemd.syntax(7).
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        let part = line.strip_suffix('\\').unwrap_or(line);
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(&format!(" {}", part.trim())),
            None => lines.push(part.trim().to_string()),
        }
        goes_on = line.ends_with('\\');
    }
    lines
}

fn words(value: &str) -> impl Iterator<Item = String> + '_ {
    value.split_whitespace().map(str::to_string)
}

/// A yes, or a list of what is still allowed, or a stricter word.
fn is_on(value: &Option<String>) -> bool {
    value.as_deref().is_some_and(|value| !["", "no", "false", "off", "0"].contains(&value))
}

/// Those of `needed` that a restricting list does not have. A list with `~` before it takes away: there they are named
/// too, since naming them without it gives them back.
fn missing(list: &Option<BTreeSet<String>>, needed: &[&str]) -> Option<String> {
    let list = list.as_ref()?;
    let missing: Vec<&str> = needed.iter().copied().filter(|word| !list.contains(*word)).collect();
    (!missing.is_empty()).then(|| missing.join(" "))
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
