// SPDX-License-Identifier: Apache-2.0
//! Where supervisors make their directories: taking one for oneself, and clearing away what dead ones have left.
//! A directory is its owner's as long as that holds the lock; whoever is dead holds none.

use super::directory::Directory;
use super::{DEPTH, PREFIX, service};
use crate::host::SUPERVISOR;
use crate::sandbox::HostError;
use crate::sys::errno;
use rustix::fs::{AtFlags, FlockOperation, Mode};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a sweep waits for the processes of dead supervisors to be gone.
const SWEEP_PATIENCE: Duration = Duration::from_secs(2);

/// What a sweep came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Directories removed.
    pub removed: usize,
    /// Those that could not be, and why; each is tried again at the next start.
    pub kept: Vec<HostError>,
}

/// Kills and removes what supervisors that are dead have left below `place`. A supervisor that lives holds the lock of
/// its directory. One directory that cannot be removed keeps none of the others.
pub fn sweep(place: &Path) -> Result<Swept, HostError> {
    let place = Place::open(place)?;
    let mut swept = Swept::default();
    let services = place.services()?;
    let mut dead = Vec::new();
    for place in services.iter().map(|(_, place)| place).chain([&place]) {
        place.kill_dead(&mut dead, &mut swept);
    }
    // One wait for all of them: a start is not to be held up by each process that does not die.
    let deadline = Instant::now() + SWEEP_PATIENCE;
    for (place, name, directory) in dead {
        let removed = directory.await_empty(deadline).and_then(|()| directory.remove_children(DEPTH)).and_then(|()| {
            rustix::fs::unlinkat(&place.0.fd, &name, AtFlags::REMOVEDIR)
                .map_err(|error| place.0.error("remove cgroup", &name, errno(error)))
        });
        match removed {
            Ok(()) => swept.removed += 1,
            Err(error) => swept.kept.push(error),
        }
    }
    for (name, _) in &services {
        // Refused where a supervisor has come or is left: it is that one's to remove.
        let _ = rustix::fs::unlinkat(&place.0.fd, name, AtFlags::REMOVEDIR);
    }
    Ok(swept)
}

/// Where this process is the only one in `place`, which was delegated to it, it goes into a leaf below: a directory
/// that holds processes can give none of those below it a controller, see cgroups(7).
pub fn leave(place: &Path) -> Result<(), HostError> {
    move_to_leaf(place, std::process::id())
}

/// The same of any process.
pub(super) fn move_to_leaf(place: &Path, process: u32) -> Result<(), HostError> {
    // Where no systemd owns the tree it is made later.
    if !place.exists() {
        return Ok(());
    }
    let process = process.to_string();
    let failed = |errno| HostError::new(format!("leave cgroup {} for a leaf of it", place.display()), errno);
    let directory = Directory::open(place)?;
    if directory.read("cgroup.procs").map_err(failed)?.trim() != process {
        return Ok(());
    }
    match rustix::fs::mkdirat(&directory.fd, SUPERVISOR, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(failed(errno(error))),
    }
    directory.child(SUPERVISOR)?.write("cgroup.procs", &process).map_err(failed)
}

/// The directory in which supervisors make theirs.
pub(super) struct Place(pub(super) Directory);

impl Place {
    pub(super) fn open(path: &Path) -> Result<Place, HostError> {
        // Not for others to make control groups in, whatever the umask is.
        match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(HostError::new(format!("create cgroup {}", path.display()), errno(error))),
        }
        Directory::open(path).map(Place)
    }

    /// The directories of services.
    fn services(&self) -> Result<Vec<(String, Place)>, HostError> {
        let names = self.0.children()?.into_iter().filter(|name| name.starts_with(service::PREFIX));
        // One that is gone since is well.
        Ok(names.filter_map(|name| self.0.child(&name).ok().map(|directory| (name, Place(directory)))).collect())
    }

    /// Kills everything in the directories of dead supervisors, and adds them to `dead`.
    fn kill_dead<'a>(&'a self, dead: &mut Vec<(&'a Place, String, Directory)>, swept: &mut Swept) {
        let ours = |name: &String| name.starts_with(PREFIX) && !name.starts_with(service::PREFIX);
        let names = self.0.children().unwrap_or_else(|error| {
            swept.kept.push(error);
            Vec::new()
        });
        for name in names.into_iter().filter(ours) {
            let locked = self.lock(&name);
            let killed = locked.and_then(|found| found.map(|it| it.kill_all().map(|()| it)).transpose());
            match killed {
                Ok(Some(directory)) => dead.push((self, name, directory)),
                Ok(None) => {}
                Err(error) => swept.kept.push(error),
            }
        }
    }

    /// Opens and locks a directory; `None` if it has a living owner, or was removed before we had the lock.
    pub(super) fn lock(&self, name: &str) -> Result<Option<Directory>, HostError> {
        let directory = match self.0.child(name) {
            Ok(directory) => directory,
            Err(_) if !self.0.path.join(name).exists() => return Ok(None),
            Err(error) => return Err(error),
        };
        match rustix::fs::flock(&directory.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(self.0.error("lock cgroup", name, errno(error))),
        }
        // A sweep may have removed it between our open and our lock; the name may even belong to a new one.
        let stat = |result: rustix::io::Result<rustix::fs::Stat>| result.map(|stat| stat.st_ino).ok();
        let named = stat(rustix::fs::statat(&self.0.fd, name, AtFlags::SYMLINK_NOFOLLOW));
        let opened = stat(rustix::fs::fstat(&directory.fd));
        Ok((named.is_some() && named == opened).then_some(directory))
    }
}
