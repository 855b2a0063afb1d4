// SPDX-License-Identifier: Apache-2.0
//! `-s key=value`: one value from the command line, which holds over every file.
//! A layer like a file's, of one line; the same checks see it.

use super::diagnose::{InputError, Mistake};
use super::extend::{self, Layer};
use super::file::File;
use super::read;
use super::shape::{self, Version};
use super::source::{Name, Source};
use toml::de::DeValue;

/// The layer that `assignment` stands for.
///
/// The value is TOML; where that does not fit the key, it is the one entry of a list, or plain text.
pub(super) fn layer(assignment: &str) -> Result<Layer, InputError> {
    let (key, value) = split(assignment)?;
    // A newline would end the value and start another key, so such a value can only be text.
    let is_toml = !value.contains(['\n', '\r']) && DeValue::parse(value).is_ok();
    let text = quote(value);
    let forms = match is_toml {
        true => vec![value.to_owned(), format!("[{value}]"), text.clone(), format!("[{text}]")],
        false => vec![text.clone(), format!("[{text}]")],
    };
    let (file, source) = first_that_fits(key, &forms)?;
    only_in_files(&file, &source)?;
    let mut layer = read::read(file, &source)?;
    layer.forced = extend::written(&layer.policy.limits);
    Ok(layer)
}

/// The shape of the first form that fits the key, or what is wrong with the first form of all.
fn first_that_fits(key: &str, forms: &[String]) -> Result<(File, Source), InputError> {
    let mut first = None;
    for form in forms {
        let source = Source::new(Name::CommandLine, format!("{key} = {form}"));
        match shape::parse(&source, Version::Implied) {
            Ok(file) => return Ok((file, source)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Mistake::new(format!("no value for `{key}`")).into()))
}

fn only_in_files(file: &File, source: &Source) -> Result<(), InputError> {
    let keys = [
        ("version", file.version.is_some()),
        ("extends", file.extends.is_some()),
        ("override", file.r#override.is_some()),
    ];
    match keys.iter().find(|(_, written)| *written) {
        None => Ok(()),
        Some((key, _)) => {
            let mistake = Mistake::new(format!("`{key}` is a key of files")).at(source, 0..key.len());
            Err(mistake.label("cannot be set from the command line").into())
        }
    }
}

/// `text` as a TOML string. Nothing in it can begin a line or move a cursor.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn split(assignment: &str) -> Result<(&str, &str), InputError> {
    let wrong = |title: &str| {
        let mistake = Mistake::new(format!("{title} in `-s {assignment}`"));
        InputError::from(mistake.help("write KEY=VALUE, such as `-s limits.time=5m`"))
    };
    let (key, value) = assignment.split_once('=').ok_or_else(|| wrong("no value"))?;
    let key = key.trim();
    let usable = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if key.split('.').all(usable) { Ok((key, value.trim())) } else { Err(wrong("no key")) }
}

#[cfg(test)]
mod tests {
    use super::super::model::{IdRange, Policy, Ports, User};
    use super::super::origin::Origin;
    use super::*;

    fn policy(assignment: &str) -> Policy {
        layer(assignment).unwrap_or_else(|error| panic!("{assignment}:\n{error}")).policy
    }

    #[test]
    fn an_assignment_that_says_nothing_is_refused() {
        for (assignment, expected) in [
            ("limits.time", "no value in `-s limits.time` (write KEY=VALUE, such as `-s limits.time=5m`)"),
            ("=5", "no key in `-s =5` (write KEY=VALUE, such as `-s limits.time=5m`)"),
            ("a b=5", "no key in `-s a b=5` (write KEY=VALUE, such as `-s limits.time=5m`)"),
            ("limits..time=5", "no key in `-s limits..time=5` (write KEY=VALUE, such as `-s limits.time=5m`)"),
            ("[limits]\ntime=5", "no key in `-s [limits]\\u{a}time=5` (write KEY=VALUE, such as `-s limits.time=5m`)"),
            ("limits.tiem=5m", "command line:1:8: unknown key `tiem`: not a key here (did you mean `time`?)"),
            ("limits.tasks=many", "command line:1:16: wrong type of `tasks`: expected a whole number, found text"),
            ("limits.tasks=0", "command line:1:16: impossible value of `tasks`: must be at least 1"),
            (
                "limits.memory=64MB",
                "command line:1:17: impossible value of `memory`: write `64M`: K, M, G and T are powers of 1024",
            ),
            ("extends=strict", "command line:1:1: `extends` is a key of files: cannot be set from the command line"),
            ("version=1", "command line:1:1: `version` is a key of files: cannot be set from the command line"),
        ] {
            assert_eq!(layer(assignment).unwrap_err().lines().collect::<Vec<_>>(), [expected], "{assignment}");
        }
    }

    #[test]
    fn a_newline_cannot_start_another_key() {
        let policy = policy("command.environment.A=1\nisolation.seccomp = \"off\"");
        assert!(policy.isolation.seccomp.is_none());
        assert_eq!(policy.command.environment["A"].value, "1\nisolation.seccomp = \"off\"");
    }

    #[test]
    fn a_value_is_toml_or_an_entry_or_text() {
        assert_eq!(policy("limits.time=5m").limits.time.unwrap().value.as_secs(), 300);
        assert_eq!(policy("limits.time = 7").limits.time.unwrap().value.as_secs(), 7);
        assert_eq!(policy("command.user=100").command.user.unwrap().value, User::Account("100".into()));
        let range = IdRange { first: 61184, last: 65519 };
        assert_eq!(policy("command.user.range=61184-65519").command.user.unwrap().value, User::Range(range));
        assert_eq!(policy("command.umask=022").command.umask.unwrap().value, 0o022);
        assert_eq!(policy("command.argv=/bin/cat").command.argv.unwrap().value, ["/bin/cat"]);
        assert_eq!(policy("command.environment.A=\"").command.environment["A"].value, "\"");
        assert_eq!(policy("files.read=/a b").files.read[0].value.path.as_os_str(), "/a b");
        assert_eq!(policy("files.read=[\"/a\", \"/b\"]").files.read.len(), 2);
        assert_eq!(policy("files.write={ path = \"/a\", optional = true }").files.write.len(), 1);
        assert_eq!(policy("network.udp.ports=53").network.udp.unwrap().value, Ports::List([53].into()));
        assert_eq!(policy("network.udp.ports=any").network.udp.unwrap().value, Ports::Any);
    }

    #[test]
    fn its_origin_is_the_command_line_and_its_limits_are_forced() {
        let layer = layer("limits.tasks=5").unwrap();
        assert_eq!(layer.policy.limits.tasks.unwrap().origin, Origin::CommandLine);
        assert!(layer.forced.contains("limits.tasks"));
    }
}
