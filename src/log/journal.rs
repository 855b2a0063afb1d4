// SPDX-License-Identifier: Apache-2.0
//! Lines in the journal, by its native protocol: a datagram for each, with what it is about in fields of its own, so
//! that `journalctl SPAWNBOX_OUTCOME=time-limit` finds it. A journal that is full or dead costs lines, which are
//! counted, and never time. The crate for it (tracing-journald) waits for a full journal.

use super::field::Field;
use super::{Room, Severity, Sink};
use std::fmt::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where journald listens, see systemd-journald.service(8).
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// The id of the line that says how a session ended, for `journalctl MESSAGE_ID=`.
const ENDED: &str = "8f8b2bb675c146e1858606fe364a0313";

/// The journal of this process.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    socket: Option<UnixDatagram>,
    room: Room,
}

impl Journal {
    /// Connects. Where nobody listens, that is an error; once it has worked, a journal that is restarted is found
    /// again.
    pub fn open(path: &Path) -> std::io::Result<Journal> {
        let state = State { socket: Some(connect(path)?), room: Room::new() };
        Ok(Journal { path: path.to_path_buf(), state: Mutex::new(state) })
    }
}

impl Sink for Journal {
    fn line(&self, severity: Severity, text: &str) {
        self.record(severity, text, &[]);
    }

    fn record(&self, severity: Severity, text: &str, fields: &[Field]) {
        // A holder that panicked left a line unsent, and nothing half done.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.socket.is_none() {
            state.socket = connect(&self.path).ok();
        }
        if !state.has_room() {
            return;
        }
        if let Some(note) = state.room.take_lost() {
            state.send(&entry(Severity::Warning, &note, &[]));
        }
        let entry = entry(severity, text, fields);
        if !state.has_room() || state.send(&entry) {
            return;
        }
        // It was restarted: its socket is a new one.
        state.socket = connect(&self.path).ok();
        if !state.send(&entry) {
            state.room.lose();
        }
    }

    fn wants_fields(&self) -> bool {
        true
    }
}

impl State {
    /// Whether it takes a line now; without a socket the next one may.
    fn has_room(&mut self) -> bool {
        self.socket.as_ref().is_none_or(|socket| self.room.allows(socket.as_fd()))
    }

    fn send(&self, entry: &str) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.send(entry.as_bytes()).is_ok())
    }
}

/// It never blocks, whatever poll(2) said a moment before.
fn connect(path: &Path) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One entry: lines of names and values, none of which has an end of line in it.
fn entry(severity: Severity, text: &str, fields: &[Field]) -> String {
    let priority = match severity {
        Severity::Info => 6,
        Severity::Warning => 4,
        Severity::Error => 3,
        Severity::Fatal | Severity::Panic => 2,
    };
    let mut entry = format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER=spawnbox\n");
    if fields.iter().any(|field| field.name == "outcome") {
        entry.push_str(&format!("MESSAGE_ID={ENDED}\n"));
    }
    for field in fields {
        // Writing to a string cannot fail.
        let _ = writeln!(entry, "SPAWNBOX_{}={}", field.name.to_ascii_uppercase(), field.value.text());
    }
    entry.push_str(&format!("MESSAGE={text}\n"));
    entry
}

#[cfg(test)]
mod tests {
    use super::super::field::Value;
    use super::*;
    use std::time::{Duration, Instant};

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("spawnbox-journal-{name}-{}", std::process::id()))
    }

    fn received(journald: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let length = journald.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn an_entry_has_its_fields_before_its_text() {
        let fields = [Field { name: "outcome", value: Value::Text("time-limit".into()) }];
        let expected = format!(
            "PRIORITY=4\nSYSLOG_IDENTIFIER=spawnbox\nMESSAGE_ID={ENDED}\nSPAWNBOX_OUTCOME=time-limit\nMESSAGE=a: b\n"
        );
        assert_eq!(entry(Severity::Warning, "a: b", &fields), expected);
        assert_eq!(entry(Severity::Info, "x", &[]), "PRIORITY=6\nSYSLOG_IDENTIFIER=spawnbox\nMESSAGE=x\n");
    }

    #[test]
    fn a_journal_that_is_restarted_gets_the_next_line_and_one_that_is_gone_costs_lines_alone() {
        let path = place("restarted");
        assert!(Journal::open(&path).is_err());
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.line(Severity::Info, "first");
        assert!(received(&journald).ends_with("MESSAGE=first\n"));
        drop(journald);
        std::fs::remove_file(&path).unwrap();
        let before = super::super::lost();
        journal.line(Severity::Info, "nobody listens");
        assert!(super::super::lost() > before);
        let journald = UnixDatagram::bind(&path).unwrap();
        journal.line(Severity::Info, "second");
        assert!(received(&journald).contains("1 lines of the log were lost here"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_journal_is_not_waited_for() {
        let path = place("full");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::open(&path).unwrap();
        let began = Instant::now();
        (0..3000).for_each(|number| journal.line(Severity::Info, &format!("{number}")));
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(received(&journald).ends_with("MESSAGE=0\n"));
        journald.set_nonblocking(true).unwrap();
        while journald.recv(&mut [0; 4096]).is_ok() {}
        journal.line(Severity::Info, "there is room again");
        let note = received(&journald);
        assert!(note.contains("lines of the log were lost here"), "{note}");
        std::fs::remove_file(&path).unwrap();
    }
}
