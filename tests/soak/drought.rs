// SPDX-License-Identifier: Apache-2.0
//! A control group whose memory can be used up: whoever is in it waits for memory, and may be killed for want of it.
//! Of version 1: one of version 2 would be the place of the sessions' own groups too.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What a supervisor, its launchers and a few sessions have together: three times what they take.
const LIMIT: &str = "96M";
/// One after the other takes memory until it is killed, as the first to be chosen. Who starts them is not in the group,
/// and does so for as long as the tests live.
const HOG: &str = "while kill -0 \"$2\"; do /bin/sh -c \"$0\" sh \"$1\"; done";
const ONE: &str = "echo 1000 >/proc/self/oom_score_adj; echo $$ >\"$1\"; exec tail /dev/zero";

/// The group. Dropping it removes it, once it is empty.
pub(super) struct Drought {
    directory: PathBuf,
}

/// Who takes the memory, until it is dropped.
pub(super) struct Hog(Child);

impl Drought {
    /// Nothing where the host has no such groups, or lets none be made.
    pub(super) fn find() -> Option<Drought> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the tests need /proc");
        let root = mounts.lines().find_map(|line| {
            let (left, right) = line.split_once(" - cgroup ")?;
            let (place, options) = (left.split(' ').nth(4)?, right.rsplit(' ').next()?);
            options.split(',').any(|word| word == "memory").then(|| PathBuf::from(place))
        })?;
        let directory = root.join(format!("spawnbox-storm-{}", std::process::id()));
        fs::create_dir(&directory).ok()?;
        let drought = Drought { directory };
        fs::write(drought.directory.join("memory.limit_in_bytes"), LIMIT).expect("the group is ours");
        Some(drought)
    }

    /// Where whoever is to be in it writes its number.
    pub(super) fn entrance(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// How often somebody was killed in it.
    pub(super) fn kills(&self) -> u64 {
        let text = fs::read_to_string(self.directory.join("memory.oom_control")).expect("the group is there");
        let number = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        number.and_then(|number| number.parse().ok()).expect("the kernel counts them")
    }

    /// Begins to take all of it.
    pub(super) fn begin(&self) -> Hog {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", HOG, ONE]).arg(self.entrance()).arg(std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Hog(command.process_group(0).spawn().expect("sh is there"))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

impl Drop for Drought {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}
