// SPDX-License-Identifier: Apache-2.0
//! Where session cgroups can be made. Looks only: directories are made, and controllers enabled, by `sandbox`.
//! Never in a place that was not delegated, never outside what this process's own cgroup line names.

use super::error::is_passing;
use super::facts::{Cgroup, Controller, Kernel};
use super::{HostError, errno_text};
use nix::errno::Errno;
use rustix::fs::{Access, AtFlags, CWD};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The unit that the package installs with `Delegate=yes`, for sessions and nothing else.
pub(crate) const UNIT: &str = "system.slice/spawnbox-sessions.service";
/// Root's own directory where no systemd owns the tree.
const OWN: &str = "spawnbox";
/// The directory of a supervisor below one that was delegated to its unit: that one holds no process then, and can give
/// controllers to those below it. systemd may have made it (DelegateSubgroup=).
pub(crate) const SUPERVISOR: &str = "supervisor";
/// How systemd marks a directory that it has delegated (Delegate=): for those who may read the first, and for all.
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];
const CONTROLLERS: [Controller; 3] = [Controller::Cpu, Controller::Memory, Controller::Pids];

/// What decides about the place, read from this host.
struct Seen {
    mountinfo: String,
    own: String,
    root: bool,
    systemd: bool,
}

/// Why no place was found.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    /// This host has none.
    None(String),
    /// It cannot be told.
    Unknown(HostError),
}

impl From<&str> for Why {
    fn from(text: &str) -> Why {
        Why::None(text.to_string())
    }
}

/// Looks for a place.
pub(super) fn observe(kernel: &Kernel, uid: u32) -> Result<Cgroup, HostError> {
    if !kernel.at_least(5, 14) {
        let why = format!("Linux {} has no cgroup.kill, which came with 5.14", kernel.release);
        return Ok(Cgroup::Unavailable(why));
    }
    let read = |path: &str| read(Path::new(path));
    let seen = || -> Result<Seen, Why> {
        Ok(Seen {
            mountinfo: read("/proc/self/mountinfo")?,
            own: read("/proc/self/cgroup")?,
            root: uid == 0,
            systemd: is_there(Path::new("/run/systemd/system"))?,
        })
    };
    match seen().and_then(|seen| choose(&seen)) {
        Ok(place) => Ok(place),
        Err(Why::None(why)) => Ok(Cgroup::Unavailable(why)),
        Err(Why::Unknown(error)) => Err(error),
    }
}

fn choose(seen: &Seen) -> Result<Cgroup, Why> {
    let mount = mount_point(&seen.mountinfo).ok_or("no whole cgroup2 file system is mounted")?;
    let on_v1 = on_v1(&seen.own);
    let unit = mount.join(UNIT);
    if seen.systemd && is_there(&unit)? {
        return place(unit, on_v1);
    }
    if seen.root && !seen.systemd {
        return top_level(&mount, on_v1);
    }
    let own = own_path(&seen.own).ok_or("/proc/self/cgroup has no line for cgroup2 that leads anywhere here")?;
    // A join with nothing would leave a slash at the end.
    let own = match own.strip_prefix("/") {
        Ok(below) if below != Path::new("") => mount.join(below),
        Ok(_) | Err(_) => mount,
    };
    if let Some(unit) = delegated(&own) {
        return of_unit(unit, on_v1);
    }
    match place(own, on_v1)? {
        // The supervisor is in it, and a cgroup with processes gives its children no controllers.
        Cgroup::At { path, on_v1, .. } => Ok(Cgroup::At { path, controllers: BTreeSet::new(), on_v1 }),
        unavailable @ Cgroup::Unavailable(_) => Ok(unavailable),
    }
}

/// The directory that was delegated to the unit in whose directory this process is, or in its leaf below that.
fn delegated(own: &Path) -> Option<PathBuf> {
    let is_marked = |path: &Path| {
        DELEGATED.iter().any(|name| {
            let mut value = [0; 2];
            rustix::fs::getxattr(path, *name, &mut value[..]).is_ok_and(|length| value[..length] == *b"1")
        })
    };
    let above = own.parent().filter(|_| own.file_name().is_some_and(|name| name == SUPERVISOR));
    [Some(own), above].into_iter().flatten().find(|path| is_marked(path)).map(Path::to_path_buf)
}

/// A delegated directory. Where this process is the only one in it, it goes into a leaf before anything is made there.
fn of_unit(unit: PathBuf, on_v1: BTreeSet<Controller>) -> Result<Cgroup, Why> {
    let alone = read(&unit.join("cgroup.procs"))?.trim() == std::process::id().to_string();
    let listed = listed(&unit, "cgroup.controllers")?;
    match place(unit, on_v1)? {
        Cgroup::At { path, on_v1, .. } if alone => Ok(Cgroup::At { path, controllers: listed, on_v1 }),
        other @ (Cgroup::At { .. } | Cgroup::Unavailable(_)) => Ok(other),
    }
}

/// A directory of our own below the root. The host's root may have processes and still give its children controllers;
/// what a container sees as the root may not.
fn top_level(mount: &Path, on_v1: BTreeSet<Controller>) -> Result<Cgroup, Why> {
    let path = mount.join(OWN);
    if is_there(&path)? {
        writable(&path)?;
    } else {
        writable(mount)?;
    }
    let host = !is_there(&mount.join("cgroup.type"))?;
    let controllers = if host { listed(mount, "cgroup.controllers")? } else { free_controllers(mount)? };
    Ok(Cgroup::At { path, controllers, on_v1 })
}

/// A directory that is there already.
fn place(path: PathBuf, on_v1: BTreeSet<Controller>) -> Result<Cgroup, Why> {
    let kind = path.join("cgroup.type");
    // The root has no type.
    if is_there(&kind)? && read(&kind)?.trim() != "domain" {
        return Err(Why::None(format!("{} is no domain cgroup", path.display())));
    }
    writable(&path)?;
    // To put a process into a cgroup below, the kernel asks for the right to write here: see cgroups(7), delegation.
    writable(&path.join("cgroup.procs"))?;
    let controllers = free_controllers(&path)?;
    Ok(Cgroup::At { path, controllers, on_v1 })
}

/// A cgroup with processes in it can enable no controller for those below, see cgroups(7).
fn free_controllers(path: &Path) -> Result<BTreeSet<Controller>, Why> {
    let occupied = read(&path.join("cgroup.procs"))?.lines().next().is_some();
    if occupied { Ok(BTreeSet::new()) } else { listed(path, "cgroup.controllers") }
}

fn writable(path: &Path) -> Result<(), Why> {
    rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS)
        .map_err(|error| refused(&format!("{} cannot be written", path.display()), &error.into()))
}

fn is_there(path: &Path) -> Result<bool, Why> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(false),
        Err(error) => Err(refused(&format!("cannot look at {}", path.display()), &error)),
    }
}

/// A place that cannot be had now would be had the next time: taken for none, it would leave the sessions without.
fn refused(what: &str, error: &io::Error) -> Why {
    let errno = error.raw_os_error().map(Errno::from_raw);
    match errno.filter(|errno| is_passing(*errno)) {
        Some(errno) => Why::Unknown(HostError {
            doing: "look for a place for cgroups".into(),
            why: format!("{what}: {}", errno_text(errno)),
        }),
        None => Why::None(format!("{what}: {}", why(error))),
    }
}

fn listed(directory: &Path, file: &str) -> Result<BTreeSet<Controller>, Why> {
    let text = read(&directory.join(file))?;
    let names: BTreeSet<&str> = text.split_whitespace().collect();
    Ok(CONTROLLERS.into_iter().filter(|controller| names.contains(controller.name())).collect())
}

fn read(path: &Path) -> Result<String, Why> {
    fs::read_to_string(path).map_err(|error| refused(&format!("cannot read {}", path.display()), &error))
}

/// Without the number that std adds.
fn why(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| errno_text(Errno::from_raw(errno)))
}

/// The mount of the whole cgroup2 tree. systemd binds single files of it elsewhere, as further cgroup2 mounts whose
/// root is not "/": see proc_pid_mountinfo(5) for the fields.
pub(super) fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let whole = root == "/" && file_system.split(' ').next() == Some("cgroup2");
        whole.then(|| PathBuf::from(std::ffi::OsString::from_vec(unescape(point))))
    })
}

/// Blank, tab, newline and backslash stand as three octal digits.
pub(super) fn unescape(field: &str) -> Vec<u8> {
    let mut parts = field.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[3..]);
            }
            None => bytes.extend([b"\\", part.as_bytes()].concat()),
        }
    }
    bytes
}

/// The path in the `0::` line of /proc/self/cgroup. One that starts with `..` is outside this cgroup namespace.
pub(super) fn own_path(own: &str) -> Option<PathBuf> {
    let path = Path::new(own.lines().find_map(|line| line.strip_prefix("0::"))?);
    let inside = path.components().all(|component| component != std::path::Component::ParentDir);
    (path.is_absolute() && inside).then(|| path.to_path_buf())
}

/// Controllers on a version 1 hierarchy: the lines of /proc/self/cgroup with another number than 0.
pub(super) fn on_v1(own: &str) -> BTreeSet<Controller> {
    let names = own.lines().filter_map(|line| line.split(':').nth(1)).flat_map(|names| names.split(','));
    let names: BTreeSet<&str> = names.collect();
    CONTROLLERS.into_iter().filter(|controller| names.contains(controller.name())).collect()
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
