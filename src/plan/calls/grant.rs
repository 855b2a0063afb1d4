// SPDX-License-Identifier: Apache-2.0
//! One line of a policy that would allow something. Values and words only: whether it should be written is a person's
//! to say.

use crate::policy::{literal, quote};

/// One value of a policy's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// `files.read`
    pub key: &'static str,
    /// What is written there.
    pub value: Value,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// The one value of its key.
    Only(&'static str),
    /// One text of a list.
    Text(String),
    /// One port of a list.
    Port(u16),
    /// One table of a list.
    Scratch {
        /// Where.
        path: String,
        /// Bytes.
        size: u64,
        /// Files and directories.
        inodes: u64,
        /// Programs may be run from it.
        execute: bool,
    },
}

impl Grant {
    /// The one value of this key.
    pub fn only(key: &'static str, value: &'static str) -> Grant {
        Grant { key, value: Value::Only(value) }
    }

    /// A text of this list.
    pub fn text(key: &'static str, value: impl Into<String>) -> Grant {
        Grant { key, value: Value::Text(value.into()) }
    }

    /// A port of this list.
    pub fn port(key: &'static str, port: u16) -> Grant {
        Grant { key, value: Value::Port(port) }
    }
}

impl Value {
    /// As TOML has it, without the brackets of its list.
    pub fn toml(&self) -> String {
        match self {
            Value::Only(word) => quote(word),
            Value::Text(word) => quote(&literal(word)),
            Value::Port(port) => port.to_string(),
            Value::Scratch { path, size, inodes, execute } => {
                let size = match size {
                    size if size % (1 << 20) == 0 => format!("{}M", size >> 20),
                    size => format!("{}K", size.div_ceil(1 << 10)),
                };
                let execute = if *execute { ", execute = true" } else { "" };
                format!("{{ path = {}, size = \"{size}\", inodes = {inodes}{execute} }}", quote(&literal(path)))
            }
        }
    }

    /// Whether it stands in brackets.
    pub fn is_listed(&self) -> bool {
        !matches!(self, Value::Only(_))
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.toml();
        match self.value.is_listed() {
            true => write!(f, "{} = [{value}]", self.key),
            false => write!(f, "{} = {value}", self.key),
        }
    }
}
