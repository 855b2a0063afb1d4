// SPDX-License-Identifier: Apache-2.0
//! A private file system that is full: write(2) is not heard of, and what it says is a matter of the command alone.
//! That nothing more could be written there is seen from outside, when a path is told or a process ends. Room that is
//! given back before the next of those is not.

use super::denial::{Denial, What};
use crate::plan::Plan;
use crate::plan::calls::{Grant, Value};
use crate::plan::model::Scratch;
use crate::plan::place::in_root;
use crate::plan::sought::End;
use nix::libc;
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;
use std::path::Path;

/// What is full as `thread` sees it.
pub(super) fn full(plan: &Plan, thread: Pid) -> Vec<Denial> {
    let root = format!("/proc/{thread}/root");
    let is_full = |scratch: &&Scratch| {
        let found = statvfs(&Path::new(&root).join(in_root(plan, scratch, Path::new(""))));
        found.is_ok_and(|found| nothing_left(found.blocks_available(), found.files_free()))
    };
    plan.scratch.iter().filter(is_full).map(denial).collect()
}

/// A file needs a block, and a name needs an inode.
fn nothing_left(blocks: u64, inodes: u64) -> bool {
    blocks == 0 || inodes == 0
}

/// With twice of both: by what came it is not known how much more would have come.
fn denial(scratch: &Scratch) -> Denial {
    let what = What::Path { call: "write".into(), path: scratch.path.clone() };
    let value = match scratch.path.to_str() {
        Some(path) => Ok(Value::Scratch {
            path: path.into(),
            size: scratch.size.saturating_mul(2),
            inodes: scratch.inodes.saturating_mul(2),
            execute: scratch.execute,
        }),
        None => Err("no policy can name it: it is not UTF-8".to_string()),
    };
    let remedy = value.map(|value| vec![Grant { key: "files.scratch", value }]);
    Denial { what, end: End::Fails(libc::ENOSPC), remedy, made: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Origin;

    #[test]
    fn what_is_full_is_named_with_twice_the_room() {
        assert_eq!([(0, 9), (9, 0), (1, 1)].map(|(blocks, inodes)| nothing_left(blocks, inodes)), [true, true, false]);
        let origin = Origin::CommandLine;
        let scratch = Scratch { path: "/tmp".into(), size: 16 << 20, inodes: 1024, execute: true, origin };
        let expected = "denied call=write path=\"/tmp\" program=cp: No space left on device; \
                        to allow it: files.scratch = [{ path = \"/tmp\", size = \"32M\", inodes = 2048, execute = true }]";
        assert_eq!(denial(&scratch).words("cp"), expected);
    }
}
