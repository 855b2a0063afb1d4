// SPDX-License-Identifier: Apache-2.0
//! Session cgroups: a locked directory for this supervisor, one below it for each session.
//! Knows directories and files of cgroup2 only; never a policy, and a process id only to look for it.
//! A directory that was killed is never used again: Linux 6.18 kills whatever is cloned into it later. Others may be:
//! `kept`.

use super::HostError;
use crate::host::facts::Controller;
use crate::plan::model::CgroupLimits;
use nix::errno::Errno;
use nix::unistd::Pid;
use rustix::fs::{AtFlags, Mode};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

mod directory;
mod kept;
mod place;
mod service;
mod sums;

pub use place::{Swept, leave, sweep};
pub use service::name as service_name;

use crate::sys::errno;
use directory::{Directory, io_errno, is_unpopulated, value};
use kept::{Kept, Store};
use place::Place;
use service::ServiceDirectory;
use sums::Sums;

/// What the directories of supervisors are called, followed by a number. Nothing else is ever swept.
const PREFIX: &str = "spawnbox-";
/// How many numbers are tried for a directory of our own.
const NUMBERS: u32 = 1000;
/// How deep below a session a command can have nested cgroups of its own for us to remove them.
const DEPTH: u32 = 8;

/// The directory of this supervisor. It is locked as long as this value lives, so that another supervisor's sweep can
/// tell a living owner from a dead one without asking for process ids.
#[derive(Debug)]
pub struct Slice {
    place: Directory,
    directory: Rc<Sessions>,
    /// The service's directory, where it has one: the place of this one.
    service: Option<Rc<ServiceDirectory>>,
    enabled: BTreeSet<Controller>,
    removed: bool,
}

/// The directory below which sessions have theirs.
#[derive(Debug)]
struct Sessions {
    directory: Directory,
    kept: Store,
    sums: Sums,
}

/// The cgroup of one session. It holds no descriptor: there may be thousands of sessions, and no more descriptors than
/// the host's limit.
#[derive(Debug)]
pub struct Cgroup {
    /// Shared, not duplicated, and ours alone to write in: a name below it is what we have made.
    parent: Rc<Sessions>,
    service: Option<Rc<ServiceDirectory>>,
    /// What the kernel counts of it.
    counts: BTreeSet<Controller>,
    name: String,
    /// The processor time of those who had it before.
    before: Duration,
    /// That of all when it was last asked for.
    used: Cell<Option<Duration>>,
    /// Nobody was in it when that was last asked, and it was not frozen.
    rests: Cell<bool>,
    /// We have asked for it to be killed.
    killed: Cell<bool>,
}

/// What the kernel counted for a session; absent where the controller is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// `usage_usec` of `cpu.stat`, which is there without the controller.
    pub processor: Option<Duration>,
    /// `memory.peak`, bytes (Linux 5.19).
    pub memory_peak: Option<u64>,
    /// Whose memory was at an end, if something in the session was killed for it.
    pub out_of_memory: Option<OutOf>,
}

/// Whose memory can be at an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOf {
    /// The session's own limit was reached.
    Session,
    /// That of all sessions of the service together.
    Service,
    /// Another one above, or the host has no more.
    Host,
}

impl Slice {
    /// Makes and locks a directory below `place`, which is made too if only its last component is missing.
    pub fn make(place: &Path) -> Result<Slice, HostError> {
        Slice::below(Place::open(place)?, None)
    }

    /// One below the directory of a service, which is made beside this one if it is not there.
    pub fn of_service(&self, name: &str, limits: &CgroupLimits) -> Result<Slice, HostError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let made = ServiceDirectory::make(&self.place, name, limits).and_then(|service| {
                let place = Place(Directory::open(&service.directory.path)?);
                Slice::below(place, Some(Rc::new(service)))
            });
            match made {
                // Its last supervisor has removed it since it was made.
                Err(_) if attempts < service::ATTEMPTS && !self.place.path.join(name).exists() => {}
                other => return other,
            }
        }
    }

    fn below(place: Place, service: Option<Rc<ServiceDirectory>>) -> Result<Slice, HostError> {
        for number in 0..NUMBERS {
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            // Whoever can open it can lock it, and a sweep would spare for ever what is locked.
            match rustix::fs::mkdirat(&place.0.fd, &name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => continue,
                Err(error) => return Err(place.0.error("create cgroup", &name, errno(error))),
            }
            if let Some(directory) = place.lock(&name)? {
                return Ok(Slice {
                    place: place.0,
                    directory: Rc::new(Sessions { directory, kept: Store::default(), sums: Sums::default() }),
                    service,
                    enabled: BTreeSet::new(),
                    removed: false,
                });
            }
        }
        Err(place.0.error("create cgroup", PREFIX, Errno::EEXIST))
    }

    /// Makes the controllers that a service's limits need available to its sessions.
    pub fn enable(&mut self, controllers: &BTreeSet<Controller>) -> Result<(), HostError> {
        let missing: Vec<_> = controllers.difference(&self.enabled).copied().collect();
        for controller in missing {
            self.place.obtain(controller.name())?;
            for directory in [&self.place, &self.directory.directory] {
                directory.enable(controller.name())?;
            }
            self.enabled.insert(controller);
        }
        Ok(())
    }

    /// Makes the cgroup of a session, its limits written. The descriptor is for whoever clones into it.
    pub fn session(&self, session: u64, limits: &CgroupLimits) -> Result<(Cgroup, OwnedFd), HostError> {
        let (name, above) = (session.to_string(), &self.directory.directory);
        rustix::fs::mkdirat(&above.fd, &name, Mode::from_raw_mode(0o755))
            .map_err(|error| above.error("create cgroup", &name, errno(error)))?;
        let opened = above.child(&name).and_then(|directory| {
            directory.limit(limits)?;
            Ok(directory)
        });
        match opened {
            Ok(directory) => Ok((self.cgroup(Kept { name, used: Duration::ZERO }), directory.fd)),
            Err(error) => {
                // Empty and ours: if it cannot be removed, the next sweep does it.
                let _ = rustix::fs::unlinkat(&above.fd, &name, AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    /// The cgroup of a session that is over, where one was kept: without limits, and nobody is in it.
    pub fn kept(&self) -> Option<(Cgroup, OwnedFd)> {
        let above = &self.directory.directory;
        if !self.enabled.is_empty() {
            // They count what is charged there.
            self.directory.kept.clear(above);
        }
        let kept = self.directory.kept.take(above)?;
        // One that was removed by somebody else is none.
        let directory = above.child(&kept.name).ok()?;
        Some((self.cgroup(kept), directory.fd))
    }

    fn cgroup(&self, Kept { name, used }: Kept) -> Cgroup {
        Cgroup {
            parent: Rc::clone(&self.directory),
            service: self.service.clone(),
            counts: self.enabled.clone(),
            name,
            before: used,
            used: Cell::new(None),
            rests: Cell::new(false),
            killed: Cell::new(false),
        }
    }

    /// Removes the directory; its sessions must be gone.
    pub fn remove(mut self) -> Result<(), HostError> {
        // Once only: the name may be another supervisor's afterwards.
        self.removed = true;
        let Sessions { directory, kept, .. } = &*self.directory;
        kept.clear(directory);
        std::fs::remove_dir(&directory.path).map_err(|error| directory.error("remove cgroup", "", io_errno(&error)))
    }
}

/// A start that fails leaves no directory behind either.
impl Drop for Slice {
    fn drop(&mut self) {
        if !self.removed {
            let Sessions { directory, kept, .. } = &*self.directory;
            kept.clear(directory);
            // With a session left in it, it stays, and the next start sweeps it.
            let _ = std::fs::remove_dir(&directory.path);
        }
    }
}

impl Cgroup {
    /// Kills every process in it. Succeeds on an empty one too, and kills nobody who comes later on older kernels:
    /// a session whose process is not known yet cannot be killed so.
    pub fn kill(&self) -> Result<(), Errno> {
        // Refused or not.
        self.killed.set(true);
        self.above().write(&self.file("cgroup.kill"), "1")
    }

    /// Whether no process is left in it or below it.
    pub fn is_empty(&self) -> Result<bool, Errno> {
        let (empty, rests) = self.above().record(&self.file("cgroup.events"), |events| {
            (is_unpopulated(events), events == "populated 0\nfrozen 0\n")
        })?;
        self.rests.set(rests);
        Ok(empty)
    }

    /// Whether this process is in it.
    pub fn holds(&self, pid: Pid) -> Result<bool, Errno> {
        let text = self.above().read(&self.file("cgroup.procs"))?;
        Ok(text.lines().any(|line| line.parse() == Ok(pid.as_raw())))
    }

    /// What the kernel counted. A directory above that has no controller has no file of it here.
    pub fn counted(&self) -> Counted {
        self.parent.sums.prepare(self.above());
        let used = self.above().record(&self.file("cpu.stat"), |text| value(text, "usage_usec"));
        let peak = || self.above().record(&self.file("memory.peak"), |text| text.trim().parse().ok());
        let memory = self.counts.contains(&Controller::Memory);
        self.used.set(used.ok().flatten().map(Duration::from_micros));
        Counted {
            processor: self.used.get().map(|used| used.saturating_sub(self.before)),
            memory_peak: memory.then(|| peak().ok().flatten()).flatten(),
            out_of_memory: memory.then(|| self.out_of_memory()).flatten(),
        }
    }

    /// Bytes that it has now, where the kernel counts them.
    pub fn memory(&self) -> Option<u64> {
        let now = || self.above().record(&self.file("memory.current"), |text| text.trim().parse().ok());
        self.counts.contains(&Controller::Memory).then(|| now().ok().flatten()).flatten()
    }

    /// The event `oom` is counted where the limit is, `oom_kill` where the process was: see cgroup-v2.rst.
    fn out_of_memory(&self) -> Option<OutOf> {
        let counted = |text: &str, event| value(text, event).is_some_and(|count| count > 0);
        let events = |text: &str| (counted(text, "oom_kill"), counted(text, "oom"));
        let (killed, own) = self.above().record(&self.file("memory.events"), events).ok()?;
        if !killed {
            return None;
        }
        let service = || self.service.as_ref().and_then(|above| above.directory.record("memory.events", events).ok());
        Some(match own {
            true => OutOf::Session,
            false if service().is_some_and(|(_, reached)| reached) => OutOf::Service,
            false => OutOf::Host,
        })
    }

    /// Keeps it for another session, where it was found empty and counted. False: it is to be removed.
    pub fn keep(&self) -> bool {
        let fit = self.rests.get() && !self.killed.get() && self.counts.is_empty();
        let used = self.used.get().filter(|_| fit);
        used.is_some_and(|used| self.parent.kept.keep(Kept { name: self.name.clone(), used }))
    }

    /// Its first process was killed. Whoever did that may have had all killed that are kept beside it, and they are
    /// removed; not where it was us.
    pub fn distrust(&self) {
        if !self.killed.get() {
            self.parent.kept.clear(self.above());
        }
    }

    /// Removes it, with whatever cgroups the command made below. EBUSY while a process is left.
    pub fn remove(&self) -> Result<(), Errno> {
        let remove = || rustix::fs::unlinkat(&self.above().fd, &self.name, AtFlags::REMOVEDIR).map_err(errno);
        match remove() {
            Err(Errno::EBUSY) if self.is_empty()? => {
                let directory = self.above().child(&self.name).map_err(|_| Errno::EBUSY)?;
                directory.remove_children(DEPTH).map_err(|_| Errno::EBUSY)?;
                remove()
            }
            other => other,
        }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> PathBuf {
        self.above().path.join(&self.name)
    }

    fn above(&self) -> &Directory {
        &self.parent.directory
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
