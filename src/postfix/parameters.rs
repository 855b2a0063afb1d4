// SPDX-License-Identifier: Apache-2.0
//! The parameters that a daemon of ours uses, read from main.cf as a Postfix daemon reads them: a value sees those
//! that were filled in before it, so `$max_idle` in `export_environment` is empty, as it is for spawn(8).
//! Pure: the environment, the host's name, its accounts and the process id come from the caller.
#![forbid(unsafe_code)]

mod error;

pub use error::ParameterError;

use super::attributes::Accounts;
use super::defaults::{AFTER_HOST_NAME, BEFORE_HOST_NAME, FIRST, OF_SPAWN, OURS};
use super::expand::{expand, level};
use super::fill::{Fill, as_text};
use super::log;
use super::main_cf::Table;
use super::numbers::{parse_count, parse_time};
use super::owner;
use super::words::COMMA_OR_BLANK;
use std::time::Duration;

/// What is known before main.cf is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Base name of the program, `spawnbox`.
    pub process_name: String,
    /// First column of master.cf.
    pub service_name: String,
    /// Where main.cf is.
    pub config_directory: String,
    /// gethostname(2).
    pub host_name: String,
    /// getpid(2).
    pub process_id: u32,
    /// `mail_version`, where it is known: what Postfix's own programs were compiled to say.
    pub mail_version: Option<String>,
    /// `-o`, `-i` and `-m`.
    pub overrides: Vec<(String, String)>,
}

/// The parameters, checked and expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `queue_directory`
    pub queue_directory: String,
    /// User id and group id of `mail_owner`.
    pub mail_owner: (u32, u32),
    /// `syslog_facility`, as syslog(3) numbers it.
    pub syslog_facility: u32,
    /// `syslog_name`
    pub syslog_name: String,
    /// `maillog_file`, where it is set.
    pub maillog_file: Option<String>,
    /// `postlog_service_name`
    pub postlog_service_name: String,
    /// `myhostname`
    pub myhostname: String,
    /// `max_use`
    pub max_use: u32,
    /// `max_idle`
    pub max_idle: Duration,
    /// `daemon_timeout`
    pub daemon_timeout: Duration,
    /// `export_environment`, expanded but not yet split.
    pub export_environment: String,
    /// `spawnbox_log_name`: what follows the slash in the tag of log lines. `spawn` keeps patterns working that look
    /// for the program which was there before.
    pub log_name: String,
    /// `spawnbox_default_policy`, where it is set: the policy of services that have none of their own.
    pub default_policy: Option<String>,
    command_time_limit: Duration,
    service_name: String,
    table: Table,
}

/// What of the host the parameters are about.
pub trait Surroundings: Accounts {
    /// The first line of a file, or why it cannot be had.
    fn first_line(&self, path: &str) -> Result<String, String>;
}

/// Where a time limit came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLimit {
    /// The limit.
    pub limit: Duration,
    /// The parameter that set it, for `explain` and the log.
    pub parameter: String,
    /// The parameter that was set as well, but gave way.
    pub overridden: Option<String>,
}

impl Parameters {
    /// An empty table with what Postfix puts into it before it reads main.cf.
    pub fn table(start: &Start) -> Table {
        let mut table = Table::default();
        table.set("process_name", &start.process_name);
        table.set("config_directory", &start.config_directory);
        table
    }

    /// Fills in what main.cf left open, in Postfix's order, and checks what Postfix checks.
    pub fn fill(mut table: Table, start: &Start, host: &dyn Surroundings) -> Result<Parameters, ParameterError> {
        start.overrides.iter().for_each(|(name, value)| table.set(name, value));
        table.set("service_name", &start.service_name);
        let directory = &start.config_directory;
        if let (Some(version), None) = (&start.mail_version, table.get("mail_version")) {
            table.set("mail_version", version);
        }
        let mut fill = Fill::new(table);
        fill.all(FIRST)?;
        level(fill.seen("compatibility_level")).map_err(ParameterError::Level)?;
        let syslog_facility = facility(fill.seen("syslog_facility"), directory)?;
        fill.all(BEFORE_HOST_NAME)?;
        check_protocols(fill.seen("inet_protocols"))?;
        fill.host_names(&start.host_name, directory)?;
        fill.all(AFTER_HOST_NAME)?;
        let origin = origin(fill.seen("myorigin"), host)?;
        let mail_owner = owner::look_up(
            owner::Names {
                default_privs: fill.seen("default_privs"),
                mail_owner: fill.seen("mail_owner"),
                setgid_group: fill.seen("setgid_group"),
            },
            host,
            directory,
        )?;
        fill.table.set("process_id", &start.process_id.to_string());
        check_names(&fill, &origin, directory)?;
        let maillog_file = Some(fill.take("maillog_file")?).filter(|file| !file.is_empty());
        check_log_file(maillog_file.as_deref(), fill.seen("maillog_file_prefixes"))?;
        fill.all(OF_SPAWN)?;
        fill.all(OURS)?;
        Ok(Parameters {
            queue_directory: fill.take("queue_directory")?,
            mail_owner,
            syslog_facility,
            syslog_name: fill.take("syslog_name")?,
            maillog_file,
            postlog_service_name: fill.take("postlog_service_name")?,
            myhostname: fill.take("myhostname")?,
            max_use: fill.take_count("max_use"),
            max_idle: fill.take_time("max_idle"),
            daemon_timeout: fill.take_time("daemon_timeout"),
            export_environment: fill.take("export_environment")?,
            log_name: fill.take("spawnbox_log_name")?,
            default_policy: Some(fill.take("spawnbox_default_policy")?).filter(|name| !name.is_empty()),
            command_time_limit: fill.take_time("command_time_limit"),
            service_name: start.service_name.clone(),
            table: fill.table,
        })
    }

    /// `NAME_concurrency`, where it is set: how many commands one process runs at once.
    pub fn concurrency(&self) -> Result<Option<u32>, ParameterError> {
        let name = self.concurrency_name();
        match self.table.get(&name) {
            Some(_) => parse_count(&name, &text(&self.table, &name)?).map(Some),
            None => Ok(None),
        }
    }

    /// The name of the parameter that [`Parameters::concurrency`] reads.
    pub fn concurrency_name(&self) -> String {
        format!("{}_concurrency", self.service_name)
    }

    /// `debugger_command`, where it is set.
    pub fn debugger_command(&self) -> Result<Option<String>, ParameterError> {
        Ok(Some(text(&self.table, "debugger_command")?).filter(|command| !command.is_empty()))
    }

    /// The time limit of the service's command. spawn(8) asks for it with its first client, and so must the caller.
    ///
    /// `NAME_time_limit` is the name that Postfix has always read; `NAME_command_time_limit` is the name that its
    /// manual had until Postfix 2.0.
    pub fn time_limit(&self) -> Result<TimeLimit, ParameterError> {
        let names = ["_time_limit", "_command_time_limit"].map(|suffix| format!("{}{suffix}", self.service_name));
        let set = |name: &String| self.table.get(name).is_some();
        let Some(parameter) = names.iter().find(|name| set(name)) else {
            let parameter = "command_time_limit".to_string();
            return Ok(TimeLimit { limit: self.command_time_limit, parameter, overridden: None });
        };
        let limit = parse_time(parameter, &text(&self.table, parameter)?, 1, 0)?;
        let overridden = names.iter().find(|name| *name != parameter && set(name)).cloned();
        Ok(TimeLimit { limit, parameter: parameter.clone(), overridden })
    }
}

/// A value as it stands in the table, expanded; empty where there is none.
fn text(table: &Table, name: &str) -> Result<String, ParameterError> {
    as_text(name, expand(table, table.get(name).unwrap_or_default())?)
}

fn facility(name: &str, directory: &str) -> Result<u32, ParameterError> {
    let unknown = || ParameterError::UnknownFacility { directory: directory.to_string(), value: name.to_string() };
    log::facility(name).ok_or_else(unknown)
}

/// Words of `inet_protocols` that Postfix knows; which it supports is no concern of ours.
fn check_protocols(value: &str) -> Result<(), ParameterError> {
    let known = ["", "all", "ipv4", "ipv6"];
    match value.split(COMMA_OR_BLANK).find(|word| !known.contains(word)) {
        Some(word) => Err(ParameterError::UnknownProtocol { word: word.to_string(), value: value.to_string() }),
        None => Ok(()),
    }
}

/// `myorigin`, or what stands in the file that it names, as Debian has it.
fn origin(value: &str, host: &dyn Surroundings) -> Result<String, ParameterError> {
    if !value.starts_with('/') {
        return Ok(value.to_string());
    }
    let line = host.first_line(value).map_err(|why| ParameterError::OriginFile { file: value.to_string(), why })?;
    match line.trim_matches(super::words::is_space) {
        "" => Err(ParameterError::EmptyOriginFile(value.to_string())),
        name => Ok(name.to_string()),
    }
}

/// What Postfix looks at last.
fn check_names(fill: &Fill, origin: &str, directory: &str) -> Result<(), ParameterError> {
    let (name, delimiters) = (fill.seen("myhostname"), fill.seen("default_verp_delimiters").as_bytes());
    if name.eq_ignore_ascii_case(fill.seen("relayhost")) {
        return Err(ParameterError::RelayToOurselves(name.to_string()));
    }
    if origin.contains(COMMA_OR_BLANK) {
        return Err(ParameterError::ManyOrigins(origin.to_string()));
    }
    let filter = fill.seen("verp_delimiter_filter").as_bytes();
    let refuse = |why| Err(ParameterError::BadDelimiters { directory: directory.to_string(), why });
    match delimiters {
        [first, _] if !filter.contains(first) => refuse("bad first VERP delimiter character"),
        [_, second] if !filter.contains(second) => refuse("bad second VERP delimiter character"),
        // Their number was checked when they were filled in.
        _ => Ok(()),
    }
}

fn check_log_file(file: Option<&str>, prefixes: &str) -> Result<(), ParameterError> {
    let mut prefixes = prefixes.split(COMMA_OR_BLANK).filter(|prefix| !prefix.is_empty());
    match file {
        Some(file) if !prefixes.any(|prefix| file.starts_with(prefix)) => {
            Err(ParameterError::ForbiddenLogFile { file: file.to_string() })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
