// SPDX-License-Identifier: Apache-2.0
//! The paths of a profile, each used in the way it is granted: read, executed, written to, spoken to. Beside that:
//! written to where it may be read, executed where it may only be read, and its neighbour in the same directory.
//!
//! So that the sandbox says no and not the file's mode, what a profile shows beside the trees of `strict` is replaced,
//! in the mounts of this test, by what the command's user may write and execute.

use super::all;
use crate::postfix::private::{attach, in_private};
use crate::scene::stage::{Room, mode, room};
use crate::scene::{Outcome, scene};
use nix::mount::MsFlags;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What becomes of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Works,
    Denied,
    /// Denied because it is not there, and not by the rights of the user.
    Hidden,
}

use Expected::{Denied, Hidden, Works};

/// A socket beside the one of the system's log.
const BESIDE: &str = "beside";

/// What is done, in the words of the probe, and what has to become of it.
type Trial = (String, Expected);

/// A profile as it is in the source.
fn profile(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/profiles/{name}.toml"));
    toml::from_str(&fs::read_to_string(path).expect("it is there")).expect("it is TOML")
}

/// The paths of a list of `[files]`.
fn paths(profile: &Table, key: &str) -> Vec<PathBuf> {
    let entries = profile.get("files").and_then(|files| files.get(key)).and_then(Value::as_array);
    let path = |entry: &Value| entry.as_str().or_else(|| entry.get("path")?.as_str()).map(PathBuf::from);
    entries.map(|entries| entries.iter().filter_map(path).collect()).unwrap_or_default()
}

/// Every path that a profile shows or makes, with those of `strict`.
fn shown(profile: &Table) -> Vec<PathBuf> {
    let of = |profile: &Table| ["read", "write", "execute", "scratch"].map(|key| paths(profile, key)).concat();
    let mut all = of(profile);
    all.extend(of(&self::profile("strict")));
    all.push("/dev".into());
    all
}

/// Puts something in the place of a path that its user may do everything with.
fn replace(room: &Room, number: usize, path: &Path) {
    let own = format!("own-{number}");
    match path.is_dir() {
        true => {
            let directory = room.directory(&own);
            mode(&directory, 0o777);
            mode(&room.file(&format!("{own}/file"), "text"), 0o666);
            fs::copy("/usr/bin/true", directory.join("program")).expect("the stage can be written");
            attach(&directory, path, None, MsFlags::MS_BIND);
        }
        false => {
            fs::copy(path, room.path(&own)).expect("it can be read");
            mode(&room.path(&own), 0o666);
            attach(&room.path(&own), path, None, MsFlags::MS_BIND);
        }
    }
}

/// A file or directory of the same directory that the profile does not show, and nothing of which it shows.
fn neighbour(path: &Path, shown: &[PathBuf]) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let mut beside: Vec<PathBuf> = fs::read_dir(real.parent()?).ok()?.flatten().map(|entry| entry.path()).collect();
    beside.sort();
    let is_apart = |other: &PathBuf| {
        let other = fs::canonicalize(other).unwrap_or_else(|_| other.clone());
        let real = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        shown.iter().map(real).all(|shown| !shown.starts_with(&other) && !other.starts_with(&shown))
    };
    beside.into_iter().find(is_apart)
}

/// What is tried at a path that may be read, and executed or not.
fn at(path: &Path, executes: bool) -> Vec<Trial> {
    let executed = if executes { Works } else { Denied };
    let name = path.display();
    match path.is_dir() {
        true => vec![
            (format!("list {name}"), Works),
            (format!("read {name}/file"), Works),
            (format!("execute {name}/program"), executed),
            (format!("write {name}/file x"), Denied),
            (format!("write {name}/new x"), Denied),
            (format!("mkdir {name}/directory"), Denied),
        ],
        false => vec![(format!("open {name}"), Works), (format!("write {name} x"), Denied)],
    }
}

/// The trees of the host, which cannot be replaced: the program of each that is sure to be there.
fn in_a_tree(path: &Path) -> Vec<Trial> {
    let loader = "ld-linux-x86-64.so.2";
    let programs = ["true".to_string(), loader.to_string(), format!("x86_64-linux-gnu/{loader}")];
    let program = programs.iter().map(|name| path.join(name)).find(|program| program.is_file());
    let program = program.unwrap_or_else(|| panic!("nothing to execute in {}", path.display()));
    let name = path.display();
    vec![
        (format!("list {name}"), Works),
        (format!("open {}", program.display()), Works),
        (format!("execute {} --help", program.display()), Works),
        (format!("write {name}/new x"), Denied),
    ]
}

/// Everything that is tried under a profile.
fn trials(name: &str, room: &Room) -> Vec<Trial> {
    let profile = profile(name);
    let shown = shown(&profile);
    let mut trials = Vec::new();
    let (read, execute, write) = (paths(&profile, "read"), paths(&profile, "execute"), paths(&profile, "write"));
    for (number, (path, executes)) in
        read.iter().map(|path| (path, false)).chain(execute.iter().map(|path| (path, true))).enumerate()
    {
        if !path.exists() {
            // Optional, and not granted where it is not there.
            println!("{name}: this host has no {}", path.display());
            continue;
        }
        trials.extend(neighbour(path, &shown).map(|other| (format!("open {}", other.display()), Hidden)));
        match (name, executes) {
            ("strict", true) => trials.extend(in_a_tree(path)),
            ("strict", false) => trials.push((format!("open {}", path.display()), Works)),
            _ => {
                replace(room, number, path);
                trials.extend(at(path, executes));
            }
        }
    }
    for path in write {
        let beside = path.with_file_name(BESIDE);
        trials.extend([(path, Works), (beside, Hidden)].map(|(path, so)| (format!("datagram {}", path.display()), so)));
    }
    for path in paths(&profile, "scratch") {
        trials.push((format!("write {}/new x", path.display()), Works));
    }
    trials
}

fn judge(name: &str, trials: &[Trial], outcome: &Outcome) {
    let is_errno =
        |said: &str| said.starts_with('E') && said.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let is_so = |expected: Expected, said: &str| match expected {
        Works => !is_errno(said),
        Denied => is_errno(said),
        Hidden => said == "ENOENT",
    };
    let said = trials.iter().map(|(what, expected)| (what, *expected, outcome.answer(what)));
    let wrong: Vec<_> = said.filter(|(_, expected, said)| !is_so(*expected, said)).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:?}");
    let count = |one: Expected| trials.iter().filter(|(_, expected)| *expected == one).count();
    let (works, denied, hidden) = (count(Works), count(Denied), count(Hidden));
    assert!(works > 0 && denied > 0 && hidden > 0, "{name}: something was not tried");
    println!("{name}: {works} work, {denied} are denied, {hidden} are hidden");
}

/// Where the name server of the scene is.
const RESOLVER: &str = "127.0.0.1:53";

/// What every profile is asked about besides, and which have it. `tcp` and `udp` are ports that are no resolver's.
fn others(tcp: u16, udp: u16) -> Vec<(String, &'static [&'static str])> {
    vec![
        (format!("connect {RESOLVER}"), &["dns-client"]),
        (format!("udp {RESOLVER}"), &["dns-client"]),
        (format!("connect 127.0.0.1:{tcp}"), &[]),
        // It may send one, in a network of its own, where nobody hears it.
        (format!("udp 127.0.0.1:{udp}"), &["dns-client"]),
        // Bound, and listened to: nobody waits for a client.
        ("bind 127.0.0.1:0".to_string(), &[]),
        ("rwx".to_string(), &["node", "java"]),
        ("open /proc/self/exe".to_string(), &["java"]),
        ("open /proc/cpuinfo".to_string(), &[]),
        ("open /dev/null".to_string(), super::EVERY),
        ("open /dev/zero".to_string(), super::EVERY),
        ("open /dev/full".to_string(), super::EVERY),
        ("open /dev/random".to_string(), super::EVERY),
        ("open /dev/urandom".to_string(), super::EVERY),
        ("open /dev/tty".to_string(), &[]),
        ("open /etc/shadow".to_string(), &[]),
        ("list /home".to_string(), &[]),
    ]
}

#[test]
fn every_path_of_a_profile_can_be_used_as_it_is_granted_and_in_no_other_way() {
    needs!(root);
    // `compatible` has the host's files, as its user's rights allow.
    for name in all().into_iter().filter(|name| name != "compatible") {
        let room = room();
        in_private(&room.path(""), |_| {
            let [_resolver, tcp] =
                [RESOLVER, "127.0.0.1:0"].map(|address| TcpListener::bind(address).expect("there is loopback"));
            let [_questions, udp] =
                [RESOLVER, "127.0.0.1:0"].map(|address| UdpSocket::bind(address).expect("there is loopback"));
            let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("it is bound").port();
            let beside = Path::new("/dev").join(BESIDE);
            let _receiver = UnixDatagram::bind(&beside).expect("the scene's /dev can be written");
            mode(&beside, 0o666);
            let mut trials = trials(&name, &room);
            let others = others(port(tcp.local_addr()), port(udp.local_addr()));
            trials.extend(
                others.into_iter().map(|(what, who)| {
                    (what, if who == super::EVERY || who.contains(&&*name) { Works } else { Denied })
                }),
            );
            let what: Vec<&str> = trials.iter().map(|(what, _)| what.as_str()).collect();
            let outcome = scene(&name).probe(&what.join(" , ")).run();
            judge(&name, &trials, &outcome);
            udp.set_nonblocking(true).expect("it is a socket");
            assert!(udp.recv(&mut [0]).is_err(), "{name}: a datagram came out of the sandbox");
        });
    }
}
