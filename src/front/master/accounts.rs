// SPDX-License-Identifier: Apache-2.0
//! passwd(5) and group(5) for the attributes, as getpwnam(3) and getgrnam(3) show them. By name only: a number is the
//! name of no account, as it is for spawn(8).

use super::safely;
use super::start::errno;
use crate::host::{Elsewhere, errno_text};
use crate::postfix::attributes::Accounts;
use crate::postfix::parameters::Surroundings;
use nix::unistd::{Gid, Group, Uid, User};
use std::io::{BufRead, BufReader, Read};

/// As much of a line as is read.
const MOST_BYTES: u64 = 1 << 16;

/// The accounts of this host.
pub(super) struct Host;

impl Accounts for Elsewhere {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        Elsewhere::user(self, name).map(|account| (account.uid, account.gid))
    }

    fn group(&self, name: &str) -> Option<u32> {
        Elsewhere::group(self, name)
    }

    // Only the mail system's own accounts are asked for so, and they are the host's.
    fn name_of(&self, _uid: u32) -> Option<String> {
        None
    }

    fn group_name_of(&self, _gid: u32) -> Option<String> {
        None
    }
}

impl Surroundings for Host {
    fn first_line(&self, path: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        let file = safely::open(path.as_ref())?;
        let read = BufReader::new(file).take(MOST_BYTES).read_until(b'\n', &mut bytes);
        read.map_err(|error| format!("read error: {}", errno_text(errno(&error))))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

// A data base that does not answer is an unknown name: spawn(8) sees no difference either.
impl Accounts for Host {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        User::from_name(name).ok().flatten().map(|user| (user.uid.as_raw(), user.gid.as_raw()))
    }

    fn group(&self, name: &str) -> Option<u32> {
        Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }

    fn name_of(&self, uid: u32) -> Option<String> {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
    }

    fn group_name_of(&self, gid: u32) -> Option<String> {
        Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name)
    }
}
