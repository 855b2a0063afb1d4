// SPDX-License-Identifier: Apache-2.0
//! From the types of the policy file to a [`Layer`]: the second pass, which gives each value its meaning.
//! Every table in the order of the file; a mistake in one value hides none in another.

use super::check::{Check, RootPath};
use super::clients;
use super::diagnose::{InputError, Mistake, nearest};
use super::extend::{self, Layer};
use super::file::{self, File, List};
use super::listen;
use super::model::{
    ClientNames, Command, Connection, Entry, Files, IdRange, Isolation, Limits, Network, Policy, Root, RootWord,
    Scratch, Syscalls, User,
};
use super::origin::Sourced;
use super::peers;
use super::source::Source;
use super::variables;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// A PID namespace needs this many ids (`RESERVED_PIDS` + 1, Linux kernel/pid.c), and has at most 2^22.
const PID_MAX: std::ops::RangeInclusive<i64> = 301..=4_194_304;

/// One process cannot have more descriptors than this times five: `fs.nr_open` is 2^20 unless somebody raised it.
/// A sandbox that waits is a few hundred KiB of the kernel's memory.
const SPARES: std::ops::RangeInclusive<i64> = 0..=1000;
const CONCURRENCY: std::ops::RangeInclusive<i64> = 1..=1_000_000;

/// Reads what `file`, the shape of `source`, means. `extends` is not looked at.
pub(super) fn read(file: File, source: &Source) -> Result<Layer, InputError> {
    let mut check = Check::new(source);
    let mut policy = Policy::named("");
    policy.description = check.line("description", file.description);
    policy.command = command(&mut check, file.command.unwrap_or_default().0);
    policy.files = files(&mut check, file.files.unwrap_or_default().0);
    policy.network = network(&mut check, file.network.unwrap_or_default().0);
    policy.syscalls = syscalls(&mut check, file.syscalls.unwrap_or_default().0);
    policy.limits = limits(&mut check, file.limits.unwrap_or_default().0);
    policy.isolation = isolation(&mut check, file.isolation.unwrap_or_default().0);
    policy.connection = connection(&mut check, file.connection.unwrap_or_default().0);
    policy.clients = clients::clients(&mut check, file.clients.unwrap_or_default().0);
    policy.listen = listen::listen(&mut check, file.listen.unwrap_or_default().0);
    check.finish()?;
    // Only now: a limit whose value is wrong would look like one that is not written.
    let mut check = Check::new(source);
    let forced = forced(&mut check, file.r#override.unwrap_or_default(), &policy.limits);
    check.finish().map(|()| Layer { policy, forced })
}

fn command(check: &mut Check<'_>, written: file::Command) -> Command {
    Command {
        user: user(check, written.user),
        group: check.value("group", written.group, account),
        argv: check.value("argv", written.argv, argv),
        directory: written
            .directory
            .and_then(|path| check.path("directory", path.get_ref(), path.span(), RootPath::Allowed)),
        environment: environment(check, written.environment.unwrap_or_default()),
        client_environment: client_environment(check, written.client_environment),
        umask: check.value("umask", written.umask, umask),
        ignore_signals: check.word_set("ignore-signals", written.ignore_signals).map(|set| {
            Sourced::new(
                set.value.into_iter().map(|signal: nix::sys::signal::Signal| signal as i32).collect(),
                set.origin,
            )
        }),
    }
}

fn client_environment(
    check: &mut Check<'_>,
    written: Option<Spanned<file::ClientEnvironment>>,
) -> Option<Sourced<Option<ClientNames>>> {
    let written = written?;
    let span = written.span();
    match written.into_inner() {
        file::ClientEnvironment::Told(told) => Some(check.sourced(told.then_some(ClientNames::Tcpserver), &span)),
        file::ClientEnvironment::Names(word) => {
            let names = check.word("client-environment", Some(Spanned::new(span, word)))?;
            Some(Sourced::new(Some(names.value), names.origin))
        }
    }
}

fn user(check: &mut Check<'_>, written: Option<Spanned<file::User>>) -> Option<Sourced<User>> {
    let written = written?;
    let span = written.span();
    match written.into_inner() {
        file::User::Account(name) => {
            let user = check.value("user", Some(Spanned::new(span, name)), user_account)?;
            Some(Sourced::new(User::Account(user.value), user.origin))
        }
        file::User::Range(table) => check.value("range", Some(table.range), range),
    }
}

fn range(text: String) -> Result<User, String> {
    let id = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let ends = text.split_once('-').and_then(|(first, last)| Some((id(first)?, id(last)?)));
    match ends {
        Some((first, last)) if first <= last => Ok(User::Range(IdRange { first, last })),
        Some(_) => Err("the first id is above the last".to_owned()),
        None => Err("write FIRST-LAST, such as \"61184-65519\"".to_owned()),
    }
}

/// The user cannot be named after itself.
fn user_account(name: String) -> Result<String, String> {
    match variables::names_user(&name) {
        true => Err("`${user}` is this very value".to_owned()),
        false => account(name),
    }
}

/// The name of a user or of a group.
pub(super) fn account(name: String) -> Result<String, String> {
    variables::check(&name)?;
    account_name(name)
}

/// The same, of a name that holds no variables any more: a `${` in it is meant.
pub(super) fn account_name(name: String) -> Result<String, String> {
    match name {
        name if name.is_empty() => Err("a name or a number is needed".to_owned()),
        name if name.contains(':') => Err("user and group are two keys".to_owned()),
        name if name.contains(|c: char| c.is_control() || c.is_whitespace()) => {
            Err("no account has this name".to_owned())
        }
        name => Ok(name),
    }
}

fn argv(words: Vec<String>) -> Result<Vec<String>, String> {
    words.iter().try_for_each(|word| variables::check(word))?;
    match words.first() {
        None => Err("the program is missing".to_owned()),
        Some(program) if program.is_empty() => Err("the program has no name".to_owned()),
        Some(_) if words.iter().any(|word| word.contains('\0')) => Err("no word can hold a NUL".to_owned()),
        Some(_) => Ok(words),
    }
}

fn umask(text: String) -> Result<u32, String> {
    let octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mask = u32::from_str_radix(&text, 8).ok().filter(|mask| octal && *mask <= 0o777);
    mask.ok_or_else(|| "must be octal, from 000 to 777".to_owned())
}

fn environment(
    check: &mut Check<'_>,
    written: BTreeMap<Spanned<String>, Spanned<String>>,
) -> BTreeMap<String, Sourced<String>> {
    let mut environment = BTreeMap::new();
    for (name, value) in written {
        if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
            check.impossible("environment", name.span(), "no variable can have this name");
        }
        let value = check.value("environment", Some(value), |value| match value.contains('\0') {
            true => Err("no variable can hold a NUL".to_owned()),
            false => variables::check(&value).map(|()| value),
        });
        environment.extend(value.map(|value| (name.into_inner(), value)));
    }
    environment
}

fn files(check: &mut Check<'_>, written: file::Files) -> Files {
    Files {
        root: root(check, written.root),
        // All of an image, which another file may name: where it is all of the host, the plan refuses it.
        read: entries(check, ("read", RootPath::Allowed), written.read),
        execute: entries(check, ("execute", RootPath::Allowed), written.execute),
        write: entries(check, ("write", RootPath::Refused), written.write),
        scratch: scratch(check, written.scratch.unwrap_or_default()),
        devices: check.words("devices", written.devices.unwrap_or_default()),
        proc: check.word("proc", written.proc),
    }
}

fn root(check: &mut Check<'_>, written: Option<Spanned<String>>) -> Option<Sourced<Root>> {
    let written = written?;
    if !written.get_ref().contains('/') {
        let word = check.word::<RootWord>("root", Some(written))?;
        return Some(Sourced::new(word.value.into(), word.origin));
    }
    let path = check.path("root", written.get_ref(), written.span(), RootPath::Refused)?;
    Some(Sourced::new(Root::Image(path.value), path.origin))
}

fn entries(
    check: &mut Check<'_>,
    (key, root): (&str, RootPath),
    written: Option<List<file::Entry>>,
) -> Vec<Sourced<Entry>> {
    let mut entries = Vec::new();
    for entry in written.unwrap_or_default() {
        let span = entry.span();
        let table = match entry.into_inner() {
            file::Entry::Path(path) => file::EntryTable { path: Spanned::new(span, path), why: None, optional: None },
            file::Entry::Table(table) => *table,
        };
        let path = check.path(key, table.path.get_ref(), table.path.span(), root);
        let why = check.line("why", table.why).map(|why| why.value);
        let optional = table.optional.unwrap_or(false);
        entries.extend(path.map(|path| Sourced::new(Entry { path: path.value, optional, why }, path.origin)));
    }
    entries
}

fn scratch(check: &mut Check<'_>, written: List<file::Table<file::Scratch>>) -> Vec<Sourced<Scratch>> {
    let mut all: Vec<Sourced<Scratch>> = Vec::new();
    let mut paths = BTreeSet::new();
    for table in written {
        let table = table.into_inner().0;
        let span = table.path.span();
        // tmpfs takes 0 for "no limit", see tmpfs(5).
        let size = check.size("size", Some(table.size), 1);
        let inodes = check.count("inodes", Some(table.inodes), 1..=i64::MAX);
        let path = check.path("scratch", table.path.get_ref(), span.clone(), RootPath::Refused);
        let (Some(path), Some(size), Some(inodes)) = (path, size, inodes) else { continue };
        if !paths.insert(path.value.clone()) {
            check.mistake(Mistake::new("scratch path is written twice").label("for the second time"), span);
            continue;
        }
        let execute = table.execute.unwrap_or(false);
        let scratch = Scratch { path: path.value, size: size.value, inodes: inodes.value, execute };
        all.push(Sourced::new(scratch, path.origin));
    }
    all
}

fn network(check: &mut Check<'_>, written: file::Network) -> Network {
    Network {
        mode: check.word("mode", written.mode),
        connect: check.ports("connect", written.connect),
        bind: check.ports("bind", written.bind),
        udp: check.ports("udp", written.udp),
        forward: peers::peers(check, written.forward.unwrap_or_default()),
        resolver: check.plain(written.resolver),
    }
}

// Which groups and calls there are is known to `plan`, which reports an unknown one with its origin.
fn syscalls(check: &mut Check<'_>, written: file::Syscalls) -> Syscalls {
    Syscalls {
        allow: calls(check, "allow", written.allow),
        deny: calls(check, "deny", written.deny),
        on_deny: check.word("on-deny", written.on_deny),
    }
}

fn calls(check: &mut Check<'_>, key: &str, written: Option<List<String>>) -> Vec<Sourced<String>> {
    let usable = |name: String| {
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"@_-".contains(&b));
        if is_name { Ok(name) } else { Err("no call or group has this name".to_owned()) }
    };
    written.unwrap_or_default().into_iter().filter_map(|name| check.value(key, Some(name), usable)).collect()
}

fn limits(check: &mut Check<'_>, written: file::Limits) -> Limits {
    const ANY: i64 = i64::MAX;
    let service = written.service.unwrap_or_default().0;
    Limits {
        time: check.time("time", written.time),
        idle: check.time("idle", written.idle),
        processor_time: check.time("processor-time", written.processor_time),
        memory: check.size("memory", written.memory, 1),
        tasks: check.count("tasks", written.tasks, 1..=ANY),
        cpu: check.count("cpu", written.cpu, 1..=ANY),
        open_files: check.value("open-files", written.open_files, open_files),
        file_size: check.size("file-size", written.file_size, 0),
        address_space: check.size("address-space", written.address_space, 1),
        stack: check.size("stack", written.stack, 1),
        core_size: check.size("core-size", written.core_size, 0),
        locked_memory: check.size("locked-memory", written.locked_memory, 0),
        pending_signals: check.count("pending-signals", written.pending_signals, 0..=ANY),
        message_queues: check.size("message-queues", written.message_queues, 0),
        service_memory: check.size("memory", service.memory, 1),
        service_tasks: check.count("tasks", service.tasks, 1..=ANY),
        service_cpu: check.count("cpu", service.cpu, 1..=ANY),
    }
}

/// 0, 1 and 2 are the connection, and the limit counts for the steps after it too: these hold the cord, a signalfd, and
/// the three descriptors that `run` hands over, until they take their place.
fn open_files(count: i64) -> Result<u64, String> {
    const LEAST: i64 = 8;
    let fits = u64::try_from(count).ok().filter(|_| count >= LEAST);
    fits.ok_or_else(|| format!("must be at least {LEAST}: three for the connection, five to hand it over"))
}

fn isolation(check: &mut Check<'_>, written: file::Isolation) -> Isolation {
    Isolation {
        level: check.word("level", written.level),
        namespaces: check.word_set("namespaces", written.namespaces),
        init: check.plain(written.init),
        hostname: check.word("hostname", written.hostname),
        landlock: check.word("landlock", written.landlock),
        landlock_audit: check.plain(written.landlock_audit),
        seccomp: check.word("seccomp", written.seccomp),
        memory_deny_write_execute: check.plain(written.memory_deny_write_execute),
        pid_max: check.count("pid-max", written.pid_max, PID_MAX),
        memfd_noexec: check.plain(written.memfd_noexec),
        unique_pid: check.plain(written.unique_pid),
    }
}

fn connection(check: &mut Check<'_>, written: file::Connection) -> Connection {
    Connection {
        hold: check.plain(written.hold),
        ends: check.word("ends", written.ends),
        stderr: check.word("stderr", written.stderr),
        concurrency: check.count("concurrency", written.concurrency, CONCURRENCY),
        spares: check.count("spares", written.spares, SPARES),
    }
}

fn forced(check: &mut Check<'_>, written: List<String>, limits: &Limits) -> BTreeSet<&'static str> {
    let here = extend::written(limits);
    let mut forced = BTreeSet::new();
    for key in written {
        match extend::LIMITS.iter().find(|known| *known == key.get_ref()) {
            Some(known) if here.contains(known) => drop(forced.insert(*known)),
            Some(_) => {
                let mistake = Mistake::new("`override` names a limit that this file does not set");
                check.mistake(mistake.label("has no value in this file"), key.span());
            }
            None => {
                let near = nearest(key.get_ref(), extend::LIMITS.iter().copied());
                let mistake = Mistake::new("unknown key in `override`").label("not a limit");
                let help =
                    near.map_or("write it as in \"limits.time\"".to_owned(), |near| format!("did you mean `{near}`?"));
                check.mistake(mistake.help(help), key.span());
            }
        }
    }
    forced
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
