// SPDX-License-Identifier: Apache-2.0
//! The parameters that a daemon of ours uses, read from main.cf as a Postfix daemon reads them: a value sees those
//! that were filled in before it, so `$max_idle` in `export_environment` is empty, as it is for spawn(8).
//! Pure: the environment, the host's name and the process id come from the caller.
#![forbid(unsafe_code)]

use super::defaults::{AFTER_HOST_NAME, BEFORE_HOST_NAME, OURS};
use super::expand::{ExpandError, expand};
use super::log;
use super::main_cf::Table;
use super::numbers::{parse_count, parse_time};
use std::collections::BTreeMap;
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
    /// `-o`, `-i` and `-m`.
    pub overrides: Vec<(String, String)>,
}

/// The parameters, checked and expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `queue_directory`
    pub queue_directory: String,
    /// `mail_owner`
    pub mail_owner: String,
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
    /// `export_environment`, expanded but not yet split.
    pub export_environment: String,
    /// `spawnbox_log_name`: what follows the slash in the tag of log lines. `spawn` keeps patterns working that look for
    /// the program which was there before.
    pub log_name: String,
    /// `spawnbox_default_policy`, where it is set: the policy of services that have none of their own.
    pub default_policy: Option<String>,
    command_time_limit: Duration,
    service_name: String,
    table: Table,
}

/// A parameter that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParameterError {
    #[error("dictionary mail_dict: macro processing error")]
    Expand(#[from] ExpandError),
    #[error("bad string length {length} < {min}: {name} = {value}")]
    TooShort { name: String, value: String, length: usize, min: usize },
    #[error("bad numerical configuration: {name} = {value}")]
    NotANumber { name: String, value: String },
    #[error("invalid {name} parameter value {value} < {min}")]
    TooSmall { name: String, value: i32, min: i32 },
    #[error("parameter {name}: bad time value or unit: {value}")]
    NotATime { name: String, value: String },
    #[error("invalid {name}: {seconds} (min 1)")]
    TooShortATime { name: String, seconds: i32 },
    #[error("file {directory}/main.cf: parameter syslog_facility: unrecognized value: {value}")]
    UnknownFacility { directory: String, value: String },
    #[error("maillog_file value '{file}' does not match any prefix in maillog_file_prefixes")]
    ForbiddenLogFile { file: String },
    #[error("parameter {name}: the value is not valid UTF-8")]
    NotText { name: String },
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

    /// Fills in what main.cf left open, in Postfix's order, and checks what is used.
    pub fn fill(mut table: Table, start: &Start) -> Result<Parameters, ParameterError> {
        start.overrides.iter().for_each(|(name, value)| table.set(name, value));
        table.set("service_name", &start.service_name);
        let mut fill = Fill { table, values: BTreeMap::new() };
        fill.all(BEFORE_HOST_NAME)?;
        let facility = fill.take("syslog_facility");
        let syslog_facility = log::facility(&facility).ok_or_else(|| ParameterError::UnknownFacility {
            directory: start.config_directory.clone(),
            value: facility,
        })?;
        fill.host_names(&start.host_name)?;
        fill.all(AFTER_HOST_NAME)?;
        let max_use = fill.number("max_use", 100)?;
        let max_idle = fill.time("max_idle", "100s")?;
        fill.time("daemon_timeout", "18000s")?;
        fill.table.set("process_id", &start.process_id.to_string());
        // Ours come last: no parameter of Postfix sees them.
        fill.all(OURS)?;
        let maillog_file = Some(fill.take("maillog_file")).filter(|file| !file.is_empty());
        check_log_file(maillog_file.as_deref(), &fill.take("maillog_file_prefixes"))?;
        Ok(Parameters {
            queue_directory: fill.take("queue_directory"),
            mail_owner: fill.take("mail_owner"),
            syslog_facility,
            syslog_name: fill.take("syslog_name"),
            maillog_file,
            postlog_service_name: fill.take("postlog_service_name"),
            myhostname: fill.take("myhostname"),
            max_use,
            max_idle,
            export_environment: fill.take("export_environment"),
            log_name: fill.take("spawnbox_log_name"),
            default_policy: Some(fill.take("spawnbox_default_policy")).filter(|name| !name.is_empty()),
            command_time_limit: fill.time("command_time_limit", "1000s")?,
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
        let limit = parse_time(parameter, &text(&self.table, parameter)?)?;
        let overridden = names.iter().find(|name| *name != parameter && set(name)).cloned();
        Ok(TimeLimit { limit, parameter: parameter.clone(), overridden })
    }
}

/// The name of every parameter that is filled in, whatever main.cf says, for tests of what is written about them.
#[cfg(test)]
pub(crate) fn names() -> Vec<String> {
    let start = Start {
        process_name: "spawnbox".to_string(),
        service_name: "policy".to_string(),
        config_directory: "/etc/postfix".to_string(),
        host_name: "mx.example".to_string(),
        process_id: 1,
        overrides: Vec::new(),
    };
    let filled = Parameters::fill(Parameters::table(&start), &start).expect("every default is good");
    filled.table.names().map(str::to_string).collect()
}

/// The table while it is filled, and the values as they were when each was.
struct Fill {
    table: Table,
    values: BTreeMap<String, String>,
}

impl Fill {
    fn all(&mut self, defaults: &[(&str, &str, usize)]) -> Result<(), ParameterError> {
        for &(name, default, min) in defaults {
            let value = self.value(name, default)?;
            if value.len() < min {
                return Err(ParameterError::TooShort { name: name.to_string(), length: value.len(), min, value });
            }
            self.values.insert(name.to_string(), value);
        }
        Ok(())
    }

    /// The value of a parameter, which the default becomes where it has none.
    fn value(&mut self, name: &str, default: &str) -> Result<String, ParameterError> {
        if self.table.get(name).is_none() {
            let value = expand(&self.table, default)?;
            self.table.set(name, &value);
        }
        text(&self.table, name)
    }

    /// A value that was filled in.
    fn take(&mut self, name: &str) -> String {
        self.values.remove(name).unwrap_or_default()
    }

    /// `myhostname`, made from the host's name and `mydomain` where it is not set, and `mydomain`.
    fn host_names(&mut self, host_name: &str) -> Result<(), ParameterError> {
        let domain = match self.table.get("mydomain") {
            Some(_) => text(&self.table, "mydomain")?,
            None => "localdomain".to_string(),
        };
        let full = if host_name.contains('.') { host_name.to_string() } else { format!("{host_name}.{domain}") };
        self.all(&[("myhostname", &full, 1)])?;
        let name = text(&self.table, "myhostname")?;
        let domain = name.split_once('.').map_or("localdomain", |(_, domain)| domain);
        self.all(&[("mydomain", domain, 1)])
    }

    fn number(&mut self, name: &str, default: u32) -> Result<u32, ParameterError> {
        let value = self.value(name, &default.to_string())?;
        parse_count(name, &value)
    }

    fn time(&mut self, name: &str, default: &str) -> Result<Duration, ParameterError> {
        let value = self.value(name, default)?;
        parse_time(name, &value)
    }
}

/// A value as it stands in the table, expanded; empty where there is none.
fn text(table: &Table, name: &str) -> Result<String, ParameterError> {
    let value = expand(table, table.get(name).unwrap_or_default())?;
    // main.cf may be in any encoding; only what is used must be text.
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ParameterError::NotText { name: name.to_string() });
    }
    Ok(value)
}

fn check_log_file(file: Option<&str>, prefixes: &str) -> Result<(), ParameterError> {
    let mut prefixes = prefixes.split(super::words::COMMA_OR_BLANK).filter(|prefix| !prefix.is_empty());
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
