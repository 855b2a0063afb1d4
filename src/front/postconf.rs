// SPDX-License-Identifier: Apache-2.0
//! Asking postconf(1), for the verbs that an administrator runs by hand. Never for a daemon, which reads main.cf
//! itself.

use super::listen::quote;
use crate::host::HostError;
use crate::postfix::master_cf::{self, ChrootDefault, Entry};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where postconf is if PATH does not say: an administrator's own may lack the directories of root's.
const PLACES: [&str; 3] = ["/usr/sbin/postconf", "/usr/local/sbin/postconf", "/usr/bin/postconf"];

/// A configuration of Postfix.
pub(super) struct Postconf {
    program: PathBuf,
    directory: PathBuf,
    /// It is not the one that Postfix itself uses.
    named: bool,
}

impl Postconf {
    /// The configuration in `directory`, or the one that Postfix itself uses.
    pub(super) fn of(directory: Option<&Path>) -> Result<Postconf, HostError> {
        let named = directory.is_some();
        let directory = directory.unwrap_or(Path::new("")).to_path_buf();
        let mut postconf = Postconf { program: find()?, directory, named };
        if !named {
            postconf.directory = postconf.value("config_directory")?.into();
        }
        Ok(postconf)
    }

    /// The command with which an administrator gives an entry another command.
    pub(super) fn to_change(&self, entry: &Entry, command: &str) -> String {
        // `postconf -F SERVICE/TYPE/command` takes the arguments for a part of the command, and would drop them.
        let assignment = format!("{}={}", entry.title(), entry.with_command(command));
        format!("postconf{} -M {}", self.option(), quote(&assignment))
    }

    /// The option that every command of Postfix has for a configuration that is not the usual one.
    pub(super) fn option(&self) -> String {
        if self.named { format!(" -c {}", self.directory.display()) } else { String::new() }
    }

    /// Where main.cf and master.cf are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The value of a parameter, expanded.
    pub(super) fn value(&self, name: &str) -> Result<String, HostError> {
        self.ask(&["-hx", name]).map(|text| text.trim().to_string())
    }

    /// The services of master.cf.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, HostError> {
        let wrong = |error: master_cf::EntryError| self.failed("-M", &error.to_string());
        master_cf::parse(&self.ask(&["-M"])?).map_err(wrong)
    }

    /// What an empty chroot column means.
    pub(super) fn chroot_default(&self) -> Result<ChrootDefault, HostError> {
        let level = self.value("compatibility_level")?;
        let major = level.split('.').next().unwrap_or_default();
        Ok(if major == "0" { ChrootDefault::Yes } else { ChrootDefault::No })
    }

    fn ask(&self, words: &[&str]) -> Result<String, HostError> {
        let mut command = Command::new(&self.program);
        if self.named {
            command.arg("-c").arg(&self.directory);
        }
        let output = command.args(words).output().map_err(|error| self.failed(words[0], &error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(self.failed(words[0], &complaint))
    }

    fn failed(&self, option: &str, why: &str) -> HostError {
        HostError {
            doing: format!("read Postfix's configuration ({} {option})", self.program.display()),
            why: why.into(),
        }
    }
}

fn find() -> Result<PathBuf, HostError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    let mut candidates =
        directories.iter().map(|directory| directory.join("postconf")).chain(PLACES.iter().map(PathBuf::from));
    candidates.find(|candidate| candidate.is_file()).ok_or_else(|| HostError {
        doing: "find postconf(1)".into(),
        why: "Postfix is not installed here, or its programs are not in PATH".into(),
    })
}
