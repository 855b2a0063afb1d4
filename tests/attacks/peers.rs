// SPDX-License-Identifier: Apache-2.0
//! The same attacks on the command of other programs that hand it a connection or confine it, so that their counts on
//! the page can be made again. Nothing is asked of them but that something works and something does not. Not here:
//! firejail, which serves only users with a home. systemd has a file of its own.

use super::aim::Targets;
use super::open::count;
use super::setting::inetd;
use super::tried::everything;
use crate::scene::stage::{Room, Running, program, room};
use crate::scene::{Client, NOBODY, host, patience};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

pub(super) fn compare(name: &str, connect: &dyn Fn() -> Client, targets: &Targets, server: u32) {
    let all = everything(connect, &targets.facts(server), targets);
    let open = count(name, &all);
    assert!((1..all.len()).contains(&open), "{open} attacks work on {name}: it did not run as it should");
}

/// A peer that becomes the command, below an inetd that has changed the user: its words before the command.
fn wrapped(name: &str, peer: &str, options: &str) {
    let shown = program("attack").display().to_string();
    let words = options.split_whitespace().map(|word| word.replace("ATTACK", &shown));
    let words: Vec<String> = [peer.to_string()].into_iter().chain(words).collect();
    inetd(&words, |connect, targets| compare(name, connect, targets, std::process::id()));
}

/// As its manual page begins, with all that is named there.
const BUBBLEWRAP: &str = "--unshare-all --new-session --die-with-parent --ro-bind /usr /usr --symlink usr/bin /bin \
                          --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
                          --ro-bind ATTACK ATTACK";

/// As its README has it, with the connection of an inetd instead of a listener of its own.
const NSJAIL: &str = "-Mo --quiet --chroot / --";
/// With all that it has.
const NSJAIL_AT_ITS_BEST: &str = include_str!("nsjail.cfg");

#[test]
fn the_same_attacks_are_tried_on_bubblewrap() {
    needs!(root);
    needs!(program "setpriv");
    needs!(program "bwrap");
    wrapped("bubblewrap", "bwrap", BUBBLEWRAP);
}

/// For a comparison, not for a check: what is not installed is left out, everywhere.
#[test]
fn the_same_attacks_are_tried_on_what_else_is_installed() {
    needs!(root);
    needs!(program "setpriv");
    if there("xinetd").is_some() {
        by_xinetd();
    }
    if there("tcpserver").is_some() {
        by_tcpserver();
    }
    if let Some(program) = std::env::var("SPAWNBOX_NSJAIL").ok().or_else(|| there("nsjail")) {
        wrapped("nsjail", &program, NSJAIL);
        by_nsjail(&program);
    }
}

/// For a comparison too, and for who asks for it: in containers, each of which takes a while to start.
#[test]
fn the_same_attacks_are_tried_on_systemd() {
    needs!(root);
    match std::env::var("SPAWNBOX_SYSTEMD") {
        Ok(directory) => super::systemd::everything(&directory),
        // On the real standard error, which the test runner does not swallow.
        Err(_) => writeln!(std::io::stderr(), "attacks: SPAWNBOX_SYSTEMD does not say where systemd is").unwrap(),
    }
}

fn there(name: &str) -> Option<String> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(|place| format!("{place}/{name}"));
    let found = places.into_iter().find(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        // On the real standard error, which the test runner does not swallow.
        let _ = writeln!(std::io::stderr(), "attacks: {name} is not installed");
    }
    found
}

fn burdened(words: &[String], output: Stdio) -> Running {
    let mut command = Command::new(program("attack"));
    command.arg("burdened").args(words).stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
    Running(command.spawn().expect("the attack program runs"))
}

fn by_xinetd() {
    let (room, port) = (room(), host::free_address().port());
    let attack = program("attack");
    let file = room.file(
        "xinetd.conf",
        &format!(
            "service attack\n{{\ntype = UNLISTED\nsocket_type = stream\nprotocol = tcp\nwait = no\nuser = nobody\n\
             bind = 127.0.0.1\nport = {port}\nserver = {}\ncps = 1000 1\ninstances = UNLIMITED\n}}\n",
            attack.display()
        ),
    );
    let words = ["/usr/sbin/xinetd", "-dontfork", "-f", &file.display().to_string()].map(str::to_string);
    let server = burdened(&words, Stdio::null());
    attacked(&room, "xinetd", port, &server);
}

/// As a server of its own: only root may map another user than its own.
fn by_nsjail(path: &str) {
    let (room, port) = (room(), host::free_address().port());
    let text = NSJAIL_AT_ITS_BEST.replace("ATTACK", &program("attack").display().to_string());
    let file = room.file("nsjail.cfg", &text.replace("PORT", &port.to_string()));
    let words = [path, "--config", &file.display().to_string()].map(str::to_string);
    let server = burdened(&words, Stdio::null());
    attacked(&room, "nsjail at its best", port, &server);
}

fn by_tcpserver() {
    let room = room();
    let attack = program("attack").display().to_string();
    let user = NOBODY.to_string();
    let words =
        ["/usr/bin/tcpserver", "-1", "-HR", "-l", "localhost", "-u", &user, "-g", &user, "127.0.0.1", "0", &attack];
    let mut server = burdened(&words.map(str::to_string), Stdio::piped());
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("standard output is a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("it says its port");
    let port = line.trim().parse().unwrap_or_else(|_| panic!("tcpserver says {line:?}"));
    attacked(&room, "tcpserver", port, &server);
}

fn attacked(room: &Room, name: &str, port: u16, server: &Running) {
    let targets = Targets::make(room);
    let address = format!("127.0.0.1:{port}");
    host::eventually("it listens", patience(), || std::net::TcpStream::connect(&address).is_ok());
    compare(name, &|| Client::connect(&address), &targets, server.0.id());
}
