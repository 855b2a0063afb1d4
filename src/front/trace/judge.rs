// SPDX-License-Identifier: Apache-2.0
//! What a sandbox makes of a call: from what was seen of it and the plan to denials, each with what would allow it.
//! What the host has not either, or does not let this user use, is no denial.

use super::denial::{Denial, What};
use crate::front::check::{interpreters, loader};
use crate::observe::{About, Answer, Event, Found, Using};
use crate::plan::calls::{self, Aim, Grant};
use crate::plan::model::{self, Plan, Proc};
use crate::plan::place::{self, Place};
use crate::plan::sought::{self, End};
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
    let Some(name) = calls::family(family as libc::c_int) else { return Some(format!("family={}", family as i32)) };
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
    // In a chroot directory or an image the same names are other files.
    if plan.elsewhere().is_some() {
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
    let place = place(plan, subject);
    if let Some(errno) = sought::refusal(plan, &place, using, inside) {
        return denied(errno, sought::remedy(&place, subject, real, using));
    }
    match using {
        Using::Execute => real.map(|real| hidden(plan, call, written, real)).unwrap_or_default(),
        Using::Look | Using::Enter | Using::Read | Using::Write => Vec::new(),
        Using::Change | Using::Map | Using::Connect => Vec::new(),
    }
}

/// A path as its command knows it: not by where its scratch file system is mounted.
fn shown_as(plan: &Plan, written: &Path) -> PathBuf {
    match place(plan, written) {
        Place::Scratch(scratch, below) => scratch.path.join(below),
        Place::Host | Place::Device | Place::Proc | Place::Nowhere | Place::Above | Place::Shown(_) => {
            written.to_path_buf()
        }
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
        let place = place(plan, next);
        let errno = sought::refusal(plan, &place, Using::Execute, &|_| true)?;
        let what = What::Path { call: call.to_string(), path: written.to_path_buf() };
        let remedy = sought::remedy(&place, next, Some(real), Using::Execute);
        Some(Denial { what, end: End::Fails(errno), remedy, made: false })
    });
    denial.into_iter().collect()
}

fn internet(plan: &Plan, call: &str, aim: Aim) -> Option<Denial> {
    let (end, remedy) = sought::address(plan, aim)?;
    let address =
        format!("address={} port={}{}", aim.address.ip(), aim.address.port(), if aim.stream { "" } else { " udp" });
    let what = What::Address { call: call.to_string(), address };
    Some(Denial { what, end, remedy: Ok(remedy), made: false })
}

/// Where a path leads by this host's links.
pub(super) fn place<'a>(plan: &'a Plan, path: &Path) -> Place<'a> {
    place::place(plan, path, &|path| std::fs::read_link(path).ok())
}
