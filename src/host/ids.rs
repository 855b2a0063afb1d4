// SPDX-License-Identifier: Apache-2.0
//! Ids and whose they are, as plain data: what is asked for, and what is somebody's.

use std::fmt;

/// Names that a policy or a request uses, to be looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Users by name or decimal id.
    pub users: Vec<String>,
    /// Groups by name or decimal id.
    pub groups: Vec<String>,
    /// Ranges of ids that should be nobody's.
    pub ranges: Vec<IdRange>,
}

/// Ids that belong together, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdRange {
    /// The lowest.
    pub first: u32,
    /// The highest, not below it.
    pub last: u32,
}

/// Ids that belong to somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occupied {
    /// Which.
    pub ids: IdRange,
    /// Whose: "user anna".
    pub whose: String,
}

impl IdRange {
    /// This one id.
    pub fn only(id: u32) -> Self {
        IdRange { first: id, last: id }
    }

    /// How many there are.
    pub fn count(self) -> u64 {
        u64::from(self.last) - u64::from(self.first) + 1
    }

    /// Whether an id is one of them.
    pub fn contains(self, id: u32) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// Whether some id is in both.
    pub fn overlaps(self, other: IdRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// As a policy writes it.
impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IdRange { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}
