// SPDX-License-Identifier: Apache-2.0
//! The loader and the shared libraries of a program, as ld.so(8) would look for them: a sandbox that does not show one
//! answers with an ENOENT that names the program. Reads files from outside; runs nothing.
//!
//! Where the index of the loader (ld.so.cache) alone knows a place, the library is not found here and nothing is said:
//! what is told must be true.

use goblin::container::Ctx;
use goblin::elf::program_header::PT_INTERP;
use goblin::elf::{Elf, ProgramHeader};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the loader looks last, see ld.so(8); with Debian's directories for one architecture.
const DEFAULT: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// A file that is larger is no program that anyone starts for a connection.
const LARGEST: u64 = 512 << 20;
/// Where linkers put the headers of a program and the name of its loader: within its first page.
const BEGINNING: u64 = 4096;
/// More files than any program has libraries.
const MOST: usize = 1024;

/// A file that a program cannot start without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needed {
    pub(super) path: PathBuf,
    /// What needs it.
    pub(super) by: PathBuf,
}

/// The loader of `program` and every library that is found, each with what needs it first. Nothing for what is no
/// program in ELF, or cannot be read.
pub(super) fn of(program: &Path) -> Vec<Needed> {
    let mut found: Vec<Needed> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![(program.to_path_buf(), Vec::new())];
    while let Some((file, inherited)) = open.pop()
        && seen.len() < MOST
    {
        let Some(read) = read(&file, &inherited) else { continue };
        for path in read.needs {
            // By what its links lead to: libc names the loader by another directory than programs do.
            if seen.insert(std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                found.push(Needed { path: path.clone(), by: file.clone() });
                open.push((path, read.rpaths.clone()));
            }
        }
    }
    found
}

/// The loader of `program` alone, as the kernel finds it: by what stands at its beginning, however large it is.
pub(in crate::front) fn loader(program: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    File::open(program).ok()?.take(BEGINNING).read_to_end(&mut start).ok()?;
    let header = Elf::parse_header(&start).ok()?;
    let elf = Elf::lazy_parse(header).ok()?;
    let context = Ctx::new(elf.header.container().ok()?, elf.header.endianness().ok()?);
    let (first, count) = (usize::try_from(elf.header.e_phoff).ok()?, usize::from(elf.header.e_phnum));
    let headers = ProgramHeader::parse(&start, first, count, context).ok()?;
    let named = headers.iter().find(|header| header.p_type == PT_INTERP)?;
    let name = start.get(named.file_range())?.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// What a file needs, and where what it needs is looked for too.
struct Read {
    needs: Vec<PathBuf>,
    rpaths: Vec<PathBuf>,
}

fn read(file: &Path, inherited: &[PathBuf]) -> Option<Read> {
    let length = std::fs::metadata(file).ok()?.len();
    let bytes = (length <= LARGEST).then(|| std::fs::read(file).ok()).flatten()?;
    let elf = Elf::parse(&bytes).ok()?;
    let real = std::fs::canonicalize(file).ok()?;
    let here = real.parent()?;
    let places = |lists: &[&str]| -> Vec<PathBuf> {
        let all = lists.iter().flat_map(|list| list.split(':')).filter(|place| !place.is_empty());
        all.map(|place| expand(place, here)).collect()
    };
    let mut rpaths = if elf.runpaths.is_empty() { places(&elf.rpaths) } else { Vec::new() };
    rpaths.extend_from_slice(inherited);
    // RUNPATH is for the libraries that this file itself names, RPATH for theirs as well.
    let own: Vec<PathBuf> = rpaths.iter().cloned().chain(places(&elf.runpaths)).collect();
    let find = |name: &&str| match Path::new(name).is_absolute() {
        true => Some(PathBuf::from(name)),
        false => own.iter().map(PathBuf::as_path).chain(DEFAULT.iter().map(Path::new)).find_map(|place| {
            let path = place.join(name);
            path.is_file().then_some(path)
        }),
    };
    let loader = elf.interpreter.map(PathBuf::from);
    Some(Read { needs: loader.into_iter().chain(elf.libraries.iter().filter_map(find)).collect(), rpaths })
}

/// The words of ld.so(8) that stand for a directory.
fn expand(place: &str, here: &Path) -> PathBuf {
    let origin = here.display().to_string();
    let words = [("${ORIGIN}", origin.as_str()), ("$ORIGIN", &origin), ("$LIB", "lib/x86_64-linux-gnu")];
    PathBuf::from(words.iter().fold(place.to_string(), |text, (word, meaning)| text.replace(word, meaning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_its_loader_and_its_libraries() {
        let found = of(Path::new("/bin/sh"));
        let name = |needed: &Needed| needed.path.file_name().unwrap().to_string_lossy().into_owned();
        let names: Vec<String> = found.iter().map(name).collect();
        assert!(names.iter().any(|name| name == "ld-linux-x86-64.so.2"), "{names:?}");
        assert!(names.iter().any(|name| name == "libc.so.6"), "{names:?}");
        assert!(found.iter().all(|needed| needed.path.is_absolute()), "{found:?}");
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "each once");
    }

    #[test]
    fn a_program_names_its_loader_at_its_beginning() {
        let named = loader(Path::new("/bin/sh"));
        assert_eq!(named, of(Path::new("/bin/sh")).into_iter().next().map(|needed| needed.path));
        assert!(named.is_some());
    }

    #[test]
    fn what_is_no_program_needs_nothing() {
        for file in ["/etc/passwd", "/", "/no/such", "/dev/null"] {
            assert_eq!(loader(Path::new(file)), None, "{file}");
            assert_eq!(of(Path::new(file)), [], "{file}");
        }
    }

    #[test]
    fn the_words_of_the_loader_are_directories() {
        let here = Path::new("/opt/app/bin");
        let table = [
            ("$ORIGIN/../lib", "/opt/app/bin/../lib"),
            ("${ORIGIN}", "/opt/app/bin"),
            ("/usr/$LIB", "/usr/lib/x86_64-linux-gnu"),
            ("/plain", "/plain"),
        ];
        for (written, meant) in table {
            assert_eq!(expand(written, here), Path::new(meant));
        }
    }
}
