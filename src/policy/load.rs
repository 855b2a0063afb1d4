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
const MOST_BYTES: u64 = 1 << 19;

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
    let found = shipped::find(name).ok_or_else(|| unknown(name, builtin_names().map(str::to_owned).collect()))?;
    reader.take(Opened::Builtin(found.0, found.1))?;
    reader.finish(name.to_owned(), &[])
}

/// The policy that is `text`, which may extend built-in ones alone: a test must not open what its input names.
#[cfg(any(test, fuzzing))]
pub(crate) fn from_text(text: &str, set: &[String]) -> Result<Policy, InputError> {
    let mut reader = Reader::new();
    let source = Source::new(Name::File(Arc::new(PathBuf::from("/etc/spawnbox/text.toml"))), text);
    let extends = shape::parse(&source, Version::Required)?.extends.unwrap_or_default();
    if let Some(path) = extends.iter().find(|entry| entry.get_ref().starts_with('/')) {
        return Err(Mistake::new("a path").at(&source, path.span()).into());
    }
    reader.lay(Identity::Builtin(""), source)?;
    reader.finish("text".to_owned(), set)
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

/// The names of the policies in `directory`, sorted; none where it cannot be read.
pub fn operators(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
    files.collect::<BTreeSet<_>>().into_iter().collect()
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
    sources: Vec<Source>,
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
            sources: Vec::new(),
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
        self.lay(identity, opened.read()?)
    }

    fn lay(&mut self, identity: Identity, source: Source) -> Result<(), InputError> {
        self.hash.update(source.text());
        self.sources.push(source.clone());
        let shape::Parsed { mut file, wrong } = shape::parse_on(&source, Version::Required)?;
        let extends = file.extends.take().unwrap_or_default();
        let layer = read::read(file, &source);
        self.seen.insert(identity.clone());
        self.open.push((identity, source.title()));
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
        Ok(Policy { name, hash, sources: self.sources, ..self.layer.policy })
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

/// The names to choose from: a help for people, so a directory that cannot be read has none.
fn names_in(directory: &Path) -> Vec<String> {
    let builtin = builtin_names().map(str::to_owned);
    let all: BTreeSet<String> = operators(directory).into_iter().chain(builtin).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A policy directory of this test's own.
    struct Scene(PathBuf);

    impl Scene {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("spawnbox-load-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = trust::scenes().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            Scene(path)
        }

        /// Writes a policy of format 1, in which `$DIR` is this directory.
        fn file(&self, name: &str, text: &str) -> String {
            let text = format!("version = 1\n{}\n", text.replace("$DIR", &self.0.to_string_lossy()));
            self.bytes(name, text.as_bytes())
        }

        fn bytes(&self, name: &str, bytes: &[u8]) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            path.to_string_lossy().into_owned()
        }

        fn load(&self, word: &str) -> Result<Policy, InputError> {
            load_from(&self.0, word, &[])
        }

        fn check(&self, word: &str, expected: &[&str]) {
            let directory = self.0.to_string_lossy().into_owned();
            let lines: Vec<_> =
                self.load(word).unwrap_err().lines().map(|line| line.replace(&directory, "$DIR")).collect();
            assert_eq!(lines, expected, "{word}");
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        let scene = Scene::new();
        scene.file("mine.toml", "");
        scene.check("min", &["there is no policy `min` (did you mean `mine`?)"]);
        scene.check("strcit", &["there is no policy `strcit` (did you mean `strict`?)"]);
        scene
            .check("mine.toml", &["there is no policy `mine.toml` (a file in the working directory is `./mine.toml`)"]);
        scene.check("", &["no policy can have the name ``"]);
        scene.check("a\nb", &["no policy can have the name `a\\u{a}b`"]);
        assert_eq!(
            builtin("strcit").unwrap_err().lines().next().unwrap(),
            "there is no policy `strcit` (did you mean `strict`?)"
        );
    }

    #[test]
    fn a_file_that_others_can_write_is_refused_even_where_a_built_in_has_its_name() {
        let scene = Scene::new();
        let path = scene.file("strict.toml", "");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let expected = "cannot use the policy file $DIR/strict.toml: it can be written by others than its owner \
                        (`chmod go-w $DIR/strict.toml`)";
        scene.check("strict", &[expected]);
    }

    #[test]
    fn a_dangling_link_is_not_replaced_by_a_built_in_policy() {
        let scene = Scene::new();
        symlink("elsewhere", scene.0.join("strict.toml")).unwrap();
        scene.check("strict", &["cannot use the policy file $DIR/strict.toml: $DIR/elsewhere does not exist"]);
    }

    #[test]
    fn a_file_that_is_no_policy_is_refused() {
        let scene = Scene::new();
        let large = scene.bytes("large.toml", &vec![b'#'; 1 << 19 | 1]);
        scene.check(&large, &["$DIR/large.toml: this file is larger than 524288 bytes"]);
        let binary = scene.bytes("binary.toml", b"version = 1\n# \xff");
        scene.check(&binary, &["$DIR/binary.toml:2: this file is not UTF-8 text"]);
        scene.check(
            &format!("{}/none.toml", scene.0.display()),
            &["cannot use the policy file $DIR/none.toml: it does not exist"],
        );
    }

    #[test]
    fn extends_names_a_profile_or_an_absolute_path() {
        let scene = Scene::new();
        scene.file("a.toml", "extends = [\"pyton3\"]");
        scene.check(
            "a",
            &["$DIR/a.toml:2:12: unknown profile in `extends`: not built in, and not a path (did you mean `python3`?)"],
        );
        scene.file("b.toml", "extends = [\"./a.toml\"]");
        scene.check("b", &["$DIR/b.toml:2:12: relative path in `extends`: a path starts with `/`"]);
        scene.file("c.toml", "extends = [\"$DIR/none.toml\"]");
        scene.check("c", &["$DIR/c.toml:2:12: cannot use the policy file $DIR/none.toml: it does not exist"]);
    }

    #[test]
    fn extends_must_come_to_an_end() {
        let scene = Scene::new();
        scene.file("self.toml", "extends = [\"$DIR/self.toml\"]");
        scene.check("self", &["$DIR/self.toml:2:12: `extends` goes in a circle: leads back to $DIR/self.toml"]);
        scene.file("a.toml", "extends = [\"$DIR/b.toml\"]");
        scene.file("b.toml", "extends = [\"strict\", \"$DIR/a.toml\"]");
        let expected = "$DIR/b.toml:2:22: `extends` goes in a circle: \
                        leads back to $DIR/a.toml, which extends $DIR/b.toml";
        scene.check("a", &[expected]);
        for depth in 0..=16 {
            scene.file(&format!("d{depth}.toml"), &format!("extends = [\"$DIR/d{}.toml\"]", depth + 1));
        }
        scene.file("d17.toml", "");
        scene.check("d1", &["$DIR/d16.toml:2:12: `extends` goes too far: at most 16 files in a row and 64 in all"]);
        assert!(scene.load("d2").is_ok());
    }

    #[test]
    fn a_mistake_in_an_extended_file_names_that_file() {
        let scene = Scene::new();
        scene.file("base.toml", "[limits]\ntime = 0");
        scene.file("a.toml", "extends = [\"$DIR/base.toml\"]");
        scene.check("a", &["$DIR/base.toml:3:8: impossible value of `time`: must be at least 1s"]);
    }

    #[test]
    fn the_operators_file_comes_before_the_built_in_one() {
        let scene = Scene::new();
        scene.file("echo.toml", "description = \"mine\"");
        assert_eq!(scene.load("echo").unwrap().description.unwrap().value, "mine");
        assert_eq!(scene.load("strict").unwrap(), builtin("strict").unwrap());
        assert_eq!(load_from(Path::new("/nonexistent"), "strict", &[]).unwrap(), builtin("strict").unwrap());
    }

    #[test]
    fn a_word_with_a_slash_is_a_path() {
        let scene = Scene::new();
        let path = scene.file("my.policy.toml", "description = \"mine\"");
        let policy = scene.load(&path).unwrap();
        assert_eq!(policy.name, "my.policy");
        let origin = policy.description.unwrap().origin;
        assert_eq!(origin, Origin::File { path: Arc::new(path.into()), line: 2, column: 15 });
    }

    #[test]
    fn a_profile_cannot_loosen_a_limit_that_was_set_before_it() {
        let scene = Scene::new();
        scene.file("tight.toml", "limits = { time = 5, tasks = 5 }");
        scene.file("loose.toml", "extends = [\"$DIR/tight.toml\", \"strict\"]");
        let limits = scene.load("loose").unwrap().limits;
        assert_eq!((limits.time.unwrap().value.as_secs(), limits.tasks.unwrap().value), (5, 5));
        scene.file(
            "said.toml",
            "extends = [\"$DIR/tight.toml\"]\noverride = [\"limits.time\"]\nlimits = { time = 9, tasks = 9 }",
        );
        let limits = scene.load("said").unwrap().limits;
        assert_eq!((limits.time.unwrap().value.as_secs(), limits.tasks.unwrap().value), (9, 5));
    }

    #[test]
    fn a_file_that_is_reached_twice_counts_once() {
        let scene = Scene::new();
        scene.file("base.toml", "isolation.init = true");
        scene.file("left.toml", "extends = [\"$DIR/base.toml\"]\nisolation.init = false");
        scene.file("right.toml", "extends = [\"$DIR/base.toml\"]");
        scene.file("both.toml", "extends = [\"$DIR/left.toml\", \"$DIR/right.toml\"]");
        // A second time, base.toml would take back what left.toml says.
        assert!(!scene.load("both").unwrap().isolation.init.unwrap().value);
    }

    #[test]
    fn the_hash_is_that_of_the_files_in_the_order_in_which_they_are_read() {
        let scene = Scene::new();
        for (name, text) in [("c", ""), ("b", "extends = [\"$DIR/c.toml\"]"), ("d", "extends = [\"$DIR/c.toml\"]")] {
            scene.file(&format!("{name}.toml"), text);
        }
        scene.file("a.toml", "extends = [\"$DIR/b.toml\", \"$DIR/d.toml\"]");
        let read = |name| std::fs::read(scene.0.join(format!("{name}.toml"))).unwrap();
        let mut bytes: Vec<u8> = ["a", "b", "c", "d"].into_iter().flat_map(read).collect();
        let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(scene.load("a").unwrap().hash, hex(&bytes));
        bytes.extend(b"limits.time=5m\nlimits.tasks=7\n");
        let set = ["limits.time=5m".to_owned(), "limits.tasks=7".to_owned()];
        assert_eq!(load_from(&scene.0, "a", &set).unwrap().hash, hex(&bytes));
    }

    #[test]
    fn what_the_command_line_sets_holds_over_every_file() {
        let set = ["limits.tasks=1000".to_owned(), "files.read=/srv".to_owned()];
        let policy = load_from(Path::new("/nonexistent"), "strict", &set).unwrap();
        let tasks = policy.limits.tasks.unwrap();
        assert_eq!((tasks.value, tasks.origin), (1000, Origin::CommandLine));
        let paths: Vec<_> = policy.files.read.iter().map(|entry| entry.value.path.display().to_string()).collect();
        assert_eq!(paths, ["/etc/ld.so.cache", "/etc/localtime", "/srv"]);
    }
}
