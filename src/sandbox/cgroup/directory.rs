// SPDX-License-Identifier: Apache-2.0
//! One directory of cgroup2 by its descriptor: reading and writing its files, emptying it.
//! Knows nothing of who owns it or what it is for.

use crate::plan::model::CgroupLimits;
use crate::sandbox::HostError;
use crate::sys::errno;
use nix::errno::Errno;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// More than a file of one record has: `cpu.stat` is the longest, of half a kilobyte.
const RECORD: usize = 4096;

/// An open cgroup directory and its path, for messages.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Directory, HostError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Directory { fd, path: path.to_path_buf() }),
            Err(error) => Err(HostError::new(format!("open cgroup {}", path.display()), errno(error))),
        }
    }

    pub(super) fn child(&self, name: &str) -> Result<Directory, HostError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Directory { fd, path: self.path.join(name) }),
            Err(error) => Err(self.error("open cgroup", name, errno(error))),
        }
    }

    pub(super) fn error(&self, doing: &str, name: &str, errno: Errno) -> HostError {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        HostError::new(format!("{doing} {}", path.display()), errno)
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<(), Errno> {
        let fd = rustix::fs::openat(&self.fd, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
        rustix::io::write(&fd, text.as_bytes()).map(drop).map_err(errno)
    }

    /// Reads a file of one record, such as a flat keyed one: what one read(2) gives, see `seq_read_iter` in
    /// fs/seq_file.c.
    pub(super) fn record<T>(&self, file: &str, parse: impl FnOnce(&str) -> T) -> Result<T, Errno> {
        let fd = rustix::fs::openat(&self.fd, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
        let mut bytes = [0; RECORD];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut bytes)).map_err(errno)?;
        std::str::from_utf8(&bytes[..length]).map(parse).map_err(|_| Errno::EILSEQ)
    }

    /// Reads a whole file of cgroupfs; they are short.
    pub(super) fn read(&self, file: &str) -> Result<String, Errno> {
        use std::io::Read;
        let fd = rustix::fs::openat(&self.fd, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
        let mut text = String::new();
        std::fs::File::from(fd).take(1 << 20).read_to_string(&mut text).map_err(|error| io_errno(&error))?;
        Ok(text)
    }

    /// Asks the directory above for a controller that is not here yet. Below the root of a host without systemd that
    /// is what makes ours; a delegated directory has what it was given, and no plan asks for more.
    pub(super) fn obtain(&self, controller: &str) -> Result<(), HostError> {
        let here = self.read("cgroup.controllers").unwrap_or_default();
        if here.split_whitespace().any(|name| name == controller) {
            return Ok(());
        }
        Directory::open(self.path.parent().unwrap_or(&self.path))?.enable(controller)
    }

    /// Gives the directories below a controller that this one has.
    pub(super) fn enable(&self, controller: &str) -> Result<(), HostError> {
        let file = "cgroup.subtree_control";
        let told = |errno| self.error(&format!("enable controller {controller} in"), file, errno);
        self.write(file, &format!("+{controller}")).map_err(told)
    }

    pub(super) fn limit(&self, limits: &CgroupLimits) -> Result<(), HostError> {
        let memory = limits.memory.map(|bytes| bytes.to_string());
        let tasks = limits.tasks.map(|count| count.to_string());
        // Microseconds of quota in a period of a tenth of a second: see cgroup-v2.rst, cpu.max.
        let cpu = limits.cpu.map(|percent| format!("{} 100000", percent.saturating_mul(1000)));
        let swap = memory.as_ref().map(|_| "0".to_string());
        let group = limits.as_one.then(|| "1".to_string());
        let files = [
            ("memory.max", memory),
            ("memory.swap.max", swap.clone()),
            ("memory.zswap.max", swap),
            ("memory.oom.group", group),
            ("pids.max", tasks),
            ("cpu.max", cpu),
        ];
        for (file, text) in files {
            let Some(text) = text else { continue };
            match self.write(file, &text) {
                Ok(()) => {}
                // A kernel without the file has nothing of the sort: no swap, or none that is compressed in memory.
                Err(Errno::ENOENT) if matches!(file, "memory.swap.max" | "memory.zswap.max") => {}
                Err(errno) => return Err(self.error(&format!("write {text} to"), file, errno)),
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> Result<bool, Errno> {
        self.record("cgroup.events", is_unpopulated)
    }

    /// Kills every process in it and below it.
    pub(super) fn kill_all(&self) -> Result<(), HostError> {
        self.write("cgroup.kill", "1").map_err(|errno| self.error("kill everything in", "", errno))
    }

    /// Waits until no process is left in it or below it.
    pub(super) fn await_empty(&self, deadline: Instant) -> Result<(), HostError> {
        let failed = |errno| self.error("kill everything in", "", errno);
        while !self.is_empty().map_err(failed)? {
            if Instant::now() >= deadline {
                return Err(failed(Errno::EBUSY));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn children(&self) -> Result<Vec<String>, HostError> {
        let failed = |error| self.error("list cgroup", "", errno(error));
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == rustix::fs::FileType::Directory && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn remove_children(&self, depth: u32) -> Result<(), HostError> {
        if depth == 0 {
            return Err(self.error("remove cgroups below", "", Errno::ELOOP));
        }
        for name in self.children()? {
            self.child(&name)?.remove_children(depth - 1)?;
            rustix::fs::unlinkat(&self.fd, &name, AtFlags::REMOVEDIR)
                .map_err(|error| self.error("remove cgroup", &name, errno(error)))?;
        }
        Ok(())
    }
}

/// Whether `cgroup.events` says that no process is there.
pub(super) fn is_unpopulated(events: &str) -> bool {
    value(events, "populated") == Some(0)
}

/// The number after `key` in a flat keyed file.
pub(super) fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

pub(super) fn io_errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_key() {
        let text = "usage_usec 1234\nuser_usec 5\noom_kill_group 7\noom_kill 2\nbad x\n";
        let table = [("usage_usec", Some(1234)), ("oom_kill", Some(2)), ("usage", None), ("bad", None), ("none", None)];
        for (key, expected) in table {
            assert_eq!(value(text, key), expected, "{key}");
        }
    }
}
