// SPDX-License-Identifier: Apache-2.0
//! From inside: asks a server's command for every attempt, and hears what came of it.

use super::aim::{Targets, attempts, whatever};
use crate::scene::{Client, a_second, host, patience, stage};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Open,
    Blocked,
    /// It cannot be tried in this setting.
    Absent,
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verdict::Open => "open",
            Verdict::Blocked => "blocked",
            Verdict::Absent => "n/a",
        }
    }
}

/// An attack and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

/// An attack that the judge has an answer to.
pub(crate) fn found(name: &str, open: bool, why: impl Into<String>) -> Found {
    let verdict = if open { Verdict::Open } else { Verdict::Blocked };
    Found { name: name.to_string(), verdict, why: why.into() }
}

/// Whether this works is nothing that its command is told.
const BY_OWNER: &str = "process: send a signal by a descriptor's owner";

/// Tries everything, each connection of which `connect` makes.
pub(crate) fn everything(connect: &dyn Fn() -> Client, facts: &str, targets: &Targets) -> Vec<Found> {
    let all = attempts();
    let client = connect().send(format!("{facts}\n").as_bytes());
    let mut lines = BufReader::new(client).lines();
    let mut results: Vec<Found> = Vec::new();
    for line in &mut lines {
        let line = line.unwrap_or_else(|error| panic!("the command fell silent ({error}) after {:?}", results.last()));
        if line == "done" {
            break;
        }
        results.push(parse(&line).unwrap_or_else(|| panic!("the command says {line:?}")));
    }
    let owned = results.iter_mut().find(|one| one.name == BY_OWNER).expect("it is tried together with others");
    if owned.verdict == Verdict::Open {
        *owned = found(BY_OWNER, targets.were_signalled(), "seen from outside");
    }
    let together = all.iter().filter(|(_, when)| when == "together").count();
    assert_eq!(results.len(), together, "the command ended after {:?}", results.last());
    let apart = all.iter().filter(|(_, when)| when != "together");
    results.extend(apart.map(|(name, when)| alone(name, when, connect, facts, targets)));
    let broken: Vec<&Found> = results.iter().filter(|found| found.why.starts_with("broken")).collect();
    assert!(broken.is_empty(), "these attempts are wrong in themselves: {broken:?}");
    results
}

fn parse(line: &str) -> Option<Found> {
    let mut parts = line.splitn(3, " | ");
    let (name, verdict, why) = (parts.next()?, parts.next()?, parts.next()?);
    let (verdict, why) = match verdict {
        "open" => (Verdict::Open, why.to_string()),
        "blocked" => (Verdict::Blocked, why.to_string()),
        "n/a" => (Verdict::Absent, why.to_string()),
        "broken" => (Verdict::Open, format!("broken: {why}")),
        _ => return None,
    };
    Some(Found { name: name.to_string(), verdict, why })
}

/// One of them, on a connection of its own.
pub(crate) fn alone(name: &str, when: &str, connect: &dyn Fn() -> Client, facts: &str, targets: &Targets) -> Found {
    let other = name.starts_with("another: ").then(|| {
        let mut other = connect().send(format!("{facts} do=leave\n").as_bytes());
        (other.line(), other)
    });
    let before = commands();
    let client = connect().send(format!("{facts} only={name}\n").as_bytes());
    let asks_to_be_passed = name.ends_with(" by a client");
    let over_tcp = matches!(client, Client::Tcp(_));
    let client = match (asks_to_be_passed, &client) {
        (true, Client::Unix(_)) => {
            pass(&client);
            client
        }
        // Where a relay is between, the command waits for something on a UNIX socket, and TCP can pass nothing.
        (true, Client::Tcp(_)) => client.finish(),
        (false, _) => client,
    };
    let text = if when == "filling" { awaited(name, client) } else { whatever(client) };
    drop(other);
    let line = text.lines().find(|line| line.starts_with(name));
    if let Some(line) = line {
        return parse(line).unwrap_or_else(|| panic!("the command says {line:?}"));
    }
    if when == "filling" {
        return found(name, false, "the session was ended");
    }
    if asks_to_be_passed && over_tcp {
        return found(name, false, "the session was ended with the client's half, and TCP can pass nothing");
    }
    // The connection is gone: what became of it is seen from outside, for as long as its command is there.
    let is_over = || commands().iter().all(|pid| before.contains(pid));
    let reached = match name {
        "connection: turned into a client of a host port" => {
            seen(is_over, || targets.were_reached(Duration::ZERO)) || targets.were_reached(a_second())
        }
        "connection: turned into a listener on a host port" => {
            seen(is_over, || TcpStream::connect(format!("127.0.0.1:{}", targets.fact("free-port"))).is_ok())
        }
        "connection: listens on a host port without bind" => seen(is_over, a_connection_listens),
        _ => panic!("no answer to {name:?}: {text:?}"),
    };
    found(name, reached, "seen from outside")
}

/// Reads to the end, or to where the connection was reset. Who fills something may be silent for longer than others,
/// and silence is no end: what has not happened yet on a busy machine was not kept from happening.
fn awaited(name: &str, mut client: Client) -> String {
    let mut bytes = Vec::new();
    let deadline = Instant::now() + 15 * patience();
    while let Err(error) = client.read_to_end(&mut bytes)
        && error.kind() == ErrorKind::WouldBlock
    {
        assert!(Instant::now() < deadline, "{name}: no answer, and no end of its session");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The processes of all commands that attack, and what they aim at.
fn commands() -> Vec<u32> {
    let program = stage::program("attack");
    let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == program);
    host::processes("").into_iter().filter(runs).collect()
}

/// Whether something is to be seen before this is over, which is asked first: what comes last counts.
fn seen(is_over: impl Fn() -> bool, look: impl Fn() -> bool) -> bool {
    let mut found = false;
    until(patience(), || {
        let over = is_over();
        found = look();
        found || over
    });
    found
}

/// Waits this long at most for something that comes soon, if it comes.
pub(crate) fn until(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !so() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::park_timeout(a_second() / 200);
    }
    true
}

/// Whether the connection of an attacking command listens: state 0A of proc_pid_net(5).
fn a_connection_listens() -> bool {
    let text = fs::read_to_string("/proc/thread-self/net/tcp").expect("the tests need /proc");
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening: Vec<String> = rows
        .filter(|words| words.get(3) == Some(&"0A"))
        .filter_map(|words| words.get(9).map(|inode| format!("socket:[{inode}]")))
        .collect();
    let connections = commands().into_iter().filter_map(|pid| fs::read_link(format!("/proc/{pid}/fd/0")).ok());
    connections.into_iter().any(|link| listening.iter().any(|socket| link.as_os_str() == socket.as_str()))
}

/// Sends the host's root directory, or where that is refused, a byte.
fn pass(client: &Client) {
    let root = fs::File::open("/").expect("there is a root directory");
    let rights = [root.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&rights)];
    let byte = [std::io::IoSlice::new(b"x")];
    let socket = client.as_fd().as_raw_fd();
    let sent = sendmsg::<UnixAddr>(socket, &byte, &message, MsgFlags::empty(), None);
    let _ = sent.or_else(|_| sendmsg::<UnixAddr>(socket, &byte, &[], MsgFlags::empty(), None));
}
