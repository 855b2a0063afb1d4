// SPDX-License-Identifier: Apache-2.0
//! Where a policy is: the operator's file of its name, else the built-in one; or the file at a path.
//! Opens what it finds, so that what was judged is what is read; never looks at what is in it.

use super::diagnose::{InputError, Mistake};
use super::origin::Origin;
use super::source::{Name, Source};
use super::{shipped, trust};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest policy file.
const MOST_BYTES: u64 = 1 << 19;

/// Where names are looked for, and on whose behalf.
pub(super) struct Places {
    /// The operator's policies; without it there are built-in ones alone.
    directory: Option<PathBuf>,
    caller: u32,
}

/// A policy that was found and not yet read.
pub(super) enum Opened {
    /// It is in the program: name and text.
    Builtin(&'static str, &'static str),
    /// It is a file.
    File {
        file: File,
        path: PathBuf,
        /// The built-in policy that has its name, and is not used.
        instead_of: Option<&'static str>,
    },
}

/// What makes a file the same file, however it was named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identity {
    Builtin(&'static str),
    File { device: u64, inode: u64 },
}

impl Places {
    /// The operator's directory, then what is built in.
    pub(super) fn new(directory: &Path) -> Result<Self, InputError> {
        Ok(Places { directory: Some(absolute(directory)?), ..Places::builtin() })
    }

    /// What is built in, whatever files there are.
    pub(super) fn builtin() -> Self {
        Places { directory: None, caller: rustix::process::geteuid().as_raw() }
    }

    /// The file at `path`, however that is written.
    pub(super) fn path(&self, path: &Path) -> Result<Opened, InputError> {
        let file = trust::open(&absolute(path)?, self.caller).map_err(|fault| fault.mistake(path))?;
        Ok(Opened::File { file, path: path.to_owned(), instead_of: None })
    }

    /// The policy of this name; `None` if there is none.
    pub(super) fn name(&self, word: &str) -> Result<Option<Opened>, InputError> {
        if word.is_empty() || word.contains(char::is_control) {
            return Err(Mistake::new(format!("no policy can have the name `{word}`")).into());
        }
        let Some(directory) = &self.directory else { return Ok(builtin(word)) };
        let path = directory.join(format!("{word}.toml"));
        match trust::open(&path, self.caller) {
            Ok(file) => {
                let instead_of = shipped::find(word).map(|(name, _)| name);
                Ok(Some(Opened::File { file, path, instead_of }))
            }
            Err(fault) if fault.reason == trust::Reason::Missing && !fault.linked => Ok(builtin(word)),
            // A link that leads nowhere was meant to be a policy: the built-in one must not take its place.
            Err(fault) => Err(fault.mistake(&path).into()),
        }
    }

    /// Says where names are looked for.
    pub(super) fn nowhere(&self) -> String {
        match &self.directory {
            Some(directory) => format!("neither in {} nor built in", directory.display()),
            None => "not built in".to_owned(),
        }
    }

    /// The names to choose from: a help for people, so a directory that cannot be read has none.
    pub(super) fn names(&self) -> Vec<String> {
        let own = self.directory.iter().flat_map(|directory| operators(directory));
        let all: BTreeSet<String> = own.chain(shipped::names().map(str::to_owned)).collect();
        all.into_iter().collect()
    }
}

/// The built-in policy of this name.
pub(super) fn builtin(word: &str) -> Option<Opened> {
    shipped::find(word).map(|(name, text)| Opened::Builtin(name, text))
}

/// The names of the policies in `directory`, sorted; none where it cannot be read.
pub fn operators(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
    files.collect::<BTreeSet<_>>().into_iter().collect()
}

/// `path` from the root, without a look at the host but for the working directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, InputError> {
    std::path::absolute(path)
        .map_err(|error| Mistake::new(format!("cannot find the working directory: {error}")).in_file(path).into())
}

impl Opened {
    /// Which file it is.
    pub(super) fn identity(&self) -> Result<Identity, InputError> {
        match self {
            Opened::Builtin(name, _) => Ok(Identity::Builtin(name)),
            Opened::File { file, path, .. } => {
                let metadata = file.metadata().map_err(|error| cannot_read(path, &error))?;
                Ok(Identity::File { device: metadata.dev(), inode: metadata.ino() })
            }
        }
    }

    /// Its text.
    pub(super) fn read(self) -> Result<Source, InputError> {
        match self {
            Opened::Builtin(name, text) => Ok(Source::new(Name::Builtin(Arc::from(name)), text)),
            Opened::File { file, path, instead_of } => {
                let mut bytes = Vec::new();
                let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| cannot_read(&path, &error))?;
                if bytes.len() as u64 > MOST_BYTES {
                    let title = format!("this file is larger than {MOST_BYTES} bytes");
                    return Err(Mistake::new(title).in_file(path).into());
                }
                Ok(text(bytes, path)?.instead_of(instead_of))
            }
        }
    }
}

fn text(bytes: Vec<u8>, path: PathBuf) -> Result<Source, InputError> {
    let path = Arc::new(path);
    String::from_utf8(bytes).map(|text| Source::new(Name::File(Arc::clone(&path)), text)).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let readable = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let (line, column) = Source::new(Name::CommandLine, readable).position(valid);
        Mistake::new("this file is not UTF-8 text").written(&Origin::File { path, line, column }).into()
    })
}

fn cannot_read(path: &Path, error: &std::io::Error) -> InputError {
    Mistake::new(format!("cannot read the policy file: {error}")).in_file(path).into()
}
