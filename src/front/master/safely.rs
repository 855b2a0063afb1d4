// SPDX-License-Identifier: Apache-2.0
//! Opening a file, or making it, so that nobody can lure us into another one: what Postfix's safe_open does, with its
//! words. See util/safe_open.c.

use super::start::errno;
use crate::host::errno_text;
use nix::libc::{S_IWGRP, S_IWOTH};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Opens a file to read it.
pub(super) fn open(path: &Path) -> Result<File, String> {
    open_existing(path, OpenOptions::new().read(true)).map_err(Refused::words)
}

/// Opens a file to read and write, or makes it for its owner alone.
pub(super) fn open_or_create(path: &Path) -> Result<File, String> {
    let open = || open_existing(path, OpenOptions::new().read(true).write(true));
    match open() {
        Err(Refused::Open(error)) if error.kind() == ErrorKind::NotFound => match create(path) {
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => open().map_err(Refused::words),
            made => made.map_err(|error| format!("cannot create file exclusively: {}", text(&error))),
        },
        opened => opened.map_err(Refused::words),
    }
}

enum Refused {
    Open(io::Error),
    File(String),
}

impl Refused {
    fn words(self) -> String {
        match self {
            Refused::Open(error) => format!("cannot open file: {}", text(&error)),
            Refused::File(why) => why,
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file that has one name, which is no link but one of root's.
fn open_existing(path: &Path, how: &OpenOptions) -> Result<File, Refused> {
    let file = how.open(path).map_err(Refused::Open)?;
    let found = file.metadata().map_err(Refused::Open)?;
    if found.nlink() != 1 {
        return Err(Refused::File(format!("file has {} hard links", found.nlink())));
    }
    let changed = || "file status changed unexpectedly".to_string();
    let named =
        fs::symlink_metadata(path).map_err(|error| Refused::File(format!("{}: {}", changed(), text(&error))))?;
    if named.is_symlink() {
        return if is_roots(path, named.uid()) {
            Ok(file)
        } else {
            Err(Refused::File("file is a symbolic link".into()))
        };
    }
    let same = |of: fn(&fs::Metadata) -> u64| of(&found) == of(&named);
    match same(|file| file.dev())
        && same(|file| file.ino())
        && same(|file| file.nlink())
        && same(|file| file.mode().into())
    {
        true => Ok(file),
        false => Err(Refused::File(changed())),
    }
}

/// Whether nobody but root can have made this link.
fn is_roots(path: &Path, owner: u32) -> bool {
    let parent = path.parent().and_then(|parent| fs::metadata(parent).ok());
    owner == 0 && parent.is_some_and(|parent| parent.uid() == 0 && parent.mode() & (S_IWGRP | S_IWOTH) == 0)
}

fn text(error: &io::Error) -> String {
    errno_text(errno(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_that_could_be_another_is_refused_in_postfix_words() {
        let room = std::env::temp_dir().join(format!("spawnbox-safely-{}", std::process::id()));
        fs::create_dir(&room).unwrap();
        let at = |name: &str| room.join(name);
        fs::write(at("file"), "").unwrap();
        fs::hard_link(at("file"), at("twin")).unwrap();
        fs::write(at("single"), "").unwrap();
        symlink(at("single"), at("link")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        // Anybody may make a link here, so it could be anybody's.
        fs::set_permissions(&room, PermissionsExt::from_mode(0o1777)).unwrap();
        for (name, why) in [
            ("file", "file has 2 hard links"),
            ("link", "file is a symbolic link"),
            ("directory", "cannot open file: Is a directory"),
            ("single/below", "cannot open file: Not a directory"),
            ("none/below", "cannot create file exclusively: No such file or directory"),
        ] {
            assert_eq!(open_or_create(&at(name)).unwrap_err(), why, "{name}");
        }
        for name in ["single", "new", "new"] {
            open_or_create(&at(name)).unwrap();
        }
        assert_eq!(at("new").metadata().unwrap().mode() & 0o777, 0o600);
        fs::remove_dir_all(room).unwrap();
    }
}
