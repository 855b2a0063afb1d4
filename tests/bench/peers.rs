// SPDX-License-Identifier: Apache-2.0
//! The servers that are compared: ours, and what a host may have instead, each as its own manual would set it up for
//! many clients and as `nobody`. Limits are raised where they would be what is measured.

use crate::load::Address;
use crate::scene::stage::{Room, program};

/// More sessions at once than are ever measured.
pub(crate) const MOST: usize = 6000;
/// As many as are tried on those with a process or more of their own for each.
const FEW: usize = 1000;

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What its commands are kept from, in a word or two.
    pub(crate) sandbox: &'static str,
    /// What must be installed.
    pub(crate) program: Option<&'static str>,
    /// Idle sessions that are tried on it at most.
    pub(crate) most: usize,
    /// Listens on a UNIX socket; else on TCP.
    pub(crate) unix: bool,
    pub(crate) start: Start,
}

/// How it is started.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// By these words.
    Words(fn(&Ask<'_>) -> Vec<String>),
    /// By master(8), with this line of master.cf.
    Master(fn(&Ask<'_>) -> String),
}

/// What a server is asked to do.
pub(crate) struct Ask<'a> {
    pub(crate) address: &'a Address,
    pub(crate) command: &'a [String],
    /// Where its files may go.
    pub(crate) room: &'a Room,
}

/// In the order of the tables. The first of each kind of socket is what the others are compared with.
pub(crate) static ALL: &[Peer] = &[
    Peer { most: MOST, ..tcp("bare", "none", None, Start::Words(bare)) },
    Peer { most: MOST, ..tcp("spawnbox", "strict", None, Start::Words(ours)) },
    Peer { most: MOST, ..tcp("tcpserver", "none", Some("tcpserver"), Start::Words(tcpserver)) },
    tcp("xinetd", "none", Some("xinetd"), Start::Words(xinetd)),
    tcp("Postfix spawn", "none", Some("postfix"), Start::Master(spawn_on_a_port)),
    tcp("socat", "none", Some("socat"), Start::Words(socat)),
    tcp("tcpserver bwrap", "namespaces, root", Some("bwrap"), Start::Words(bubblewrap)),
    unix("bare, UNIX", "none", None, Start::Words(bare)),
    unix("spawnbox, UNIX", "strict", None, Start::Words(ours)),
    unix("spawnbox master, UNIX", "compatible", Some("postfix"), Start::Master(ours_under_master)),
    unix("Postfix spawn, UNIX", "none", Some("postfix"), Start::Master(spawn_on_a_socket)),
];

const fn tcp(name: &'static str, sandbox: &'static str, program: Option<&'static str>, start: Start) -> Peer {
    Peer { name, sandbox, program, most: FEW, unix: false, start }
}

const fn unix(name: &'static str, sandbox: &'static str, program: Option<&'static str>, start: Start) -> Peer {
    Peer { name, sandbox, program, most: FEW, unix: true, start }
}

fn bare(ask: &Ask<'_>) -> Vec<String> {
    let own = std::env::current_exe().expect("a program knows its own path").display().to_string();
    words(&[&own, "bare", &ask.address.to_string()], ask.command)
}

fn ours(ask: &Ask<'_>) -> Vec<String> {
    let own = program("spawnbox").display().to_string();
    let (address, most) = (ask.address.to_string(), MOST.to_string());
    let shown = format!("-sfiles.execute=[\"{}\"]", ask.command[0]);
    let options = ["listen", &address, "--max-sessions", &most, "--policy=strict", "-scommand.user=\"nobody\"", &shown];
    words(&[&[own.as_str()], &options[..], &["--"]].concat(), ask.command)
}

fn tcpserver(ask: &Ask<'_>) -> Vec<String> {
    words(&tcpserver_on(&port(ask)), ask.command)
}

/// Without looking names up or asking who the client is, as its manual says for speed.
fn tcpserver_on(port: &str) -> [&str; 12] {
    ["tcpserver", "-HRl0", "-c", "6000", "-b", "1024", "-u", "65534", "-g", "65534", "127.0.0.1", port]
}

fn xinetd(ask: &Ask<'_>) -> Vec<String> {
    let (port, server) = (port(ask), &ask.command[0]);
    let arguments = ask.command.get(1).map_or(String::new(), |word| format!("server_args = {word}\n"));
    let text = format!(
        "service line\n{{\ntype = UNLISTED\nsocket_type = stream\nprotocol = tcp\nbind = 127.0.0.1\nport = {port}\n\
         wait = no\nuser = nobody\ninstances = UNLIMITED\nper_source = UNLIMITED\ncps = 1000000 1\n\
         server = {server}\n{arguments}}}\n"
    );
    let file = ask.room.file("xinetd.conf", &text).display().to_string();
    let pid = ask.room.path("pid").display().to_string();
    words(&["xinetd", "-dontfork", "-f", &file, "-pidfile", &pid], &[])
}

fn socat(ask: &Ask<'_>) -> Vec<String> {
    let from = format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr,backlog=1024,fork", port(ask));
    let to = format!("EXEC:{},nofork,su=nobody", ask.command.join(" "));
    words(&["socat", &from, &to], &[])
}

/// Every namespace that it can make, and a root with the command and nothing else.
fn bubblewrap(ask: &Ask<'_>) -> Vec<String> {
    let within = ["bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--ro-bind"];
    let (port, program) = (port(ask), ask.command[0].as_str());
    let command = [&["/line".to_string()], &ask.command[1..]].concat();
    words(&[&tcpserver_on(&port)[..], &within, &[program, "/line"]].concat(), &command)
}

fn spawn_on_a_port(ask: &Ask<'_>) -> String {
    format!("127.0.0.1:{} inet n n n - 0 spawn user=nobody argv={}\n", port(ask), ask.command.join(" "))
}

fn spawn_on_a_socket(ask: &Ask<'_>) -> String {
    format!("line unix - n n - 0 spawn user=nobody argv={}\n", ask.command.join(" "))
}

fn ours_under_master(ask: &Ask<'_>) -> String {
    let command = ask.command.join(" ");
    format!("line unix - n n - 1 spawnbox -o line_concurrency={MOST} user=nobody argv={command}\n")
}

fn port(ask: &Ask<'_>) -> String {
    match ask.address {
        Address::Tcp(address) => address.port().to_string(),
        Address::Unix(path) => unreachable!("{} has no port", path.display()),
    }
}

fn words(own: &[&str], command: &[String]) -> Vec<String> {
    own.iter().map(|word| word.to_string()).chain(command.iter().cloned()).collect()
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
