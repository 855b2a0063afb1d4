// SPDX-License-Identifier: Apache-2.0
//! Whether the program of a plan can be executed, so far as that can be seen without doing it.
//! Looks at files from outside the sandbox, where a program has the same path as inside.

use super::libraries::{self, Needed};
use crate::host::Elsewhere;
use crate::host::facts::PathFact;
use crate::plan::Plan;
use crate::plan::model::{Access, Identity, Ids, Root};
use crate::policy::{InputError, Mistake, quote};
use std::ffi::{CStr, OsStr};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `BINPRM_BUF_SIZE`: what the kernel reads of a script's first line (Linux, include/uapi/linux/binfmts.h).
const FIRST_LINE: u64 = 256;

/// A script's interpreter may be a script itself, as often as the kernel allows (`exec_binprm`, Linux 5.18: 5).
const MOST_INTERPRETERS: usize = 5;

/// Says before the first session why none will begin, though the program is there: of a script whose interpreter, or a
/// program whose loader, is not in the sandbox, the kernel says that the program itself is not there.
pub(in crate::front) fn say_what_is_missing(plan: &Plan) {
    // In a chroot directory or an image the same names are other files.
    if plan.elsewhere().is_some() {
        return;
    }
    let programs = plan.command.programs.iter().map(|program| path(program));
    let Some(program) =
        programs.filter(|path| path.is_absolute() && !is_private(plan, path)).find(|path| path.is_file())
    else {
        return;
    };
    for line in missing(plan, program).map(InputError::from).iter().flat_map(InputError::lines) {
        tracing::warn!("{}: no session can begin: {line}", plan.service);
    }
}

fn missing(plan: &Plan, program: &Path) -> Option<Mistake> {
    let interpreter = match (interpreter(program), script(plan, program)) {
        (_, Some(mistake)) => return Some(mistake),
        (found, None) => found.unwrap_or_else(|| program.to_path_buf()),
    };
    let loader = libraries::loader(&interpreter).filter(|loader| !shows(&plan.root, loader))?;
    Some(not_shown(&Needed { path: loader, by: interpreter }))
}

/// What is wrong with the program, if anything.
pub(super) fn check(plan: &Plan) -> Option<Mistake> {
    let paths: Vec<&Path> = plan.command.programs.iter().map(|program| path(program)).collect();
    // A relative path is relative to a directory that Postfix chooses, and a private file system is empty from outside.
    if paths.iter().any(|path| !path.is_absolute() || is_private(plan, path)) {
        return None;
    }
    if let Some(image) = &plan.image {
        return not_in(image, &paths);
    }
    let found = paths.iter().find_map(|path| Some((*path, std::fs::metadata(path).ok()?)));
    let Some((program, metadata)) = found else {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let mistake = Mistake::new(format!("this host has no {}", names.join(" and no ")));
        return Some(mistake.help(match one_word(plan) {
            Some(words) => format!("a program and its arguments are texts of their own: argv = {words}"),
            None => "correct the path, or install it".to_string(),
        }));
    };
    if !metadata.is_file() || !may_execute(&metadata, &plan.identity) {
        let who = &plan.identity.name;
        let mistake = Mistake::new(format!("{} is nothing that {who} may execute", program.display()));
        return Some(mistake.help(format!("its mode is {:04o}", metadata.mode() & 0o7777)));
    }
    let executed = interpreter(program).unwrap_or_else(|| program.to_path_buf());
    script(plan, program).or_else(|| hidden(plan, &executed))
}

/// Of a program in an image it is only said whether there is one: its interpreter, loader and libraries are the
/// image's.
fn not_in(image: &Path, paths: &[&Path]) -> Option<Mistake> {
    let owned: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    // What cannot be looked at is told when it is used.
    let found = Elsewhere::open(image).and_then(|image| image.look_at(&owned)).ok()?;
    if found.values().any(|fact| *fact != PathFact::Missing) {
        return None;
    }
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mistake = Mistake::new(format!("the image {} has no {}", image.display(), names.join(" and no ")));
    Some(mistake.help("correct the path, which is one in the image, or unpack what has it"))
}

/// A command line that was written as one word, as the words that a shell would make of it.
fn one_word(plan: &Plan) -> Option<String> {
    let [only] = &plan.command.argv[..] else { return None };
    let line = only.to_str().ok()?;
    let words: Vec<String> = line.split_whitespace().map(quote).collect();
    // What has quotes of its own is more than this splits.
    (words.len() > 1 && !line.contains(['\'', '"', '\\'])).then(|| format!("[{}]", words.join(", ")))
}

/// Whether each session has a file of its own by this name.
fn is_private(plan: &Plan, path: &Path) -> bool {
    plan.scratch.iter().any(|own| path.starts_with(&own.path))
}

/// What is wrong with the interpreter of a script.
fn script(plan: &Plan, program: &Path) -> Option<Mistake> {
    let interpreter = interpreter(program)?;
    let needs = format!("{} needs {}, ", program.display(), interpreter.display());
    if std::fs::metadata(&interpreter).is_err() {
        let mistake = Mistake::new(format!("{needs}which this host does not have"));
        return Some(mistake.help("it is in the first line, after #!"));
    }
    let help = format!("add it: files.execute = [\"{}\"]", interpreter.display());
    let hidden = || Mistake::new(format!("{needs}which the policy does not let it execute")).help(help);
    (!shows(&plan.root, &interpreter)).then(hidden)
}

/// The first of the program's loader and libraries that the policy does not show. Without it the kernel says that the
/// program itself is not there, or the loader ends it.
fn hidden(plan: &Plan, program: &Path) -> Option<Mistake> {
    let needed = libraries::of(program).into_iter().find(|needed| !shows(&plan.root, &needed.path))?;
    Some(not_shown(&needed))
}

fn not_shown(needed: &Needed) -> Mistake {
    let place = needed.path.parent().unwrap_or(&needed.path).display();
    let words = format!("{} needs {}, which the policy does not show", needed.by.display(), needed.path.display());
    Mistake::new(words).help(format!("add its directory: files.execute = [\"{place}\"]"))
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// By the mode alone: access lists are not looked at, and supplementary groups the command has none.
fn may_execute(metadata: &Metadata, identity: &Identity) -> bool {
    let (user, group) = match identity.ids {
        Ids::One { uid, gid } => (metadata.uid() == uid, metadata.gid() == gid),
        // Nobody's ids: no file is theirs.
        Ids::Each { gid, .. } => (false, gid == Some(metadata.gid())),
    };
    let bit = if user {
        0o100
    } else if group {
        0o010
    } else {
        0o001
    };
    metadata.mode() & bit != 0
}

/// What the kernel opens in place of a script, one after the other: each as it is written in the one before, and
/// without links. Ends where this host has none.
pub(in crate::front) fn interpreters(program: &Path) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let next = |program: &Path| {
        let written = interpreter(program)?;
        let real = std::fs::canonicalize(&written).ok()?;
        Some((written, real))
    };
    std::iter::successors(next(program), move |(_, real)| next(real)).take(MOST_INTERPRETERS)
}

/// What the first line of a script names. A program that cannot be read is none.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    File::open(program).ok()?.take(FIRST_LINE).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let word = line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(word)))
}

/// Whether the root lets this be executed, by the name that it has or by the one behind its links.
fn shows(root: &Root, program: &Path) -> bool {
    let Some(binds) = root.binds() else { return true };
    let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
    binds.iter().any(|bind| bind.access == Access::Execute && real.starts_with(&bind.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{hosts, resolve};
    use std::os::unix::fs::PermissionsExt;

    /// What is said about a program with this text and mode, under the policy `compatible`.
    fn said(text: &str, mode: u32) -> String {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("spawnbox-program-{}-{number}", std::process::id()));
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let name = file.display().to_string();
        let mut policy = hosts::compatible();
        policy.files.scratch.clear();
        let plan = resolve(&hosts::master("nobody", &[&name]), &policy, &hosts::root_on_618()).unwrap();
        let mistake = check(&plan);
        std::fs::remove_file(&file).unwrap();
        let text =
            mistake.map_or("nothing".to_string(), |mistake| crate::policy::InputError::from(mistake).to_string());
        text.replace(&name, "PROGRAM").replace('\n', " ")
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_found() {
        let table = [
            (said("", 0o644), "error: PROGRAM is nothing that nobody may execute"),
            (said("", 0o750), "error: PROGRAM is nothing that nobody may execute"),
            (said("#! /no/such -w\n", 0o755), "error: PROGRAM needs /no/such, which this host does not have"),
        ];
        for (said, expected) in table {
            assert!(said.starts_with(expected), "{said}");
        }
        assert_eq!(said("#!/bin/sh\nexit\n", 0o755), "nothing");
    }

    #[test]
    fn a_program_that_is_not_there_is_found() {
        let policy = hosts::compatible();
        let say = |program: &str| {
            let plan = resolve(&hosts::master("nobody", &[program]), &policy, &hosts::root_on_618()).unwrap();
            check(&plan).map(|mistake| crate::policy::InputError::from(mistake).to_string())
        };
        assert!(say("/no/such").unwrap().starts_with("error: this host has no /no/such\n"));
        assert!(say("no-such").unwrap().starts_with("error: this host has no /usr/bin/no-such and no /bin/no-such\n"));
        // Each session has its own.
        assert_eq!(say("/tmp/such"), None);
    }
}
