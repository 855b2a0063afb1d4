// SPDX-License-Identifier: Apache-2.0
//! From the configuration of another program to the text of a policy, with every part named that could not be carried.
//! Pure: text in, text out. Nothing is guessed and nothing is loosened: a part that has no key of the same meaning is
//! named and left out, and a value is written only if a policy with it can be read.

mod nsjail;
mod oci;
mod systemd;
mod xinetd;
#[cfg(test)]
mod tests;

use super::load::read_alone;
use super::set::quote;
use super::variables::literal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The seccomp profile of a container runtime, as JSON.
    Oci,
    /// The configuration of nsjail, as text.
    Nsjail,
    /// A service of xinetd.
    Xinetd,
    /// A unit of systemd.
    Systemd,
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The policy.
    pub policy: String,
    /// The parts that are not in it, a line each; where they are too many, the last line counts the others.
    pub lost: Vec<String>,
    /// How many they are.
    pub parts: usize,
}

/// The most of a text that is read: anything longer is no configuration.
const MOST_BYTES: usize = 1 << 20;

/// The most parts that are named; more would hide the first.
const MOST_LOST: usize = 200;

/// The most of one of them that is kept.
const LONGEST_LINE: usize = 300;

/// Why a name cannot be a word of a list of calls, if it cannot.
#[derive(Clone, Copy)]
pub struct Calls<'a> {
    /// Of `syscalls.allow`.
    pub allow: &'a dyn Fn(&str) -> Option<String>,
    /// Of `syscalls.deny`.
    pub deny: &'a dyn Fn(&str) -> Option<String>,
    /// How much of what one word means is in another, too.
    pub shared: &'a dyn Fn(&str, &str) -> Shared,
}

/// How much of what one word means is in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Every call.
    Whole,
    /// Some calls.
    Part,
    /// No call.
    Nothing,
}

/// Reads `text`.
pub fn import(format: Format, text: &str, calls: Calls<'_>) -> Result<Imported, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("it is longer than {MOST_BYTES} bytes"));
    }
    let mut draft = Draft::new(format, calls);
    let read = match format {
        Format::Oci => oci::read(text, &mut draft),
        Format::Nsjail => nsjail::read(text, &mut draft),
        Format::Xinetd => xinetd::read(text, &mut draft),
        Format::Systemd => systemd::read(text, &mut draft),
    };
    // An error has words of the text in it, as a lost part has.
    read.map(|()| draft.finish()).map_err(|why| line(&why))
}

/// A policy in the making.
struct Draft<'a> {
    format: Format,
    calls: Calls<'a>,
    /// Values by table and key, as TOML.
    values: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, BTreeSet<String>>,
    /// The command's variables by name, both as TOML.
    environment: BTreeMap<String, String>,
    /// Whether the text has a list of calls that are allowed and no others, carried or not.
    closed: bool,
    lost: Vec<String>,
    /// How many parts more are lost than are named.
    more: usize,
}

impl<'a> Draft<'a> {
    fn new(format: Format, calls: Calls<'a>) -> Draft<'a> {
        let (values, lists, environment) = Default::default();
        Draft { format, calls, values, lists, environment, closed: false, lost: Vec::new(), more: 0 }
    }

    /// A part that the policy has not: what it says, and why.
    fn lose(&mut self, part: &str, why: &str) {
        if self.lost.len() < MOST_LOST {
            self.lost.push(line(&format!("{part}: {why}")));
        } else {
            self.more += 1;
        }
    }

    /// A value in TOML for a dotted key; the last one stands, as in the formats that we read.
    fn put(&mut self, part: &str, key: &'static str, value: String) {
        match refused(key, &value) {
            None => drop(self.values.insert(key, value)),
            Some(why) => self.lose(part, &why),
        }
    }

    /// The same for text.
    fn text(&mut self, part: &str, key: &'static str, value: &str) {
        let value = if key.starts_with("command.") { &literal(value) } else { value };
        self.put(part, key, quote(value));
    }

    /// A whole number, in the unit of the key.
    fn number(&mut self, part: &str, key: &'static str, value: &str) {
        match value.parse::<u64>() {
            Ok(number) => self.put(part, key, number.to_string()),
            Err(_) => self.lose(part, "it is no whole number"),
        }
    }

    /// A number of bytes, which a policy writes in powers of 1024 as well.
    fn bytes(&mut self, part: &str, key: &'static str, value: &str, unit: u64) {
        let (digits, suffix) = value.split_at(value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
        let shift = match suffix {
            "" => Some(0),
            "K" => Some(10),
            "M" => Some(20),
            "G" => Some(30),
            "T" => Some(40),
            _ => None,
        };
        let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift)?.checked_mul(unit));
        match bytes {
            Some(bytes) => self.put(part, key, bytes.to_string()),
            None => self.lose(part, "it is no size"),
        }
    }

    /// The directory that is the root, of which all is seen. Before the paths that are in it.
    fn image(&mut self, part: &str, path: &str, key: &'static str) {
        // Without one it would be a word.
        if !path.starts_with('/') {
            return self.lose(part, "a path starts with `/`");
        }
        self.put(part, "files.root", quote(&literal(path)));
        if self.values.contains_key("files.root") {
            self.add(part, key, "/");
        }
    }

    /// An entry of a list.
    fn add(&mut self, part: &str, key: &'static str, entry: &str) {
        if self.is_host(key, entry) {
            return self.lose(part, "this is the whole host");
        }
        self.entry(part, key, quote(&literal(entry)));
    }

    /// Whether it is the host's root directory, of which no list shows all.
    fn is_host(&self, key: &str, entry: &str) -> bool {
        let root = entry.starts_with('/') && entry.trim_matches('/').is_empty();
        key.starts_with("files.") && root && !self.values.contains_key("files.root")
    }

    /// A path that need not be there.
    fn add_optional(&mut self, part: &str, key: &'static str, path: &str) {
        if self.is_host(key, path) {
            return self.lose(part, "this is the whole host");
        }
        self.entry(part, key, format!("{{ path = {}, optional = true }}", quote(&literal(path))));
    }

    fn entry(&mut self, part: &str, key: &'static str, entry: String) {
        match refused(key, &format!("[{entry}]")) {
            None => drop(self.lists.entry(key).or_default().insert(entry)),
            Some(why) => self.lose(part, &why),
        }
    }

    /// A variable of the command's environment.
    fn variable(&mut self, part: &str, text: &str) {
        match text.split_once('=') {
            Some((name, value)) => {
                let (name, value) = (quote(name), quote(&literal(value)));
                match refused("command.environment", &format!("{{ {name} = {value} }}")) {
                    None => drop(self.environment.insert(name, value)),
                    Some(why) => self.lose(part, &why),
                }
            }
            None => self.lose(part, "it has no value"),
        }
    }

    /// A call or a set of them, if a policy can have it.
    fn call(&mut self, part: &str, key: &'static str, name: &str) {
        let why = if key == "syscalls.deny" { (self.calls.deny)(name) } else { (self.calls.allow)(name) };
        match why {
            None if name.starts_with('@') && self.format != Format::Systemd => self.lose(part, "it is no call"),
            None => self.add(part, key, name),
            Some(why) => self.lose(part, &why),
        }
    }

    /// Takes a word out of `syscalls.deny` again, with what it holds; of what cannot be taken out, that it stays.
    fn give_back(&mut self, part: &str, name: &str) {
        // What is not allowed again must stay denied.
        if (self.calls.allow)(name).is_some() {
            return;
        }
        let Some(denied) = self.lists.get_mut("syscalls.deny") else { return };
        let shared = self.calls.shared;
        denied.retain(|word| shared(word.trim_matches('"'), name) != Shared::Whole);
        let mut stay = denied.iter().map(|word| word.trim_matches('"'));
        let stays = stay.find(|word| shared(word, name) == Shared::Part).map(str::to_owned);
        if denied.is_empty() {
            self.lists.remove("syscalls.deny");
        }
        if let Some(word) = stays {
            self.lose(part, &format!("{word} is taken away before, and with it what both have stays denied here"));
        }
    }

    fn finish(mut self) -> Imported {
        if self.closed {
            let why = match self.lists.get("syscalls.allow") {
                Some(_) => "the profile allows the calls of `default` besides; take `extends` out to have these alone",
                None => "no word of it could be carried, and the profile allows the calls of `default`",
            };
            // The first, as it is about all the calls.
            self.lost.insert(0, line(&format!("the list of calls as the only one: {why}")));
        }
        let parts = self.lost.len() + self.more;
        if self.more > 0 {
            let parts = if self.more == 1 { "part" } else { "parts" };
            self.lost.push(format!("and {} more {parts}", self.more));
        }
        let (from, base) = match self.format {
            Format::Oci => ("a seccomp profile", "strict"),
            Format::Nsjail => ("a configuration of nsjail", "strict"),
            // It was in no sandbox, so its files are where they always were.
            Format::Xinetd => ("a service of xinetd", "compatible"),
            Format::Systemd => ("a unit of systemd", "strict"),
        };
        let mut text = format!("# From {from}; what is not said here is that of the profile.\nversion = 1\n");
        let _ = writeln!(text, "extends = [\"{base}\"]");
        let list = |(key, entries): (&&'static str, &BTreeSet<String>)| {
            (*key, format!("[{}]", entries.iter().cloned().collect::<Vec<_>>().join(", ")))
        };
        let values = self.values.iter().map(|(key, value)| (*key, value.clone()));
        let mut all: BTreeMap<&str, String> = values.chain(self.lists.iter().map(list)).collect();
        if !self.environment.is_empty() {
            let variables: Vec<_> = self.environment.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            all.insert("command.environment", format!("{{ {} }}", variables.join(", ")));
        }
        let forced: Vec<String> =
            all.keys().filter(|key| key.starts_with("limits.")).map(|key| format!("\"{key}\"")).collect();
        if !forced.is_empty() {
            let _ = writeln!(text, "# These limits hold where the profile has smaller ones, too.");
            let _ = writeln!(text, "override = [{}]", forced.join(", "));
        }
        for (key, value) in &all {
            let _ = writeln!(text, "{key} = {value}");
        }
        if !self.lost.is_empty() {
            text.push_str("\n# Not carried over:\n");
            for lost in &self.lost {
                let _ = writeln!(text, "#  {lost}");
            }
        }
        Imported { policy: text, lost: self.lost, parts }
    }
}

/// Why a policy with this value cannot be read.
fn refused(key: &str, value: &str) -> Option<String> {
    let error = read_alone(&format!("version = 1\n{key} = {value}\n")).err()?;
    error.told().next().map(|told| told.label.unwrap_or(told.what))
}

/// A text on one line, of which not more is kept than anyone reads: whole words, if it has any.
fn line(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST_LINE) else { return super::diagnose::printable(text) };
    let cut = &text[..end];
    let whole = cut.rfind(char::is_whitespace).map_or(cut, |blank| cut[..blank].trim_end());
    format!("{} ...", super::diagnose::printable(whole))
}

/// Who reads a text in quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// A backslash is one in single quotes.
    Shell,
    /// It begins an escape there, too: see systemd.syntax(7).
    Systemd,
}

/// One word of a line.
#[derive(Default)]
struct Word {
    /// Without its quotes.
    text: String,
    /// As it stands there.
    written: String,
}

/// The words of a line in quotes, without other meanings; `None` where a quote is open.
fn quoted(text: &str, quoting: Quoting) -> Option<Vec<Word>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<Word>, None);
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        word.written.push(c);
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (Some('\''), '\\') if quoting == Quoting::Shell => word.text.push(c),
            (_, '\\') => {
                let escaped = letters.next()?;
                word.text.push(escaped);
                word.written.push(escaped);
            }
            (_, c) => word.text.push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The words of a command line as a shell has them.
fn words(text: &str) -> Option<Vec<String>> {
    Some(quoted(text, Quoting::Shell)?.into_iter().map(|word| word.text).collect())
}

/// A list of words in TOML.
fn list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quote(&literal(word))).collect::<Vec<_>>().join(", "))
}
