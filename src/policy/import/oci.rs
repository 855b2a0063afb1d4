// SPDX-License-Identifier: Apache-2.0
//! The seccomp profiles of container runtimes: the `linux.seccomp` object of the OCI runtime specification, and the
//! form of it that Docker and Podman read, with `includes` and `excludes`.

use super::Draft;
use serde_json::Value;

pub(super) fn read(text: &str, draft: &mut Draft<'_>) -> Result<(), String> {
    let profile: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let Some(object) = profile.as_object() else { return Err("it is no object".to_string()) };
    let default = object.get("defaultAction").and_then(Value::as_str).ok_or("it has no defaultAction")?;
    let open = default == "SCMP_ACT_ALLOW";
    match default {
        "SCMP_ACT_ALLOW" => draft.add("defaultAction", "syscalls.allow", "all"),
        "SCMP_ACT_ERRNO" => draft.text("defaultAction", "syscalls.on-deny", "errno"),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" | "SCMP_ACT_KILL_PROCESS" => {
            draft.text("defaultAction", "syscalls.on-deny", "kill");
        }
        other => draft.lose(&format!("defaultAction {other}"), "what is not allowed fails with an errno here"),
    }
    draft.closed = !open;
    for (key, value) in object {
        match key.as_str() {
            "defaultAction" => {}
            "syscalls" if value.is_array() => {}
            // What Docker writes for its own sake.
            "archMap" | "architectures" if names(value, "SCMP_ARCH_X86_64") => {}
            "defaultErrnoRet" if value.as_u64() == Some(1) => {}
            key => draft.lose(key, "there is no such key"),
        }
    }
    let entries = object.get("syscalls").and_then(Value::as_array).into_iter().flatten();
    entries.for_each(|entry| one(entry, default, draft));
    Ok(())
}

/// The keys of an entry; `comment` is for people.
const ENTRY: &[&str] = &["name", "names", "action", "args", "comment", "includes", "excludes", "errnoRet", "errno"];

/// The keys of `includes` and `excludes`.
const CONDITIONS: &[&str] = &["arches", "caps", "minKernel"];

fn one(entry: &Value, default: &str, draft: &mut Draft<'_>) {
    let name = entry.get("name").and_then(Value::as_str).into_iter();
    let several = entry.get("names").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let action = entry.get("action").and_then(Value::as_str).unwrap_or_default();
    let why = condition(entry);
    let keys = entry.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    for key in keys.filter(|key| !ENTRY.contains(key)) {
        draft.lose(&format!("{key} of an entry of syscalls"), "there is no such key");
    }
    let mut names = name.chain(several).peekable();
    if names.peek().is_none() {
        draft.lose(&format!("an entry of syscalls ({action})"), "it names no call");
    }
    for name in names {
        let part = format!("{name} ({action})");
        match (action, &why) {
            (_, Some(why)) => draft.lose(&part, why),
            ("SCMP_ACT_ALLOW", None) if default == "SCMP_ACT_ALLOW" => {}
            ("SCMP_ACT_ALLOW", None) => draft.call(&part, "syscalls.allow", name),
            ("SCMP_ACT_ERRNO" | "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" | "SCMP_ACT_KILL_PROCESS", None) => {
                draft.call(&part, "syscalls.deny", name);
                match (kills(action), kills(default)) {
                    (true, false) => draft.lose(&part, "it kills for this call alone, and here the call fails"),
                    (false, true) => draft.lose(&part, "it fails for this call alone, and here the call kills"),
                    (true, true) | (false, false) => {}
                }
                if entry.get("errnoRet").is_some_and(|errno| !kills(action) && errno.as_u64() != Some(1)) {
                    draft.lose(&part, "it fails with an errno of its own, and here with that of every call");
                }
            }
            (_, None) => draft.lose(&part, "there is no such action"),
        }
    }
}

fn kills(action: &str) -> bool {
    action.starts_with("SCMP_ACT_KILL")
}

/// Why an entry is not one that holds always. What is not known may be a condition, too.
fn condition(entry: &Value) -> Option<String> {
    let of = |key| entry.get(key).and_then(Value::as_object).into_iter().flatten();
    let unknown = of("includes").chain(of("excludes")).find(|(key, _)| !CONDITIONS.contains(&key.as_str()));
    match (known_condition(entry), unknown) {
        (Some(why), _) => Some(why.to_string()),
        (None, Some((key, _))) => Some(format!("`{key}` is a condition that is not known")),
        (None, None) => None,
    }
}

fn known_condition(entry: &Value) -> Option<&'static str> {
    let filled = |value: Option<&Value>| match value {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Null) | None => false,
        Some(_) => true,
    };
    let includes = entry.get("includes");
    if filled(entry.get("args")) {
        return Some("its arguments have conditions, and a policy has none: a group may have the right ones");
    }
    if includes.is_some_and(|includes| filled(includes.get("caps"))) {
        return Some("it is for those with a capability, and a command here has none");
    }
    let foreign = |value: Option<&Value>| value.is_some_and(|arches| filled(Some(arches)) && !names(arches, "amd64"));
    if foreign(includes.and_then(|includes| includes.get("arches"))) {
        return Some("it is for another architecture");
    }
    let excludes = entry.get("excludes");
    if excludes.is_some_and(|excludes| filled(excludes.get("minKernel"))) {
        return Some("it is for older kernels");
    }
    match excludes.is_some_and(|excludes| excludes.get("arches").is_some_and(|arches| names(arches, "amd64"))) {
        true => Some("it is for another architecture"),
        false => None,
    }
}

/// Whether a list, or a list of objects, has this word.
fn names(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Array(list) => list.iter().any(|value| names(value, word)),
        Value::Object(map) => map.values().any(|value| names(value, word)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
