// SPDX-License-Identifier: Apache-2.0
//! Log lines as Postfix daemons write them, to syslog or, where `maillog_file` is set, to postlogd(8).
//! A line that cannot be delivered is lost, as Postfix loses it: logging must never stop mail.
#![forbid(unsafe_code)]

use crate::log::{Room, Severity, Sink};
use crate::sys::clock::{LocalTime, local_time};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where syslogd listens.
const SYSLOG_SOCKET: &str = "/dev/log";

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// syslog, under this facility.
    Syslog {
        /// As syslog(3) numbers it.
        facility: u32,
    },
    /// postlogd(8).
    Postlog {
        /// Its socket.
        socket: PathBuf,
        /// `myhostname`.
        host: String,
    },
}

/// The log of this process. Clones are the same log.
#[derive(Debug, Clone)]
pub struct Log(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    target: Target,
    name: String,
    socket: Option<UnixDatagram>,
    room: Room,
    echo: Echo,
}

/// Whether lines go to standard error as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Echo {
    /// They do, under the log's own name: `-V`.
    Stderr,
    /// They do, under this name: for whoever stands before the screen.
    Named(String),
    /// They do not.
    Off,
}

/// Facilities by name, as syslog(3) numbers them.
const FACILITIES: &[(&str, u32)] = &[
    ("kern", 0),
    ("user", 1 << 3),
    ("mail", 2 << 3),
    ("daemon", 3 << 3),
    ("auth", 4 << 3),
    ("syslog", 5 << 3),
    ("lpr", 6 << 3),
    ("news", 7 << 3),
    ("uucp", 8 << 3),
    ("cron", 9 << 3),
    ("authpriv", 10 << 3),
    ("ftp", 11 << 3),
    ("local0", 16 << 3),
    ("local1", 17 << 3),
    ("local2", 18 << 3),
    ("local3", 19 << 3),
    ("local4", 20 << 3),
    ("local5", 21 << 3),
    ("local6", 22 << 3),
    ("local7", 23 << 3),
];

/// The facility with this name.
pub fn facility(name: &str) -> Option<u32> {
    FACILITIES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// A severity in syslog(3). Postfix has no emergencies: a panic is as critical as a fatal error.
fn number(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 6,
        Severity::Warning => 4,
        Severity::Error => 3,
        Severity::Fatal | Severity::Panic => 2,
    }
}

impl Log {
    /// Opens the log. `name` is `SYSLOG_NAME/PROGRAM`. Connects at once, so that it works in a chroot as well.
    pub fn open(target: Target, name: &str) -> Log {
        Log(Arc::new(Mutex::new(Line::open(target, name))))
    }

    /// Sends what follows elsewhere, or under another name: main.cf was read.
    pub fn reopen(&self, target: Target, name: &str) {
        let mut line = self.lock();
        let echo = line.echo.clone();
        *line = Line { echo, ..Line::open(target, name) };
    }

    /// Sends what follows to standard error as well, or not.
    pub fn echo(&self, echo: Echo) {
        self.lock().echo = echo;
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // A holder that panicked left a line unsent, and nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Log {
    fn line(&self, severity: Severity, text: &str) {
        self.lock().write(&local_time(), severity, text);
    }
}

impl Line {
    fn open(target: Target, name: &str) -> Line {
        // It may come from the environment or from how we were called.
        let mut line = Line { target, name: crate::log::clean(name), socket: None, room: Room::new(), echo: Echo::Off };
        line.connect();
        line
    }

    fn write(&mut self, time: &LocalTime, severity: Severity, text: &str) {
        let name = match &self.echo {
            Echo::Stderr => Some(&self.name),
            Echo::Named(name) => Some(name),
            Echo::Off => None,
        };
        if let Some(name) = name {
            // Whoever started the program by hand may have closed it.
            drop(writeln!(std::io::stderr(), "{name}: {}{text}", severity.prefix()));
        }
        if !self.has_room() {
            return;
        }
        // Asked each time: a daemon that goes on in a copy of itself is another process.
        let pid = std::process::id();
        if let Some(note) = self.room.take_lost() {
            self.send(&self.render(time, pid, Severity::Warning, &note));
        }
        let line = self.render(time, pid, severity, text);
        if self.has_room() && !self.send(&line) {
            // The logger was restarted: its socket is a new one. Postfix's own client of postlogd does not try again,
            // and loses its lines.
            self.connect();
            self.send(&line);
        }
    }

    /// Whether the logger takes a line now; without a socket the next one may.
    fn has_room(&mut self) -> bool {
        self.socket.as_ref().is_none_or(|socket| self.room.allows(socket.as_fd()))
    }

    fn send(&self, line: &str) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.send(line.as_bytes()).is_ok())
    }

    fn connect(&mut self) {
        let path = match &self.target {
            Target::Syslog { .. } => SYSLOG_SOCKET.as_ref(),
            Target::Postlog { socket, .. } => socket.as_path(),
        };
        self.socket = UnixDatagram::unbound().and_then(|socket| socket.connect(path).map(|()| socket)).ok();
    }

    fn render(&self, time: &LocalTime, pid: u32, severity: Severity, text: &str) -> String {
        let (name, prefix) = (&self.name, severity.prefix());
        let month = MONTHS[usize::from(time.month) % MONTHS.len()];
        let clock = format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
        match &self.target {
            Target::Syslog { facility } => {
                let priority = facility | number(severity);
                format!("<{priority}>{month} {:2} {clock} {name}[{pid}]: {prefix}{text}", time.day)
            }
            Target::Postlog { host, .. } => {
                let label = host.split('.').next().unwrap_or_default();
                format!("{month} {:02} {clock} {label} {name}[{pid}]: {prefix}{text}", time.day)
            }
        }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: LocalTime = LocalTime { month: 1, day: 3, hour: 4, minute: 5, second: 6 };

    fn line(target: Target) -> Line {
        Line { target, name: "postfix/spawnbox".to_string(), socket: None, room: Room::new(), echo: Echo::Off }
    }

    #[test]
    fn a_syslog_line_has_the_form_that_syslog_3_gives_it() {
        for (severity, text) in [
            (Severity::Info, "<22>Feb  3 04:05:06 postfix/spawnbox[7]: text"),
            (Severity::Warning, "<20>Feb  3 04:05:06 postfix/spawnbox[7]: warning: text"),
            (Severity::Error, "<19>Feb  3 04:05:06 postfix/spawnbox[7]: error: text"),
            (Severity::Fatal, "<18>Feb  3 04:05:06 postfix/spawnbox[7]: fatal: text"),
            (Severity::Panic, "<18>Feb  3 04:05:06 postfix/spawnbox[7]: panic: text"),
        ] {
            assert_eq!(line(Target::Syslog { facility: 16 }).render(&TIME, 7, severity, "text"), text);
        }
    }

    #[test]
    fn a_postlog_line_has_the_hosts_first_label() {
        let target = Target::Postlog { socket: PathBuf::from("/x"), host: "mx.example.org".to_string() };
        let text = "Feb 03 04:05:06 mx postfix/spawnbox[7]: fatal: text";
        assert_eq!(line(target).render(&TIME, 7, Severity::Fatal, "text"), text);
    }

    #[test]
    fn a_tag_writes_no_line_of_its_own() {
        let target = Target::Syslog { facility: 16 };
        let line = Line::open(target, "postfix\n<0>fake[1]: \u{1b}[2J/spawnbox");
        assert_eq!(line.name, "postfix?<0>fake[1]: ?[2J/spawnbox");
    }

    #[test]
    fn a_logger_that_was_restarted_gets_the_next_line() {
        let directory = std::env::temp_dir().join(format!("spawnbox-log-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("postlog");
        let target = Target::Postlog { socket: socket.clone(), host: "mx".to_string() };
        let log = Log::open(target, "postfix/spawnbox");
        log.line(Severity::Info, "nobody listens");
        for text in ["first", "second"] {
            let listener = UnixDatagram::bind(&socket).unwrap();
            log.line(Severity::Info, text);
            let mut bytes = [0; 100];
            let length = listener.recv(&mut bytes).unwrap();
            assert!(std::str::from_utf8(&bytes[..length]).unwrap().ends_with(text));
            drop(listener);
            std::fs::remove_file(&socket).unwrap();
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
