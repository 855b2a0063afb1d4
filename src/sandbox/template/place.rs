// SPDX-License-Identifier: Apache-2.0
//! What is made in a root directory that is being filled: directories and files to mount on, and links. The host is still
//! in reach, and its users may write in what is mounted here already: no link of theirs is followed.

use super::refused;
use crate::sandbox::HostError;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::mount::MoveMountFlags;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Directory,
    File,
}

/// Makes `path` below `root` and whatever is missing on the way. What is there stays as it is.
pub(super) fn make(root: &OwnedFd, path: &Path, kind: Kind) -> Result<(), HostError> {
    let told = |e| refused(format!("make {} in the new root", path.display()), e);
    let mut names: Vec<&OsStr> = path.components().filter_map(name).collect();
    let last = names.pop();
    let mut directory = rustix::io::fcntl_dupfd_cloexec(root, 3).map_err(told)?;
    for name in names {
        existing(rustix::fs::mkdirat(&directory, name, Mode::from(0o755))).map_err(told)?;
        // A plan's paths pass no link. One that is there was put into a part of the host, and may lead out of the root.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        directory = rustix::fs::openat(&directory, name, flags, Mode::empty()).map_err(told)?;
    }
    let Some(name) = last else { return Ok(()) };
    match kind {
        Kind::Directory => existing(rustix::fs::mkdirat(&directory, name, Mode::from(0o755))).map_err(told),
        Kind::File => {
            // O_CREAT alone, and only if nothing is there: a device node must not be opened.
            if rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Ok(());
            }
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&directory, name, flags, Mode::from(0o444)).map(drop).map_err(told)
        }
    }
}

/// Moves a mount to its place.
pub(super) fn attach(root: &OwnedFd, path: &Path, kind: Kind, tree: BorrowedFd<'_>) -> Result<(), HostError> {
    make(root, path, kind)?;
    let target = path.strip_prefix("/").unwrap_or(path);
    rustix::mount::move_mount(tree, "", root, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| refused(format!("move {} into the new root", path.display()), e))
}

/// Links `path` to `text`. A path that was written in two ways may be there already: it must lead to the same.
pub(super) fn link(root: &OwnedFd, path: &Path, text: &Path) -> Result<(), HostError> {
    if let Some(parent) = path.parent() {
        make(root, parent, Kind::Directory)?;
    }
    let target = path.strip_prefix("/").unwrap_or(path);
    match rustix::fs::symlinkat(text, root, target) {
        Err(rustix::io::Errno::EXIST) if are_one(root, target, text) => Ok(()),
        other => other.map_err(|e| refused(format!("link {} to {}", path.display(), text.display()), e)),
    }
}

/// Whether two paths lead to the same file, in the root that is being made.
fn are_one(root: &OwnedFd, one: &Path, other: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = |path: &Path| {
        let file = rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
        rustix::fs::fstat(file).map(|stat| (stat.st_dev, stat.st_ino))
    };
    matches!((file(one), file(other)), (Ok(one), Ok(other)) if one == other)
}

fn name(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

fn existing(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(rustix::io::Errno::EXIST) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// A directory with one of each, and as a root that is being filled.
    fn root(name: &str) -> (PathBuf, OwnedFd) {
        let base = std::env::temp_dir().join(format!("spawnbox-places-{name}-{}", std::process::id()));
        fs::create_dir_all(base.join("tree/below")).unwrap();
        fs::create_dir(base.join("other")).unwrap();
        fs::write(base.join("file"), "").unwrap();
        let root = rustix::fs::open(&base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        (base, root)
    }

    #[test]
    fn what_stands_in_the_place_of_a_link_leads_where_it_would() {
        let (base, root) = root("links");
        let linked = |path: &str, text: &str| link(&root, Path::new(path), Path::new(text)).map_err(|e| e.to_string());
        let taken = |path: &str, text: &str| Err(format!("cannot link {path} to {text}: File exists"));
        assert_eq!(linked("/deep/link", "/tree"), Ok(()));
        assert_eq!(fs::read_link(base.join("deep/link")).unwrap(), Path::new("/tree"));
        assert_eq!(linked("/deep/link", "/tree"), Ok(()));
        assert_eq!(linked("/tree/below/../../file", "/file"), Ok(()));
        assert_eq!(linked("/deep/link", "/other"), taken("/deep/link", "/other"));
        assert_eq!(linked("/deep/link", "/nothing"), taken("/deep/link", "/nothing"));
        assert_eq!(linked("/file", "/tree"), taken("/file", "/tree"));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn no_link_on_the_way_is_followed() {
        let (base, root) = root("ways");
        symlink("other", base.join("tree/way")).unwrap();
        for kind in [Kind::Directory, Kind::File] {
            let error = make(&root, Path::new("/tree/way/place"), kind).unwrap_err();
            assert_eq!(error.to_string(), "cannot make /tree/way/place in the new root: Not a directory");
        }
        assert_eq!(fs::read_dir(base.join("other")).unwrap().count(), 0);
        fs::remove_dir_all(base).unwrap();
    }
}
