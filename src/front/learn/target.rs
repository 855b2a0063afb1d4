// SPDX-License-Identifier: Apache-2.0
//! The file that is written: made before the command runs, so that nobody learns in vain, and changed all at once.

use crate::front::arrange::Failure;
use crate::front::check::looked_at;
use crate::front::new_file::{MODE, new_file};
use crate::host::HostError;
use crate::policy::{Policy, load};
use rustix::fs::{Gid, Uid};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A policy file.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    /// It was there before.
    pub(super) merges: bool,
    /// What it said, or a policy with nothing learnt.
    pub(super) text: String,
    written: bool,
}

impl Target {
    /// One that is there.
    pub(super) fn merge(path: &Path) -> Result<Target, Failure> {
        let path = absolute(path);
        let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        Ok(Target { path, merges: true, text, written: true })
    }

    /// A new one.
    pub(super) fn new(path: &Path, text: String) -> Result<Target, Failure> {
        let path = absolute(path);
        let mut file = new_file(&path, "add to it with --merge, or name another one")?;
        let target = Target { path, merges: false, text, written: false };
        file.write_all(target.text.as_bytes()).map_err(|error| failed("write", &target.path, &error))?;
        // Whatever our umask is, the file is ours to open for others.
        file.set_permissions(fs::Permissions::from_mode(MODE))
            .map_err(|error| failed("write", &target.path, &error))?;
        Ok(target)
    }

    /// The policy as it is now; what makes nobody trust it is said before anything is learnt.
    pub(super) fn load(&self) -> Result<Policy, Failure> {
        let filled = load(&self.word(), &[]).and_then(|written| {
            let service = written.name().to_string();
            written.fill(looked_at(&service))
        });
        filled.map_err(Failure::Input)
    }

    /// As `--policy` takes it.
    pub(super) fn word(&self) -> String {
        self.path.display().to_string()
    }

    /// The whole text in its place; owner and mode stay.
    pub(super) fn write(&mut self, text: String) -> Result<(), Failure> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{name}.{}", std::process::id()));
        let put = || -> std::io::Result<()> {
            let old = fs::metadata(&self.path)?;
            let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            new.write_all(text.as_bytes())?;
            give(&new, &old)?;
            new.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        put().map_err(|error| {
            let _ = fs::remove_file(&beside);
            failed("write", &self.path, &error)
        })?;
        (self.text, self.written) = (text, true);
        Ok(())
    }
}

/// Nothing was learnt: a new file is no policy.
impl Drop for Target {
    fn drop(&mut self) {
        if !self.written {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn give(new: &File, old: &fs::Metadata) -> std::io::Result<()> {
    let found = new.metadata()?;
    if (found.uid(), found.gid()) != (old.uid(), old.gid()) {
        rustix::fs::fchown(new, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?;
    }
    new.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
}

/// A word of `--policy` with a slash is a path.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Host(HostError::of_library(format!("{doing} {}", path.display()), error))
}
