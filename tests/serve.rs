// SPDX-License-Identifier: Apache-2.0
//! Services that say themselves where they listen, many of them under one supervisor, and what becomes of them while
//! they are changed.

use crate::scene::{Client, Server, arguments, host, patience, stage};
use nix::sys::signal::Signal;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A policy whose command is a script.
pub(crate) fn policy(listen: &str, script: &str) -> String {
    let user = if host::is_root() { "user = \"nobody\"\n" } else { "" };
    format!(
        "version = 1\nextends = [\"shell\"]\n[command]\n{user}argv = [\"/bin/sh\", \"-c\", \"{script}\"]\n[listen]\n{listen}\n"
    )
}

#[test]
fn a_policy_says_where_its_service_listens() {
    let room = stage::room();
    let socket = room.whole().join("x.sock");
    let text = policy(&format!("addresses = [\"unix:{},mode=0666\"]", socket.display()), "echo hello");
    let file = room.file("x.toml", &text);
    let server = arguments(&["listen", "--print-port", "--policy", &file.display().to_string()])
        .listen_on(&format!("unix:{}", socket.display()));
    assert_eq!(server.connect().rest(), "hello\n");
    arguments(&["explain", "--connection", "unix", "--policy", &file.display().to_string()])
        .run()
        .prints(&format!("at unix:{},mode=0666", socket.display()))
        .exits(0);
}

#[test]
fn who_says_nowhere_where_to_listen_is_told_both_ways() {
    arguments(&["listen", "--", "sh"])
        .run()
        .says("nowhere to listen")
        .says("give an address, or write `listen.addresses` in the policy")
        .exits(2);
}

#[test]
fn check_names_an_owner_of_a_socket_that_nobody_is_with_its_line() {
    let room = stage::room();
    let file = room.file("x.toml", &policy("addresses = [\"unix:/run/x.sock,group=no-such-group\"]", "echo hello"));
    arguments(&["check", &file.display().to_string()])
        .run()
        .says("unknown group name: no-such-group")
        .says(&format!("{}:7:", file.display()))
        .exits(2);
}

/// The services of a directory, each with its socket there.
pub(crate) struct Services {
    pub(crate) room: stage::Room,
}

impl Services {
    pub(crate) fn new() -> Services {
        Services { room: stage::room() }
    }

    pub(crate) fn socket(&self, name: &str) -> String {
        format!("unix:{}", self.room.path(&format!("{name}.sock")).display())
    }

    /// Writes a service; `script` is its command.
    pub(crate) fn write(&self, name: &str, script: &str) {
        self.listening(name, script, &[&self.socket(name)]);
    }

    pub(crate) fn listening(&self, name: &str, script: &str, addresses: &[&str]) {
        let all = addresses.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
        // Whole at once, as an editor does it.
        let new = self.room.file(&format!(".{name}.new"), &policy(&format!("addresses = [{all}]"), script));
        std::fs::rename(new, self.room.path(&format!("{name}.toml"))).expect("the stage can be written");
    }

    pub(crate) fn serve(&self, options: &[&str]) -> Server {
        self.serve_by(Command::new(stage::program("spawnbox")), options)
    }

    /// The same by a command that the program and its words are added to.
    pub(crate) fn serve_by(&self, command: Command, options: &[&str]) -> Server {
        serve_directory(command, options, &self.room.whole().display().to_string())
    }
}

/// `spawnbox serve` of a directory, by what this command says before that.
fn serve_directory(mut command: Command, options: &[&str], directory: &str) -> Server {
    command.arg("serve").args(options).arg(directory).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Server::start_silent(command)
}

/// What the kubelet makes of a ConfigMap: the files of each version in a directory of their own, of which a link is
/// swapped, in a directory that anybody may write to and that its pod has read-only.
#[test]
fn a_directory_of_policies_whose_link_is_swapped_is_read_anew() {
    needs!(root);
    let services = Services::new();
    let volume = services.room.directory("volume");
    let mounted = services.room.directory("mounted").display().to_string();
    let version = |name: &str, script: &str| {
        services.room.directory(&format!("volume/{name}"));
        let text = policy(&format!("addresses = [\"{},mode=0666\"]", services.socket("a")), script);
        services.room.file(&format!("volume/{name}/a.toml"), &text);
        let link = volume.join("..data_tmp");
        std::os::unix::fs::symlink(name, &link).expect("the stage can be written");
        std::fs::rename(link, volume.join("..data")).expect("the stage can be written");
    };
    version("..2026_01", "echo one");
    std::os::unix::fs::symlink("..data/a.toml", volume.join("a.toml")).expect("the stage can be written");
    stage::mode(&volume, 0o777);
    let volume_path = volume.display();
    let script = format!("mount --bind {volume_path} {mounted} && mount -o remount,bind,ro {mounted} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script, "sh"]);
    command.arg(stage::program("spawnbox"));
    let server = serve_directory(command, &["--control", "none"], &mounted);
    server.logs("services: unchanged 0, changed 0, new 1, gone 0");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    version("..2026_02", "echo two");
    std::fs::remove_dir_all(volume.join("..2026_01")).expect("the stage can be written");
    server.signal(Signal::SIGHUP);
    server.logs("a: its new policy is in force");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "two\n");
}

#[test]
fn many_services_are_served_and_a_bad_one_keeps_none_of_them_from_it() {
    let services = Services::new();
    services.write("a", "echo one");
    services.write("b", "echo two");
    services.room.file("bad.toml", "version = 1\nlimits.tiem = 5\n");
    services.room.file("profile.toml", "version = 1\n");
    services.room.file(".#a.toml", "no policy at all");
    services.room.directory("directory.toml");
    let server = services.serve(&[]);
    server.logs("services: unchanged 0, changed 0, new 2, gone 0");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    assert_eq!(Client::connect(&services.socket("b")).rest(), "two\n");
    let log = server.log();
    assert!(log.contains("bad.toml:2:8: unknown key `tiem`"), "{log}");
    assert!(log.contains("directory.toml"), "{log}");
    assert!(log.contains("policies that are wrong and not served: 2"), "{log}");
    assert!(!log.contains(".#a") && !log.contains("profile.toml"), "{log}");
    let line = server.logs("client=");
    assert!(line.contains("session="), "{line}");
    assert!(server.stop().0.success());
    assert!(!services.room.path("a.sock").exists());
}

#[test]
fn the_clients_of_one_service_leave_another_its_descriptors() {
    let services = Services::new();
    services.write("a", "echo one; read line");
    services.write("b", "echo two");
    let mut few = Command::new("prlimit");
    few.arg("--nofile=200:200").arg(stage::program("spawnbox"));
    let server = services.serve_by(few, &["--max-sessions=1000"]);
    let line = server.logs("a: only ");
    let fit = line.split("only ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    let fit = fit.unwrap_or_else(|| panic!("no number in {line}"));
    let mut served: Vec<Client> = (0..fit).map(|_| Client::connect(&services.socket("a"))).collect();
    assert!(served.iter_mut().all(|client| client.line() == "one"), "{}", server.log());
    let mut waiting: Vec<Client> = (0..5).map(|_| Client::connect(&services.socket("a"))).collect();
    for _ in 0..3 {
        assert_eq!(Client::connect(&services.socket("b")).rest(), "two\n");
    }
    let log = server.log();
    assert!(!log.contains("Too many open files"), "more were accepted than there is room for:\n{log}");
    // Without the other it has the room of both.
    std::fs::remove_file(services.room.path("b.toml")).expect("it is there");
    server.signal(Signal::SIGHUP);
    server.logs_times("a: only ", 2);
    assert!(waiting.iter_mut().all(|client| client.line() == "one"), "{}", server.log());
}

#[test]
fn where_nothing_can_be_served_the_start_is_refused_with_all_mistakes() {
    let services = Services::new();
    let start = || arguments(&["serve", &services.room.whole().display().to_string()]).run();
    start().says("says where to listen").exits(2);
    services.room.file("a.toml", "version = 1\nlimits.tiem = 5\n");
    services.room.file("b.toml", "version = 2\n");
    start().says("a.toml:2:8").says("b.toml:1:11").says("no policy in").exits(2);
    arguments(&["serve", "/no/such/directory"]).run().says("cannot read the directory").exits(2);
}

#[test]
fn a_directory_that_others_may_write_in_serves_nobody() {
    let services = Services::new();
    services.write("a", "echo one");
    stage::mode(services.room.whole(), 0o777);
    arguments(&["serve", &services.room.whole().display().to_string()]).run().says("writ").exits(2);
}

#[test]
fn two_services_cannot_listen_at_one_place() {
    let services = Services::new();
    services.write("a", "echo one");
    services.listening("b", "echo two", &[&services.socket("a")]);
    let server = services.serve(&[]);
    server.logs("b.toml:7: unix:");
    server.logs("is where the service a listens");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
}

#[test]
fn a_reload_changes_what_is_changed_and_refuses_no_connection() {
    let services = Services::new();
    for name in ["same", "changed", "bad", "gone"] {
        services.write(name, &format!("read line; echo {name}"));
    }
    let server = services.serve(&[]);
    server.logs("services: unchanged 0, changed 0, new 4, gone 0");
    let client = |name: &str| Client::connect(&services.socket(name));
    let answered = |name: &str| client(name).send(b"\n").rest();
    assert_eq!(["same", "changed", "bad", "gone"].map(answered), ["same\n", "changed\n", "bad\n", "gone\n"]);
    // These are being served when it comes.
    let running = [client("changed"), client("gone")];
    server.logs_times("client=", 4);
    // Many more come while it happens, one after the other, and not one is refused.
    let address = services.socket("changed");
    let stop = Arc::new(AtomicBool::new(false));
    let crowd = std::thread::spawn({
        let (address, stop) = (address.clone(), Arc::clone(&stop));
        move || {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                answers.push(Client::connect(&address).send(b"\n").rest());
            }
            answers
        }
    });
    services.write("changed", "read line; echo other");
    services.room.file("bad.toml", "version = 1\nlimits.tiem = 5\n");
    std::fs::remove_file(services.room.path("gone.toml")).unwrap();
    services.write("new", "read line; echo new");
    server.signal(Signal::SIGHUP);
    server.logs("services: unchanged 1, changed 1, new 1, gone 1");
    server.logs("changed: its new policy is in force");
    stop.store(true, Ordering::Relaxed);
    let answers = crowd.join().expect("no client is refused");
    assert!(answers.iter().all(|answer| answer == "changed\n" || answer == "other\n"), "{answers:?}");
    server.logs("bad.toml:2:8: unknown key `tiem`");
    assert_eq!(["same", "changed", "bad", "new"].map(answered), ["same\n", "other\n", "bad\n", "new\n"]);
    assert!(std::os::unix::net::UnixStream::connect(services.room.path("gone.sock")).is_err());
    // They have the command that they came for.
    let [changed, gone] = running.map(|client| client.send(b"\n").rest());
    assert_eq!((changed.as_str(), gone.as_str()), ("changed\n", "gone\n"));
    assert!(server.stop().0.success());
}

#[test]
fn a_reload_that_cannot_be_had_leaves_the_service_as_it_was() {
    let services = Services::new();
    services.write("a", "echo one");
    let server = services.serve(&[]);
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    // The port is somebody else's.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    services.listening("a", "echo other", &[&services.socket("a"), &port]);
    server.signal(Signal::SIGHUP);
    server.logs(&format!("cannot listen on {port}: Address already in use"));
    server.logs("services: unchanged 0, changed 0, new 1, gone 0");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "one\n");
    drop(taken);
    server.signal(Signal::SIGHUP);
    server.logs("a: its new policy is in force");
    assert_eq!(Client::connect(&services.socket("a")).rest(), "other\n");
    assert_eq!(Client::connect(&port).rest(), "other\n");
}

#[test]
fn a_service_that_was_replaced_is_forgotten_though_a_proxy_never_said_who_its_client_is() {
    let services = Services::new();
    let write = |script: &str| {
        let listen = policy(&format!("addresses = [\"{}\"]", services.socket("x")), script);
        let trusted = nix::unistd::getuid();
        services
            .room
            .file("x.toml", &format!("{listen}[clients]\nproxy-protocol = {{ from = [\"uid:{trusted}\"] }}\n"));
    };
    write("echo one");
    let server = services.serve(&[]);
    server.logs("services: unchanged 0, changed 0, new 1, gone 0");
    host::eventually("its launcher is there", patience(), || host::children(server.pid()).len() == 1);
    let before = host::descriptors(server.pid());
    let silent = Client::connect(&services.socket("x"));
    host::eventually("its header is waited for", patience(), || host::descriptors(server.pid()) > before);
    write("echo two");
    server.signal(Signal::SIGHUP);
    server.logs("x: its new policy is in force");
    drop(silent);
    host::eventually("one launcher is left", patience(), || host::children(server.pid()).len() == 1);
}

#[test]
fn draining_ends_the_sessions_after_its_limit() {
    let services = Services::new();
    services.write("a", "echo ready; exec sleep 60");
    let server = services.serve(&["--drain-limit", "1s"]);
    let mut client = Client::connect(&services.socket("a"));
    assert_eq!(client.line(), "ready");
    server.signal(Signal::SIGTERM);
    server.logs("draining: sessions left: 1 (a 1); another signal ends them, and so do 1 s");
    let (status, log) = server.end();
    assert!(status.success(), "{log}");
    assert!(log.contains("draining took too long"), "{log}");
}
