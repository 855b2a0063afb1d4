// SPDX-License-Identifier: Apache-2.0
//! What an administrator puts in place for a shipped policy, in the mounts of one test: accounts, programs in
//! /usr/local/lib/spawnbox, a directory of a service below /var/lib. The rest of the host sees none of it.

use crate::postfix::private::attach;
use crate::scene::stage::{Room, mode, stage};
use nix::mount::MsFlags;
use nix::unistd::{Gid, Uid, chown};
use std::fs;
use std::path::Path;

/// The first user id of these accounts, which no Debian package has.
const FIRST: u32 = 59_100;

/// Accounts, each with a group of its own.
pub(crate) fn accounts(room: &Room, names: &[&str]) {
    let ids: Vec<(&str, u32)> = names.iter().copied().zip(FIRST..).collect();
    let users = ids.iter().map(|(name, id)| format!("{name}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n"));
    let groups = ids.iter().map(|(name, id)| format!("{name}:x:{id}:\n"));
    add(room, "passwd", &users.collect::<String>());
    add(room, "group", &groups.collect::<String>());
}

/// A file of /etc with more lines.
fn add(room: &Room, name: &str, lines: &str) {
    let target = Path::new("/etc").join(name);
    let text = fs::read_to_string(&target).expect("the host has accounts");
    let file = room.file(name, &format!("{}\n{lines}", text.trim_end()));
    attach(&file, &target, None, MsFlags::MS_BIND);
}

/// Programs and their tables, by the names that the policies have for them.
pub(crate) fn programs(room: &Room, files: &[(String, String)]) {
    let local = room.directory("local");
    let directory = room.directory("local/spawnbox");
    for (name, text) in files {
        fs::write(directory.join(name), text).expect("the stage can be written");
        mode(&directory.join(name), 0o755);
    }
    attach(&local, Path::new("/usr/local/lib"), None, MsFlags::MS_BIND);
}

/// A directory below /var/lib that belongs to the first of the accounts. The stage, which is there too, stays.
pub(crate) fn state(room: &Room, name: &str) {
    let lib = room.directory("lib");
    let own = room.directory(&format!("lib/{name}"));
    mode(&own, 0o700);
    chown(&own, Some(Uid::from_raw(FIRST)), Some(Gid::from_raw(FIRST))).expect("root may give files away");
    let name = stage().file_name().expect("the stage has a name").to_string_lossy().into_owned();
    attach(stage(), &room.directory(&format!("lib/{name}")), None, MsFlags::MS_BIND);
    attach(&lib, Path::new("/var/lib"), None, MsFlags::MS_BIND | MsFlags::MS_REC);
}
