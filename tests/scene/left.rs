// SPDX-License-Identifier: Apache-2.0
//! What a server holds on this host, counted: two counts that are the same mean that nothing was left behind.

use super::{Server, host, patience};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    descriptors: usize,
    processes: usize,
    mounts: usize,
    host_mounts: usize,
    cgroups: usize,
}

impl Left {
    /// Counts.
    pub(crate) fn of(server: &Server) -> Left {
        Left {
            descriptors: host::descriptors(server.pid()),
            processes: host::tree(server.pid()).len(),
            mounts: host::mounts(server.pid()),
            host_mounts: host::mounts(std::process::id()),
            cgroups: cgroups(server),
        }
    }

    /// Waits until no session is left: the last one may still be ending when its client has all it wants.
    pub(crate) fn settle(&self, server: &Server) {
        host::eventually("the last session has ended, and nobody is in its cgroup", patience(), || {
            Left::of(server).is_within(self)
        });
    }

    /// Whether there are no more processes and cgroups than in another count.
    pub(crate) fn is_within(&self, other: &Left) -> bool {
        self.processes <= other.processes && self.cgroups <= other.cgroups
    }

    /// The same but for mounts, which other programs of this host make and remove meanwhile.
    pub(crate) fn but_for_mounts(self) -> Left {
        Left { mounts: 0, host_mounts: 0, ..self }
    }
}

/// Empty ones that a supervisor may keep for later sessions, and its own directory.
const KEPT: usize = 32 + 1;

/// Cgroups of this supervisor's sessions, those below a directory that carries its number: how many have somebody in
/// them, and how many more than may be kept have nobody.
fn cgroups(server: &Server) -> usize {
    let all = host::cgroup_root().map_or(Vec::new(), |root| host::cgroups_below(&root));
    let own = format!("/spawnbox-{}-", server.pid());
    let own = all.iter().filter(|path| path.display().to_string().contains(&own));
    let (empty, others): (Vec<_>, Vec<_>) = own.partition(|path| host::is_unpopulated(path));
    others.len() + empty.len().saturating_sub(KEPT)
}
