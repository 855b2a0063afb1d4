// SPDX-License-Identifier: Apache-2.0
//! `spawnbox install-postfix`: the program in Postfix's daemon directory, the unit that holds the control groups of
//! sessions, and what a hardened unit withholds. Shows what it would do, and takes it all away again.
//! Never touches a file that it did not write, and never master.cf: it prints the commands for that.

mod change;
mod remove;
pub(super) mod unit;
pub(super) mod units;

use super::cli::InstallPostfix;
use super::output::Output;
use super::postconf::Postconf;
use crate::front::arrange::Failure;
use crate::host::HostError;
use change::{Change, Kind, NewFile, carry_out};
use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use units::Units;

/// By this a program in the daemon directory is known as one of ours, of whatever version.
const PROGRAM_MARK: &[u8] = b"# spawnbox install-postfix wrote this file";
const ELF: &[u8] = b"\x7fELF";
/// Where a package has a link to the program in the daemon directory, which is the package's then.
const LINK: &str = "/usr/sbin/spawnbox";

/// Where everything is.
struct Places {
    postconf: Postconf,
    /// The program that Postfix starts.
    daemon: PathBuf,
    units: Option<Units>,
}

/// A file that is there.
#[derive(Debug, PartialEq, Eq)]
enum Present {
    Nothing,
    Ours(Vec<u8>),
    /// Somebody else's: why we think so.
    Foreign(&'static str),
}

/// Installs or removes.
pub(super) fn install(options: &InstallPostfix) -> Result<ExitCode, Failure> {
    let places = Places::find(options).map_err(Failure::Host)?;
    let changes = match options.remove {
        true => remove::changes(&places),
        false => places.changes(),
    };
    let changes = changes.map_err(Failure::Host)?;
    let mut output = Output::default();
    if options.dry_run {
        changes.iter().for_each(|change| show(change, &mut output));
    } else {
        as_root().map_err(Failure::Host)?;
        carry_out(&changes, |change| output.line(change)).map_err(Failure::Host)?;
    }
    if changes.is_empty() {
        output.line(if options.remove { "nothing of ours is installed" } else { "everything is in its place" });
    }
    match options.remove {
        true => remove::advise(&changes, &mut output),
        false => places.advise(&changes, &mut output).map_err(Failure::Host)?,
    }
    output.end().map(|()| ExitCode::SUCCESS)
}

fn as_root() -> Result<(), HostError> {
    match nix::unistd::geteuid().is_root() {
        true => Ok(()),
        false => Err(HostError {
            doing: "install into Postfix".into(),
            why: "its directories are root's; try sudo, or --dry-run to see what would be done".into(),
        }),
    }
}

/// A change that is not made, with the text of what would be written.
fn show(change: &Change, output: &mut Output) {
    output.line(format_args!("would {change}"));
    if let Change::Write(NewFile { bytes, kind: Kind::Text, .. }) = change {
        String::from_utf8_lossy(bytes).lines().for_each(|line| output.line(format_args!("    {line}")));
    }
}

impl Places {
    fn find(options: &InstallPostfix) -> Result<Places, HostError> {
        let postconf = Postconf::of(options.config_directory.as_deref())?;
        let directory = PathBuf::from(postconf.value("daemon_directory")?);
        if !directory.is_dir() {
            return Err(HostError {
                doing: format!("install into {}", directory.display()),
                why: "Postfix's daemon_directory is no directory here".into(),
            });
        }
        let units = Units::find(options.unit_directory.as_deref());
        Ok(Places { postconf, daemon: directory.join("spawnbox"), units })
    }

    /// What is missing or not as it should be.
    fn changes(&self) -> Result<Vec<Change>, HostError> {
        let mut files = Vec::new();
        if !self.packaged() {
            files.push(NewFile { path: self.daemon.clone(), bytes: own_bytes()?, mode: 0o755, kind: Kind::Program });
        }
        files.extend(self.units.iter().flat_map(Units::files));
        let mut changes = Vec::new();
        for file in files {
            match Present::at(&file.path, file.kind)? {
                Present::Ours(bytes) if bytes == file.bytes && is_roots(&file) => {}
                Present::Nothing | Present::Ours(_) => changes.push(Change::Write(file)),
                Present::Foreign(what) => {
                    return Err(HostError {
                        doing: format!("write {}", file.path.display()),
                        why: format!("{what}; move it away if nobody needs it"),
                    });
                }
            }
        }
        if let Some(units) = &self.units {
            let written = changes.iter().any(|change| matches!(change, Change::Write(file) if file.kind == Kind::Text));
            changes.extend(units.start(written));
        }
        Ok(changes)
    }

    /// Whether the program there came with a package, which replaces and removes it.
    fn packaged(&self) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        Path::new(LINK).is_symlink() && real(Path::new(LINK)).is_some_and(|path| Some(path) == real(&self.daemon))
    }

    /// What the administrator has to do.
    fn advise(&self, changes: &[Change], output: &mut Output) -> Result<(), HostError> {
        let touched =
            |path: &Path| changes.iter().any(|change| matches!(change, Change::Write(file) if file.path == path));
        match &self.units {
            Some(units) => units.advise(touched, output),
            None => output.line("\nsystemd does not run here, so no unit was looked at"),
        }
        let entries = self.postconf.entries()?;
        let spawn: Vec<_> = entries.iter().filter(|entry| entry.command == "spawn").collect();
        output.line("\nIn master.cf write spawnbox where it says spawn, then check and reload:");
        for entry in &spawn {
            output.line(format_args!("    {}", self.postconf.to_change(entry, "spawnbox")));
        }
        if spawn.is_empty() {
            output.line("    policyd-spf  unix  -  n  n  -  0  spawnbox");
            output.line("        policy=policyd-spf user=policyd-spf argv=/usr/bin/policyd-spf");
        }
        let directory = self.postconf.option();
        output.line(format_args!("    spawnbox check --master-cf{directory} && postfix{directory} reload"));
        output.line(
            "\npostconf knows NAME_time_limit only for the command spawn. It will say `unused parameter: NAME_time_limit=...`\n\
             where main.cf sets it; it is in force all the same, and spawnbox check --master-cf shows its value."
        );
        Ok(())
    }
}

impl Present {
    /// What is at `path`, and whose.
    fn at(path: &Path, kind: Kind) -> Result<Present, HostError> {
        let refuse =
            |error: std::io::Error| HostError { doing: format!("read {}", path.display()), why: error.to_string() };
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Present::Nothing),
            other => other.map_err(refuse)?,
        };
        if metadata.is_symlink() {
            return Ok(Present::Foreign("a symbolic link has that name, which `postfix check` warns about"));
        }
        if !metadata.is_file() {
            return Ok(Present::Foreign("something that is no file has that name"));
        }
        let bytes = fs::read(path).map_err(refuse)?;
        Ok(match is_ours(&bytes, kind) {
            true => Present::Ours(bytes),
            false => Present::Foreign("a file that spawnbox did not write has that name"),
        })
    }
}

fn is_ours(bytes: &[u8], kind: Kind) -> bool {
    match kind {
        Kind::Text => unit::is_ours(bytes),
        Kind::Program => bytes.starts_with(ELF) && has(bytes, PROGRAM_MARK),
    }
}

/// Whether `bytes` has `text` somewhere. By way of the library's search for one byte, which is fast in every build: a
/// program has some megabytes.
fn has(bytes: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else { return true };
    BufRead::split(bytes, *first).skip(1).any(|part| part.is_ok_and(|part| part.starts_with(rest)))
}

/// Owner and mode as they would be written; `postfix check` looks at both.
fn is_roots(file: &NewFile) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(&file.path).is_ok_and(|found| (found.uid(), found.mode() & 0o7777) == (0, file.mode))
}

/// This program, as it runs: also where its file was replaced meanwhile.
fn own_bytes() -> Result<Vec<u8>, HostError> {
    fs::read("/proc/self/exe")
        .map_err(|error| HostError { doing: "read this program (/proc/self/exe)".into(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ours_by_what_is_in_it() {
        let program = [ELF, b"...", PROGRAM_MARK, b"..."].concat();
        assert!(is_ours(&program, Kind::Program));
        assert!(!is_ours(PROGRAM_MARK, Kind::Program), "a script that quotes it");
        assert!(!is_ours(ELF, Kind::Program));
    }

    #[test]
    fn the_mark_of_texts_is_in_the_program() {
        assert!(unit::MARK.as_bytes().windows(PROGRAM_MARK.len()).any(|part| part == PROGRAM_MARK));
    }
}
