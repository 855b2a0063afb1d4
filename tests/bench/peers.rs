// SPDX-License-Identifier: Apache-2.0
//! The servers that are compared: ours, and what a host may have instead, each as its own manual would set it up for
//! many clients and as `nobody`. Limits are raised where they would be what is measured.

use crate::load::Address;
use crate::nspawn;
use crate::scene::stage::{Room, program};
use std::path::Path;

/// More sessions at once than are ever measured.
pub(crate) const MOST: usize = 6000;
/// As many as are tried on those with a process or more of their own for each.
const FEW: usize = 1000;

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What its commands are kept from, in a word or two.
    pub(crate) sandbox: &'static str,
    pub(crate) needs: Needs,
    /// Idle sessions that are tried on it at most.
    pub(crate) most: usize,
    /// Listens on a UNIX socket; else on TCP.
    pub(crate) unix: bool,
    pub(crate) start: Start,
}

/// What must be there for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A program that Debian packages.
    Program(&'static str),
    /// The same, of a package that few hosts have who are no developer's.
    Rare(&'static str),
    /// A program whose path this variable has.
    NamedBy(&'static str),
}

/// How it is started.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// By these words.
    Words(Words),
    /// By master(8), with this line of master.cf.
    Master(fn(&Ask<'_>) -> String),
}

type Words = fn(&Ask<'_>) -> Vec<String>;

/// What a server is asked to do.
pub(crate) struct Ask<'a> {
    pub(crate) address: &'a Address,
    pub(crate) command: &'a [String],
    /// Where its files may go.
    pub(crate) room: &'a Room,
}

/// In the order of the tables. The first of each kind of socket is what the others are compared with.
pub(crate) static ALL: &[Peer] = &[
    Peer { most: MOST, ..tcp("bare", "none", Needs::Nothing, bare) },
    Peer { most: MOST, ..tcp("spawnbox", "strict", Needs::Nothing, ours) },
    tcp("spawnbox, spares", "strict", Needs::Nothing, ours_with_spares),
    Peer { most: MOST, ..tcp("tcpserver", "none", Needs::Program("tcpserver"), tcpserver) },
    tcp("xinetd", "none", Needs::Program("xinetd"), xinetd),
    Peer { unix: false, ..unix("Postfix spawn", "none", Needs::Program("postfix"), Start::Master(spawn_on_a_port)) },
    tcp("socat", "none", Needs::Program("socat"), socat),
    tcp("nsjail", "namespaces, root", Needs::NamedBy("SPAWNBOX_NSJAIL"), nsjail),
    tcp("tcpserver bwrap", "namespaces, root", Needs::Program("bwrap"), bubblewrap),
    tcp("systemd", "none", Needs::Rare("systemd-nspawn"), nspawn::plain),
    tcp("systemd hardened", "all it has", Needs::Rare("systemd-nspawn"), nspawn::hardened),
    unix("bare, UNIX", "none", Needs::Nothing, Start::Words(bare)),
    unix("spawnbox, UNIX", "strict", Needs::Nothing, Start::Words(ours)),
    unix("spawnbox, spares, UNIX", "strict", Needs::Nothing, Start::Words(ours_with_spares)),
    unix("spawnbox master, UNIX", "compatible", Needs::Program("postfix"), Start::Master(ours_under_master)),
    unix("Postfix spawn, UNIX", "none", Needs::Program("postfix"), Start::Master(spawn_on_a_socket)),
];

const fn tcp(name: &'static str, sandbox: &'static str, needs: Needs, words: Words) -> Peer {
    Peer { name, sandbox, needs, most: FEW, unix: false, start: Start::Words(words) }
}

const fn unix(name: &'static str, sandbox: &'static str, needs: Needs, start: Start) -> Peer {
    Peer { name, sandbox, needs, most: FEW, unix: true, start }
}

impl Needs {
    /// What is not there, in words.
    pub(crate) fn lacking(self) -> Option<String> {
        match self {
            Needs::Nothing => None,
            Needs::Program(name) | Needs::Rare(name) => {
                let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
                let there = places.iter().any(|place| Path::new(place).join(name).is_file());
                (!there).then(|| format!("{name} is not installed"))
            }
            Needs::NamedBy(variable) => match std::env::var_os(variable) {
                None => Some(format!("{variable} does not say where it is")),
                Some(path) if Path::new(&path).is_file() => None,
                Some(path) => Some(format!("{variable} says {}, where nothing is", path.display())),
            },
        }
    }
}

fn bare(ask: &Ask<'_>) -> Vec<String> {
    let own = std::env::current_exe().expect("a program knows its own path").display().to_string();
    words(&[&own, "bare", &ask.address.to_string()], ask.command)
}

fn ours(ask: &Ask<'_>) -> Vec<String> {
    ours_with(ask, &[])
}

fn ours_with_spares(ask: &Ask<'_>) -> Vec<String> {
    ours_with(ask, &["-sconnection.spares=16"])
}

fn ours_with(ask: &Ask<'_>, settings: &[&str]) -> Vec<String> {
    let own = program("spawnbox").display().to_string();
    let (address, most) = (ask.address.to_string(), MOST.to_string());
    let shown = format!("-sfiles.execute=[\"{}\"]", ask.command[0]);
    let options = ["listen", &address, "--max-sessions", &most, "--policy=strict", "-scommand.user=\"nobody\"", &shown];
    words(&[&[own.as_str()], &options[..], settings, &["--"]].concat(), ask.command)
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

/// Without a user namespace, which makes it faster, and as its own super-server.
fn nsjail(ask: &Ask<'_>) -> Vec<String> {
    let own = std::env::var("SPAWNBOX_NSJAIL").expect("it is there").to_string();
    let (port, shown) = (port(ask), format!("{}:/line", ask.command[0]));
    let listen = ["-Ml", "--quiet", "--bindhost", "127.0.0.1", "--port", &port, "--max_conns", "0"];
    let within = ["--user", "65534", "--group", "65534", "--disable_clone_newuser", "--bindmount_ro", &shown, "--"];
    let command = [&["/line".to_string()], &ask.command[1..]].concat();
    words(&[&[own.as_str()], &listen[..], &within].concat(), &command)
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
