// SPDX-License-Identifier: Apache-2.0
//! What a sandbox makes of a call: from what was seen of it and the plan to denials, each with what would allow it.
//! What the host has not either, or does not let this user use, is no denial.

use super::denial::{Denial, End, What};
use super::sight::{self, Place};
use crate::front::check::{interpreters, loader};
use crate::host::paths::anyones;
use crate::observe::{About, Answer, Event, Found, Using};
use crate::plan::calls::{self, Aim, Grant, Value};
use crate::plan::model::{self, Access, Device, NetworkMode, Plan, Proc};
use nix::libc;
use std::path::{Path, PathBuf};
use syscalls::x86_64::Sysno;

/// What becomes of a call that the filter denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is denied.
    Strict,
    /// It is made: whoever traces wants to hear of what comes after it.
    Permissive,
}

/// The answer to a call, and every denial in it. `inside` says whether the sandbox has a path below its root.
pub(super) fn judge(
    plan: &Plan,
    manner: Manner,
    event: &Event,
    inside: &dyn Fn(&Path) -> bool,
) -> (Answer, Vec<Denial>) {
    let name = Sysno::new(event.call as usize).map_or_else(|| event.call.to_string(), |call| call.name().to_string());
    if event.about == [About::Foreign] {
        let what = What::Call { name: event.call.to_string(), about: Some("of another architecture".into()) };
        let remedy = Err("no policy can allow it: it is a call of 32 bits or of x32".into());
        return (Answer::Kill, vec![Denial { what, end: End::Killed, remedy, made: false }]);
    }
    let denial = plan.filter.as_ref().and_then(|filter| calls::denial(filter, event.call, event.arguments));
    let filtered = denial.map(|denial| {
        let (answer, end) = match denial {
            model::Denial::Errno(errno) => (Answer::Refuse(errno), End::Fails(errno)),
            model::Denial::Kill => (Answer::Kill, End::Killed),
        };
        let about = event.about.first().and_then(subject).or_else(|| family(event));
        let remedy = calls::missing(plan, event.call, event.arguments, event.about.iter().find_map(aim));
        let made = manner == Manner::Permissive;
        (answer, Denial { what: What::Call { name: name.clone(), about }, end, remedy, made })
    });
    let mut denials = match filtered {
        Some((answer, denial)) if !denial.made => return (answer, vec![denial]),
        Some((_, denial)) => vec![denial],
        None => Vec::new(),
    };
    denials.extend(event.about.iter().flat_map(|about| match about {
        About::Path { written, using, found } => path(plan, &name, (written, *using, found), inside),
        About::Internet { .. } => aim(about).and_then(|aim| internet(plan, &name, aim)).into_iter().collect(),
        // The kernel or the name space of its network says what becomes of it.
        About::Abstract { .. } | About::Foreign | About::Unread => Vec::new(),
    }));
    (Answer::Resume, denials)
}

/// The peer or the port in it.
fn aim(about: &About) -> Option<Aim> {
    match about {
        About::Internet { stream, bind, address } => Some(Aim { stream: *stream, bind: *bind, address: *address }),
        About::Path { .. } | About::Abstract { .. } | About::Foreign | About::Unread => None,
    }
}

/// What a denied call was about, in the words of the log.
fn subject(about: &About) -> Option<String> {
    match about {
        About::Path { written, .. } => Some(format!("path={}", crate::policy::quote(&written.to_string_lossy()))),
        About::Internet { address, .. } => Some(format!("address={} port={}", address.ip(), address.port())),
        About::Abstract { name, .. } => Some(format!("path=\"@{}\"", name.escape_ascii())),
        About::Foreign | About::Unread => None,
    }
}

/// Which family a socket was to be of.
fn family(event: &Event) -> Option<String> {
    match libc::c_long::from(event.call) {
        libc::SYS_socket | libc::SYS_socketpair => {}
        _ => return None,
    }
    let [family, kind, ..] = event.arguments;
    let name = match family as libc::c_int {
        libc::AF_UNIX => "unix",
        libc::AF_INET => "inet",
        libc::AF_INET6 => "inet6",
        libc::AF_NETLINK => "netlink",
        libc::AF_PACKET => "packet",
        other => return Some(format!("family={other}")),
    };
    let kind = match kind as libc::c_int & 0xf {
        libc::SOCK_STREAM => " type=stream",
        libc::SOCK_DGRAM => " type=datagram",
        libc::SOCK_RAW => " type=raw",
        _ => "",
    };
    Some(format!("family={name}{kind}"))
}

fn path(
    plan: &Plan,
    call: &str,
    (written, using, found): (&Path, Using, &Found),
    inside: &dyn Fn(&Path) -> bool,
) -> Vec<Denial> {
    // In a chroot directory the same names are other files.
    if plan.chroot.is_some() {
        return Vec::new();
    }
    let real = match found {
        Found::File { real } | Found::Directory { real } => Some(real.as_path()),
        Found::Proc { .. } => None,
        // To be made.
        Found::Missing if using == Using::Change => None,
        Found::Missing | Found::Refused => return Vec::new(),
    };
    let denied = |errno: i32, remedy| {
        let what = What::Path { call: call.to_string(), path: shown_as(plan, written) };
        vec![Denial { what, end: End::Fails(errno), remedy, made: false }]
    };
    if let Found::Proc { process, .. } = found {
        let needs = match (plan.proc, process) {
            (Proc::Full, _) | (Proc::Subset, true) => return Vec::new(),
            (Proc::None, true) => "subset",
            (Proc::None | Proc::Subset, false) => "full",
        };
        return denied(libc::ENOENT, Ok(vec![Grant::only("files.proc", needs)]));
    }
    // A name is made or removed in its directory.
    let subject = if using == Using::Change { written.parent().unwrap_or(written) } else { written };
    let place = sight::place(plan, subject);
    if let Some(errno) = refusal(plan, &place, using, inside) {
        return denied(errno, remedy(&place, subject, real, using));
    }
    match (using, real) {
        (Using::Execute, Some(real)) => hidden(plan, call, written, real),
        _ => Vec::new(),
    }
}

/// A path as its command knows it: not by where its scratch file system is mounted.
fn shown_as(plan: &Plan, written: &Path) -> PathBuf {
    match sight::place(plan, written) {
        Place::Scratch(scratch, below) => scratch.path.join(below),
        _ => written.to_path_buf(),
    }
}

/// The errno that a command meets there, if any.
fn refusal(plan: &Plan, place: &Place<'_>, using: Using, inside: &dyn Fn(&Path) -> bool) -> Option<i32> {
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
            let held = plan.landlock.as_ref().is_some_and(model::Landlock::holds_paths);
            (held && bind.access != Access::Write).then_some(libc::EACCES)
        }
        (Place::Scratch(..), Using::Write | Using::Change) => None,
        (Place::Scratch(scratch, below), _) => {
            let there = below.as_os_str().is_empty() || inside(&sight::in_root(plan, scratch, below));
            match using {
                _ if !there => Some(libc::ENOENT),
                Using::Execute | Using::Map if !scratch.execute => Some(not_executed),
                _ => None,
            }
        }
    }
}

/// What would allow it.
fn remedy(place: &Place<'_>, subject: &Path, real: Option<&Path>, using: Using) -> Result<Vec<Grant>, String> {
    if let Place::Scratch(scratch, _) = place {
        let path = scratch.path.display();
        return Err(match using {
            Using::Execute | Using::Map => format!("to allow it, say execute = true of {path} in files.scratch"),
            _ => format!("{path} is private, and the host's is not seen: give it a place of its own in files.read"),
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
            _ => {
                Err(format!("what others leave in {} is not to be shown: give it a place of its own", place.display()))
            }
        };
    }
    if subject.starts_with("/dev") {
        return Err("no policy shows this device".into());
    }
    // What climbs is named by where it ends.
    let climbs = subject.components().any(|part| part == std::path::Component::ParentDir);
    let subject = match (climbs, real) {
        (true, Some(real)) if using == Using::Change => real.parent().unwrap_or(real),
        (true, Some(real)) => real,
        (_, _) => subject,
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

/// The kernel opens a script's interpreter and a program's loader itself, and says of one that is not there that the
/// program is not.
fn hidden(plan: &Plan, call: &str, written: &Path, program: &Path) -> Vec<Denial> {
    let mut opened: Vec<(PathBuf, PathBuf)> = interpreters(program).collect();
    let last = opened.last().map_or(program, |(_, real)| real);
    // The host may have none either.
    let loader = loader(last).and_then(|loader| Some((loader.clone(), std::fs::canonicalize(loader).ok()?)));
    opened.extend(loader);
    let denial = opened.iter().find_map(|(next, real)| {
        let place = sight::place(plan, next);
        let errno = refusal(plan, &place, Using::Execute, &|_| true)?;
        let what = What::Path { call: call.to_string(), path: written.to_path_buf() };
        let remedy = remedy(&place, next, Some(real), Using::Execute);
        Some(Denial { what, end: End::Fails(errno), remedy, made: false })
    });
    denial.into_iter().collect()
}

fn internet(plan: &Plan, call: &str, aim: Aim) -> Option<Denial> {
    let Aim { stream, bind, address } = aim;
    let port = address.port();
    let landlock = plan.landlock.as_ref();
    let lacks = |ports: Option<&std::collections::BTreeSet<u16>>| ports.is_some_and(|ports| !ports.contains(&port));
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
    if remedy.is_empty() {
        return None;
    }
    let address = format!("address={} port={port}{}", address.ip(), if stream { "" } else { " udp" });
    let what = What::Address { call: call.to_string(), address };
    Some(Denial { what, end, remedy: Ok(remedy), made: false })
}
