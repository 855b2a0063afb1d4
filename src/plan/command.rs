// SPDX-License-Identifier: Apache-2.0
//! What runs: the program's candidates, arguments, environment, directory, mask and ignored signals.
//! Whether the sandbox shows the program is asked in `files`, once the root is planned.

use super::model::Command;
use super::refuse::{BadCommand, Refusal};
use super::request::{Front, Request};
use crate::policy::{Origin, Policy, Sourced};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// Where execvp(3) looks when there is no PATH; glibc's `_PATH_DEFPATH`, and what spawn(8) sets.
const DEFAULT_PATH: &str = "/usr/bin:/bin";
/// A search path of more directories than this is a mistake.
const PATH_DIRECTORIES: usize = 64;
/// Nothing but the owner's.
const DEFAULT_UMASK: u32 = 0o077;

/// Plans the command; the directory is the policy's, else the front door's, else `/`.
pub(super) fn resolve(request: &Request, policy: &Policy) -> Result<Command, Refusal> {
    let Some(argv) = request.argv.as_ref().or(policy.command.argv.as_ref()) else {
        return Err(Refusal::new(BadCommand::Missing, &Origin::Default));
    };
    let environment = environment(request, policy)?;
    let programs = programs(argv, search_path(&environment, request.front), request.front)?;
    let strings = |words: Vec<String>, key| c_strings(words, key, &argv.origin);
    Ok(Command {
        programs: strings(programs, "command.argv")?,
        argv: strings(argv.value.clone(), "command.argv")?,
        environment: c_strings(environment, "command.environment", &Origin::Default)?,
        client_environment: policy.command.client_environment.as_ref().and_then(|wanted| wanted.value),
        directory: directory(request, policy)?,
        umask: policy.command.umask.as_ref().map_or(DEFAULT_UMASK, |umask| umask.value),
        ignore_signals: policy
            .command
            .ignore_signals
            .as_ref()
            .map_or_else(BTreeSet::new, |signals| signals.value.clone()),
    })
}

/// The paths that execvp(3) would try, in order.
fn programs(argv: &Sourced<Vec<String>>, search: &str, front: Front) -> Result<Vec<String>, Refusal> {
    let refuse = |reason| Err(Refusal::new(reason, &argv.origin));
    let Some(program) = argv.value.first() else { return refuse(BadCommand::Missing) };
    match front {
        // As spawn(8): relative to the working directory, and an empty word fails in exec.
        Front::Master if program.contains('/') || program.is_empty() => return Ok(vec![program.clone()]),
        Front::Master => {}
        Front::Listen | Front::Run if program.starts_with('/') => return Ok(vec![program.clone()]),
        Front::Listen | Front::Run if program.is_empty() => return refuse(BadCommand::Missing),
        Front::Listen | Front::Run if program.contains('/') => {
            return refuse(BadCommand::Relative { program: program.clone() });
        }
        Front::Listen | Front::Run => {}
    }
    // An entry that is empty or relative means the working directory to execvp(3): never looked at here.
    let directories = search.split(':').filter(|directory| directory.starts_with('/')).take(PATH_DIRECTORIES);
    let paths: Vec<String> =
        directories.map(|directory| format!("{}/{program}", directory.trim_end_matches('/'))).collect();
    if paths.is_empty() {
        return refuse(BadCommand::NoSearchPath { program: program.clone() });
    }
    Ok(paths)
}

/// Under master always the compiled-in path: spawn(8) sets it whatever export_environment says.
fn search_path(environment: &[String], front: Front) -> &str {
    match front {
        Front::Master => DEFAULT_PATH,
        Front::Listen | Front::Run => {
            environment.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH)
        }
    }
}

/// The front door's variables, then the policy's; of equal names the later one stays.
fn environment(request: &Request, policy: &Policy) -> Result<Vec<String>, Refusal> {
    let written = &policy.command.environment;
    let mut requested: Vec<(&String, &String)> = Vec::new();
    for (name, value) in &request.environment {
        requested.retain(|(earlier, _)| *earlier != name);
        requested.push((name, value));
    }
    requested.retain(|(name, _)| !written.contains_key(*name));
    let origins: BTreeMap<&String, &Origin> = written.iter().map(|(name, value)| (name, &value.origin)).collect();
    let all = requested.into_iter().chain(written.iter().map(|(name, value)| (name, &value.value)));
    all.map(|(name, value)| {
        let origin = origins.get(name).copied().unwrap_or(&Origin::Default);
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Refusal::new(BadCommand::Variable { name: name.escape_debug().to_string() }, origin));
        }
        if value.contains('\0') {
            return Err(Refusal::new(BadCommand::Nul { key: "command.environment" }, origin));
        }
        Ok(format!("{name}={value}"))
    })
    .collect()
}

fn directory(request: &Request, policy: &Policy) -> Result<CString, Refusal> {
    let (path, origin) = match (&policy.command.directory, &request.directory) {
        (Some(written), _) => (written.value.as_path(), &written.origin),
        (None, Some(requested)) => (requested.as_path(), &Origin::Default),
        (None, None) => (Path::new("/"), &Origin::Default),
    };
    if !path.is_absolute() {
        return Err(Refusal::new(BadCommand::DirectoryRelative { path: PathBuf::from(path) }, origin));
    }
    path_string(path).ok_or_else(|| Refusal::new(BadCommand::Nul { key: "command.directory" }, origin))
}

/// A path as the kernel takes it; `None` where it holds a NUL.
pub(super) fn path_string(path: &Path) -> Option<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).ok()
}

fn c_strings(words: Vec<String>, key: &'static str, origin: &Origin) -> Result<Vec<CString>, Refusal> {
    let strings = words.into_iter().map(CString::new).collect::<Result<_, _>>();
    strings.map_err(|_| Refusal::new(BadCommand::Nul { key }, origin))
}
