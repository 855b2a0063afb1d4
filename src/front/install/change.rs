// SPDX-License-Identifier: Apache-2.0
//! What an installation does to this host, one change at a time, so that it can be shown before it is done.
//! Every file is written whole, beside its place, before the first of them is put there.

use crate::host::{HostError, errno_text};
use nix::errno::Errno;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A file of root's, with its directory where that is missing.
    Write(NewFile),
    /// A file goes.
    Remove(PathBuf),
    /// A directory goes, if it is empty by then.
    RemoveDirectory(PathBuf),
    /// A program runs.
    Run(Vec<String>),
}

/// A file that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
    pub(super) kind: Kind,
}

/// What is shown of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its text.
    Text,
    /// That it is this program.
    Program,
}

/// A file that is complete, and not yet in its place.
struct Staged {
    temporary: PathBuf,
    path: PathBuf,
    /// The directory, where it was made for this file.
    made: Option<PathBuf>,
    placed: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Write(NewFile { path, mode, kind: Kind::Text, .. }) => {
                write!(f, "write {}, mode {mode:04o}, owner root", path.display())
            }
            Change::Write(NewFile { path, mode, kind: Kind::Program, .. }) => {
                write!(f, "copy this program to {}, mode {mode:04o}, owner root", path.display())
            }
            Change::Remove(path) => write!(f, "remove {}", path.display()),
            Change::RemoveDirectory(path) => write!(f, "remove {}, if it is empty", path.display()),
            Change::Run(words) => write!(f, "run {}", words.join(" ")),
        }
    }
}

/// Makes all changes, in their order; `done` is told of each.
pub(super) fn carry_out(changes: &[Change], mut done: impl FnMut(&Change)) -> Result<(), HostError> {
    let mut staged = Vec::new();
    for change in changes {
        if let Change::Write(file) = change {
            staged.push(Staged::write(file)?);
        }
    }
    let mut staged = staged.iter_mut();
    for change in changes {
        match change {
            Change::Write(_) => staged.next().map_or(Ok(()), Staged::place)?,
            Change::Remove(path) => fs::remove_file(path).map_err(|error| failed("remove", path, &error))?,
            Change::RemoveDirectory(path) => match fs::remove_dir(path) {
                // Somebody else has something in it.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => continue,
                other => other.map_err(|error| failed("remove", path, &error))?,
            },
            Change::Run(words) => run(words)?,
        }
        done(change);
    }
    Ok(())
}

impl Staged {
    fn write(file: &NewFile) -> Result<Staged, HostError> {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let directory = file.path.parent().unwrap_or(Path::new("/"));
        let made = match directory.exists() {
            true => None,
            false => {
                fs::create_dir(directory).map_err(|error| failed("make", directory, &error))?;
                Some(directory.to_path_buf())
            }
        };
        let temporary = directory.join(format!(".{name}.spawnbox-{}", std::process::id()));
        // From here on its end removes what was begun.
        let staged = Staged { temporary, path: file.path.clone(), made, placed: false };
        staged.fill(file).map_err(|error| failed("write", &file.path, &error))?;
        Ok(staged)
    }

    fn fill(&self, file: &NewFile) -> io::Result<()> {
        if let Some(made) = &self.made {
            fs::set_permissions(made, Permissions::from_mode(0o755))?;
        }
        // A name of ours that is there already is a link somebody has laid, or left by one of us that was killed.
        let _ = fs::remove_file(&self.temporary);
        let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.temporary)?;
        open.write_all(&file.bytes)?;
        chown(&self.temporary, Some(0), Some(0))?;
        open.set_permissions(Permissions::from_mode(file.mode))?;
        open.sync_all()
    }

    fn place(&mut self) -> Result<(), HostError> {
        fs::rename(&self.temporary, &self.path).map_err(|error| failed("replace", &self.path, &error))?;
        self.placed = true;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        // The name is as good as written; only a crash could still undo it.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        let _ = fs::remove_file(&self.temporary);
        if let Some(made) = &self.made {
            // Not empty where another file of ours has its place in it.
            let _ = fs::remove_dir(made);
        }
    }
}

fn run(words: &[String]) -> Result<(), HostError> {
    let refused = |why: String| HostError { doing: format!("run {}", words.join(" ")), why };
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let output = Command::new(program).args(arguments).output().map_err(|error| refused(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(refused(if complaint.is_empty() { output.status.to_string() } else { complaint }))
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> HostError {
    let why = error.raw_os_error().map_or_else(|| error.to_string(), |errno| errno_text(Errno::from_raw(errno)));
    HostError { doing: format!("{doing} {}", path.display()), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> PathBuf {
        let room = std::env::temp_dir().join(format!("spawnbox-change-{name}-{}", std::process::id()));
        fs::create_dir_all(&room).unwrap();
        room
    }

    fn file(path: PathBuf) -> Change {
        Change::Write(NewFile { path, bytes: b"new".to_vec(), mode: 0o644, kind: Kind::Text })
    }

    fn entries(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn where_one_file_cannot_be_written_none_is() {
        let room = room("none");
        fs::write(room.join("old"), "old").unwrap();
        fs::write(room.join("blocked"), "a file, so no directory").unwrap();
        let changes = [file(room.join("old")), file(room.join("d/new")), file(room.join("blocked/new"))];
        let error = carry_out(&changes, |change| panic!("done: {change}")).unwrap_err().to_string();
        assert!(error.contains("blocked/new: Not a directory"), "{error}");
        assert_eq!(entries(&room), ["blocked", "old"]);
        assert_eq!(fs::read_to_string(room.join("old")).unwrap(), "old");
        fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn a_program_that_fails_is_told_with_what_it_said() {
        let words = ["/bin/sh", "-c", "echo no >&2; exit 3"].map(String::from).to_vec();
        let error = carry_out(&[Change::Run(words)], |_| ()).unwrap_err().to_string();
        assert_eq!(error, "cannot run /bin/sh -c echo no >&2; exit 3: no");
    }

    #[test]
    fn a_directory_that_others_use_stays() {
        let room = room("used");
        fs::write(room.join("theirs"), "").unwrap();
        let mut done = 0;
        carry_out(&[Change::RemoveDirectory(room.clone())], |_| done += 1).unwrap();
        assert_eq!((done, entries(&room)), (0, vec!["theirs".to_string()]));
        fs::remove_dir_all(room).unwrap();
    }
}
