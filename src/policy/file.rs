// SPDX-License-Identifier: Apache-2.0
//! The policy file as TOML has it: every key, and what sort of value it takes.
//! No meaning here: `read` gives it one. No key is here that is not enforced.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use toml::Spanned;

/// A list whose entries keep their places.
pub(super) type List<T> = Vec<Spanned<T>>;

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        #[allow(missing_docs)]
        pub(super) struct $name { $(pub(super) $field: Option<$kind>,)* }

        impl Expected for $name {
            const TEXT: &'static str = "a table";
        }
    )*};
}

tables! {
    /// The whole file.
    File {
        version: Spanned<i64>,
        description: Spanned<String>,
        extends: List<String>,
        r#override: List<String>,
        command: Table<Command>,
        files: Table<Files>,
        network: Table<Network>,
        syscalls: Table<Syscalls>,
        limits: Table<Limits>,
        isolation: Table<Isolation>,
        connection: Table<Connection>,
    }
    /// `[command]`
    Command {
        user: Spanned<User>,
        group: Spanned<String>,
        argv: Spanned<Vec<String>>,
        directory: Spanned<String>,
        environment: BTreeMap<Spanned<String>, Spanned<String>>,
        client_environment: Spanned<bool>,
        umask: Spanned<String>,
        ignore_signals: Spanned<List<String>>,
    }
    /// `[files]`
    Files {
        root: Spanned<String>,
        read: List<Entry>,
        execute: List<Entry>,
        write: List<Entry>,
        scratch: List<Table<Scratch>>,
        devices: List<String>,
        proc: Spanned<String>,
    }
    /// `[network]`
    Network {
        mode: Spanned<String>,
        connect: Table<Ports>,
        bind: Table<Ports>,
        udp: Table<Ports>,
    }
    /// `[syscalls]`
    Syscalls {
        allow: List<String>,
        deny: List<String>,
        on_deny: Spanned<String>,
    }
    /// `[limits]`
    Limits {
        time: Spanned<Time>,
        processor_time: Spanned<Time>,
        memory: Spanned<Size>,
        tasks: Spanned<i64>,
        cpu: Spanned<i64>,
        open_files: Spanned<i64>,
        file_size: Spanned<Size>,
        address_space: Spanned<Size>,
        stack: Spanned<Size>,
        core_size: Spanned<Size>,
        locked_memory: Spanned<Size>,
        pending_signals: Spanned<i64>,
        message_queues: Spanned<Size>,
        service: Table<Service>,
    }
    /// `[limits.service]`
    Service {
        memory: Spanned<Size>,
        tasks: Spanned<i64>,
        cpu: Spanned<i64>,
    }
    /// `[isolation]`
    Isolation {
        namespaces: Spanned<List<String>>,
        init: Spanned<bool>,
        hostname: Spanned<String>,
        landlock: Spanned<String>,
        seccomp: Spanned<String>,
        memory_deny_write_execute: Spanned<bool>,
        pid_max: Spanned<i64>,
        memfd_noexec: Spanned<bool>,
        unique_pid: Spanned<bool>,
    }
    /// `[connection]`
    Connection {
        hold: Spanned<bool>,
        ends: Spanned<String>,
        stderr: Spanned<String>,
        concurrency: Spanned<i64>,
    }
}

/// `{ path, why, optional }`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs)]
pub(super) struct EntryTable {
    pub(super) path: Spanned<String>,
    pub(super) why: Option<Spanned<String>>,
    pub(super) optional: Option<bool>,
}

/// An entry of `read`, `execute` or `write`.
#[derive(Debug)]
pub(super) enum Entry {
    /// The path alone.
    Path(String),
    /// With more to say.
    Table(EntryTable),
}

/// `{ path, size, inodes, execute }`
// Size and inodes are both required: tmpfs takes 0 and absence for "no limit", see tmpfs(5).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs)]
pub(super) struct Scratch {
    pub(super) path: Spanned<String>,
    pub(super) size: Spanned<Size>,
    pub(super) inodes: Spanned<i64>,
    pub(super) execute: Option<bool>,
}

/// `{ ports = ... }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub(super) struct Ports {
    pub(super) ports: Spanned<PortList>,
}

/// `[25, 53]` or `"any"`
#[derive(Debug)]
pub(super) enum PortList {
    /// One word.
    Word(String),
    /// Numbers.
    List(List<i64>),
}

/// `{ range = "FIRST-LAST" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub(super) struct RangeTable {
    pub(super) range: Spanned<String>,
}

/// As whom.
#[derive(Debug)]
pub(super) enum User {
    /// An account.
    Account(String),
    /// Ids that are nobody's.
    Range(RangeTable),
}

/// A number, or text with a unit.
#[derive(Debug)]
pub(super) enum Amount {
    /// In the smallest unit.
    Number(i64),
    /// As written.
    Text(String),
}

/// An amount of time.
#[derive(Debug)]
pub(super) struct Time(pub(super) Amount);

/// An amount of bytes.
#[derive(Debug)]
pub(super) struct Size(pub(super) Amount);

/// A struct that is written as a table; by itself serde would take a list of its values as well.
#[derive(Debug, Default)]
pub(super) struct Table<T>(pub(super) T);

/// What an operator should have written where this is read.
trait Expected {
    const TEXT: &'static str;
}

impl Expected for Scratch {
    const TEXT: &'static str = "a table with `path`, `size` and `inodes`";
}

impl Expected for Ports {
    const TEXT: &'static str = "a table such as `{ ports = [25] }`";
}

impl<'de, T: Deserialize<'de> + Expected> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableVisitor(PhantomData)).map(Table)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor("a time such as \"5m\"")).map(Time)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor("a size such as \"64M\"")).map(Size)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UserVisitor)
    }
}

impl<'de> Deserialize<'de> for PortList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortsVisitor)
    }
}

struct TableVisitor<T>(PhantomData<T>);
struct AmountVisitor(&'static str);
struct EntryVisitor;
struct PortsVisitor;
struct UserVisitor;

impl<'de, T: Deserialize<'de> + Expected> Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::TEXT)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Amount, E> {
        Ok(Amount::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
        Ok(Amount::Text(text.to_owned()))
    }
}

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or a table with `path`")
    }

    fn visit_str<E>(self, path: &str) -> Result<Entry, E> {
        Ok(Entry::Path(path.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        EntryTable::deserialize(MapAccessDeserializer::new(map)).map(Entry::Table)
    }
}

impl<'de> Visitor<'de> for UserVisitor {
    type Value = User;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account, or a table such as `{ range = \"61184-65519\" }`")
    }

    fn visit_str<E>(self, name: &str) -> Result<User, E> {
        Ok(User::Account(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<User, A::Error> {
        RangeTable::deserialize(MapAccessDeserializer::new(map)).map(User::Range)
    }
}

impl<'de> Visitor<'de> for PortsVisitor {
    type Value = PortList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of ports, or \"any\"")
    }

    fn visit_str<E>(self, word: &str) -> Result<PortList, E> {
        Ok(PortList::Word(word.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PortList, A::Error> {
        let mut ports = Vec::new();
        while let Some(port) = seq.next_element()? {
            ports.push(port);
        }
        Ok(PortList::List(ports))
    }
}
