// SPDX-License-Identifier: Apache-2.0
//! From the word that names a policy to the policy: finds its file, reads what it extends, lays them over one another.
//! Opens policy files and nothing else; each once, and what was opened is what is read.

use super::diagnose::{InputError, Mistake};
use super::extend::{Layer, extend};
use super::model::Policy;
use super::origin::Origin;
use super::shape::{self, Version};
use super::shipped;
use super::source::{Name, Source};
use super::{read, set, trust};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// Where an operator's policies are.
pub const DIRECTORY: &str = "/etc/spawnbox";

/// The largest policy file.
const MOST_BYTES: u64 = 1 << 20;

/// The most files that extend one another in a row, and the most files in all.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 64;

/// The policy that `word` names, with each of `set` (`key=value`) laid over it.
///
/// A word with a slash is a path. Without one it is `/etc/spawnbox/WORD.toml` if that is there, else the built-in
/// policy of that name.
///
/// The hash is over the files in the order in which they are read: a file, then each that it extends from left to right
/// with what that one extends; a file that is reached twice is read once. Each of `set` follows with a newline:
/// `{ cat FILES; printf '%s\n' KEY=VALUE; } | sha256sum` gives the same.
pub fn load(word: &str, set: &[String]) -> Result<Policy, InputError> {
    load_from(Path::new(DIRECTORY), word, set)
}

/// Like [`load`], with another directory in place of `/etc/spawnbox`.
pub fn load_from(directory: &Path, word: &str, set: &[String]) -> Result<Policy, InputError> {
    let mut reader = Reader::new();
    let name = match word.contains('/') {
        true => reader.path(word)?,
        false => reader.name(directory, word)?,
    };
    reader.finish(name, set)
}

/// The built-in policy `name`, whatever files there are.
pub fn builtin(name: &str) -> Result<Policy, InputError> {
    let mut reader = Reader::new();
    let found = shipped::find(name).ok_or_else(|| unknown(name, builtin_names()))?;
    reader.take(Opened::Builtin(found.0, found.1))?;
    reader.finish(name.to_owned(), &[])
}

/// A policy that was found and not yet read.
enum Opened {
    Builtin(&'static str, &'static str),
    File(File, PathBuf),
}

/// What makes a file the same file, however it was named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Builtin(&'static str),
    File { device: u64, inode: u64 },
}

struct Reader {
    caller: u32,
    hash: Sha256,
    /// What was read so far, each file over those that it extends.
    layer: Layer,
    seen: BTreeSet<Identity>,
    /// The files that led to this one, each with its name for people.
    open: Vec<(Identity, String)>,
}

impl Reader {
    fn new() -> Self {
        Reader {
            caller: rustix::process::geteuid().as_raw(),
            hash: Sha256::new(),
            layer: Layer { policy: Policy::named(""), forced: BTreeSet::new() },
            seen: BTreeSet::new(),
            open: Vec::new(),
        }
    }

    /// Reads the file at the path `word`; its name as a policy.
    fn path(&mut self, word: &str) -> Result<String, InputError> {
        let named = Path::new(word);
        let path = absolute(named)?;
        let file = trust::open(&path, self.caller).map_err(|fault| fault.mistake(named))?;
        self.take(Opened::File(file, named.to_owned()))?;
        Ok(path.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned()))
    }

    /// Reads the operator's or else the built-in policy `word`.
    fn name(&mut self, directory: &Path, word: &str) -> Result<String, InputError> {
        if word.is_empty() || word.contains(char::is_control) {
            return Err(Mistake::new(format!("no policy can have the name `{word}`")).into());
        }
        let path = absolute(directory)?.join(format!("{word}.toml"));
        let opened = match trust::open(&path, self.caller) {
            Ok(file) => Opened::File(file, path),
            // A link that leads nowhere was meant to be a policy: the built-in one must not take its place.
            Err(fault) if fault.reason != trust::Reason::Missing || fault.linked => {
                return Err(fault.mistake(&path).into());
            }
            Err(_) => match shipped::find(word) {
                Some((name, text)) => Opened::Builtin(name, text),
                None => return Err(unknown(word, names_in(directory)).into()),
            },
        };
        self.take(opened)?;
        Ok(word.to_owned())
    }

    /// Reads `opened` over everything that it extends.
    fn take(&mut self, opened: Opened) -> Result<(), InputError> {
        let identity = opened.identity()?;
        let source = opened.read()?;
        self.hash.update(source.text());
        let mut file = shape::parse(&source, Version::Required)?;
        let extends = file.extends.take().unwrap_or_default();
        let layer = read::read(file, &source)?;
        self.seen.insert(identity.clone());
        self.open.push((identity, source.title()));
        for entry in &extends {
            self.extends(&source, entry)?;
        }
        self.open.pop();
        self.layer = extend(self.layer.clone(), layer);
        Ok(())
    }

    /// Reads what `entry` of `extends` in `source` names, unless it was read before.
    fn extends(&mut self, source: &Source, entry: &Spanned<String>) -> Result<(), InputError> {
        let here = |mistake: Mistake| InputError::from(mistake.at(source, entry.span()));
        let opened = self.find(entry.get_ref(), here)?;
        let identity = opened.identity()?;
        if let Some(start) = self.open.iter().position(|(open, _)| *open == identity) {
            let circle: Vec<_> = self.open[start..].iter().map(|(_, title)| title.as_str()).collect();
            let label = format!("leads back to {}", circle.join(", which extends "));
            return Err(here(Mistake::new("`extends` goes in a circle").label(label)));
        }
        if self.seen.contains(&identity) {
            return Ok(());
        }
        if self.open.len() >= DEEPEST || self.seen.len() >= MOST_FILES {
            let label = format!("at most {DEEPEST} files in a row and {MOST_FILES} in all");
            return Err(here(Mistake::new("`extends` goes too far").label(label)));
        }
        self.take(opened)
    }

    /// Finds what `entry` names; `here` puts a mistake where the entry is written.
    fn find(&self, entry: &str, here: impl Fn(Mistake) -> InputError) -> Result<Opened, InputError> {
        if entry.starts_with('/') {
            let path = PathBuf::from(entry);
            let file = trust::open(&path, self.caller).map_err(|fault| here(fault.mistake(&path)))?;
            return Ok(Opened::File(file, path));
        }
        match shipped::find(entry) {
            Some((name, text)) => Ok(Opened::Builtin(name, text)),
            None if entry.contains('/') => {
                Err(here(Mistake::new("relative path in `extends`").label("a path starts with `/`")))
            }
            None => {
                let mistake = Mistake::new("unknown profile in `extends`").label("not built in, and not a path");
                Err(here(mistake.suggest(entry, shipped::names())))
            }
        }
    }

    fn finish(mut self, name: String, set: &[String]) -> Result<Policy, InputError> {
        for assignment in set {
            self.hash.update(format!("{assignment}\n"));
            self.layer = extend(self.layer, set::layer(assignment)?);
        }
        let hash = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Policy { name, hash, ..self.layer.policy })
    }
}

impl Opened {
    fn identity(&self) -> Result<Identity, InputError> {
        match self {
            Opened::Builtin(name, _) => Ok(Identity::Builtin(name)),
            Opened::File(file, path) => {
                let metadata = file.metadata().map_err(|error| cannot_read(path, &error))?;
                Ok(Identity::File { device: metadata.dev(), inode: metadata.ino() })
            }
        }
    }

    fn read(self) -> Result<Source, InputError> {
        match self {
            Opened::Builtin(name, text) => Ok(Source::new(Name::Builtin(Arc::from(name)), text)),
            Opened::File(file, path) => {
                let mut bytes = Vec::new();
                let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| cannot_read(&path, &error))?;
                if bytes.len() as u64 > MOST_BYTES {
                    return Err(Mistake::new(format!("this file is larger than {MOST_BYTES} bytes"))
                        .in_file(path)
                        .into());
                }
                text(bytes, path)
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

fn absolute(path: &Path) -> Result<PathBuf, InputError> {
    std::path::absolute(path)
        .map_err(|error| Mistake::new(format!("cannot find the working directory: {error}")).in_file(path).into())
}

fn unknown(word: &str, names: Vec<String>) -> Mistake {
    let mistake = Mistake::new(format!("there is no policy `{word}`"));
    match word.strip_suffix(".toml") {
        Some(_) => mistake.help(format!("a file in the working directory is `./{word}`")),
        None => mistake.suggest(word, names.iter().map(String::as_str)),
    }
}

fn builtin_names() -> Vec<String> {
    shipped::names().map(str::to_owned).collect()
}

/// The names to choose from: a help for people, so a directory that cannot be read has none.
fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
    let all: BTreeSet<String> = files.chain(builtin_names()).collect();
    all.into_iter().collect()
}
