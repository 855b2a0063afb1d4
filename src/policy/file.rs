// SPDX-License-Identifier: Apache-2.0
//! The policy file as TOML has it: every key, and what sort of value it takes.
//! No meaning here: `read` gives it one. No key is here that is not enforced.

mod visitors;

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;
use visitors::Expected;

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

        #[cfg(test)]
        impl super::schema::Shape for $name {
            fn shape() -> serde_json::Value {
                use super::schema::{key, table};
                table([$((key(stringify!($field)), <$kind>::shape())),*], &[])
            }
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
        clients: Table<Clients>,
        listen: Table<Listen>,
    }
    /// `[command]`
    Command {
        user: Spanned<User>,
        group: Spanned<String>,
        argv: Spanned<Vec<String>>,
        directory: Spanned<String>,
        environment: BTreeMap<Spanned<String>, Spanned<String>>,
        client_environment: Spanned<ClientEnvironment>,
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
        forward: List<String>,
        resolver: Spanned<bool>,
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
        idle: Spanned<Time>,
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
        level: Spanned<String>,
        namespaces: Spanned<List<String>>,
        init: Spanned<bool>,
        hostname: Spanned<String>,
        landlock: Spanned<String>,
        landlock_audit: Spanned<bool>,
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
        spares: Spanned<i64>,
    }
    /// `[clients]`
    Clients {
        allow: List<String>,
        deny: List<String>,
        per_source: Spanned<i64>,
        ipv4_prefix_length: Spanned<i64>,
        ipv6_prefix_length: Spanned<i64>,
        rate: Spanned<String>,
        rate_per_source: Spanned<String>,
        busy: Spanned<String>,
        proxy_protocol: Table<ProxyProtocol>,
    }
    /// `[listen]`
    Listen {
        addresses: Spanned<List<String>>,
        backlog: Spanned<i64>,
        reuse_port: Spanned<bool>,
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
    /// With more to say. In a box, since a list of many has paths alone.
    Table(Box<EntryTable>),
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

/// `{ from = [...] }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub(super) struct ProxyProtocol {
    pub(super) from: Spanned<List<String>>,
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

/// Whether a command is told about its client, or by which names.
#[derive(Debug)]
pub(super) enum ClientEnvironment {
    /// It is, or not.
    Told(bool),
    /// One word.
    Names(String),
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
