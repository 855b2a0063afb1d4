// SPDX-License-Identifier: Apache-2.0
//! Which arguments of a call are paths, and what is wanted there. Asked by a reaper that may not allocate: looks up,
//! and makes nothing.

use nix::libc;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Using {
    /// Whether it is there, and what it is.
    Look,
    /// To be in it: chdir(2).
    Enter,
    /// Its content, or the names in a directory.
    Read,
    /// Its content, to be changed.
    Write,
    /// The directory that holds it, in which a name is made or removed.
    Change,
    /// To run it.
    Execute,
    /// To run code in it: a library.
    Map,
    /// A UNIX socket, to connect to.
    Connect,
}

/// How a path of a call is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
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
pub struct Argument {
    /// The argument with the directory that a relative path begins in; `None` for the current one.
    pub directory: Option<usize>,
    /// The argument that points at it.
    pub path: usize,
    /// What is wanted there.
    pub way: Way,
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

/// Calls with a path that no group grants: a filter that denies them names it all the same.
const DENIED: &[(libc::c_long, usize)] = &[
    (libc::SYS_umount2, 0),
    (libc::SYS_pivot_root, 0),
    (libc::SYS_chroot, 0),
    (libc::SYS_swapon, 0),
    (libc::SYS_swapoff, 0),
    (libc::SYS_acct, 0),
    (libc::SYS_name_to_handle_at, 1),
    (libc::SYS_open_tree, 1),
    (libc::SYS_mount, 1),
];

/// The calls whose paths somebody asks for who lets them be made.
pub fn with_paths() -> impl Iterator<Item = u32> {
    TABLE.iter().map(|(call, _)| *call as u32)
}

/// The paths of a call.
pub fn paths(call: u32) -> &'static [Argument] {
    TABLE.iter().find(|(known, _)| *known as u32 == call).map_or(&[], |(_, paths)| paths)
}

/// The argument with the path that a call is about: of two the one that is made.
pub(super) fn path(call: u32) -> Option<usize> {
    let denied = || DENIED.iter().find(|(known, _)| *known as u32 == call).map(|(_, argument)| *argument);
    paths(call).last().map(|path| path.path).or_else(denied)
}

/// What open(2) wants with these flags: more than one thing, if it reads and writes.
pub fn opened(flags: i32) -> impl Iterator<Item = Using> {
    let mode = flags & libc::O_ACCMODE;
    let look = flags & libc::O_PATH != 0;
    let writes = mode != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
    let makes = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let wants = [
        (look, Using::Look),
        (!look && mode != libc::O_WRONLY, Using::Read),
        (!look && writes, Using::Write),
        (!look && makes, Using::Change),
    ];
    wants.into_iter().filter(|(wanted, _)| *wanted).map(|(_, using)| using)
}

/// The most that a call wants of the path that it is about, as far as its numbers say.
pub fn wanted(call: u32, arguments: [u64; 6]) -> Option<Using> {
    match paths(call).last()?.way {
        Way::Using(using) => Some(using),
        Way::Link | Way::LookAt(_) | Way::Access(_) => Some(Using::Look),
        Way::Open(flags) => opened(arguments[flags] as i32).last(),
        // They are behind a pointer.
        Way::OpenHow(_) => Some(Using::Read),
    }
}

/// Whether this part of /proc is a process's.
pub fn is_of_process(rest: &Path) -> bool {
    match rest.components().next() {
        Some(Component::Normal(name)) => {
            name == "self" || name == "thread-self" || name.as_bytes().iter().all(u8::is_ascii_digit)
        }
        Some(_) | None => false,
    }
}
