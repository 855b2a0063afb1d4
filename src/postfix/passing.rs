// SPDX-License-Identifier: Apache-2.0
//! What a daemon says of a client that it hands over: attributes, `name\0value\0` each, and an empty name at the end.
//! Only where they end matters: spawn(8) drops them too. Pure, and the length is limited.
#![forbid(unsafe_code)]

/// How many attributes Postfix takes; at the next one it stops reading. See util/attr.h, ATTR_HASH_LIMIT.
const MOST: usize = 1024;
/// How long they may be together. A limit of ours: postscreen(8) says a dozen short ones.
const LONGEST: usize = 1 << 20;
/// What begins and ends a list of attributes; these have no value.
const OPEN: &[u8] = b"{";
const CLOSE: &[u8] = b"}";

/// Looks for the end of attributes that come in pieces.
#[derive(Debug, Default)]
pub struct Attributes {
    place: Place,
    /// The name that is being read, as far as it can still be one of ours.
    name: Vec<u8>,
    inside: Inside,
    count: usize,
    length: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Name,
    Value,
}

/// Where Postfix looks for names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Inside {
    /// In no list yet.
    #[default]
    Nothing,
    /// In one.
    List,
    /// Behind one: everything is skipped.
    Rest,
}

/// How far they have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More must come.
    More,
    /// That was all.
    Complete,
    /// They are longer than anybody's.
    TooLong,
}

impl Attributes {
    /// Takes the next piece. What follows the end is not looked at.
    pub fn take(&mut self, bytes: &[u8]) -> Progress {
        for byte in bytes {
            self.length += 1;
            if self.length > LONGEST {
                return Progress::TooLong;
            }
            if self.ends_with(*byte) {
                return Progress::Complete;
            }
        }
        Progress::More
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        match (self.place, byte) {
            (Place::Value, 0) => {
                self.place = Place::Name;
                self.count += usize::from(self.inside != Inside::Rest);
                self.count > MOST
            }
            (Place::Value, _) => false,
            (Place::Name, 0) => {
                let name = std::mem::take(&mut self.name);
                match (self.inside, name.as_slice()) {
                    (_, []) => return true,
                    (Inside::Nothing, OPEN) => self.inside = Inside::List,
                    (Inside::List, CLOSE) => self.inside = Inside::Rest,
                    (Inside::Nothing | Inside::List | Inside::Rest, _) => self.place = Place::Value,
                }
                false
            }
            (Place::Name, byte) => {
                // Two bytes are enough to know that it is neither empty nor a brace.
                if self.name.len() < 2 {
                    self.name.push(byte);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_waited_for_and_no_longer_than_a_limit() {
        for text in ["", "name", "name\0", "name\0value", "name\0value\0", "{\0", "{\0a\x001\0}\0", "{\0}\0{\0"] {
            assert_eq!(Attributes::default().take(text.as_bytes()), Progress::More, "{text:?}");
        }
        let endless = vec![b'x'; LONGEST + 1];
        assert_eq!(Attributes::default().take(&endless), Progress::TooLong);
        assert_eq!(Attributes::default().take(&endless[1..]), Progress::More);
    }

    #[test]
    fn the_end_is_found_wherever_the_pieces_are_cut() {
        for text in
            ["\0", "name\0value\0\0", "a\0\0\0", "{\0a\x001\0}\0\0", "}\x001\0\0", "{\0}\0}\x001\0\0", "{{\0x\0\0"]
        {
            for cut in 0..text.len() {
                let (mut attributes, (first, second)) = (Attributes::default(), text.as_bytes().split_at(cut));
                assert_eq!(attributes.take(first), Progress::More, "{text:?} at {cut}");
                assert_eq!(attributes.take(second), Progress::Complete, "{text:?} at {cut}");
            }
        }
    }

    #[test]
    fn one_more_than_postfix_takes_ends_them() {
        let mut attributes = Attributes::default();
        assert_eq!(attributes.take(&b"x\0y\0".repeat(MOST)), Progress::More);
        assert_eq!(attributes.take(b"x\0y\0"), Progress::Complete);
    }
}
