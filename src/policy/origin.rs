// SPDX-License-Identifier: Apache-2.0
//! Where a value came from, kept beside the value, so that every error and every line of `explain` can name it.
//! Knows no file system: a place is text to print, never a path to open again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The place a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of a policy file; line and column count from one.
    File {
        /// The file as the user named it.
        path: Arc<PathBuf>,
        /// Line, from one.
        line: u32,
        /// Column in characters, from one.
        column: u32,
    },
    /// A line of a profile that is built into the program.
    Profile {
        /// Its name, as `extends` spells it.
        name: Arc<str>,
        /// Line, from one.
        line: u32,
    },
    /// `-s key=value` or another word of the command line.
    CommandLine,
    /// An attribute of a master.cf entry, or a main.cf parameter; the text says which.
    Postfix(Arc<str>),
    /// No one wrote it: the strictest value stands.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line, .. } => write!(f, "{}:{line}", path.display()),
            Origin::Profile { name, line } => write!(f, "profile {name}:{line}"),
            Origin::CommandLine => f.write_str("command line"),
            Origin::Postfix(what) => f.write_str(what),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and the place it came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// Pairs `value` with `origin`.
    pub fn new(value: T, origin: Origin) -> Self {
        Sourced { value, origin }
    }
}
