// SPDX-License-Identifier: Apache-2.0
//! Opens a policy file that no one but root and the caller could have written, and finds a directory of which the same
//! is true.
//! Follows every symbolic link itself, component by component, and looks at each directory on the way; never asks
//! the kernel for a path a second time, so what was looked at is what is read.

use super::diagnose::Mistake;
use crate::host::paths::MOST_LINKS;
use rustix::fs::{FileType, Mode, OFlags, Stat, StatVfsMountFlags};
use rustix::fs::{fstat, fstatvfs, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Why a file is not opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The file, directory or link that is at fault.
    pub(super) path: PathBuf,
    /// What is wrong with it.
    pub(super) reason: Reason,
    /// It is the text of a symbolic link that leads there, not the path that was asked for.
    pub(super) linked: bool,
}

/// What is wrong with a file or a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is not there.
    Missing,
    /// The kernel refused.
    Refused(Errno),
    /// It belongs to this user, neither root nor the caller.
    Owner(u32),
    /// Its group or others may write to it.
    Writable,
    /// It is a directory in which its group or others may make and replace names.
    WritableDirectory,
    /// Something else stands where a directory must be.
    NotADirectory,
    /// It is no regular file.
    NotAFile,
    /// Links that lead on without end.
    Links,
    /// It was replaced between two looks.
    Replaced,
}

/// What a component of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A regular file.
    File,
    /// A device, a pipe, a socket.
    Other,
}

/// What a component of a path looks like.
#[derive(Debug, Clone, Copy)]
struct Look {
    sort: Sort,
    owner: u32,
    mode: u32,
    read_only: bool,
}

/// A component that is still to be entered.
struct Name {
    text: OsString,
    /// It comes from a symbolic link.
    linked: bool,
}

/// The directories from the root to where the walk stands, each open.
struct Walk {
    stack: Vec<(OwnedFd, PathBuf)>,
    ahead: VecDeque<Name>,
    links: usize,
    caller: u32,
}

/// Opens the regular file at `path`, which is absolute, on behalf of the user `caller`.
pub(super) fn open(path: &Path, caller: u32) -> Result<File, Fault> {
    let mut walk = Walk::start(path, caller)?;
    while let Some(name) = walk.ahead.pop_front() {
        if let Some(file) = walk.enter(&name)? {
            return Ok(file);
        }
    }
    Err(fault(walk.here(), Reason::NotAFile))
}

/// The directory at `path`, which is absolute, without links: nobody but root and the user `caller` can have put it
/// there, or can put another in its place.
pub(super) fn directory(path: &Path, caller: u32) -> Result<PathBuf, Fault> {
    let mut walk = Walk::start(path, caller)?;
    while let Some(name) = walk.ahead.pop_front() {
        if walk.enter(&name)?.is_some() {
            return Err(fault(&walk.here().join(&name.text), Reason::NotADirectory));
        }
    }
    Ok(walk.here().to_path_buf())
}

impl Walk {
    fn start(path: &Path, caller: u32) -> Result<Self, Fault> {
        let mut walk = Walk { stack: Vec::new(), ahead: VecDeque::new(), links: 0, caller };
        let root = PathBuf::from("/");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&root, flags, Mode::empty());
        let fd = opened.map_err(|errno| fault(&root, Reason::Refused(errno)))?;
        walk.look(&fd, &root)?;
        walk.stack.push((fd, root));
        walk.queue(path, false);
        Ok(walk)
    }

    /// Takes one component; the file, if that is where the path ends.
    fn enter(&mut self, Name { text: name, linked }: &Name) -> Result<Option<File>, Fault> {
        if name == ".." {
            // The root is its own parent. Directories on the stack were looked at when they were entered.
            if self.stack.len() > 1 {
                self.stack.pop();
            }
            return Ok(None);
        }
        let path = self.here().join(name);
        let fd = self.open_here(name, OFlags::PATH).map_err(|fault| Fault { linked: *linked, ..fault })?;
        let (stat, look) = self.look(&fd, &path)?;
        match look.sort {
            Sort::Link => self.follow(&fd, &path).map(|()| None),
            Sort::Directory => {
                self.stack.push((fd, path));
                Ok(None)
            }
            Sort::File | Sort::Other if !self.ahead.is_empty() => Err(fault(&path, Reason::NotADirectory)),
            Sort::Other => Err(fault(&path, Reason::NotAFile)),
            Sort::File => self.read_from(name, &path, &stat).map(Some),
        }
    }

    fn follow(&mut self, link: &OwnedFd, path: &Path) -> Result<(), Fault> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(fault(path, Reason::Links));
        }
        // An empty name reads the link that the descriptor stands for, see readlinkat(2).
        let text = readlinkat(link, c"", Vec::new()).map_err(|errno| fault(path, Reason::Refused(errno)))?;
        let target = PathBuf::from(OsString::from_vec(text.into_bytes()));
        if target.is_absolute() {
            self.stack.truncate(1);
        }
        self.queue(&target, true);
        Ok(())
    }

    /// Opens the file for reading and makes sure that it is the one that was looked at.
    fn read_from(&self, name: &OsStr, path: &Path, seen: &Stat) -> Result<File, Fault> {
        // Without NONBLOCK, a pipe that has just taken the file's place would hold us.
        let fd = self.open_here(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let (stat, _) = self.look(&fd, path)?;
        match (stat.st_dev, stat.st_ino) == (seen.st_dev, seen.st_ino) {
            true => Ok(File::from(fd)),
            false => Err(fault(path, Reason::Replaced)),
        }
    }

    fn open_here(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Fault> {
        let directory = &self.stack[self.stack.len() - 1].0;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(directory, name, flags, Mode::empty()).map_err(|errno| {
            let reason = if errno == Errno::NOENT { Reason::Missing } else { Reason::Refused(errno) };
            fault(&self.here().join(name), reason)
        })
    }

    fn look(&self, fd: &OwnedFd, path: &Path) -> Result<(Stat, Look), Fault> {
        let refused = |errno| fault(path, Reason::Refused(errno));
        let stat = fstat(fd).map_err(refused)?;
        let mount = fstatvfs(fd).map_err(refused)?;
        let sort = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Sort::Directory,
            FileType::Symlink => Sort::Link,
            FileType::RegularFile => Sort::File,
            _ => Sort::Other,
        };
        let read_only = mount.f_flag.contains(StatVfsMountFlags::RDONLY);
        let look = Look { sort, owner: stat.st_uid, mode: stat.st_mode, read_only };
        judge(look, self.caller).map_err(|reason| fault(path, reason))?;
        Ok((stat, look))
    }

    fn queue(&mut self, path: &Path, linked: bool) {
        for component in path.components().rev() {
            match component {
                Component::Normal(_) | Component::ParentDir => {
                    self.ahead.push_front(Name { text: component.as_os_str().to_owned(), linked });
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn here(&self) -> &Path {
        self.stack.last().map_or(Path::new("/"), |(_, path)| path)
    }
}

fn fault(path: &Path, reason: Reason) -> Fault {
    Fault { path: path.to_owned(), reason, linked: false }
}

/// Whether someone other than root and the caller could have put this here, or can change it.
fn judge(look: Look, caller: u32) -> Result<(), Reason> {
    if look.owner != 0 && look.owner != caller {
        return Err(Reason::Owner(look.owner));
    }
    // What is mounted read-only is written by no one from here; what can be written elsewhere is that place's matter.
    // A link has no permissions of its own: its directory's count. An ACL shows in the group's bits, see acl(5), and
    // a group of the caller's own is still a group that others can be added to.
    if look.mode & 0o022 == 0 || look.read_only || look.sort == Sort::Link {
        return Ok(());
    }
    // A sticky directory such as /tmp is no exception: others cannot remove what is there, but they can be there first.
    match look.sort {
        Sort::Directory => Err(Reason::WritableDirectory),
        Sort::Link | Sort::File | Sort::Other => Err(Reason::Writable),
    }
}

impl Fault {
    /// Says it to the operator, who asked for `wanted`.
    pub(super) fn mistake(&self, wanted: &Path) -> Mistake {
        let path = self.path.display();
        let (why, help) = match &self.reason {
            Reason::Missing => ("does not exist".to_owned(), None),
            Reason::Refused(errno) => (format!("cannot be opened: {}", std::io::Error::from(*errno)), None),
            Reason::Owner(uid) => {
                let why = format!("belongs to user {uid}, who could change the policy");
                (why, Some(format!("`chown root {path}`, or keep the policy in a directory of root's")))
            }
            Reason::Writable => {
                ("can be written by others than its owner".to_owned(), Some(format!("`chmod go-w {path}`")))
            }
            Reason::WritableDirectory => {
                let why = "is a directory that others than its owner can write".to_owned();
                // What all may write to is so for a reason.
                let help = match crate::host::paths::anyones(&self.path) == Some(&self.path) {
                    true => "move the policy to another directory, such as your own".to_owned(),
                    false => format!("move the policy to another directory, or `chmod go-w {path}`"),
                };
                (why, Some(help))
            }
            Reason::NotADirectory => ("is not a directory".to_owned(), None),
            Reason::NotAFile => ("is not a regular file".to_owned(), None),
            Reason::Links => (format!("is one of more than {MOST_LINKS} symbolic links"), None),
            Reason::Replaced => ("was replaced while it was opened".to_owned(), Some("try again".to_owned())),
        };
        let what = match wanted == self.path {
            true => "it".to_owned(),
            false => path.to_string(),
        };
        let mistake = Mistake::new(format!("cannot use the policy file {}: {what} {why}", wanted.display()));
        help.into_iter().fold(mistake, Mistake::help)
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
