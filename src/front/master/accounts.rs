// SPDX-License-Identifier: Apache-2.0
//! passwd(5) and group(5) for the attributes, as getpwnam(3) and getgrnam(3) show them. By name only: a number is the
//! name of no account, as it is for spawn(8).

use crate::host::Elsewhere;
use crate::postfix::attributes::Accounts;
use nix::unistd::{Group, Uid, User};

/// The accounts of this host.
pub(super) struct Host;

impl Accounts for Elsewhere {
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        Elsewhere::user(self, name).map(|account| (account.uid, account.gid))
    }

    fn group(&self, name: &str) -> Option<u32> {
        Elsewhere::group(self, name)
    }

    // Only the mail owner's name is asked for so, and that is the host's.
    fn name_of(&self, _uid: u32) -> Option<String> {
        None
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
}
