// SPDX-License-Identifier: Apache-2.0
//! The subscriber: everyone else only says tracing events.
//! A line goes to one [`Sink`]; it is cut and cleaned here, so that no text can look like a second line.

mod rate;
mod room;
mod field;
mod json;
mod journal;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;

pub use field::{Field, Value};
pub use journal::{Journal, SOCKET};
pub use json::Json;
pub use rate::Rate;
pub use room::{Room, lost};

use field::Fields;
use std::fmt::{self, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing::field::{self as of, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

/// The longest text of a line, in bytes; Postfix cuts there too.
pub const MAX_TEXT: usize = 2000;
/// Every line but an `info` begins with this word; fatal and panic are tracing errors that say so in this field.
const SEVERITY: &str = "severity";

/// Whether events below `info` are lines too.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// How bad it is, in Postfix's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Once for each connection, and at start.
    Info,
    /// Something went wrong, and we go on.
    Warning,
    /// A request was lost.
    Error,
    /// The program ends.
    Fatal,
    /// A bug of ours.
    Panic,
}

/// Where lines go. `text` is short and without control characters.
pub trait Sink: Send + Sync {
    /// Writes one line; one that cannot be delivered is lost, since nobody is left to be told.
    fn line(&self, severity: Severity, text: &str);

    /// The same with what it is about, for a sink that has use for it.
    fn record(&self, severity: Severity, text: &str, fields: &[Field]) {
        let _ = fields;
        self.line(severity, text);
    }

    /// Whether it has.
    fn wants_fields(&self) -> bool {
        false
    }
}

/// Lines on standard error, for a program that stands alone.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

/// Sends every event of the process to `sink`. Only the first call has an effect.
pub fn init(sink: impl Sink + 'static) {
    let _already = tracing::subscriber::set_global_default(Registry::default().with(Lines(sink)));
}

/// Where lines go instead, once that is known.
static ELSEWHERE: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// Sends every event to this sink from here on. Only the first call has an effect.
pub fn redirect(sink: impl Sink + 'static) {
    let _already = ELSEWHERE.set(Box::new(sink));
}

/// From here on events below `info` are lines too.
pub fn say_more() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// Says why the program ends; ending it is the caller's part.
pub fn fatal(why: impl fmt::Display) {
    tracing::error!(severity = "fatal", "{why}");
}

/// Says that something happened which only a bug of ours explains.
pub fn panic(what: impl fmt::Display) {
    tracing::error!(severity = "panic", "{what}");
}

impl Severity {
    /// What stands before the text, with its blank.
    pub fn prefix(self) -> &'static str {
        match self {
            Severity::Info => "",
            Severity::Warning => "warning: ",
            Severity::Error => "error: ",
            Severity::Fatal => "fatal: ",
            Severity::Panic => "panic: ",
        }
    }
}

impl Sink for Stderr {
    fn line(&self, severity: Severity, text: &str) {
        stderr(severity, text, &[], |severity, text, _| format!("spawnbox: {}{text}", severity.prefix()));
    }
}

/// Writes a line to standard error if there is room, and before it how many were lost.
fn stderr(severity: Severity, text: &str, fields: &[Field], line: impl Fn(Severity, &str, &[Field]) -> String) {
    static ROOM: Mutex<Room> = Mutex::new(Room::new());
    let mut room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    let out = std::io::stderr();
    if !room.allows(out.as_fd()) {
        return;
    }
    if let Some(note) = room.note() {
        if !room.write(&out, &line(Severity::Warning, &note, &[])) {
            return room.lose();
        }
        room.told();
    }
    if room.allows(out.as_fd()) && !room.write(&out, &line(severity, text, fields)) {
        room.lose();
    }
}

struct Lines<S>(S);

impl<S: Sink + 'static> Layer<Registry> for Lines<S> {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, Registry>) {
        let sink = ELSEWHERE.get().map_or(&self.0 as &dyn Sink, |sink| &**sink);
        let mut said = Said { fields: Fields(sink.wants_fields().then(Vec::new)), ..Said::default() };
        event.record(&mut said);
        let level = *event.metadata().level();
        let severity = match (level, said.severity) {
            (_, Some(severity)) => severity,
            (tracing::Level::ERROR, None) => Severity::Error,
            (tracing::Level::WARN, None) => Severity::Warning,
            (tracing::Level::INFO, None) => Severity::Info,
            // For whoever looks for a fault.
            (_, None) if !VERBOSE.load(Ordering::Relaxed) => return,
            (_, None) => Severity::Info,
        };
        sink.record(severity, &clean(&said.text), said.fields.0.as_deref().unwrap_or_default());
    }
}

/// The fields of an event.
#[derive(Default)]
struct Said {
    text: String,
    severity: Option<Severity>,
    fields: Fields,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &of::Field, value: u64) {
        if !self.fields.take_number(field, value) {
            self.record_debug(field, &value);
        }
    }

    fn record_f64(&mut self, field: &of::Field, value: f64) {
        if !self.fields.take_number(field, value) {
            self.record_debug(field, &value);
        }
    }

    fn record_str(&mut self, field: &of::Field, value: &str) {
        match (field.name(), value) {
            (SEVERITY, "fatal") => self.severity = Some(Severity::Fatal),
            (SEVERITY, "panic") => self.severity = Some(Severity::Panic),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &of::Field, value: &dyn fmt::Debug) {
        if self.fields.take(field, value) {
            return;
        }
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.text, " {name}={value:?}"),
        };
    }
}

/// Cuts between characters, and shows none that cannot be seen: a control character could begin a line of its own or
/// speak to a terminal, others end a line for some readers, or turn the direction of what follows.
pub(crate) fn clean(text: &str) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].chars().map(|c| if is_seen(c) { c } else { '?' }).collect()
}

/// Whether std shows it as it is, but for quotes, which are nothing strange here.
pub(crate) fn is_seen(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<String>>>);

    impl Sink for Memory {
        fn line(&self, severity: Severity, text: &str) {
            self.0.lock().unwrap().push(format!("{}{text}", severity.prefix()));
        }
    }

    #[test]
    fn every_event_is_one_clean_line_with_its_severity() {
        let memory = Memory::default();
        tracing::subscriber::with_default(Registry::default().with(Lines(memory.clone())), || {
            tracing::info!("plain");
            tracing::warn!("a\nb\x1b[31m\u{85}");
            tracing::warn!("\u{2028}\u{202e}\u{200b}\t\\\"'\u{e9}");
            tracing::error!("lost {}", 1);
            fatal("end");
            panic("bug");
            tracing::info!(count = 3, "with a field");
            tracing::debug!("nobody asked for more");
        });
        let lines = memory.0.lock().unwrap().clone();
        let expected = [
            "plain",
            "warning: a?b?[31m?",
            "warning: ????\\\"'\u{e9}",
            "error: lost 1",
            "fatal: end",
            "panic: bug",
            "with a field count=3",
        ];
        assert_eq!(lines, expected);
    }

    #[derive(Clone, Default)]
    struct Facts(Arc<Mutex<Vec<String>>>);

    impl Sink for Facts {
        fn line(&self, severity: Severity, text: &str) {
            self.record(severity, text, &[]);
        }

        fn record(&self, _: Severity, text: &str, fields: &[Field]) {
            let fields: Vec<String> = fields.iter().map(|field| format!("{}={:?}", field.name, field.value)).collect();
            self.0.lock().unwrap().push(format!("{text}|{}", fields.join("|")));
        }

        fn wants_fields(&self) -> bool {
            true
        }
    }

    #[test]
    fn what_a_line_is_about_is_no_text_and_is_clean() {
        let (memory, facts) = (Memory::default(), Facts::default());
        let say = || {
            let nothing: Option<u64> = None;
            tracing::info!(field.session = 7_u64, field.client = "a\nb", field.uid = nothing, field.time_s = 0.5, "x");
        };
        tracing::subscriber::with_default(Registry::default().with(Lines(memory.clone())), say);
        tracing::subscriber::with_default(Registry::default().with(Lines(facts.clone())), say);
        assert_eq!(*memory.0.lock().unwrap(), ["x"]);
        let expected = r#"x|session=Number("7")|client=Text("a?b")|time_s=Number("0.5")"#;
        assert_eq!(*facts.0.lock().unwrap(), [expected]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(clean(&"é".repeat(1500)).len(), 2000);
        assert_eq!(clean(&format!("x{}", "é".repeat(1500))).len(), 1999);
    }
}
