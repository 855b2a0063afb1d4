// SPDX-License-Identifier: Apache-2.0
//! What is made in a root directory that is being filled: directories and files to mount on, and links. The host is
//! still in reach, and its users may write in what is mounted here already: no link of theirs is followed.

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

/// A name in a directory that is held: whoever exchanges the way to it for a link leads nobody elsewhere.
struct Place<'a> {
    directory: OwnedFd,
    name: &'a OsStr,
}

/// Makes `path` below `root` and whatever is missing on the way. What is there stays as it is.
pub(super) fn make(root: &OwnedFd, path: &Path, kind: Kind) -> Result<(), HostError> {
    let told = |e| refused(format!("make {} in the new root", path.display()), e);
    match Place::of(root, path).map_err(told)? {
        Some(place) => place.make(kind).map_err(told),
        None => Ok(()),
    }
}

/// Moves a mount to its place.
pub(super) fn attach(root: &OwnedFd, path: &Path, kind: Kind, tree: BorrowedFd<'_>) -> Result<(), HostError> {
    let told = |e| refused(format!("move {} into the new root", path.display()), e);
    let place = Place::of(root, path).map_err(told)?.ok_or(rustix::io::Errno::BUSY).map_err(told)?;
    place.make(kind).map_err(told)?;
    place.cover(tree).map_err(told)
}

/// Links `path` to `text`. A path that was written in two ways may be there already: it must lead to the same.
pub(super) fn link(root: &OwnedFd, path: &Path, text: &Path) -> Result<(), HostError> {
    let told = |e| refused(format!("link {} to {}", path.display(), text.display()), e);
    let place = Place::of(root, path).map_err(told)?.ok_or(rustix::io::Errno::EXIST).map_err(told)?;
    match place.link(text) {
        Err(rustix::io::Errno::EXIST) if are_one(root, path.strip_prefix("/").unwrap_or(path), text) => Ok(()),
        other => other.map_err(told),
    }
}

impl<'a> Place<'a> {
    /// The place of `path` below `root`, and whatever is missing on the way to it; nothing for the root itself.
    fn of(root: &OwnedFd, path: &'a Path) -> rustix::io::Result<Option<Place<'a>>> {
        let mut names: Vec<&OsStr> = path.components().filter_map(name).collect();
        let Some(last) = names.pop() else { return Ok(None) };
        let mut directory = rustix::io::fcntl_dupfd_cloexec(root, 3)?;
        for name in names {
            existing(rustix::fs::mkdirat(&directory, name, Mode::from(0o755)))?;
            // A plan's paths pass no link. One that is there was put into a part of the host, and may lead out of the
            // root.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            directory = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        }
        Ok(Some(Place { directory, name: last }))
    }

    /// Makes what is to be mounted on, unless something is there.
    fn make(&self, kind: Kind) -> rustix::io::Result<()> {
        match kind {
            Kind::Directory => existing(rustix::fs::mkdirat(&self.directory, self.name, Mode::from(0o755))),
            Kind::File => {
                // O_CREAT alone, and only if nothing is there: a device node must not be opened.
                if rustix::fs::statat(&self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    return Ok(());
                }
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::openat(&self.directory, self.name, flags, Mode::from(0o444)).map(drop)
            }
        }
    }

    /// What is there, which is no link.
    fn open(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.directory, self.name, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
    }

    /// Moves a mount over it.
    fn cover(&self, tree: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let by_descriptors = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(tree, "", self.open()?, "", by_descriptors)
    }

    fn link(&self, text: &Path) -> rustix::io::Result<()> {
        rustix::fs::symlinkat(text, &self.directory, self.name)
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
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, symlink};
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
        let error = link(&root, Path::new("/tree/way/place"), Path::new("/file")).unwrap_err();
        assert_eq!(error.to_string(), "cannot link /tree/way/place to /file: Not a directory");
        assert_eq!(fs::read_dir(base.join("other")).unwrap().count(), 0);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_what_is_mounted_on_is_not_followed() {
        let (base, root) = root("ends");
        symlink("../file", base.join("tree/place")).unwrap();
        // A mount of its own is no part of it: whatever this was, its place is looked at first.
        let tree = rustix::fs::open(&base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let error = attach(&root, Path::new("/tree/place"), Kind::File, tree.as_fd()).unwrap_err();
        assert_eq!(error.to_string(), "cannot move /tree/place into the new root: Too many levels of symbolic links");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_way_that_is_exchanged_for_a_link_leads_nowhere_else() {
        let (base, root) = root("exchanged");
        let place = Place::of(&root, Path::new("/tree/below/place")).unwrap().unwrap();
        fs::rename(base.join("tree/below"), base.join("tree/aside")).unwrap();
        symlink("../other", base.join("tree/below")).unwrap();
        fs::write(base.join("other/place"), "").unwrap();
        place.make(Kind::Directory).unwrap();
        let opened = rustix::fs::fstat(place.open().unwrap()).unwrap().st_ino;
        assert_eq!(opened, fs::metadata(base.join("tree/aside/place")).unwrap().ino());
        fs::remove_file(base.join("other/place")).unwrap();
        fs::remove_dir(base.join("tree/aside/place")).unwrap();
        place.link(Path::new("/file")).unwrap();
        assert_eq!(fs::read_link(base.join("tree/aside/place")).unwrap(), Path::new("/file"));
        assert_eq!(fs::read_dir(base.join("other")).unwrap().count(), 0);
        fs::remove_dir_all(base).unwrap();
    }
}
