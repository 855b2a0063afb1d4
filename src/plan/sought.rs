// SPDX-License-Identifier: Apache-2.0
//! What a sandbox makes of what a command looks up and reaches by calls that it may make: how that ends for it, and
//! what would allow it. By the plan alone: what the host has is for those who ask to know.

use super::Plan;
use super::calls::{self, Aim, Grant, Using, Value};
use super::model::{Access, Device, Landlock, NetworkMode, PROC, Proc, Root, SCRATCH};
use super::place::{Place, in_root, place};
use crate::host::errno_text;
use crate::host::paths::anyones;
use nix::errno::Errno;
use nix::libc;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What the command sees of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The call fails so.
    Fails(i32),
    /// The process is killed.
    Killed,
    /// Nobody answers: there is no way to the peer.
    Unreachable,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Fails(errno) => f.write_str(&errno_text(Errno::from_raw(*errno))),
            End::Killed => f.write_str("its process is killed"),
            End::Unreachable => f.write_str("there is no way to it"),
        }
    }
}

/// What a sandbox shows, so that a reaper can leave out what is not denied. It looks things up, and makes nothing.
#[derive(Debug)]
pub struct Shown {
    /// Parents before children; `None` where that is the host's own tree.
    trees: Option<Vec<(PathBuf, Access)>>,
}

impl Shown {
    /// Of this plan.
    pub fn new(plan: &Plan) -> Shown {
        // In a chroot directory or an image the same names are other files.
        let (Root::Empty { binds, links, devices }, None) = (&plan.root, plan.elsewhere()) else {
            return Shown { trees: None };
        };
        let own = binds.iter().map(|bind| (bind.path.clone(), bind.access));
        let links = links.keys().map(|link| (link.clone(), Access::Execute));
        let scratch = plan.scratch.iter().map(|scratch| (scratch.path.clone(), Access::Write));
        let devices = devices.iter().map(|device| (Path::new("/dev").join(device.name()), Access::Write));
        let proc = (plan.proc != Proc::None).then(|| (PathBuf::from("/proc"), Access::Write));
        let private = [SCRATCH, PROC].map(|path| (PathBuf::from(path), Access::Write));
        Shown { trees: Some(own.chain(links).chain(scratch).chain(devices).chain(proc).chain(private).collect()) }
    }

    /// Whether a path certainly lies where it may be used so. One that climbs or begins in another directory is not
    /// followed here.
    pub fn holds(&self, path: &Path, using: Using) -> bool {
        let Some(trees) = &self.trees else { return true };
        if path.components().any(|part| part == Component::ParentDir) {
            return false;
        }
        let tree = trees.iter().rev().find(|(tree, _)| path.starts_with(tree));
        tree.is_some_and(|(_, access)| match using {
            Using::Look | Using::Enter | Using::Read => true,
            Using::Write | Using::Change | Using::Connect => *access == Access::Write,
            Using::Execute | Using::Map => *access == Access::Execute,
        })
    }
}

impl Shown {
    /// The outermost part of a path that leads to nothing that is shown: with it all that lies below is hidden.
    pub fn hidden<'a>(&self, path: &'a Path) -> &'a Path {
        let leads = |part: &Path| self.trees.iter().flatten().any(|(tree, _)| tree.starts_with(part));
        path.ancestors().take_while(|part| !leads(part)).last().unwrap_or(path)
    }
}

/// How it ends to use an absolute path so, where the plan alone says so, and what would allow it. A file that the host
/// has not either is not told from one that is hidden.
pub fn path(plan: &Plan, written: &Path, using: Using) -> Option<(End, Result<Vec<Grant>, String>)> {
    if plan.elsewhere().is_some() || !written.is_absolute() {
        return None;
    }
    let written = climbed(written);
    // A name is made or removed in its directory.
    let subject = if using == Using::Change { written.parent().unwrap_or(&written) } else { &written };
    let place = place(plan, subject, &|_| None);
    let errno = refusal(plan, &place, using, &|_| true)?;
    Some((End::Fails(errno), shown(&place, subject, using)))
}

/// What would let a path be used so, which is told as the kernel has it: absolute, and without links.
pub fn opening(plan: &Plan, subject: &Path, using: Using) -> Result<Vec<Grant>, String> {
    shown(&place(plan, subject, &|_| None), subject, using)
}

fn shown(place: &Place<'_>, subject: &Path, using: Using) -> Result<Vec<Grant>, String> {
    match subject.strip_prefix("/proc") {
        Ok(rest) => Ok(vec![Grant::only("files.proc", if calls::is_of_process(rest) { "subset" } else { "full" })]),
        Err(_) => remedy(place, subject, None, using),
    }
}

/// Where a path ends that climbs, as if no part of it were a link.
fn climbed(path: &Path) -> PathBuf {
    let mut end = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(end.pop()),
            part => end.push(part),
        }
    }
    end
}

/// The errno that a command meets there, if any.
pub fn refusal(plan: &Plan, place: &Place<'_>, using: Using, inside: &dyn Fn(&Path) -> bool) -> Option<i32> {
    // Files below this cannot be executed: the mount says so.
    let not_executed = if using == Using::Map { libc::EPERM } else { libc::EACCES };
    match (place, using) {
        (Place::Host | Place::Device | Place::Proc, _) => None,
        (Place::Nowhere, _) => Some(libc::ENOENT),
        (Place::Above, Using::Change) => Some(libc::EROFS),
        (Place::Above, _) => None,
        (Place::Shown(_), Using::Look | Using::Enter | Using::Read) => None,
        (Place::Shown(bind), Using::Write | Using::Change) => (bind.access != Access::Write).then_some(libc::EROFS),
        (Place::Shown(bind), Using::Execute | Using::Map) => (bind.access != Access::Execute).then_some(not_executed),
        (Place::Shown(bind), Using::Connect) => {
            let held = plan.landlock.as_ref().is_some_and(Landlock::holds_paths);
            (held && bind.access != Access::Write).then_some(libc::EACCES)
        }
        (Place::Scratch(scratch, below), using) => {
            let there = || below.as_os_str().is_empty() || inside(&in_root(plan, scratch, below));
            match using {
                Using::Write | Using::Change => None,
                Using::Look | Using::Enter | Using::Read | Using::Connect => (!there()).then_some(libc::ENOENT),
                Using::Execute | Using::Map if !there() => Some(libc::ENOENT),
                Using::Execute | Using::Map => (!scratch.execute).then_some(not_executed),
            }
        }
    }
}

/// What would allow it.
pub fn remedy(place: &Place<'_>, subject: &Path, real: Option<&Path>, using: Using) -> Result<Vec<Grant>, String> {
    if let Place::Scratch(scratch, _) = place {
        let path = scratch.path.display();
        return Err(match using {
            Using::Execute | Using::Map => format!("to allow it, say execute = true of {path} in files.scratch"),
            Using::Look | Using::Enter | Using::Read | Using::Write | Using::Change | Using::Connect => {
                format!("{path} is private, and the host's is not seen: give it a place of its own in files.read")
            }
        });
    }
    if let Some(device) = Device::ALL.into_iter().find(|one| subject == Path::new("/dev").join(one.name())) {
        return Ok(vec![Grant::text("files.devices", device.name())]);
    }
    if let Some(place) = anyones(subject) {
        return match using {
            Using::Write | Using::Change => {
                let path = place.display().to_string();
                let value = Value::Scratch { path, size: 16 << 20, inodes: 1024, execute: false };
                Ok(vec![Grant { key: "files.scratch", value }])
            }
            Using::Look | Using::Enter | Using::Read | Using::Execute | Using::Map | Using::Connect => {
                Err(format!("what others leave in {} is not to be shown: give it a place of its own", place.display()))
            }
        };
    }
    if subject.starts_with("/dev") {
        return Err("no policy shows this device".into());
    }
    // What climbs is named by where it ends.
    let climbs = subject.components().any(|part| part == Component::ParentDir);
    let subject = match real {
        Some(real) if climbs && using == Using::Change => real.parent().unwrap_or(real),
        Some(real) if climbs => real,
        Some(_) | None => subject,
    };
    if subject == Path::new("/") {
        return Err("nobody writes to the root directory: give it a directory of its own in files.write".into());
    }
    let key = match using {
        Using::Look | Using::Enter | Using::Read => "files.read",
        Using::Execute | Using::Map => "files.execute",
        Using::Write | Using::Change | Using::Connect => "files.write",
    };
    match subject.to_str() {
        Some(subject) => Ok(vec![Grant::text(key, subject)]),
        None => Err("no policy can name it: it is not UTF-8".into()),
    }
}

/// How it ends to ask for an address, where that is not as the host would answer, and what would allow it.
pub fn address(plan: &Plan, aim: Aim) -> Option<(End, Vec<Grant>)> {
    let Aim { stream, bind, address } = aim;
    let port = address.port();
    let landlock = plan.landlock.as_ref();
    let lacks = |ports: Option<&BTreeSet<u16>>| ports.is_some_and(|ports| !ports.contains(&port));
    let held = landlock.is_some_and(|landlock| match (stream, bind) {
        (true, true) => lacks(landlock.bind.as_ref()),
        (true, false) => lacks(landlock.connect.as_ref()),
        (false, false) => lacks(landlock.udp.as_ref()),
        (false, true) => false,
    });
    let end = match plan.network {
        NetworkMode::Host if held => End::Fails(libc::EACCES),
        NetworkMode::Host => return None,
        // In a network of its own it waits for its own processes.
        NetworkMode::None | NetworkMode::Loopback if bind => return None,
        NetworkMode::None | NetworkMode::Loopback => End::Unreachable,
    };
    let remedy = calls::ways(plan, aim);
    (!remedy.is_empty()).then_some((end, remedy))
}
