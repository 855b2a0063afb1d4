// SPDX-License-Identifier: Apache-2.0
//! From the word that names a policy to the policy: finds its file, reads what it extends, lays them over one another.
//! Opens policy files and nothing else; each once, and what was opened is what is read.

use super::diagnose::{InputError, Mistake};
use super::extend::{Layer, extend};
use super::model::Policy;
use super::search::{self, Identity, Opened, Places};
use super::shape::{self, Version};
use super::shipped;
use super::source::{Name, Source};
use super::variables::{Known, Written};
use super::{read, set};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::Path;
use toml::Spanned;

pub use super::search::operators;

/// Where an operator's policies are.
pub const DIRECTORY: &str = "/etc/spawnbox";

/// The most files that extend one another in a row, and the most files in all.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 64;

/// The policy that `word` names, with each of `set` (`key=value`) laid over it.
///
/// A word with a slash is a path. Without one it is `/etc/spawnbox/WORD.toml` if that is there, else the built-in
/// policy of that name; so is each name in `extends`, with two exceptions. A file that extends its own name means the
/// built-in policy whose place it takes. A built-in policy extends built-in ones, whatever files there are: it is what
/// was tested.
///
/// The hash is over the files in the order in which they are read: a file, then each that it extends from left to right
/// with what that one extends; a file that is reached twice is read once. Each of `set` follows with a newline:
/// `{ cat FILES; printf '%s\n' KEY=VALUE; } | sha256sum` gives the same.
pub fn load(word: &str, set: &[String]) -> Result<Written, InputError> {
    load_from(Path::new(DIRECTORY), word, set)
}

/// Like [`load`], with another directory in place of `/etc/spawnbox`.
pub fn load_from(directory: &Path, word: &str, set: &[String]) -> Result<Written, InputError> {
    let mut reader = Reader::new(Places::new(directory)?);
    let name = match word.contains('/') {
        true => reader.path(word)?,
        false => reader.name(word)?,
    };
    reader.finish(name, set)
}

/// The built-in policy `name`, whatever files there are, for a service of the same name.
pub fn builtin(name: &str) -> Result<Policy, InputError> {
    let mut reader = Reader::new(Places::builtin());
    let policy = reader.name(name)?;
    reader.finish(policy, &[])?.fill(Known { service: name, user: None, stand_in: None })
}

/// The policy that is `text`, which may extend built-in ones alone: a test must not open what its input names.
#[cfg(any(test, fuzzing))]
pub(crate) fn from_text(text: &str, set: &[String]) -> Result<Policy, InputError> {
    let mut reader = Reader::new(Places::builtin());
    let source = Source::new(Name::File(std::sync::Arc::new("/etc/spawnbox/text.toml".into())), text);
    let extends = shape::parse(&source, Version::Required)?.extends.unwrap_or_default();
    if let Some(path) = extends.iter().find(|entry| entry.get_ref().starts_with('/')) {
        return Err(Mistake::new("a path").at(&source, path.span()).into());
    }
    reader.lay(Identity::Builtin(""), source)?;
    reader.finish("text".to_owned(), set)?.fill(Known { service: "text", user: None, stand_in: Some("nobody") })
}

/// What `text` says, whatever it extends.
pub(super) fn read_alone(text: &str) -> Result<Layer, InputError> {
    let source = Source::new(Name::CommandLine, text);
    read::read(shape::parse(&source, Version::Required)?, &source)
}

/// The names of the built-in policies.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    shipped::names()
}

struct Reader {
    places: Places,
    hash: Sha256,
    sources: Vec<Source>,
    /// What was read so far, each file over those that it extends.
    layer: Layer,
    seen: BTreeSet<Identity>,
    /// The files that led to this one, the last of which is being read.
    open: Vec<(Identity, Source)>,
}

impl Reader {
    fn new(places: Places) -> Self {
        Reader {
            places,
            hash: Sha256::new(),
            sources: Vec::new(),
            layer: Layer { policy: Policy::named(""), forced: BTreeSet::new() },
            seen: BTreeSet::new(),
            open: Vec::new(),
        }
    }

    /// Reads the file at the path `word`; its name as a policy.
    fn path(&mut self, word: &str) -> Result<String, InputError> {
        let named = Path::new(word);
        self.take(self.places.path(named)?)?;
        Ok(search::absolute(named)?.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned()))
    }

    /// Reads the operator's or else the built-in policy `word`.
    fn name(&mut self, word: &str) -> Result<String, InputError> {
        match self.places.name(word)? {
            Some(opened) => self.take(opened)?,
            None => return Err(unknown(word, &self.places.names()).into()),
        }
        Ok(word.to_owned())
    }

    /// Reads `opened` over everything that it extends.
    fn take(&mut self, opened: Opened) -> Result<(), InputError> {
        let identity = opened.identity()?;
        self.lay(identity, opened.read()?)
    }

    fn lay(&mut self, identity: Identity, source: Source) -> Result<(), InputError> {
        self.hash.update(source.text());
        self.sources.push(source.clone());
        let shape::Parsed { mut file, wrong } = shape::parse_on(&source, Version::Required)?;
        let extends = file.extends.take().unwrap_or_default();
        let layer = read::read(file, &source);
        self.seen.insert(identity.clone());
        self.open.push((identity, source.clone()));
        // A mistake hides none in what this file extends.
        let below: Vec<InputError> = extends.iter().filter_map(|entry| self.extends(&source, entry).err()).collect();
        self.open.pop();
        match layer {
            Ok(layer) => {
                InputError::join(wrong.into_iter().chain(below))?;
                self.layer = extend(self.layer.clone(), layer);
                Ok(())
            }
            Err(error) => InputError::join(wrong.into_iter().chain([error]).chain(below)),
        }
    }

    /// Reads what `entry` of `extends` in `source` names, unless it was read before.
    fn extends(&mut self, source: &Source, entry: &Spanned<String>) -> Result<(), InputError> {
        let here = |mistake: Mistake| InputError::from(mistake.at(source, entry.span()));
        let found = self.find(source, entry.get_ref()).map_err(|error| {
            let led = self.open.len() > 1;
            error.put_at(source, entry.span(), |mistake| if led { mistake.help(self.led_here()) } else { mistake })
        })?;
        let identity = found.identity()?;
        if let Some(start) = self.open.iter().position(|(open, _)| *open == identity) {
            let label = format!("{} extends {}", self.chain(start), self.open[start].1.title());
            return Err(here(Mistake::new("`extends` goes in a circle").label(label)));
        }
        if self.seen.contains(&identity) {
            return Ok(());
        }
        if self.open.len() >= DEEPEST || self.seen.len() >= MOST_FILES {
            let label = format!("at most {DEEPEST} files in a row and {MOST_FILES} in all");
            return Err(here(Mistake::new("`extends` goes too far").label(label).help(self.led_here())));
        }
        self.take(found)
    }

    /// Finds what `entry` of `source` names.
    fn find(&self, source: &Source, entry: &str) -> Result<Opened, InputError> {
        if entry.starts_with('/') {
            return self.places.path(Path::new(entry));
        }
        if entry.contains('/') {
            return Err(Mistake::new("relative path in `extends`").label("a path starts with `/`").into());
        }
        let found = match source.is_builtin() {
            true => search::builtin(entry),
            false => self.places.name(entry)?,
        };
        let Some(found) = found else {
            let mistake = Mistake::new(format!("there is no policy `{entry}`")).label(self.places.nowhere());
            return Err(named_nearby(mistake, entry, &self.places.names()).into());
        };
        // A file that extends its own name: what it takes the place of is what it means.
        let own = source.stem() == Some(entry)
            && self.open.last().is_some_and(|(open, _)| found.identity() == Ok(open.clone()));
        Ok(if own { search::builtin(entry).unwrap_or(found) } else { found })
    }

    /// `A extends B extends C`: the files from `start` on that led to this one.
    fn chain(&self, start: usize) -> String {
        let titles: Vec<String> = self.open[start..].iter().map(|(_, source)| source.title()).collect();
        titles.join(" extends ")
    }

    fn led_here(&self) -> String {
        format!("it comes to this because {}", self.chain(0))
    }

    fn finish(mut self, name: String, set: &[String]) -> Result<Written, InputError> {
        for assignment in set {
            self.hash.update(format!("{assignment}\n"));
            self.layer = extend(self.layer, set::layer(assignment)?);
        }
        let hash = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Written::new(Policy { name, hash, sources: self.sources, ..self.layer.policy }))
    }
}

fn unknown(word: &str, names: &[String]) -> Mistake {
    let mistake = Mistake::new(format!("there is no policy `{word}`"));
    match word.strip_suffix(".toml") {
        Some(_) => mistake.help(format!("a file in the working directory is `./{word}`")),
        None => named_nearby(mistake, word, names),
    }
}

/// With the names that were meant, perhaps.
fn named_nearby(mistake: Mistake, word: &str, names: &[String]) -> Mistake {
    let stem = word.strip_suffix(".toml").filter(|stem| names.iter().any(|name| name == stem));
    match stem {
        Some(stem) => mistake.help(format!("a name is written without `.toml`: `{stem}`")),
        None => mistake.suggest(word, names.iter().map(String::as_str)),
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
