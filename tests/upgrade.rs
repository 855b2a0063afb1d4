// SPDX-License-Identifier: Apache-2.0
//! The program is replaced while clients come: no connection is refused or lost, and one that cannot serve changes
//! nothing.

use crate::reload::Crowd;
use crate::scene::{Client, Server, arguments, host, patience, stage};
use crate::serve::Services;
use nix::sys::signal::Signal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that others take the place of: its file, and how it is started.
struct Installed {
    program: PathBuf,
    words: Vec<String>,
}

impl Installed {
    fn of(services: &Services, words: &[&str]) -> Installed {
        let program = services.room.path("spawnbox");
        copy(&stage::program("spawnbox"), &program);
        Installed { program, words: words.iter().map(|word| word.to_string()).collect() }
    }

    /// Puts another file in the program's place, as a package does.
    fn replace(&self, with: &Path) {
        let new = self.program.with_extension("new");
        copy(with, &new);
        std::fs::rename(new, &self.program).expect("the stage can be written");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Copies a program, by a process of its own: what another thread starts meanwhile would inherit our descriptor of the
/// file, which nobody can execute as long as somebody can write to it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success(), "the stage can be written");
}

/// The process that takes the place of a server. Dropping it kills it.
pub(crate) struct Heir {
    pub(crate) pid: u32,
    process: host::Watched,
}

impl Heir {
    /// As the server's log names it.
    fn of(server: &Server) -> Heir {
        Heir::named_in(&server.logs(" serves in this one's place"))
    }

    /// As a line of the log names it.
    pub(crate) fn named_in(line: &str) -> Heir {
        let pid = line.split("process ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Heir::by_number(pid.unwrap_or_else(|| panic!("no process in {line}")))
    }

    /// The process of this number, while it serves.
    pub(crate) fn by_number(pid: u32) -> Heir {
        let process = host::watch(&[pid]);
        assert_eq!(process.count(), 1, "it serves");
        Heir { pid, process }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Whether it ends in time.
    pub(crate) fn ends(&self) -> bool {
        self.process.end_within(patience())
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

#[test]
fn another_program_takes_over_while_clients_come_and_none_is_refused_or_lost() {
    let services = Services::new();
    let port = host::free_address().to_string();
    services.write("unix", "read line; echo unix");
    services.listening("tcp", "read line; echo tcp", &[&port]);
    let directory = services.room.whole().display().to_string();
    let (control, metrics) = (format!("{directory}/control"), format!("{directory}/metrics"));
    let words = ["serve", "--control", &control, "--metrics", &format!("unix:{metrics}"), &directory];
    let installed = Installed::of(&services, &words);
    let server = Server::start_silent(installed.command());
    let socket = services.room.path("unix.sock");
    let answered = || {
        let one = |address: &str| Client::connect(address).send(b"\n").rest();
        [one(&services.socket("unix")), one(&port)]
    };
    assert_eq!(answered(), ["unix\n", "tcp\n"]);
    let inodes = || [&socket, Path::new(&control), Path::new(&metrics)].map(|it| it.metadata().expect("there").ino());
    let before = inodes();
    let running = [Client::connect(&services.socket("unix")), Client::connect(&port)];
    host::eventually("both are being served", patience(), || host::inside(server.pid()).len() == 4);
    let sessions = || {
        let status = arguments(&["status", "--json", "--control", &control]).run().exits(0);
        let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("it is JSON");
        let all = status["sessions"].as_array().expect("a list").iter();
        all.map(|session| session["session"].as_u64().expect("a number")).collect::<Vec<u64>>()
    };
    let numbers = sessions();
    assert_eq!(numbers.len(), 2);
    let crowds = [Crowd::at(&services.socket("unix")), Crowd::at(&port), Crowd::at(&port)];

    installed.replace(&stage::program("spawnbox"));
    server.signal(Signal::SIGUSR2);
    let heir = Heir::of(&server);
    assert_eq!(answered(), ["unix\n", "tcp\n"]);
    for answers in crowds.map(Crowd::answers) {
        assert!(answers.iter().all(|answer| answer == "unix\n" || answer == "tcp\n"), "{answers:?}");
    }
    // Whoever asks is told by the one that serves, which has none of the sessions before it.
    let status = arguments(&["status", "--json", "--control", &control]).run();
    let status: serde_json::Value = serde_json::from_str(&status.exits(0).stdout).expect("it is JSON");
    assert!(status.to_string().contains(&heir.pid.to_string()), "{status}");
    let scraped = Client::connect(&format!("unix:{metrics}")).send(b"GET /readyz HTTP/1.1\r\n\r\n").rest();
    assert!(scraped.contains("200 OK"), "{scraped}");
    // Nobody else has their numbers, however many clients come.
    let newcomer = Client::connect(&port);
    host::eventually("it is being served", patience(), || !sessions().is_empty());
    assert!(sessions().iter().all(|number| *number > 1_000_000 + numbers[1]), "{:?}", sessions());
    for number in numbers {
        let killed = arguments(&["kill", &number.to_string(), "--control", &control]).run();
        killed.says(&format!("there is no session {number}"));
    }
    assert_eq!(newcomer.send(b"\n").rest(), "tcp\n");
    // They are served to their end by the program that they came to, which ends with them.
    server.signal(Signal::SIGUSR2);
    server.logs("this program is about to end: no other one is started");
    let [unix, tcp] = running.map(|client| client.send(b"\n").rest());
    assert_eq!([unix.as_str(), tcp.as_str()], ["unix\n", "tcp\n"]);
    assert!(host::ends_within(server.pid(), patience()), "{}", server.log());
    assert_eq!(inodes(), before);
    assert_eq!(answered(), ["unix\n", "tcp\n"]);
    // It is what the other was: it reads its policies again, and another one takes its place.
    services.write("unix", "read line; echo other");
    heir.signal(Signal::SIGHUP);
    server.logs("unix: its new policy is in force");
    assert_eq!(answered(), ["other\n", "tcp\n"]);
    heir.signal(Signal::SIGTERM);
    assert!(heir.ends(), "{}", server.log());
    assert!(std::net::TcpStream::connect(&port).is_err());
    assert!(!socket.exists() && !Path::new(&control).exists() && !Path::new(&metrics).exists());
}

#[test]
fn a_program_that_cannot_serve_leaves_the_one_before_in_force() {
    let services = Services::new();
    services.write("a", "echo one");
    let installed = Installed::of(&services, &["serve", &services.room.whole().display().to_string()]);
    let server = Server::start_silent(installed.command());
    let answered = || Client::connect(&services.socket("a")).rest();
    assert_eq!(answered(), "one\n");
    let broken = services.room.file("broken", "#!/bin/sh\nexit 3\n");
    stage::mode(&broken, 0o755);
    installed.replace(&broken);
    server.signal(Signal::SIGUSR2);
    server.logs("ended before it served; this one goes on");
    assert_eq!(answered(), "one\n");
    // One that runs and is given what it cannot serve.
    installed.replace(&stage::program("spawnbox"));
    services.room.file("b.toml", "version = 1\nlimits.tiem = 5\n");
    server.signal(Signal::SIGUSR2);
    server.logs("cannot take the place of the program before: policies that are wrong: 1");
    server.logs_times("ended before it served; this one goes on", 2);
    assert_eq!(answered(), "one\n");
    // One that is not there at all.
    std::fs::remove_file(&installed.program).expect("it is there");
    server.signal(Signal::SIGUSR2);
    server.logs("spawnbox: No such file or directory; this one goes on");
    assert_eq!(answered(), "one\n");
    host::eventually("none of them is left", patience(), || host::children(server.pid()).len() == 1);
    assert!(server.stop().0.success());
    assert!(!services.room.path("a.sock").exists());
}

#[test]
fn a_program_that_never_says_that_it_serves_ends_with_the_one_before() {
    let services = Services::new();
    services.write("a", "echo one");
    let installed = Installed::of(&services, &["serve", &services.room.whole().display().to_string()]);
    let server = Server::start_silent(installed.command());
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    let silent = services.room.file("silent", "#!/bin/sh\nexec sleep 1000\n");
    stage::mode(&silent, 0o755);
    installed.replace(&silent);
    server.signal(Signal::SIGUSR2);
    server.logs("started ");
    server.signal(Signal::SIGUSR2);
    server.logs("is about to take this one's place already");
    server.signal(Signal::SIGHUP);
    server.logs("nothing is changed: a program is about to take another's place; ask again when it serves");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("is killed before it serves: this one is to end"), "{log}");
}

#[test]
fn a_program_that_ends_is_noticed_though_its_child_has_what_it_was_to_speak_with() {
    let services = Services::new();
    services.write("a", "echo one");
    let installed = Installed::of(&services, &["serve", &services.room.whole().display().to_string()]);
    let server = Server::start_silent(installed.command());
    let number = services.room.path("number");
    let script = format!("#!/bin/sh\nsleep 1000 >/dev/null 2>&1 &\necho $! >{}\nexit 3\n", number.display());
    let broken = services.room.file("broken", &script);
    stage::mode(&broken, 0o755);
    installed.replace(&broken);
    server.signal(Signal::SIGUSR2);
    server.logs("ended before it served; this one goes on");
    let child = std::fs::read_to_string(number).expect("it was written");
    let child = host::watch(&[child.trim().parse().expect("a number")]);
    assert_eq!(child.count(), 1, "it has the pipe");
    child.signal(Signal::SIGKILL);
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    assert!(server.stop().0.success());
}

#[test]
fn one_service_is_handed_over_too_on_the_port_that_the_kernel_has_chosen() {
    let services = Services::new();
    services.listening("x", "read line; echo one", &["127.0.0.1:0"]);
    let file = services.room.path("x.toml").display().to_string();
    let installed = Installed::of(&services, &["listen", "--print-port", "--policy", &file]);
    let server = Server::start(installed.command(), "127.0.0.1:0");
    assert_eq!(server.connect().send(b"\n").rest(), "one\n");
    services.listening("x", "read line; echo two", &["127.0.0.1:0"]);
    server.signal(Signal::SIGUSR2);
    let _heir = Heir::of(&server);
    assert!(host::ends_within(server.pid(), patience()), "{}", server.log());
    assert_eq!(server.connect().send(b"\n").rest(), "two\n");
}

#[test]
fn an_ordinary_user_can_have_it_too() {
    needs!(root);
    let services = Services::new();
    let directory = services.room.directory("theirs");
    std::os::unix::fs::chown(&directory, Some(crate::scene::NOBODY), Some(crate::scene::NOBODY)).expect("root can");
    let place = format!("unix:{}", directory.join("socket").display());
    services.listening("x", "read line; echo one", &[&format!("{place},mode=0666")]);
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(stage::program("spawnbox")).args(["listen", "--print-port", "--policy"]);
    command.arg(services.room.path("x.toml"));
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start(command, &place);
    let crowd = Crowd::at(&place);
    server.signal(Signal::SIGUSR2);
    let heir = Heir::of(&server);
    assert!(crowd.answers().iter().all(|answer| answer == "one\n"));
    assert!(host::ends_within(server.pid(), patience()), "{}", server.log());
    assert_eq!(Client::connect(&place).send(b"\n").rest(), "one\n");
    assert_eq!(host::status_of(heir.pid, "NoNewPrivs").as_deref(), Some("1"));
}
