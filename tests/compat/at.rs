// SPDX-License-Identifier: Apache-2.0
//! Where a row is played: its service, the mail system around it, and the log. Every wait is bounded.

use crate::postfix::instance::{Postfix, Spawner};
use crate::postfix::private::Log;
use crate::scene::stage::Room;
use crate::scene::{Client, host, patience};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A row's place.
pub(super) struct At<'a> {
    pub(super) name: &'a str,
    pub(super) spawner: Spawner,
    pub(super) room: &'a Room,
    pub(super) postfix: &'a Postfix,
    pub(super) log: &'a Log,
    /// How long a wait may take.
    pub(super) patience: Duration,
}

impl At<'_> {
    /// A client of the row's service.
    pub(super) fn client(&self) -> Client {
        Client::connect(&self.postfix.socket(self.name))
    }

    /// What a client gets that sends nothing.
    pub(super) fn answer(&self) -> String {
        self.client().finish().rest()
    }

    /// A client that is being served: the command, `cat`, has answered.
    pub(super) fn served(&self) -> Client {
        self.client().served()
    }

    /// Waits for a line of the row's daemon that is this text, in which `*` stands for anything, and returns it.
    pub(super) fn says(&self, text: &str) -> String {
        self.find(&format!(" {}/{}[", self.name, self.spawner.name()), text)
    }

    /// The same of any daemon of this name: before the log's tag was read, no row can be told from another.
    pub(super) fn anyone_says(&self, text: &str) -> String {
        self.find(&format!("/{}[", self.spawner.name()), text)
    }

    /// The same of a process without the first half of its tag.
    pub(super) fn half_tagged_says(&self, text: &str) -> String {
        self.find(&format!(" {}[", self.spawner.name()), text)
    }

    /// The same of master.
    pub(super) fn master_says(&self, text: &str) -> String {
        self.find(" postfix/master[", text)
    }

    /// What the row's daemon has logged; where that is nothing, what all say lately.
    fn near(&self) -> Vec<String> {
        let (own, all) = (self.said(), self.log.text());
        let lately = all.lines().rev().take(25).map(str::to_string);
        if own.is_empty() { lately.collect() } else { own }
    }

    /// Waits for a line that is so, whoever says it.
    pub(super) fn line(&self, so: impl Fn(&str) -> bool) -> Option<String> {
        self.log.find(self.patience, so)
    }

    fn find(&self, tag: &str, text: &str) -> String {
        let text = self.fill(text);
        let line = self.line(|line| line.contains(tag) && fits(&text, said(line)));
        line.unwrap_or_else(|| panic!("no line{tag}…]: {text}\n{}", self.near().join("\n")))
    }

    /// What the row's daemon has logged so far.
    pub(super) fn said(&self) -> Vec<String> {
        let tag = format!(" {}/{}[", self.name, self.spawner.name());
        self.log.text().lines().filter(|line| line.contains(&tag)).map(|line| said(line).to_string()).collect()
    }

    /// The process that logged this line.
    pub(super) fn pid_of(&self, line: &str) -> u32 {
        let pid = line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(pid, _)| pid.parse());
        pid.expect("a tag with a process id").expect("a process id is a number")
    }

    /// The daemons of the row's service.
    pub(super) fn daemons(&self) -> Vec<u32> {
        self.postfix.daemons(self.name)
    }

    /// Its only daemon.
    pub(super) fn daemon(&self) -> u32 {
        let [daemon] = self.daemons()[..] else { panic!("not one daemon: {:?}", self.daemons()) };
        daemon
    }

    /// Waits until a second client is served, which is when the first one's daemon is free or has company.
    pub(super) fn served_by_another(&self) {
        let mut client = self.client();
        assert_eq!(client.line(), "started");
    }

    /// Whether the other side has ended this connection, or sent something, by now.
    pub(super) fn is_over(&self, client: &Client) -> bool {
        poll(&mut [PollFd::new(client.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).expect("a socket can be polled")
            > 0
    }

    /// Whether a connection on which nothing is sent stays open for a while: longer than another process of the service
    /// would take to start and answer, on a busy machine too.
    pub(super) fn stays(&self, client: &Client) -> bool {
        let some_time = PollTimeout::try_from(patience() / 5).expect("a short time");
        poll(&mut [PollFd::new(client.as_fd(), PollFlags::POLLIN)], some_time).expect("a socket can be polled") == 0
    }

    /// Waits until this is so.
    pub(super) fn eventually(&self, what: &str, so: impl Fn() -> bool) {
        host::eventually(what, self.patience, so);
    }

    /// What the processes of the row's service lock.
    pub(super) fn lock_file(&self) -> PathBuf {
        self.path("postfix/queue/pid").join(format!("unix.{}", self.name))
    }

    /// A file that every command can read.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.room.path(&self.fill(name))
    }

    /// A file where every command can write.
    pub(super) fn spool(&self, name: &str) -> PathBuf {
        self.path("spool").join(name)
    }

    /// Puts the row's words in the place of what begins with `@`.
    pub(super) fn fill(&self, text: &str) -> String {
        fill(text, self.name, self.spawner, self.room)
    }
}

/// Copies a program, by a process of its own: while this one writes it, whatever another test starts could hold it open
/// for writing too, and then nobody can execute it, see execve(2), ETXTBSY.
pub(super) fn install(program: &str, to: &Path, mode: &str) {
    let copied = Command::new("/usr/bin/install").args(["-m", mode, program]).arg(to).status().expect("install runs");
    assert!(copied.success(), "cannot install {program}");
}

/// See [`At::fill`].
pub(super) fn fill(text: &str, name: &str, spawner: Spawner, room: &Room) -> String {
    let room = room.whole().display().to_string();
    text.replace("@script", "@room/@name.sh")
        .replace("@spool", "@room/spool")
        .replace("@room", &room)
        .replace("@name", name)
        .replace("@spawn", spawner.name())
}

/// What a line of the log says, without who says it.
fn said(line: &str) -> &str {
    line.split_once("]: ").map_or("", |(_, text)| text)
}

/// Whether a text is what the pattern says, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))
}
