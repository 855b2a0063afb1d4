// SPDX-License-Identifier: Apache-2.0
//! A service under a shipped policy: what an administrator puts in place for it, and the work that it does.

use crate::postfix::furnish;
use crate::postfix::private::{Log, in_private};
use crate::postfix::resolver::{Entry, Resolver};
use crate::scene::Server;
use crate::scene::stage::{Room, room};

/// Mail from `open.example` may come from 192.0.2.7.
const NAMES: &[Entry] = &[Entry::Txt("open.example", "v=spf1 ip4:192.0.2.7 -all")];

pub(super) struct Service {
    /// The policy's name.
    pub(super) policy: &'static str,
    /// The command where the policy names none.
    pub(super) argv: &'static [&'static str],
    /// The user where the policy names none.
    pub(super) user: Option<&'static str>,
    /// Accounts that no package has made; the first one owns `state`.
    pub(super) accounts: &'static [&'static str],
    /// A directory below /var/lib.
    pub(super) state: Option<&'static str>,
    /// What is in /usr/local/lib/spawnbox: names and texts.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Whatever else there must be.
    pub(super) prepare: fn(&Room),
    /// The work over connections of its own, or what went wrong.
    pub(super) work: fn(&Server, &Log) -> Result<(), String>,
}

impl Service {
    /// Plays `scene` where all is in place.
    pub(super) fn furnished(self, scene: impl FnOnce(&Service, &Log) + Send) {
        let room = room();
        in_private(&room.path(""), |log| {
            let _resolver = Resolver::start(NAMES);
            furnish::accounts(&room, self.accounts);
            let files = self.files.iter().map(|(name, text)| (name.to_string(), text.to_string()));
            furnish::programs(&room, &files.collect::<Vec<_>>());
            if let Some(name) = self.state {
                furnish::state(&room, name);
            }
            (self.prepare)(&room);
            scene(&self, log);
        });
    }
}
