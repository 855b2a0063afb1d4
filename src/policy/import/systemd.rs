// SPDX-License-Identifier: Apache-2.0
//! systemd.exec(5), systemd.resource-control(5) and ExecStart= of systemd.service(5).

use super::{Draft, list, words};

/// What a command has here anyway, with the values for which that is so.
const ALWAYS: &[&str] = &[
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateUsers",
    "PrivateIPC",
    "ProtectHome",
    "ProtectSystem",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectClock",
    "ProtectHostname",
    "ProtectProc",
    "ProcSubset",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LockPersonality",
    "RemoveIPC",
    "DynamicUser",
];

pub(super) fn read(text: &str, draft: &mut Draft<'_>) -> Result<(), String> {
    let joined = text.replace("\\\n", " ");
    let (mut section, mut found) = (String::new(), false);
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_string();
            found |= section == "Service";
            continue;
        }
        match (section.as_str(), line.split_once('=')) {
            ("Service", Some((key, value))) => one(key.trim(), value.trim(), draft),
            ("Unit", Some(("Description", value))) => draft.text(line, "description", value.trim()),
            ("Socket" | "Unit" | "Install", Some(_)) => {
                draft.lose(line, "it says when and where the service runs, which is not a policy's");
            }
            _ => draft.lose(line, "there is no such key"),
        }
    }
    if found { Ok(()) } else { Err("there is no [Service] in it".to_string()) }
}

fn one(key: &str, value: &str, draft: &mut Draft<'_>) {
    let part = format!("{key}={value}");
    if ALWAYS.contains(&key) {
        let off = matches!(value, "no" | "false" | "0" | "off" | "default");
        return if off {
            draft.lose(&part, "it is so for every command here")
        };
    }
    match key {
        "ExecStart" => command(&part, value, draft),
        "User" => draft.text(&part, "command.user", value),
        "Group" => draft.text(&part, "command.group", value),
        "WorkingDirectory" => draft.text(&part, "command.directory", value),
        "UMask" => draft.text(&part, "command.umask", value),
        "Environment" => match words(value) {
            Some(all) => all.iter().for_each(|variable| draft.variable(&part, variable)),
            None => draft.lose(&part, "a quote is open"),
        },
        "ReadOnlyPaths" | "BindReadOnlyPaths" => paths(&part, "files.read", value, draft),
        "ReadWritePaths" | "BindPaths" => paths(&part, "files.write", value, draft),
        "ExecPaths" => paths(&part, "files.execute", value, draft),
        // The profile has one of its own.
        "PrivateTmp" if is_true(value) => {}
        "PrivateNetwork" if is_true(value) => draft.text(&part, "network.mode", "none"),
        "MemoryDenyWriteExecute" => {
            draft.put(&part, "isolation.memory-deny-write-execute", is_true(value).to_string());
        }
        "SystemCallFilter" => calls(&part, value, draft),
        "SystemCallErrorNumber" if value == "EPERM" => {}
        "SystemCallArchitectures" if value == "native" => {}
        "CapabilityBoundingSet" | "AmbientCapabilities" if value.is_empty() => {}
        "RuntimeMaxSec" => draft.text(&part, "limits.time", value),
        "MemoryMax" => draft.bytes(&part, "limits.memory", value, 1),
        "TasksMax" => draft.number(&part, "limits.tasks", value),
        "CPUQuota" => draft.number(&part, "limits.cpu", value.trim_end_matches('%')),
        _ => match limit(key) {
            Some((key, true)) => draft.bytes(&part, key, value, 1),
            Some((key, false)) => draft.number(&part, key, value),
            None => draft.lose(&part, "there is no such key"),
        },
    }
}

/// The key of a resource limit, and whether it is in bytes. `LimitNPROC` counts the user on the whole host, `limits.tasks`
/// the session: that is less, and enough.
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

fn is_true(value: &str) -> bool {
    matches!(value, "yes" | "true" | "1" | "on")
}

fn command(part: &str, value: &str, draft: &mut Draft<'_>) {
    if value.starts_with(['-', '@', ':', '+', '!']) || value.contains(['$', '%', ';']) {
        return draft.lose(part, "its prefix, variable or specifier is systemd's own");
    }
    match words(value) {
        Some(argv) => draft.put(part, "command.argv", list(&argv)),
        None => draft.lose(part, "a quote is open"),
    }
}

fn paths(part: &str, key: &'static str, value: &str, draft: &mut Draft<'_>) {
    for path in value.split_whitespace() {
        match path.starts_with('/') && !path.contains([':', '%']) {
            true => draft.add(part, key, path),
            false => draft.lose(part, "a prefix, another place or a specifier is systemd's own"),
        }
    }
}

fn calls(part: &str, value: &str, draft: &mut Draft<'_>) {
    let (key, value) = match value.strip_prefix('~') {
        Some(rest) => ("syscalls.deny", rest),
        None => ("syscalls.allow", value),
    };
    for name in value.split_whitespace() {
        match name.contains(':') {
            true => draft.lose(part, "an errno of its own for one call"),
            false => draft.call(&format!("{part} ({name})"), key, name),
        }
    }
}
