// SPDX-License-Identifier: Apache-2.0
//! Sockets that whoever started the program has opened for it, and what it tells a service manager. A shell and the
//! test stand in for that: one gives descriptors their numbers, the other hears.

use crate::scene::{Client, Server, arguments, host, patience, stage};
use crate::upgrade::Heir;
use nix::sys::signal::Signal;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

/// Its standard input and output are the descriptors to be passed.
const PASS: &str = "LISTEN_PID=$$ exec \"$@\" 3<&0 4<&1 0</dev/null 1>/dev/null";

/// A directory of policies, and the sockets that a service manager has there.
struct Unit {
    room: stage::Room,
}

impl Unit {
    fn new() -> Unit {
        Unit { room: stage::room() }
    }

    /// Writes a service whose command is a script; `listen` may be nothing.
    fn service(&self, name: &str, listen: &str, script: &str) {
        let user = if host::is_root() { "user = \"nobody\"\n" } else { "" };
        let text = format!(
            "version = 1\nextends = [\"shell\"]\n{listen}\n[command]\n{user}argv = [\"/bin/sh\", \"-c\", \"{script}\"]\n"
        );
        self.room.file(&format!("{name}.toml"), &text);
    }

    fn address(&self, name: &str) -> String {
        format!("unix:{}", self.room.path(name).display())
    }

    /// What the service manager listens on, open there as long as the test runs.
    fn socket(&self, name: &str) -> UnixListener {
        let path = self.room.path(name);
        let listener = UnixListener::bind(&path).expect("the name is free");
        stage::mode(&path, 0o666);
        listener
    }

    /// The program with what it is passed, by these names.
    fn start(&self, words: &[&str], names: &str, [three, four]: [&dyn Passed; 2]) -> Command {
        let count = names.split(':').count().to_string();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", PASS, "sh"]).arg(stage::program("spawnbox")).args(words);
        command.current_dir("/").env_clear().envs([("PATH", "/usr/bin:/bin"), ("LISTEN_FDNAMES", names)]);
        command.env("LISTEN_FDS", count).stdin(three.open()).stdout(four.open()).stderr(Stdio::piped());
        command
    }

    /// `serve` with nothing passed, and with these in its environment.
    fn serve_told(&self, options: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut command = Command::new(stage::program("spawnbox"));
        command.arg("serve").args(options).arg(self.room.whole()).current_dir("/").env_clear();
        command.env("PATH", "/usr/bin:/bin").envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Server::start_silent(command)
    }

    /// Writes a service with a socket of its own.
    fn listening(&self, name: &str, script: &str) {
        let address = self.address(&format!("{name}.sock"));
        self.service(name, &format!("listen.addresses = [\"{address}\"]"), script);
    }

    fn serve(&self, names: &str, passed: [&dyn Passed; 2]) -> Server {
        let directory = self.room.whole().display().to_string();
        Server::start_silent(self.start(&["serve", &directory], names, passed))
    }
}

/// Something that can be passed any number of times.
trait Passed {
    fn open(&self) -> Stdio;
}

impl Passed for UnixListener {
    fn open(&self) -> Stdio {
        OwnedFd::from(self.try_clone().expect("a descriptor is left")).into()
    }
}

/// /dev/null, which no service can have.
struct Nothing;

impl Passed for Nothing {
    fn open(&self) -> Stdio {
        Stdio::null()
    }
}

/// A service manager's ear.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn of(unit: &Unit) -> Manager {
        let path = unit.room.path("notify");
        let socket = UnixDatagram::bind(&path).expect("the name is free");
        socket.set_read_timeout(Some(patience())).expect("a time-out can be set");
        Manager { socket, path: path.display().to_string() }
    }

    /// Is sent so much that it takes nothing more until it hears again.
    fn be_busy(&self) {
        let filler = UnixDatagram::unbound().expect("a descriptor is left");
        filler.set_nonblocking(true).expect("a flag can be set");
        while filler.send_to(b"no news", &self.path).is_ok() {}
    }

    /// The next message that contains this, and what came with it.
    fn hears(&self, text: &str) -> (String, Vec<OwnedFd>) {
        loop {
            let mut bytes = [0; 4096];
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut control = RecvAncillaryBuffer::new(&mut room);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let got = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
                .unwrap_or_else(|error| panic!("nothing was said of {text:?}: {error}"));
            let passed: Vec<OwnedFd> = control
                .drain()
                .filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors.collect::<Vec<_>>()),
                    _ => None,
                })
                .flatten()
                .collect();
            let said = String::from_utf8_lossy(&bytes[..got.bytes]).into_owned();
            if said.contains(text) {
                return (said, passed);
            }
        }
    }
}

#[test]
fn a_service_manager_hears_that_it_is_ready_reloads_and_stops() {
    let unit = Unit::new();
    unit.listening("a", "echo ready; exec sleep 60");
    unit.room.file("bad.toml", "version = 1\nlimits.tiem = 5\n");
    let manager = Manager::of(&unit);
    let server = unit.serve_told(&["--drain-limit", "1s"], &[("NOTIFY_SOCKET", manager.path.as_str())]);
    let (ready, _) = manager.hears("READY=1");
    assert_eq!(ready, "READY=1\nSTATUS=serving 1 service, 0 sessions; not served: bad, see the log");
    let mut client = Client::connect(&unit.address("a.sock"));
    assert_eq!(client.line(), "ready");
    manager.hears("STATUS=serving 1 service, 1 session; not served: bad");
    std::fs::remove_file(unit.room.path("bad.toml")).unwrap();
    server.signal(Signal::SIGHUP);
    let (reload, _) = manager.hears("RELOADING=1");
    assert!(reload.contains("\nMONOTONIC_USEC="), "{reload}");
    assert_eq!(manager.hears("READY=1").0, "READY=1\nSTATUS=serving 1 service, 1 session");
    server.signal(Signal::SIGTERM);
    let (stopping, _) = manager.hears("STOPPING=1");
    assert_eq!(stopping, "STOPPING=1\nSTATUS=draining: sessions left: 1 (a 1)");
    manager.hears("EXTEND_TIMEOUT_USEC=");
    let (status, log) = server.end();
    assert!(status.success(), "{log}");
}

#[test]
fn a_watchdog_hears_that_the_loop_turns() {
    let unit = Unit::new();
    unit.listening("a", "echo ready");
    let manager = Manager::of(&unit);
    let environment = [("NOTIFY_SOCKET", manager.path.as_str()), ("WATCHDOG_USEC", "200000")];
    let _server = unit.serve_told(&[], &environment);
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
}

#[test]
fn a_service_manager_that_hears_nothing_keeps_nobody_from_being_served() {
    let unit = Unit::new();
    unit.listening("a", "echo ready");
    let server = unit.serve_told(&[], &[("NOTIFY_SOCKET", "/no/such/socket"), ("FDSTORE", "8")]);
    assert_eq!(Client::connect(&unit.address("a.sock")).rest(), "ready\n");
    assert!(server.stop().0.success());
    let manager = Manager::of(&unit);
    manager.be_busy();
    let server = unit.serve_told(&[], &[("NOTIFY_SOCKET", manager.path.as_str())]);
    assert_eq!(Client::connect(&unit.address("a.sock")).rest(), "ready\n");
    // There is room again, and what was not taken is said again.
    manager.hears("READY=1");
    assert!(server.stop().0.success());
}

#[test]
fn a_listener_outlives_the_program_in_the_service_managers_store() {
    let unit = Unit::new();
    unit.listening("a", "echo ready");
    let manager = Manager::of(&unit);
    let environment = [("NOTIFY_SOCKET", manager.path.as_str()), ("FDSTORE", "8")];
    let server = unit.serve_told(&[], &environment);
    let (stored, mut passed) = manager.hears("FDSTORE=1");
    let name = stored.strip_prefix("FDSTORE=1\nFDNAME=").expect("it has a name").to_string();
    assert!(name.starts_with("listen/a/"), "{name}");
    let kept = UnixListener::from(passed.pop().expect("a descriptor comes with it"));
    manager.hears("READY=1");
    assert!(server.stop().0.success());
    manager.hears("STOPPING=1");
    let waiting = Client::connect(&unit.address("a.sock"));
    let directory = unit.room.whole().display().to_string();
    let mut command = unit.start(&["serve", &directory], &name, [&kept, &Nothing]);
    command.envs(environment);
    let server = Server::start_silent(command);
    assert_eq!(waiting.rest(), "ready\n");
    manager.hears("READY=1");
    unit.listening("b", "echo other");
    std::fs::remove_file(unit.room.path("a.toml")).unwrap();
    server.signal(Signal::SIGHUP);
    assert_eq!(manager.hears("FDSTORE").0, format!("FDSTOREREMOVE=1\nFDNAME={name}"));
    assert!(manager.hears("FDSTORE=1").0.contains("FDNAME=listen/b/"));
    assert!(!unit.room.path("a.sock").exists());
}

#[test]
fn a_sockets_name_chooses_its_service_and_one_that_nobody_has_is_told() {
    let unit = Unit::new();
    unit.service("web", "", "echo web; set");
    unit.service("own", &format!("listen.addresses = [\"{}\"]", unit.address("own.sock")), "echo own");
    let (web, other) = (unit.socket("web.sock"), unit.socket("other.sock"));
    let server = unit.serve("web:other", [&web, &other]);
    server.logs("services: unchanged 0, changed 0, new 2, gone 0");
    let answer = Client::connect(&unit.address("web.sock")).rest();
    assert!(answer.starts_with("web\n") && !answer.contains("LISTEN"), "{answer}");
    assert_eq!(Client::connect(&unit.address("own.sock")).rest(), "own\n");
    server.logs("no policy in");
    let line = server.logs("sockets were passed for `other`");
    assert!(line.contains("other.sock") && line.contains("FileDescriptorName="), "{line}");
    assert!(server.stop().0.success());
    assert!(unit.room.path("web.sock").exists(), "the service manager's");
    assert!(!unit.room.path("own.sock").exists());
}

#[test]
fn clients_of_a_passed_socket_wait_while_no_service_has_it() {
    let unit = Unit::new();
    unit.service("web", "", "echo one");
    unit.service("rest", &format!("listen.addresses = [\"{}\"]", unit.address("rest.sock")), "echo rest");
    let web = unit.socket("web.sock");
    let server = unit.serve("web", [&web, &Nothing]);
    assert_eq!(Client::connect(&unit.address("web.sock")).rest(), "one\n");
    std::fs::remove_file(unit.room.path("web.toml")).unwrap();
    server.signal(Signal::SIGHUP);
    server.logs("services: unchanged 1, changed 0, new 0, gone 1");
    server.logs("sockets were passed for `web`");
    let waiting = Client::connect(&unit.address("web.sock"));
    unit.service("web", "", "echo two");
    server.signal(Signal::SIGHUP);
    assert_eq!(waiting.rest(), "two\n");
    unit.service("web", "", "echo three");
    server.signal(Signal::SIGHUP);
    server.logs("web: its new policy is in force");
    assert_eq!(Client::connect(&unit.address("web.sock")).rest(), "three\n");
}

#[test]
fn a_service_that_listens_itself_is_passed_the_same_place_or_none() {
    let unit = Unit::new();
    let listens = |name: &str| format!("listen.addresses = [\"{}\"]", unit.address(&format!("{name}.sock")));
    unit.service("same", &listens("same"), "echo same");
    unit.service("else", &listens("else"), "echo else");
    let (same, other) = (unit.socket("same.sock"), unit.socket("other.sock"));
    let server = unit.serve("same:else", [&same, &other]);
    assert_eq!(Client::connect(&unit.address("same.sock")).rest(), "same\n");
    let line = server.logs("was passed for else, which listens here");
    assert!(line.contains("else.toml:3:") && line.contains("other.sock"), "{line}");
    server.logs("policies that are wrong and not served: 1");
}

#[test]
fn what_was_kept_of_a_service_is_listened_on_as_its_policy_says_by_now() {
    use std::os::unix::fs::PermissionsExt;
    let unit = Unit::new();
    unit.service("a", &format!("listen.addresses = [\"{},mode=0606\"]", unit.address("a.sock")), "echo one");
    let (kept, forgotten) = (unit.socket("a.sock"), unit.socket("b.sock"));
    let waiting = Client::connect(&unit.address("a.sock"));
    let server = unit.serve("listen/a/1:listen/b/2", [&kept, &forgotten]);
    assert_eq!(waiting.rest(), "one\n");
    let mode = unit.room.path("a.sock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o606);
    assert!(server.stop().0.success());
    assert!(!unit.room.path("a.sock").exists());
}

#[test]
fn the_one_service_of_listen_has_every_socket_whatever_its_name() {
    let unit = Unit::new();
    let (one, two) = (unit.socket("one.sock"), unit.socket("two.sock"));
    let words = ["listen", "--", "sh", "-c", "echo hello; set"];
    let server = Server::start_logging(unit.start(&words, "spawnbox.socket:unknown", [&one, &two]), "listening on");
    server.logs_times("listening on", 2);
    for name in ["one.sock", "two.sock"] {
        let answer = Client::connect(&unit.address(name)).rest();
        assert!(answer.starts_with("hello\n") && !answer.contains("LISTEN"), "{answer}");
    }
}

#[test]
fn what_is_passed_wrongly_is_refused_in_words() {
    let unit = Unit::new();
    let one = unit.socket("one.sock");
    let listen = ["listen", "--", "sh"];
    let refused = |mut command: Command| {
        let output = command.output().expect("a shell is there");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, said) = refused(unit.start(&listen, "a", [&Nothing, &Nothing]));
    assert_eq!(status, Some(1));
    assert!(said.contains("fatal: cannot take the socket `a` (descriptor 3): it is no socket"), "{said}");
    let mut command = unit.start(&listen, "a:b", [&one, &Nothing]);
    let (status, said) = refused({
        command.env("LISTEN_FDS", "1");
        command
    });
    assert_eq!(status, Some(1));
    assert!(said.contains("LISTEN_FDS is 1, and LISTEN_FDNAMES has 2 names"), "{said}");
    let (status, said) = refused(unit.start(&["listen", "127.0.0.1:0", "--", "sh"], "a", [&one, &Nothing]));
    assert_eq!(status, Some(2));
    assert!(said.contains("was passed for sh, which listens here"), "{said}");
    // Not for us: as if there was nothing.
    arguments(&["listen", "--", "sh"]).run().says("nowhere to listen").exits(2);
}

#[test]
fn a_service_manager_hears_which_program_serves_and_of_no_end() {
    let unit = Unit::new();
    unit.listening("a", "echo one");
    let manager = Manager::of(&unit);
    let server =
        unit.serve_told(&[], &[("NOTIFY_SOCKET", &manager.path), ("FDSTORE", "9"), ("WATCHDOG_USEC", "60000000")]);
    let (_, stored) = manager.hears("FDSTORE=1");
    manager.hears("READY=1");
    server.signal(Signal::SIGUSR2);
    let (said, _) = manager.hears("MAINPID=");
    let heir = Heir::by_number(said.trim_start_matches("MAINPID=").trim().parse().expect("a number"));
    assert!(host::ends_within(server.pid(), patience()), "{}", server.log());
    assert_eq!(Client::connect(&unit.address("a.sock")).rest(), "one\n");
    manager.hears("WATCHDOG=1");
    let mut bytes = [0; 4096];
    manager.socket.set_nonblocking(true).expect("it can be");
    while let Ok(length) = manager.socket.recv(&mut bytes) {
        let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
        assert!(!said.contains("STOPPING=1") && !said.contains("FDSTORE"), "{said}");
    }
    manager.socket.set_nonblocking(false).expect("it can be");
    assert_eq!(stored.len(), 1, "and it has it still");
    heir.signal(Signal::SIGTERM);
    manager.hears("STOPPING=1");
    assert!(heir.ends(), "{}", server.log());
    // It is kept for the next one, which finds it by its name.
    assert!(unit.room.path("a.sock").exists());
}

/// A service whose next program serves, which its manager takes no word of.
fn untold(unit: &Unit) -> (Manager, Server, Heir) {
    unit.listening("a", "echo one");
    let manager = Manager::of(unit);
    let server = unit.serve_told(&[], &[("NOTIFY_SOCKET", &manager.path)]);
    manager.hears("READY=1");
    manager.be_busy();
    server.signal(Signal::SIGUSR2);
    let heir = Heir::named_in(&server.logs("cannot tell the service manager that process "));
    (manager, server, heir)
}

#[test]
fn a_program_that_ends_before_the_service_manager_was_told_of_it_leaves_the_one_before_in_force() {
    for end in [Signal::SIGKILL, Signal::SIGTERM] {
        let unit = Unit::new();
        let (_manager, server, heir) = untold(&unit);
        heir.signal(end);
        server.logs(&format!("process {} has ended before it had this one's place; this one goes on", heir.pid));
        for _ in 0..3 {
            assert_eq!(Client::connect(&unit.address("a.sock")).rest(), "one\n", "after {end}");
        }
        host::eventually("it is reaped", patience(), || host::status_of(heir.pid, "State").is_none());
        assert!(server.stop().0.success());
        assert!(!unit.room.path("a.sock").exists(), "it is the one's that went on");
    }
}

#[test]
fn a_program_that_serves_stays_where_the_service_manager_could_not_be_told() {
    let unit = Unit::new();
    let (_manager, server, heir) = untold(&unit);
    server.signal(Signal::SIGTERM);
    server.logs("the service manager was not told of process ");
    assert!(host::ends_within(server.pid(), patience()), "{}", server.log());
    assert_eq!(Client::connect(&unit.address("a.sock")).rest(), "one\n");
    heir.signal(Signal::SIGTERM);
    assert!(heir.ends(), "{}", server.log());
    assert!(!unit.room.path("a.sock").exists(), "it was its own");
}
