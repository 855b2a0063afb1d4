// SPDX-License-Identifier: Apache-2.0
//! From what was seen to what a policy would have to say, before it is known what others say already.
//! Looks at links and at programs' interpreters; at nothing else of the host.

use super::collapse::is_roof;
use super::journal::{Journal, Seen};
use crate::front::check::interpreters;
use crate::host::paths::anyones;
use crate::observe::{About, Found, Using};
use crate::plan::model::{Access, Device, Peer, Protocol};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A file that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Without links.
    pub(super) real: PathBuf,
    pub(super) access: Access,
    pub(super) seen: Seen,
    /// It was not always there.
    pub(super) optional: bool,
}

/// What would have to be granted.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// By the path as written.
    pub(super) files: BTreeMap<PathBuf, File>,
    /// Directories to be in.
    pub(super) directories: BTreeMap<PathBuf, Seen>,
    pub(super) devices: BTreeMap<Device, Seen>,
    pub(super) scratch: BTreeMap<PathBuf, Seen>,
    /// Something of its own processes.
    pub(super) proc: Option<Seen>,
    /// Whom it reached in the network.
    pub(super) peers: BTreeMap<Peer, Seen>,
    /// Ports to be bound over TCP.
    pub(super) bind: BTreeMap<u16, Seen>,
    /// A UNIX socket that is used.
    pub(super) unix: bool,
    /// What is not granted, and why.
    pub(super) notes: Vec<String>,
}

impl Needs {
    /// Of everything that was seen.
    pub(super) fn of(journal: &Journal) -> Needs {
        let mut needs = Needs::default();
        for (about, seen) in &journal.about {
            match about {
                About::Path { written, using, found } => needs.path(written, *using, found, seen, journal),
                About::Internet { stream, bind, address } => needs.internet(*stream, *bind, *address, seen),
                About::Abstract { bind, name } => {
                    let what = if *bind { "waits at" } else { "connects to" };
                    let name = name.escape_ascii();
                    needs.note(format!(
                        "{} {what} the abstract socket @{name}, which only its own processes have",
                        seen.program
                    ));
                }
                About::Foreign => {
                    needs.note(format!("{} makes calls of 32 bits or x32: no policy allows them", seen.program));
                }
                About::Unread => {
                    let why = seen.why();
                    needs.note(format!("{why}: what it was about could not be read"));
                }
            }
        }
        if journal.left_out > 0 {
            needs.note(format!("{} uses more were too many to be kept", journal.left_out));
        }
        needs
    }

    fn note(&mut self, line: String) {
        if !self.notes.contains(&line) {
            self.notes.push(line);
        }
    }

    fn path(&mut self, written: &Path, using: Using, found: &Found, seen: &Seen, journal: &Journal) {
        match found {
            // Missing for the command's user is missing in a sandbox, too.
            Found::Missing if using == Using::Change => self.change(written, seen),
            Found::Missing | Found::Refused => {}
            Found::Proc { process, real } => {
                self.proc(written, *process, seen);
                if let (Some(real), Using::Read | Using::Execute | Using::Map) = (real, using) {
                    let access = if using == Using::Read { Access::Read } else { Access::Execute };
                    self.file(real, real, access, seen, journal);
                }
            }
            Found::File { .. } if using == Using::Change => self.change(written, seen),
            Found::File { real } | Found::Directory { real } if real.starts_with("/sys") => {
                // Of this machine and of this boot, down to the names of control groups.
                if using != Using::Look {
                    self.note(format!("{} asks {}, which most programs do without", seen.program, real.display()));
                }
            }
            Found::Directory { real } => self.directory(written, real, using, seen, journal),
            Found::File { real } => {
                if let Some(device) = Device::ALL.into_iter().find(|one| real == &Path::new("/dev").join(one.name())) {
                    add(&mut self.devices, device, seen);
                    return;
                }
                if real.starts_with("/dev") && anyones(real).is_none() && using != Using::Connect {
                    let (program, device) = (&seen.program, real.display());
                    return self.note(format!("{program} uses {device}, a device that no policy shows"));
                }
                self.unix |= using == Using::Connect;
                let access = match using {
                    Using::Look | Using::Read | Using::Enter => Access::Read,
                    Using::Write | Using::Connect | Using::Change => Access::Write,
                    Using::Execute | Using::Map => Access::Execute,
                };
                self.file(written, real, access, seen, journal);
                if using == Using::Execute {
                    self.interpreters(real, seen, journal);
                }
            }
        }
    }

    /// The kernel opens these itself.
    fn interpreters(&mut self, program: &Path, seen: &Seen, journal: &Journal) {
        for (written, real) in interpreters(program) {
            self.file(&written, &real, Access::Execute, seen, journal);
        }
    }

    fn file(&mut self, written: &Path, real: &Path, access: Access, seen: &Seen, journal: &Journal) {
        let climbs = written.components().any(|part| part == std::path::Component::ParentDir);
        let key = if climbs { real } else { written };
        // Made by itself, in a directory that it may write to.
        if journal.made.contains(written) || anyones(real).is_some_and(|_| journal.made.contains(real)) {
            return;
        }
        let optional = journal.missing.contains(written);
        let new = File { real: real.to_path_buf(), access, seen: seen.clone(), optional };
        match self.files.get_mut(key) {
            None => drop(self.files.insert(key.to_path_buf(), new)),
            Some(known) => {
                let both = [known.access, access];
                if both.contains(&Access::Write) && both.contains(&Access::Execute) {
                    let path = key.display();
                    self.notes.push(format!("{path} is written to and executed: a policy grants one of both"));
                    return;
                }
                // What is done last of what asks for most is the reason: a file is looked at before it is read.
                let (first, second) =
                    if access >= known.access { (&new.seen, &known.seen) } else { (&known.seen, &new.seen) };
                known.seen = first.clone().and(second);
                known.access = known.access.max(access);
            }
        }
    }

    /// A name is made or removed.
    fn change(&mut self, written: &Path, seen: &Seen) {
        let Some(parent) = written.parent() else { return };
        let Ok(real) = std::fs::canonicalize(parent) else { return };
        if let Some(place) = anyones(&real) {
            return add(&mut self.scratch, place.to_path_buf(), seen);
        }
        if is_roof(&real) {
            return self.note(format!(
                "{} makes names in {}, which is never granted whole",
                seen.program,
                real.display()
            ));
        }
        let new = File { real, access: Access::Write, seen: seen.clone(), optional: false };
        match self.files.get_mut(parent) {
            None => drop(self.files.insert(parent.to_path_buf(), new)),
            Some(known) => {
                known.seen = new.seen.and(&known.seen);
                known.access = Access::Write;
            }
        }
    }

    fn directory(&mut self, written: &Path, real: &Path, using: Using, seen: &Seen, journal: &Journal) {
        match using {
            // Every directory above what is granted is there.
            Using::Look | Using::Write | Using::Connect | Using::Execute | Using::Map => {}
            Using::Enter if real == Path::new("/") || anyones(real).is_some() => {}
            Using::Enter if is_roof(real) => {
                self.note(format!("{} enters {}, which is never granted whole", seen.program, real.display()));
            }
            Using::Enter => add(&mut self.directories, real.to_path_buf(), seen),
            Using::Change => self.change(written, seen),
            Using::Read if real == Path::new("/") || anyones(real).is_some() => {}
            Using::Read if is_roof(real) => {
                self.note(format!("{} lists {}, which is never granted whole", seen.program, real.display()));
            }
            Using::Read => self.file(written, real, Access::Read, seen, journal),
        }
    }

    fn proc(&mut self, written: &Path, process: bool, seen: &Seen) {
        match (process, &mut self.proc) {
            (true, Some(known)) => known.times += seen.times,
            (true, None) => self.proc = Some(seen.clone()),
            // Most programs do without.
            (false, _) => {
                self.note(format!("{} asks {}; files.proc = \"full\" would show it", seen.program, written.display()))
            }
        }
    }

    fn internet(&mut self, stream: bool, bind: bool, address: SocketAddr, seen: &Seen) {
        match (stream, bind) {
            (true, true) => add(&mut self.bind, address.port(), seen),
            (true, false) => add(&mut self.peers, Peer { protocol: Protocol::Tcp, address }, seen),
            // glibc connects a datagram socket to port 0 to learn its own address (RFC 3484), and sends nothing.
            (false, false) if address.port() != 0 => {
                add(&mut self.peers, Peer { protocol: Protocol::Udp, address }, seen)
            }
            // Landlock knows no right to bind one.
            (false, _) => {}
        }
    }
}

fn add<K: Ord>(map: &mut BTreeMap<K, Seen>, key: K, seen: &Seen) {
    map.entry(key).and_modify(|known| known.times += seen.times).or_insert_with(|| seen.clone());
}
