// SPDX-License-Identifier: Apache-2.0
//! A denied call as it crosses the cord: number, arguments, and the name that one of them points at. The words are the
//! supervisor's. What is here comes from a command: it proves nothing, and is quoted where it is shown.

use crate::plan::calls::{Pointer, pointer};

/// The most bytes of a name that are kept.
pub const NAME: usize = 256;
const HEAD: usize = 60;
/// The longest such message.
pub const LONGEST: usize = HEAD + NAME;
/// No record's.
const MAGIC: u8 = 0x5d;

/// A call that was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// Its number.
    pub call: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// How many there were before it that are not told of.
    pub untold: u32,
    name: [u8; NAME],
    length: u16,
}

impl Denied {
    /// Without a name.
    pub fn new(call: u32, arguments: [u64; 6], untold: u32) -> Denied {
        Denied { call, arguments, untold, name: [0; NAME], length: 0 }
    }

    /// With what was read where the argument points to.
    pub fn named(mut self, read: &[u8]) -> Denied {
        let end = match pointer(self.call) {
            Some((_, Pointer::Path)) => read.iter().position(|byte| *byte == 0).unwrap_or(read.len()),
            Some((_, Pointer::Address(_))) | None => read.len(),
        };
        let length = end.min(NAME);
        self.name[..length].copy_from_slice(&read[..length]);
        self.length = length as u16;
        self
    }

    /// What was read, as far as it is kept: a path without its NUL, or an address.
    pub fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.length)]
    }

    /// The message, in this room.
    pub fn encode<'a>(&self, room: &'a mut [u8; LONGEST]) -> &'a [u8] {
        let length = usize::from(self.length);
        (room[0], room[1]) = (MAGIC, 0);
        room[2..4].copy_from_slice(&self.length.to_le_bytes());
        room[4..8].copy_from_slice(&self.call.to_le_bytes());
        room[8..12].copy_from_slice(&self.untold.to_le_bytes());
        for (place, argument) in room[12..HEAD].chunks_exact_mut(8).zip(self.arguments) {
            place.copy_from_slice(&argument.to_le_bytes());
        }
        room[HEAD..HEAD + length].copy_from_slice(self.name());
        &room[..HEAD + length]
    }

    /// Reads a message; `None` for anything that [`Denied::encode`] cannot have made.
    pub fn decode(bytes: &[u8]) -> Option<Denied> {
        let (head, name) = bytes.split_at_checked(HEAD)?;
        let [MAGIC, 0, l0, l1, c0, c1, c2, c3, u0, u1, u2, u3, rest @ ..] = head else { return None };
        let length = u16::from_le_bytes([*l0, *l1]);
        if usize::from(length) != name.len() || name.len() > NAME {
            return None;
        }
        let mut arguments = [0; 6];
        for (argument, bytes) in arguments.iter_mut().zip(rest.chunks_exact(8)) {
            *argument = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        let (call, untold) = (u32::from_le_bytes([*c0, *c1, *c2, *c3]), u32::from_le_bytes([*u0, *u1, *u2, *u3]));
        let mut denied = Denied::new(call, arguments, untold);
        denied.name[..name.len()].copy_from_slice(name);
        denied.length = length;
        Some(denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;

    #[test]
    fn what_no_reaper_writes_is_refused() {
        let whole = Denied::new(90, [1; 6], 0).named(b"/x");
        let mut room = [0; LONGEST];
        let good = whole.encode(&mut room).to_vec();
        let mut flag = good.clone();
        flag[1] = 1;
        for bytes in [&[][..], &[MAGIC], &good[1..], &good[..good.len() - 1], &[&good[..], b"y"].concat(), &flag] {
            assert_eq!(Denied::decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(Denied::decode(&good), Some(whole));
    }

    #[test]
    fn a_name_ends_where_it_ends_and_a_long_one_is_cut() {
        let path = |read: &[u8]| Denied::new(libc::SYS_chmod as u32, [0; 6], 0).named(read).name().to_vec();
        assert_eq!(path(b"/etc/passwd\0garbage"), b"/etc/passwd");
        assert_eq!(path(&[b'x'; 4000]).len(), NAME);
        let address = Denied::new(libc::SYS_connect as u32, [0; 6], 3).named(&[2, 0, 0, 25, 127, 0, 0, 1]);
        assert_eq!(address.name().len(), 8);
    }
}
