// SPDX-License-Identifier: Apache-2.0
//! What a line is about, beside its text: for readers that keep more than text. An event says `field.NAME`; where the
//! lines are text alone it is not even formatted.

use super::clean;
use std::fmt;
use tracing::field;

/// What the name of a field begins with in an event.
const MARK: &str = "field.";

/// A fact about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Lower case, parts joined by `_`.
    pub name: &'static str,
    /// Clean, and on one line.
    pub value: Value,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, as it is written.
    Number(String),
    /// Anything else.
    Text(String),
}

impl Value {
    /// As it is written.
    pub fn text(&self) -> &str {
        match self {
            Value::Number(text) | Value::Text(text) => text,
        }
    }
}

/// The fields of an event, if its line's reader wants them.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Option<Vec<Field>>);

impl Fields {
    /// Takes one, if it is one.
    pub(super) fn take(&mut self, field: &field::Field, value: &dyn fmt::Debug) -> bool {
        self.keep(field, |name| Field { name, value: Value::Text(clean(&format!("{value:?}"))) })
    }

    /// The same for a number.
    pub(super) fn take_number(&mut self, field: &field::Field, value: impl fmt::Display) -> bool {
        self.keep(field, |name| Field { name, value: Value::Number(value.to_string()) })
    }

    fn keep(&mut self, field: &field::Field, make: impl FnOnce(&'static str) -> Field) -> bool {
        let Some(name) = field.name().strip_prefix(MARK) else { return false };
        if let Some(fields) = &mut self.0 {
            fields.push(make(name));
        }
        true
    }
}
