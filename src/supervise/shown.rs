// SPDX-License-Identifier: Apache-2.0
//! Whether the parts of the host that a service shows are still what their names mean. A launcher's mounts and its
//! Landlock rules hold inodes: a resolv.conf that was replaced by rename would be seen as it was, for ever.
//! Looks at names only; whoever asks makes the launcher again.

use crate::plan::Plan;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks. A look is one stat(2) for each part.
const PAUSE: Duration = Duration::from_secs(1);

/// A part's device, as major and minor number, and its inode; `None` where it cannot be looked at.
type Identity = Option<(u32, u32, u64)>;

/// What is identified by nothing: a symbolic link on the way.
const LINK: (u32, u32, u64) = (0, 0, 0);

/// What a launcher was made with.
#[derive(Debug)]
pub(super) struct Shown {
    parts: Vec<(PathBuf, Identity)>,
    looked: Instant,
    /// The launcher that should show them could not be made.
    doubted: bool,
}

impl Shown {
    /// Looks at every part that `plan` shows. To be called before the launcher is made, so that a change in between
    /// is seen by the next look.
    pub(super) fn of(plan: &Plan, now: Instant) -> Shown {
        // Mounts and rules of Landlock are of a file, whatever has its name later. The host's own tree is seen through
        // its names.
        let binds = plan.root.binds().unwrap_or_default();
        let paths = binds.iter().map(|bind| on_the_host(plan, &bind.path));
        Shown { parts: paths.map(|path| (path.clone(), identity(&path))).collect(), looked: now, doubted: false }
    }

    /// Whether a part is another one now; asked at most once a [`PAUSE`]. A part that is gone is no reason: without
    /// it there would be no launcher at all, and a file is often gone for a moment while it is replaced.
    pub(super) fn is_stale(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.looked) < PAUSE {
            return false;
        }
        self.looked = now;
        if self.doubted {
            return true;
        }
        self.parts.iter_mut().any(|(path, before)| match (identity(path), &before) {
            (None, _) => false,
            (there, None) => {
                *before = there;
                false
            }
            (there, Some(_)) => there != *before,
        })
    }
}

impl Shown {
    /// What was seen is not shown after all: the next look finds it stale, whatever it sees.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }
}

/// Where a part of a plan is for this process.
fn on_the_host(plan: &Plan, part: &Path) -> PathBuf {
    match plan.elsewhere() {
        Some(root) => root.join(part.strip_prefix("/").unwrap_or(part)),
        None => part.to_path_buf(),
    }
}

/// Looks at what the kernel has in its caches only (`RESOLVE_CACHED`, Linux 5.12): a server that does not answer must
/// not hold us up. What is not cached is unknown, and seen at a later look.
fn identity(path: &Path) -> Identity {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::CACHED | ResolveFlags::NO_SYMLINKS;
    let found = match openat2(CWD, path, flags, Mode::empty(), resolve) {
        Ok(found) => found,
        // The plan's paths are resolved: whatever a link leads to is another part.
        Err(Errno::LOOP) => return Some(LINK),
        Err(_) => return None,
    };
    let found = statx(found, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
    Some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}
