// SPDX-License-Identifier: Apache-2.0
//! What the kernel counts of thousands of sessions is asked for one by one, and none of them waits for the others.
//!
//! For each directory the kernel lists those below that were running since they were last asked. Whoever is asked is
//! taken out of that list, and looked for from its head, with interrupts off: `css_rstat_updated_list`,
//! kernel/cgroup/rstat.c. When 4000 sessions ended together that was two thirds of the supervisor's time. Who asks the
//! directory itself empties its list at once.

use super::directory::Directory;
use std::cell::Cell;

/// As many are looked for in one list.
const OFTEN: u32 = 32;

/// How often sessions of one directory were asked since that was asked itself.
#[derive(Debug, Default)]
pub(super) struct Sums(Cell<u32>);

impl Sums {
    /// One of them is about to be asked.
    pub(super) fn prepare(&self, directory: &Directory) {
        let asked = self.0.get() % OFTEN;
        if asked == 0 {
            // Its sum is of no use.
            let _ = directory.record("cpu.stat", |_| ());
        }
        self.0.set(asked + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Directory, OFTEN, Sums};
    use std::io::{Read, Write};
    use std::os::unix::fs::OpenOptionsExt;

    /// A pipe in the place of its file: who reads that leaves nothing in it.
    #[test]
    fn the_directory_itself_is_asked_once_for_so_many_below() {
        let path = std::env::temp_dir().join(format!("spawnbox-sums-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let file = path.join("cpu.stat");
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let mut pipe = options.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&file).unwrap();
        let (sums, directory) = (Sums::default(), Directory::open(&path).unwrap());
        let mut is_asked = || {
            pipe.write_all(b"usage_usec 1\n").unwrap();
            sums.prepare(&directory);
            pipe.read(&mut [0; 64]).is_err()
        };
        let asked: Vec<u32> = (0..=2 * OFTEN).filter(|_| is_asked()).collect();
        std::fs::remove_dir_all(&path).unwrap();
        assert_eq!(asked, [0, OFTEN, 2 * OFTEN]);
    }
}
