// SPDX-License-Identifier: Apache-2.0
//! What a Postfix daemon reads at its start: command line, environment, main.cf; and its log. In Postfix's order, since
//! the order decides which of two mistakes is told.

use super::accounts::Host;
use super::fatal::Fatal;
use super::version;
use crate::host::errno_text;
use crate::plan::request;
use crate::postfix::log::{Echo, Log, Target};
use crate::postfix::options::{Options, Transport, generation};
use crate::postfix::parameters::{self, Parameters};
use crate::postfix::words;
use crate::supervise::Listener;
use crate::supervise::connection::refuse_descriptors;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The variable with master's generation.
pub(super) const GENERATION: &str = "GENERATION";
const MAIL_VERBOSE: &str = "MAIL_VERBOSE";
const MAIL_DEBUG: &str = "MAIL_DEBUG";
const MAIL_CONFIG: &str = "MAIL_CONFIG";
const MAIL_LOGTAG: &str = "MAIL_LOGTAG";
const POSTLOG_SERVICE: &str = "POSTLOG_SERVICE";
const POSTLOG_HOSTNAME: &str = "POSTLOG_HOSTNAME";
/// LOG_MAIL of syslog(3): the facility until main.cf was read.
const MAIL_FACILITY: u32 = 2 << 3;
/// How long Postfix waits before it reads a young main.cf again.
const COOL_DOWN: Duration = Duration::from_millis(300);

/// What is known before there is a client.
#[derive(Debug)]
pub(super) struct Start {
    /// The first column of master.cf.
    pub(super) service: String,
    /// What clients arrive on; none where the only one is on standard input.
    pub(super) transport: Option<Transport>,
    pub(super) options: Options,
    pub(super) parameters: Parameters,
    /// User id and group id of `mail_owner`.
    pub(super) mail_owner: (u32, u32),
    pub(super) generation: u32,
    /// The environment as Postfix would have left it by now: what commands may be given of it.
    pub(super) environment: BTreeMap<String, String>,
}

impl Start {
    /// Reads everything, and opens the log on the way.
    pub(super) fn read(arguments: &[OsString]) -> Result<Start, Fatal> {
        let mut environment = environment();
        let program = arguments.first().and_then(|word| word.to_str()).map_or("spawnbox", words::base_name);
        let log = early_log(&environment, program);
        let words = arguments.iter().enumerate().skip(1).map(|(at, word)| word.to_str().ok_or(Fatal::NotText(at)));
        let words: Vec<String> = words.map(|word| word.map(str::to_string)).collect::<Result<_, _>>()?;
        let debug = environment.contains_key(MAIL_DEBUG);
        if environment.contains_key(MAIL_VERBOSE) {
            crate::log::say_more();
            tracing::debug!("daemon started");
        }
        let said = Said::read(program, &words, &environment)?;
        if said.options.verbosity > 0 {
            crate::log::say_more();
        }
        if said.options.log_to_stderr {
            log.echo(Echo::Stderr);
        }
        late_log(&log, &said.parameters, &mut environment);
        let Options { foreground, standard_input, .. } = said.options;
        if !foreground && !standard_input && nix::unistd::isatty(std::io::stdin()).unwrap_or(false) {
            log.echo(Echo::Named(program.to_string()));
            return Err(Fatal::ByHand);
        }
        let transport = said.options.transport(&said.service)?;
        let generation = match environment.get(GENERATION) {
            Some(text) => {
                let number = generation(text)?;
                tracing::debug!("process generation: {text} ({number:o})");
                number
            }
            None => 0,
        };
        let Said { service, mut options, parameters, mail_owner } = said;
        options.debugger |= debug;
        Ok(Start { service, transport, options, parameters, mail_owner, generation, environment })
    }

    /// What a daemon with this command line would read, for whoever wants to know before it is started. Opens no log.
    pub(super) fn foresee(words: &[String], config_directory: &str) -> Result<Start, Fatal> {
        let mut environment = environment();
        environment.insert(MAIL_CONFIG.to_string(), config_directory.to_string());
        let Said { service, options, parameters, mail_owner } = Said::read("spawnbox", words, &environment)?;
        let transport = options.transport(&service)?;
        Ok(Start { service, transport, options, parameters, mail_owner, generation: 0, environment })
    }

    /// Enters the queue directory.
    pub(super) fn enter_queue(&self) -> Result<(), Fatal> {
        let directory = &self.parameters.queue_directory;
        std::env::set_current_dir(directory)
            .map_err(|error| Fatal::Directory { directory: directory.clone(), errno: errno(&error) })
    }
}

/// A listener on a copy of this descriptor.
pub(super) fn listener(fd: &OwnedFd, transport: Transport) -> Result<Listener, Fatal> {
    let number = std::os::fd::AsRawFd::as_raw_fd(fd);
    let copy = fd.try_clone().map_err(|error| Fatal::Descriptor { number, errno: errno(&error) })?;
    if transport == Transport::Unix {
        // master(8) has made it, and clients may wait on it already: those are looked at when they are accepted.
        refuse_descriptors(copy.as_fd())?;
    }
    Ok(match transport {
        Transport::Inet | Transport::Unix => Listener::new(copy, kind(transport)),
        Transport::Pass => Listener::passing(copy),
    })
}

/// A transport in the words of a request.
pub(super) fn kind(transport: Transport) -> request::Transport {
    match transport {
        Transport::Inet => request::Transport::Tcp,
        Transport::Unix => request::Transport::Unix,
        // Whatever its client has: mostly TCP.
        Transport::Pass => request::Transport::Stdio,
    }
}

/// What the command line and main.cf say.
struct Said {
    service: String,
    options: Options,
    parameters: Parameters,
    mail_owner: (u32, u32),
}

impl Said {
    fn read(program: &str, words: &[String], environment: &BTreeMap<String, String>) -> Result<Said, Fatal> {
        let mut start = parameters::Start {
            process_name: program.to_string(),
            service_name: program.to_string(),
            config_directory: environment.get(MAIL_CONFIG).map_or("/etc/postfix", String::as_str).to_string(),
            host_name: nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            process_id: std::process::id(),
            mail_version: None,
            overrides: Vec::new(),
        };
        let table = read_main_cf(&start)?;
        let options = Options::parse(words)?;
        start.overrides = options.overrides.clone();
        start.mail_version = version::look_up(&table, &options.overrides);
        start.service_name = options.service.clone().unwrap_or(start.service_name);
        let parameters = Parameters::fill(table, &start, &Host)?;
        let mail_owner = parameters.mail_owner;
        Ok(Said { service: start.service_name, options, parameters, mail_owner })
    }
}

/// Variables that are text. Others could not be named in main.cf either, which is text where it is used.
fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// main.cf, read again until it is not younger than two seconds: somebody may be in the middle of writing it.
fn read_main_cf(start: &parameters::Start) -> Result<crate::postfix::main_cf::Table, Fatal> {
    let path = format!("{}/main.cf", start.config_directory);
    let open = |error: std::io::Error| Fatal::Open { path: path.clone(), why: errno_text(errno(&error)) };
    let mut before = now_s();
    loop {
        let (mut file, mut bytes, mut warnings) = (File::open(&path).map_err(open)?, Vec::new(), Vec::new());
        file.read_to_end(&mut bytes).map_err(open)?;
        let written = file.metadata().map_err(open)?.mtime();
        let mut table = Parameters::table(start);
        let read = table.read(&path, &String::from_utf8_lossy(&bytes), &mut warnings);
        let after = now_s();
        if read.is_err() || written < before - 1 || written > after {
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            return Ok(read.map(|()| table)?);
        }
        before = after;
        std::thread::sleep(COOL_DOWN);
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The log as it can be opened before main.cf was read: master has exported what it knows.
fn early_log(environment: &BTreeMap<String, String>, program: &str) -> Log {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let target = match set(POSTLOG_SERVICE) {
        Some(socket) => {
            let host = set(POSTLOG_HOSTNAME).unwrap_or_else(|| "amnesiac".to_string());
            Target::Postlog { socket: PathBuf::from(socket), host }
        }
        None => Target::Syslog { facility: MAIL_FACILITY },
    };
    let name = set(MAIL_LOGTAG).unwrap_or_else(|| "postfix".to_string());
    let log = Log::open(target, &format!("{name}/{program}"));
    crate::log::init(log.clone());
    log
}

/// The log as main.cf says, and the variables by which Postfix hands it on.
fn late_log(log: &Log, parameters: &Parameters, environment: &mut BTreeMap<String, String>) {
    let target = match &parameters.maillog_file {
        Some(_) => {
            let socket = format!("{}/public/{}", parameters.queue_directory, parameters.postlog_service_name);
            environment.insert(POSTLOG_SERVICE.to_string(), socket.clone());
            environment.insert(POSTLOG_HOSTNAME.to_string(), parameters.myhostname.clone());
            Target::Postlog { socket: PathBuf::from(socket), host: parameters.myhostname.clone() }
        }
        None => {
            environment.remove(POSTLOG_SERVICE);
            environment.remove(POSTLOG_HOSTNAME);
            Target::Syslog { facility: parameters.syslog_facility }
        }
    };
    environment.insert(MAIL_LOGTAG.to_string(), parameters.syslog_name.clone());
    log.reopen(target, &format!("{}/{}", parameters.syslog_name, parameters.log_name));
}

/// The errno of a failure of std's.
pub(super) fn errno(error: &std::io::Error) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}
