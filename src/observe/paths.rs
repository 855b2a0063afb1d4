// SPDX-License-Identifier: Apache-2.0
//! Which arguments of a call are paths, what is wanted there, and what is there. Looks as the command's user would,
//! when the call is about to be made; a path that is changed meanwhile is told as it was.

use super::event::{About, Found, Using};
use nix::libc;
use nix::unistd::Pid;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How a path of a call is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As these.
    Using(Using),
    /// The link itself is looked at.
    Link,
    /// By the flags in this argument.
    Open(usize),
    /// By the flags in the structure that this argument points at.
    OpenHow(usize),
    /// The flags in this argument say whether a link is followed, or whether an empty path means the descriptor.
    LookAt(usize),
    /// access(2): by the mode in this argument.
    Access(usize),
}

/// One path of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument {
    /// The argument with the directory that a relative path begins in; `None` for the current one.
    pub(super) directory: Option<usize>,
    /// The argument that points at it.
    pub(super) path: usize,
    pub(super) way: Way,
}

const fn at(directory: usize, path: usize, way: Way) -> Argument {
    Argument { directory: Some(directory), path, way }
}

const fn here(path: usize, way: Way) -> Argument {
    Argument { directory: None, path, way }
}

const LOOK: Way = Way::Using(Using::Look);
const WRITE: Way = Way::Using(Using::Write);
const CHANGE: Way = Way::Using(Using::Change);
const EXECUTE: Way = Way::Using(Using::Execute);

/// Every call with a path.
const TABLE: &[(libc::c_long, &[Argument])] = &[
    (libc::SYS_open, &[here(0, Way::Open(1))]),
    (libc::SYS_openat, &[at(0, 1, Way::Open(2))]),
    (libc::SYS_openat2, &[at(0, 1, Way::OpenHow(2))]),
    (libc::SYS_creat, &[here(0, CHANGE)]),
    (libc::SYS_stat, &[here(0, LOOK)]),
    (libc::SYS_lstat, &[here(0, Way::Link)]),
    (libc::SYS_newfstatat, &[at(0, 1, Way::LookAt(3))]),
    (libc::SYS_statx, &[at(0, 1, Way::LookAt(2))]),
    (libc::SYS_access, &[here(0, Way::Access(1))]),
    (libc::SYS_faccessat, &[at(0, 1, Way::Access(2))]),
    (libc::SYS_faccessat2, &[at(0, 1, Way::Access(2))]),
    (libc::SYS_readlink, &[here(0, Way::Link)]),
    (libc::SYS_readlinkat, &[at(0, 1, Way::Link)]),
    (libc::SYS_statfs, &[here(0, LOOK)]),
    (libc::SYS_getxattr, &[here(0, LOOK)]),
    (libc::SYS_lgetxattr, &[here(0, Way::Link)]),
    (libc::SYS_listxattr, &[here(0, LOOK)]),
    (libc::SYS_llistxattr, &[here(0, Way::Link)]),
    (libc::SYS_inotify_add_watch, &[here(1, LOOK)]),
    (libc::SYS_chdir, &[here(0, Way::Using(Using::Enter))]),
    (libc::SYS_execve, &[here(0, EXECUTE)]),
    (libc::SYS_execveat, &[at(0, 1, EXECUTE)]),
    (libc::SYS_truncate, &[here(0, WRITE)]),
    (libc::SYS_chmod, &[here(0, WRITE)]),
    (libc::SYS_fchmodat, &[at(0, 1, WRITE)]),
    (libc::SYS_fchmodat2, &[at(0, 1, WRITE)]),
    (libc::SYS_chown, &[here(0, WRITE)]),
    (libc::SYS_lchown, &[here(0, WRITE)]),
    (libc::SYS_fchownat, &[at(0, 1, WRITE)]),
    (libc::SYS_utime, &[here(0, WRITE)]),
    (libc::SYS_utimes, &[here(0, WRITE)]),
    (libc::SYS_futimesat, &[at(0, 1, WRITE)]),
    (libc::SYS_utimensat, &[at(0, 1, WRITE)]),
    (libc::SYS_setxattr, &[here(0, WRITE)]),
    (libc::SYS_lsetxattr, &[here(0, WRITE)]),
    (libc::SYS_removexattr, &[here(0, WRITE)]),
    (libc::SYS_lremovexattr, &[here(0, WRITE)]),
    (libc::SYS_mkdir, &[here(0, CHANGE)]),
    (libc::SYS_mkdirat, &[at(0, 1, CHANGE)]),
    (libc::SYS_rmdir, &[here(0, CHANGE)]),
    (libc::SYS_unlink, &[here(0, CHANGE)]),
    (libc::SYS_unlinkat, &[at(0, 1, CHANGE)]),
    (libc::SYS_mknod, &[here(0, CHANGE)]),
    (libc::SYS_mknodat, &[at(0, 1, CHANGE)]),
    (libc::SYS_symlink, &[here(1, CHANGE)]),
    (libc::SYS_symlinkat, &[at(1, 2, CHANGE)]),
    (libc::SYS_rename, &[here(0, CHANGE), here(1, CHANGE)]),
    (libc::SYS_renameat, &[at(0, 1, CHANGE), at(2, 3, CHANGE)]),
    (libc::SYS_renameat2, &[at(0, 1, CHANGE), at(2, 3, CHANGE)]),
    (libc::SYS_link, &[here(0, CHANGE), here(1, CHANGE)]),
    (libc::SYS_linkat, &[at(0, 1, CHANGE), at(2, 3, CHANGE)]),
];

/// Their numbers.
pub(super) fn calls() -> impl Iterator<Item = u32> {
    TABLE.iter().map(|(call, _)| *call as u32)
}

/// The paths of a call.
pub(super) fn arguments(call: u32) -> &'static [Argument] {
    TABLE.iter().find(|(known, _)| *known as u32 == call).map_or(&[], |(_, paths)| paths)
}

/// What open(2) wants with these flags: more than one thing, if it reads and writes.
pub(super) fn opened(flags: i32) -> BTreeSet<Using> {
    let mut all = BTreeSet::new();
    if flags & libc::O_PATH != 0 {
        all.insert(Using::Look);
        return all;
    }
    let mode = flags & libc::O_ACCMODE;
    if mode != libc::O_WRONLY {
        all.insert(Using::Read);
    }
    if mode != libc::O_RDONLY || flags & libc::O_TRUNC != 0 {
        all.insert(Using::Write);
    }
    if flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE {
        all.insert(Using::Change);
    }
    all
}

/// Where a relative path of this thread begins, or what a descriptor is.
pub(super) fn directory(thread: Pid, descriptor: Option<i32>) -> Option<PathBuf> {
    let link = match descriptor {
        None | Some(libc::AT_FDCWD) => format!("/proc/{thread}/cwd"),
        Some(number) => format!("/proc/{thread}/fd/{number}"),
    };
    // Deleted ones are told as `/x (deleted)`, and what is no file has no slash.
    let found = std::fs::read_link(link).ok()?;
    (found.is_absolute() && !found.as_os_str().as_bytes().ends_with(b" (deleted)")).then_some(found)
}

/// What is at a path for who we are now. A call with O_CREAT makes what is missing, so then the directory is meant.
pub(super) fn resolve(thread: Pid, written: &Path, using: Using, follow: bool) -> About {
    let written = tidy(written);
    let about = |found| About::Path { written: written.clone(), using, found };
    if let Some(rest) = in_proc(thread, &written) {
        return about(rest);
    }
    let real = match (using, follow) {
        (Using::Change, _) | (_, false) => parent_of(&written),
        (_, true) => std::fs::canonicalize(&written),
    };
    let real = match real {
        Ok(real) => real,
        Err(error) => return about(missing(&error)),
    };
    // /etc/mtab, /dev/stdin: through /proc/self, which is ours here.
    if let Ok(rest) = real.strip_prefix("/proc") {
        return about(Found::Proc { process: is_of_process(rest), real: None });
    }
    let looked = match follow {
        true => std::fs::metadata(&real),
        false => std::fs::symlink_metadata(&real),
    };
    let directory = match (using, looked) {
        (Using::Change, Ok(found)) => return about(changed(&real, Some(found.is_dir()))),
        (Using::Change, Err(_)) => return about(changed(&real, None)),
        (_, Ok(found)) => found.is_dir(),
        (_, Err(error)) => return about(missing(&error)),
    };
    let wanted = match using {
        Using::Look | Using::Change => Access::EXISTS,
        Using::Read | Using::Map => Access::READ_OK,
        Using::Write | Using::Connect => Access::WRITE_OK,
        Using::Execute | Using::Enter => Access::EXEC_OK,
    };
    // Whoever asks.
    let impossible = directory && matches!(using, Using::Execute | Using::Map | Using::Connect);
    match accessat(CWD, &real, wanted, AtFlags::EACCESS) {
        _ if impossible => about(Found::Refused),
        Ok(()) if directory => about(Found::Directory { real }),
        Ok(()) => about(Found::File { real }),
        // A link that leads nowhere is there all the same.
        Err(rustix::io::Errno::NOENT) if !follow => about(Found::File { real }),
        Err(_) => about(Found::Refused),
    }
}

/// A name that is made or removed: whether its directory lets this user, and what has the name now.
fn changed(real: &Path, there: Option<bool>) -> Found {
    let holder = real.parent().unwrap_or(Path::new("/"));
    match (accessat(CWD, holder, Access::WRITE_OK, AtFlags::EACCESS), there) {
        (Err(_), _) => Found::Refused,
        (Ok(()), Some(true)) => Found::Directory { real: real.to_path_buf() },
        (Ok(()), Some(false)) => Found::File { real: real.to_path_buf() },
        (Ok(()), None) => Found::Missing,
    }
}

fn missing(error: &std::io::Error) -> Found {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Found::Missing,
        Some(_) | None => Found::Refused,
    }
}

/// Without links on the way, but the last name as it is.
fn parent_of(written: &Path) -> std::io::Result<PathBuf> {
    match (written.parent(), written.file_name()) {
        (Some(parent), Some(name)) => Ok(std::fs::canonicalize(parent)?.join(name)),
        (_, _) => std::fs::canonicalize(written),
    }
}

/// Without `.` and doubled slashes. What has a `..` keeps it: it may come after a link.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

/// What of /proc is meant, if any is. /proc/self is the command's and not ours.
fn in_proc(thread: Pid, written: &Path) -> Option<Found> {
    let rest = match written.strip_prefix("/dev/fd") {
        Ok(rest) => Path::new("self/fd").join(rest),
        Err(_) => written.strip_prefix("/proc").ok()?.to_path_buf(),
    };
    let process = is_of_process(&rest);
    let mut parts = rest.components();
    let first = parts.next();
    let own = [OsStr::new("self"), OsStr::new("thread-self")];
    let path = match first {
        Some(Component::Normal(name)) if own.contains(&name) => {
            Path::new("/proc").join(thread.to_string()).join(parts.as_path())
        }
        Some(_) | None => Path::new("/proc").join(&rest),
    };
    if std::fs::symlink_metadata(&path).is_err() {
        return Some(Found::Missing);
    }
    let end = std::fs::read_link(&path).ok();
    let real = end.filter(|end| end.is_absolute() && !end.as_os_str().as_bytes().ends_with(b" (deleted)"));
    Some(Found::Proc { process, real: real.filter(|real| !real.starts_with("/proc")) })
}

/// Whether this part of /proc is a process's.
fn is_of_process(rest: &Path) -> bool {
    match rest.components().next() {
        Some(Component::Normal(name)) => {
            name == "self" || name == "thread-self" || name.as_bytes().iter().all(u8::is_ascii_digit)
        }
        Some(_) | None => false,
    }
}
