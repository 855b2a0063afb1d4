// SPDX-License-Identifier: Apache-2.0
//! An empty root as its command would find it, to say before the first connection that a path is not there.
//! Knows only what the plan shows: a path inside a bind may still be missing on the host.

use super::model::{Access, Bind, Proc, Root, Scratch};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Links that a path may lead through, as the kernel counts them (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The paths of an empty root.
pub(super) struct View<'a> {
    binds: &'a [Bind],
    links: &'a BTreeMap<PathBuf, PathBuf>,
    scratch: &'a [Scratch],
    own: Vec<&'static Path>,
}

impl<'a> View<'a> {
    /// The view of an empty root; `None` for the host's own, of which nothing is known here.
    pub(super) fn of(root: &'a Root, scratch: &'a [Scratch], proc: Proc) -> Option<Self> {
        let (Root::Empty { binds, links, devices } | Root::Held { binds, links, devices }) = root else {
            return None;
        };
        let mut own = vec![Path::new("/")];
        if !devices.is_empty() {
            own.push(Path::new("/dev"));
        }
        match proc {
            Proc::None => {}
            Proc::Subset | Proc::Full => own.push(Path::new("/proc")),
        }
        Some(View { binds, links, scratch, own })
    }

    /// Whether the policy lets this path be executed. A path with `..` is left to the kernel.
    pub(super) fn may_execute(&self, path: &Path) -> bool {
        climbs(path) || self.bind(path).is_some_and(|bind| bind.access == Access::Execute)
    }

    /// Whether this may be a directory there.
    pub(super) fn has_directory(&self, path: &Path) -> bool {
        let shown = self.binds.iter().map(|bind| &bind.path).chain(self.links.keys());
        let mut made = shown.chain(self.scratch.iter().map(|scratch| &scratch.path)).map(PathBuf::as_path);
        climbs(path)
            || self.own.contains(&path)
            || made.any(|made| made.starts_with(path) && made != path)
            || self.scratch.iter().any(|scratch| scratch.path == path)
            || self.bind(path).is_some_and(|bind| bind.directory)
    }

    /// The bind that shows this path.
    fn bind(&self, path: &Path) -> Option<&'a Bind> {
        let path = self.follow(path);
        self.binds.iter().rev().find(|bind| path.starts_with(&bind.path))
    }

    fn follow(&self, path: &Path) -> PathBuf {
        let mut path = path.to_path_buf();
        for _ in 0..MAX_LINKS {
            let Some((link, end)) = self.links.iter().find(|(link, _)| path.starts_with(link)) else { break };
            let rest = path.strip_prefix(link).map(Path::to_path_buf).unwrap_or_default();
            path = if rest.as_os_str().is_empty() { end.clone() } else { end.join(rest) };
        }
        path
    }
}

fn climbs(path: &Path) -> bool {
    path.components().any(|component| component == Component::ParentDir)
}
