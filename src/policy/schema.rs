// SPDX-License-Identifier: Apache-2.0
//! The JSON Schema of policy files, made from the types that read them, so that editors complete and check what is
//! written. `policies/schema.json` is what this makes: a test holds the two together.
//! Shapes only: what is beyond them, `spawnbox check` says.

use super::file::{
    ClientEnvironment, Entry, EntryTable, File, PortList, Ports, ProxyProtocol, RangeTable, Scratch, Size, Table, Time,
    User,
};
use super::model::{
    ClientNames, Device, Ends, HostName, Layer, Level, Namespace, NetworkMode, OnDeny, Proc, RootWord, StandardError,
};
use super::words::Word;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use toml::Spanned;

/// The shape of a type of the policy file.
pub(super) trait Shape {
    /// As JSON Schema has it.
    fn shape() -> Value;
}

/// A table with these keys and no others.
pub(super) fn table(keys: impl IntoIterator<Item = (String, Value)>, required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.into_iter().collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

/// A field's name as a file spells it.
pub(super) fn key(field: &str) -> String {
    field.trim_start_matches("r#").replace('_', "-")
}

impl<T: Shape> Shape for Spanned<T> {
    fn shape() -> Value {
        T::shape()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn shape() -> Value {
        json!({ "type": "array", "items": T::shape() })
    }
}

impl<T: Shape> Shape for Table<T> {
    fn shape() -> Value {
        T::shape()
    }
}

impl<K, T: Shape> Shape for BTreeMap<K, T> {
    fn shape() -> Value {
        json!({ "type": "object", "additionalProperties": T::shape() })
    }
}

impl Shape for String {
    fn shape() -> Value {
        json!({ "type": "string" })
    }
}

impl Shape for i64 {
    fn shape() -> Value {
        json!({ "type": "integer" })
    }
}

impl Shape for bool {
    fn shape() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Shape for Time {
    fn shape() -> Value {
        json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+[smhdw]?$" }] })
    }
}

impl Shape for Size {
    fn shape() -> Value {
        json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+[KMGT]?$" }] })
    }
}

impl Shape for PortList {
    fn shape() -> Value {
        let port = json!({ "type": "integer", "minimum": 1, "maximum": 65535 });
        json!({ "anyOf": [{ "enum": ["any"] }, { "type": "array", "items": port }] })
    }
}

impl Shape for Entry {
    fn shape() -> Value {
        json!({ "anyOf": [path(), EntryTable::shape()] })
    }
}

impl Shape for ClientEnvironment {
    fn shape() -> Value {
        json!({ "anyOf": [bool::shape(), { "enum": words::<ClientNames>() }] })
    }
}

impl Shape for User {
    fn shape() -> Value {
        json!({ "anyOf": [{ "type": "string" }, RangeTable::shape()] })
    }
}

impl Shape for EntryTable {
    fn shape() -> Value {
        let keys = [("path", path()), ("why", String::shape()), ("optional", bool::shape())];
        table(keys.map(|(key, shape)| (key.to_string(), shape)), &["path"])
    }
}

impl Shape for Scratch {
    fn shape() -> Value {
        let keys = [("path", path()), ("size", Size::shape()), ("inodes", i64::shape()), ("execute", bool::shape())];
        table(keys.map(|(key, shape)| (key.to_string(), shape)), &["path", "size", "inodes"])
    }
}

impl Shape for Ports {
    fn shape() -> Value {
        table([("ports".to_string(), PortList::shape())], &["ports"])
    }
}

impl Shape for ProxyProtocol {
    fn shape() -> Value {
        table([("from".to_string(), Vec::<String>::shape())], &["from"])
    }
}

impl Shape for RangeTable {
    fn shape() -> Value {
        let range = json!({ "type": "string", "pattern": "^[0-9]+-[0-9]+$" });
        table([("range".to_string(), range)], &["range"])
    }
}

fn path() -> Value {
    json!({ "type": "string", "pattern": "^/" })
}

/// The schema of a whole file.
fn schema() -> Value {
    let mut schema = File::shape();
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("spawnbox policy");
    schema["required"] = json!(["version"]);
    schema["properties"]["version"] = json!({ "enum": [1] });
    let one = |schema: &mut Value, keys: [&str; 2], words: Vec<&str>| {
        schema["properties"][keys[0]]["properties"][keys[1]] = json!({ "enum": words });
    };
    schema["properties"]["files"]["properties"]["root"] = json!({ "anyOf": [{ "enum": words::<RootWord>() }, path()] });
    one(&mut schema, ["files", "proc"], words::<Proc>());
    one(&mut schema, ["network", "mode"], words::<NetworkMode>());
    one(&mut schema, ["syscalls", "on-deny"], words::<OnDeny>());
    one(&mut schema, ["isolation", "level"], words::<Level>());
    one(&mut schema, ["isolation", "hostname"], words::<HostName>());
    one(&mut schema, ["isolation", "landlock"], words::<Layer>());
    one(&mut schema, ["isolation", "seccomp"], words::<Layer>());
    one(&mut schema, ["connection", "ends"], words::<Ends>());
    one(&mut schema, ["connection", "stderr"], words::<StandardError>());
    let many = |schema: &mut Value, keys: [&str; 2], words: Vec<&str>| {
        schema["properties"][keys[0]]["properties"][keys[1]]["items"] = json!({ "enum": words });
    };
    many(&mut schema, ["files", "devices"], words::<Device>());
    many(&mut schema, ["isolation", "namespaces"], words::<Namespace>());
    many(&mut schema, ["command", "ignore-signals"], words::<nix::sys::signal::Signal>());
    for keys in ["command/user", "command/group", "command/argv", "command/directory", "command/environment"]
        .into_iter()
        .chain(["files/root", "files/read", "files/execute", "files/write", "files/scratch", "listen/addresses"])
    {
        let place = format!("/properties/{}", keys.replace('/', "/properties/"));
        schema.pointer_mut(&place).expect("the key is there")["description"] = json!(super::variables::SUMMARY);
    }
    schema["properties"]["override"]["items"] = json!({ "enum": super::extend::LIMITS });
    schema
}

fn words<W: Word>() -> Vec<&'static str> {
    W::words().into_iter().map(|(word, _)| word).collect()
}

mod tests {
    use super::super::{keys, shipped};
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/schema.json");

    #[test]
    fn the_file_is_what_the_types_say() {
        let text = format!("{:#}\n", schema());
        if std::env::var_os("SPAWNBOX_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(FILE, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(FILE).unwrap() == text,
            "{FILE}: SPAWNBOX_GOLDEN=write cargo test writes it anew"
        );
    }

    /// The dotted keys of a schema, as `keys` has them.
    fn all(schema: &Value, before: &str, found: &mut Vec<String>) {
        let shapes = [schema, &schema["items"]];
        let shapes = shapes.into_iter().flat_map(|shape| {
            let any = shape["anyOf"].as_array().into_iter().flatten();
            std::iter::once(shape).chain(any)
        });
        for (key, shape) in shapes.filter_map(|shape| shape["properties"].as_object()).flatten() {
            let name = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
            all(shape, &name, found);
            found.push(name);
        }
    }

    #[test]
    fn every_key_is_in_it_and_no_other() {
        let mut found = Vec::new();
        all(&schema(), "", &mut found);
        found.sort();
        let mut expected = keys::all();
        expected.sort();
        assert_eq!(found, expected);
    }

    /// What this much of JSON Schema says of a value; a word that is not here fails.
    fn accepts(schema: &Value, value: &Value) -> bool {
        schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "boolean" => value.is_boolean(),
                other => panic!("{other}"),
            },
            "properties" => value.as_object().is_none_or(|all| {
                all.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| accepts(schema, value)))
            }),
            "additionalProperties" if rule.is_boolean() => {
                value.as_object().is_none_or(|all| all.keys().all(|key| schema["properties"].get(key).is_some()))
            }
            "additionalProperties" => {
                value.as_object().is_none_or(|all| all.values().all(|value| accepts(rule, value)))
            }
            "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "items" => value.as_array().is_none_or(|all| all.iter().all(|value| accepts(rule, value))),
            "anyOf" => rule.as_array().unwrap().iter().any(|schema| accepts(schema, value)),
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() >= rule.as_i64(),
            "maximum" => value.as_i64() <= rule.as_i64(),
            // Only the first letter, which tells what our patterns tell apart.
            "pattern" => value.as_str().is_none_or(|text| match rule.as_str().unwrap() {
                "^/" => text.starts_with('/'),
                _ => text.starts_with(|c: char| c.is_ascii_digit()),
            }),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn it_refuses_what_no_file_may_say() {
        for text in [
            "",
            "version = 2",
            "version = 1\nfile = 1",
            "version = 1\nlimits.time = true",
            "version = 1\nlimits.memory = \"M\"",
            "version = 1\nfiles.root = \"none\"",
            "version = 1\nfiles.root = \"srv/image\"",
            "version = 1\nfiles.read = [\"relative\"]",
            "version = 1\nfiles.read = [{ why = \"x\" }]",
            "version = 1\nnetwork.connect = [25]",
            "version = 1\nnetwork.connect.ports = [0]",
            "version = 1\noverride = [\"limits.tiem\"]",
        ] {
            assert!(!accepts(&schema(), &toml::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn it_accepts_every_policy_that_is_shipped() {
        for name in shipped::names() {
            let (_, text) = shipped::find(name).unwrap();
            let value: Value = toml::from_str(text).unwrap();
            assert!(accepts(&schema(), &value), "{name}");
        }
    }
}
