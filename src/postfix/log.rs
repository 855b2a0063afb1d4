// SPDX-License-Identifier: Apache-2.0
//! Log lines as Postfix daemons write them, to syslog or, where `maillog_file` is set, to postlogd(8).
//! A line that cannot be delivered is lost, as Postfix loses it: logging must never stop mail.
#![forbid(unsafe_code)]

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// The longest text of a line in bytes, without tag and severity (msg_syslog.c, msg_logger.c).
const MAX_TEXT: usize = 2000;
/// Where syslogd listens.
const SYSLOG_SOCKET: &str = "/dev/log";

/// How bad it is, in Postfix's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something happened.
    Info,
    /// Something went wrong, and the daemon goes on.
    Warning,
    /// A request was lost.
    Error,
    /// The daemon ends.
    Fatal,
    /// The daemon has a bug.
    Panic,
}

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

/// An open log.
#[derive(Debug)]
pub struct Log {
    target: Target,
    tag: String,
    socket: Option<UnixDatagram>,
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

impl Severity {
    /// Its name, which stands before every text but that of [`Severity::Info`].
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
            Severity::Panic => "panic",
        }
    }

    /// Its number in syslog(3). Postfix has no emergencies: a panic is as critical as a fatal error.
    fn number(self) -> u32 {
        match self {
            Severity::Info => 6,
            Severity::Warning => 4,
            Severity::Error => 3,
            Severity::Fatal | Severity::Panic => 2,
        }
    }
}

impl Log {
    /// Opens the log. `name` is `SYSLOG_NAME/PROGRAM`. Connects at once, so that it works in a chroot as well.
    pub fn open(target: Target, name: &str, pid: u32) -> Log {
        let mut log = Log { target, tag: format!("{name}[{pid}]"), socket: None };
        log.connect();
        log
    }

    /// Writes one line. `time` is the local time, as [`crate::sys::clock::local_time`] gives it.
    pub fn write(&mut self, time: &crate::sys::clock::LocalTime, severity: Severity, text: &str) {
        let line = self.line(time, severity, text);
        if self.socket.is_none() {
            self.connect();
        }
        let failed = self.socket.as_ref().is_none_or(|socket| socket.send(line.as_bytes()).is_err());
        // The logger was restarted: its socket is a new one. Postfix's own client of postlogd does not try again, and
        // loses its lines.
        if failed {
            self.connect();
            let _lost = self.socket.as_ref().map(|socket| socket.send(line.as_bytes()));
        }
    }

    fn connect(&mut self) {
        let path = match &self.target {
            Target::Syslog { .. } => SYSLOG_SOCKET.as_ref(),
            Target::Postlog { socket, .. } => socket.as_path(),
        };
        let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path).map(|()| socket));
        self.socket = connected.ok();
    }

    fn line(&self, time: &crate::sys::clock::LocalTime, severity: Severity, text: &str) -> String {
        let text = render(severity, text);
        let month = MONTHS[usize::from(time.month) % MONTHS.len()];
        let clock = format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
        match &self.target {
            Target::Syslog { facility } => {
                let priority = facility | severity.number();
                format!("<{priority}>{month} {:2} {clock} {}: {text}", time.day, self.tag)
            }
            Target::Postlog { host, .. } => {
                let label = host.split('.').next().unwrap_or_default();
                format!("{month} {:02} {clock} {label} {}: {text}", time.day, self.tag)
            }
        }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A text with its severity, as it stands behind the tag.
pub fn render(severity: Severity, text: &str) -> String {
    // A control character could make a line look like two.
    let text: String = text.chars().map(|c| if c.is_ascii_control() { '?' } else { c }).collect();
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let text = &text[..end];
    match severity {
        Severity::Info => text.to_string(),
        Severity::Warning | Severity::Error | Severity::Fatal | Severity::Panic => {
            format!("{}: {text}", severity.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::LocalTime;

    const TIME: LocalTime = LocalTime { month: 1, day: 3, hour: 4, minute: 5, second: 6 };

    fn log(target: Target) -> Log {
        Log { target, tag: "postfix/spawnbox[7]".to_string(), socket: None }
    }

    #[test]
    fn control_characters_cannot_make_a_second_line() {
        assert_eq!(render(Severity::Info, "a\nb\tc\x7fd\u{e9}\r"), "a?b?c?d\u{e9}?");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "\u{e9}".repeat(1500);
        assert_eq!(render(Severity::Info, &text).len(), 2000);
        assert_eq!(render(Severity::Warning, &format!("x{text}")).len(), "warning: ".len() + 1999);
    }

    #[test]
    fn a_syslog_line_has_the_form_that_syslog_3_gives_it() {
        for (severity, line) in [
            (Severity::Info, "<22>Feb  3 04:05:06 postfix/spawnbox[7]: text"),
            (Severity::Warning, "<20>Feb  3 04:05:06 postfix/spawnbox[7]: warning: text"),
            (Severity::Error, "<19>Feb  3 04:05:06 postfix/spawnbox[7]: error: text"),
            (Severity::Fatal, "<18>Feb  3 04:05:06 postfix/spawnbox[7]: fatal: text"),
            (Severity::Panic, "<18>Feb  3 04:05:06 postfix/spawnbox[7]: panic: text"),
        ] {
            assert_eq!(log(Target::Syslog { facility: 16 }).line(&TIME, severity, "text"), line);
        }
    }

    #[test]
    fn a_postlog_line_has_the_hosts_first_label() {
        let target = Target::Postlog { socket: PathBuf::from("/x"), host: "mx.example.org".to_string() };
        let line = "Feb 03 04:05:06 mx postfix/spawnbox[7]: fatal: text";
        assert_eq!(log(target).line(&TIME, Severity::Fatal, "text"), line);
    }

    #[test]
    fn a_logger_that_was_restarted_gets_the_next_line() {
        let directory = std::env::temp_dir().join(format!("spawnbox-log-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("postlog");
        let target = Target::Postlog { socket: socket.clone(), host: "mx".to_string() };
        let mut log = Log::open(target, "postfix/spawnbox", 7);
        log.write(&TIME, Severity::Info, "nobody listens");
        for text in ["first", "second"] {
            let listener = UnixDatagram::bind(&socket).unwrap();
            log.write(&TIME, Severity::Info, text);
            let mut bytes = [0; 100];
            let length = listener.recv(&mut bytes).unwrap();
            assert!(std::str::from_utf8(&bytes[..length]).unwrap().ends_with(text));
            drop(listener);
            std::fs::remove_file(&socket).unwrap();
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
