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

/// `text` as a TOML string.
fn quote(text: &str) -> String {
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
