// SPDX-License-Identifier: Apache-2.0
//! What is at a path of a call. Looks as the command's user would, when the call is about to be made; a path that is
//! changed meanwhile is told as it was.

use super::event::{About, Found};
use crate::plan::calls::{Using, is_of_process};
use nix::libc;
use nix::unistd::Pid;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

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
