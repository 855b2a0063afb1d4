// SPDX-License-Identifier: Apache-2.0
//! The control group of one server: all that it starts is in it, is counted in it, and is killed with it.
//! The server sees it as the root of its hierarchy, so that groups which it makes of its own are counted too.

use crate::scene::{host, patience};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Joins the group, makes it the root of what can be seen, and goes on a floor below, since a group with processes can
/// hand no controller down; then the rest of the words.
const ENTER: &str = r#"
echo $$ >"$0/cgroup.procs"
exec unshare --cgroup --mount /bin/sh -ec '
    umount --lazy "$0"
    mount -t cgroup2 none "$0"
    mkdir "$0/server"
    echo $$ >"$0/server/cgroup.procs"
    exec "$@"
' "$@"
"#;

#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    root: PathBuf,
}

impl Group {
    /// A new one below that of the harness.
    pub(crate) fn make() -> Result<Group, String> {
        let lacking = "no whole cgroup2 file system is mounted, and processor time is counted by one";
        let root = host::cgroup_root().ok_or(lacking)?;
        let above = host::cgroup_of(std::process::id()).ok_or(lacking)?;
        let name = format!("bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = above.join(name);
        fs::create_dir(&directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        Ok(Group { directory, root })
    }

    /// The words that stand before a server's own, and become it by exec.
    pub(crate) fn entering(&self) -> Vec<String> {
        ["/bin/sh", "-ec", ENTER, &self.directory.display().to_string(), &self.root.display().to_string()]
            .map(str::to_string)
            .to_vec()
    }

    /// Processor time of all that is or was in it.
    pub(crate) fn used(&self) -> Duration {
        let text = fs::read_to_string(self.directory.join("cpu.stat")).expect("the group is there");
        let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Duration::from_micros(used.and_then(|text| text.parse().ok()).expect("the kernel counts for every group"))
    }

    /// All that is in it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let below = host::cgroups_below(&self.directory);
        let text: String = below.iter().chain([&self.directory]).map(|group| processes(group)).collect();
        text.lines().filter_map(|pid| pid.parse().ok()).collect()
    }
}

fn processes(group: &Path) -> String {
    fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default()
}

impl Drop for Group {
    fn drop(&mut self) {
        let _gone = fs::write(self.directory.join("cgroup.kill"), "1");
        let empty = || {
            let events = fs::read_to_string(self.directory.join("cgroup.events")).unwrap_or_default();
            !events.contains("populated 1")
        };
        host::eventually("the server's group is empty", patience(), empty);
        // Those below come first, each after its own.
        for group in host::cgroups_below(&self.directory).iter().chain([&self.directory]) {
            host::eventually("the server's group can be removed", patience(), || {
                fs::remove_dir(group).is_ok() || !group.exists()
            });
        }
    }
}
