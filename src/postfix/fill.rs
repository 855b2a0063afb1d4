// SPDX-License-Identifier: Apache-2.0
//! Fills in what main.cf left open, parameter by parameter, and refuses what Postfix refuses: each value becomes the
//! default of those that follow, and is checked when it is filled in.
//! Pure.
#![forbid(unsafe_code)]

use super::defaults::{Kind, Parameter};
use super::expand::expand;
use super::host_name;
use super::main_cf::Table;
use super::numbers::{parse_long, parse_number, parse_time};
use super::parameters::ParameterError;
use std::collections::BTreeMap;
use std::time::Duration;

/// The table while it is filled, and the values as they were when each was.
pub(super) struct Fill {
    pub(super) table: Table,
    values: BTreeMap<&'static str, Value>,
}

/// A value that was filled in.
enum Value {
    Text(String),
    Number(i64),
    Time(Duration),
}

impl Fill {
    pub(super) fn new(table: Table) -> Fill {
        Fill { table, values: BTreeMap::new() }
    }

    /// Fills these in, one after another.
    pub(super) fn all(&mut self, parameters: &[Parameter]) -> Result<(), ParameterError> {
        parameters.iter().try_for_each(|parameter| self.one(parameter.name, parameter.default, parameter.kind))
    }

    fn one(&mut self, name: &'static str, default: &str, kind: Kind) -> Result<(), ParameterError> {
        if self.table.get(name).is_none() {
            let value = expand(&self.table, default)?;
            self.table.set(name, &value);
        }
        let text = expand(&self.table, self.table.get(name).unwrap_or_default())?;
        let value = match kind {
            Kind::Text { min, max } => Value::Text(within(name, text, min, max)?),
            Kind::Flag if ["yes", "no"].iter().any(|word| text.eq_ignore_ascii_case(word)) => Value::Text(text),
            Kind::Flag => return Err(ParameterError::NotAFlag { name: name.to_string(), value: text }),
            Kind::Number { min, max } => Value::Number(parse_number(name, &text, min, max)?),
            Kind::Long { min } => Value::Number(parse_long(name, &text, min)?),
            Kind::Time { min, max } => Value::Time(parse_time(name, &text, min, max)?),
        };
        self.values.insert(name, value);
        Ok(())
    }

    /// `myhostname`, made from the host's name and `mydomain` where it is not set, and `mydomain`.
    pub(super) fn host_names(&mut self, host_name: &str, directory: &str) -> Result<(), ParameterError> {
        let word = Kind::Text { min: 1, max: 0 };
        let full = match self.table.get("myhostname") {
            Some(_) => String::new(),
            None => self.own_name(host_name)?,
        };
        self.one("myhostname", &full, word)?;
        let name = self.seen("myhostname").to_string();
        let domain = name.split_once('.').map_or("localdomain", |(_, domain)| domain);
        self.one("mydomain", domain, word)?;
        for parameter in ["myhostname", "mydomain"] {
            let value = self.seen(parameter);
            host_name::check(value).map_err(|warning| ParameterError::BadHostName {
                directory: directory.to_string(),
                parameter,
                value: value.to_string(),
                warning,
            })?;
        }
        Ok(())
    }

    /// The host's name, with the domain that main.cf gives where it has none.
    fn own_name(&self, host_name: &str) -> Result<String, ParameterError> {
        host_name::check(host_name).map_err(ParameterError::BadOwnName)?;
        match (host_name.contains('.'), self.table.get("mydomain")) {
            (true, _) => Ok(host_name.to_string()),
            (false, None) => Ok(format!("{host_name}.localdomain")),
            (false, Some(domain)) => Ok(format!("{host_name}.{}", expand(&self.table, domain)?)),
        }
    }

    /// A text that was filled in; empty where there is none. For checks: it may be in any encoding.
    pub(super) fn seen(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(Value::Text(text)) => text,
            Some(Value::Number(_) | Value::Time(_)) | None => "",
        }
    }

    /// A text that was filled in, for use.
    pub(super) fn take(&self, name: &str) -> Result<String, ParameterError> {
        as_text(name, self.seen(name).to_string())
    }

    /// A number of at least one that was filled in.
    pub(super) fn take_count(&self, name: &str) -> u32 {
        match self.values.get(name) {
            Some(Value::Number(number)) => u32::try_from(*number).unwrap_or(u32::MAX),
            Some(Value::Text(_) | Value::Time(_)) | None => 1,
        }
    }

    /// A time that was filled in.
    pub(super) fn take_time(&self, name: &str) -> Duration {
        match self.values.get(name) {
            Some(Value::Time(time)) => *time,
            Some(Value::Text(_) | Value::Number(_)) | None => Duration::ZERO,
        }
    }
}

fn within(name: &str, value: String, min: usize, max: usize) -> Result<String, ParameterError> {
    match value.len() {
        length if length < min => Err(ParameterError::TooShort { name: name.to_string(), value, length, min }),
        length if max > 0 && length > max => {
            Err(ParameterError::TooLong { name: name.to_string(), value, length, max })
        }
        _ => Ok(value),
    }
}

/// main.cf may be in any encoding; only what is used must be text.
pub(super) fn as_text(name: &str, value: String) -> Result<String, ParameterError> {
    match value.contains(char::REPLACEMENT_CHARACTER) {
        true => Err(ParameterError::NotText { name: name.to_string() }),
        false => Ok(value),
    }
}
