// SPDX-License-Identifier: Apache-2.0
//! Sessions that are somebody's connections, and peers that they reach.

use super::{place, text};
use crate::scene::stage::{Room, program};
use crate::scene::{arguments, patience};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// Somebody who learns from connections.
struct Learner {
    child: Child,
    said: BufReader<ChildStderr>,
    all: String,
}

impl Learner {
    fn start(words: &[&str]) -> Learner {
        let mut child = Command::new(program("spawnbox"))
            .arg("learn")
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is built");
        let said = BufReader::new(child.stderr.take().expect("it is a pipe"));
        Learner { child, said, all: String::new() }
    }

    /// The rest of the line that says this.
    fn says(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.said.read_line(&mut line).expect("it can be read"), 0, "no {text:?}: {}", self.all);
            self.all.push_str(&line);
            if let Some((_, rest)) = line.split_once(text) {
                return rest.trim().to_string();
            }
        }
    }

    /// All that it said, and its exit status.
    fn end(mut self) -> (String, Option<i32>) {
        self.said.read_to_string(&mut self.all).expect("it can be read");
        let status = self.child.wait().expect("it is ours");
        (self.all, status.code())
    }
}

/// What comes back for a line, to its end.
fn ask(address: &str, line: &str) -> String {
    let mut client = TcpStream::connect(address).expect("somebody listens");
    client.set_read_timeout(Some(patience())).expect("a time-out can be set");
    client.write_all(line.as_bytes()).expect("it is there");
    client.shutdown(Shutdown::Write).expect("it is there");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("it answers in time");
    answer
}

fn path(room: &Room, name: &str) -> String {
    room.path(name).display().to_string()
}

/// A shell script that answers with the file that it is asked for.
const SERVE: &str = "read name; cat \"$0/$name\"";

#[test]
fn each_connection_adds_what_it_used() {
    let (room, file) = place();
    room.file("a", "first\n");
    room.file("b", "second\n");
    let (own, place) = (room.whole().display().to_string(), file.display().to_string());
    let mut learner =
        Learner::start(&["--out", &place, "--connections", "2", "127.0.0.1:0", "--", "/bin/sh", "-c", SERVE, &own]);
    let address = learner.says("learning on ");
    let address = address.split(':').take(2).collect::<Vec<_>>().join(":");
    assert_eq!((ask(&address, "a\n"), ask(&address, "b\n")), ("first\n".into(), "second\n".into()));
    learner.says("now the same again");
    assert_eq!((ask(&address, "a\n"), ask(&address, "b\n")), ("first\n".into(), "second\n".into()));
    let (said, status) = learner.end();
    assert_eq!(status, Some(0), "{said}");
    let learnt = text(&file);
    for name in ["a", "b"] {
        assert!(learnt.contains(&format!("path = \"{}\"", path(&room, name))), "{learnt}");
    }
    assert!(learnt.starts_with("# Learnt from 2 connections to /bin/sh"), "{learnt}");
}

#[test]
fn a_signal_before_the_first_connection_leaves_no_file() {
    let (_room, file) = place();
    let mut learner = Learner::start(&["--out", &file.display().to_string(), "127.0.0.1:0", "--", "/bin/true"]);
    learner.says("learning on ");
    kill(Pid::from_raw(learner.child.id() as i32), Signal::SIGINT).expect("it is ours");
    let (said, status) = learner.end();
    assert!(status == Some(1) && said.contains("nobody has connected, and nothing is written"), "{status:?} {said}");
    assert!(!file.exists());
}

#[test]
fn another_answer_is_said_with_its_connection_and_can_be_learnt_too() {
    let (room, file) = place();
    room.file("a", "first\n");
    room.file("b", "second, and longer\n");
    let (own, place) = (room.whole().display().to_string(), file.display().to_string());
    let again = |words: &[&str], questions: [&str; 2]| {
        let mut learner = Learner::start(words);
        let address = learner.says("learning on ");
        let address = address.split(':').take(2).collect::<Vec<_>>().join(":");
        ask(&address, questions[0]);
        learner.says("now the same again");
        let answer = ask(&address, questions[1]);
        let (said, status) = learner.end();
        (answer, said, status)
    };
    let words = ["--out", &place, "127.0.0.1:0", "--", "/bin/sh", "-c", SERVE, &own];
    let (answer, said, status) = again(&words, ["a\n", "b\n"]);
    assert!(answer.contains("No such file") && status == Some(3), "{answer} {said}");
    assert!(said.contains("exit status 1, and exit status 0 without a sandbox"), "{said}");
    assert!(said.contains(" bytes of output, and 6 without a sandbox"), "{said}");
    let (answer, said, status) = again(&["--merge", &place, "127.0.0.1:0"], ["b\n", "b\n"]);
    assert_eq!((answer.as_str(), status), ("second, and longer\n", Some(0)), "{said}");
    let learnt = text(&file);
    assert!(learnt.contains(&path(&room, "a")) && learnt.contains(&path(&room, "b")), "{learnt}");
}

#[test]
fn a_unix_socket_is_learnt_from_and_goes() {
    let (room, file) = place();
    room.file("a", "first\n");
    let socket = room.path("s");
    let address = format!("unix:{}", socket.display());
    let (own, place) = (room.whole().display().to_string(), file.display().to_string());
    let mut learner = Learner::start(&["--out", &place, &address, "--", "/bin/sh", "-c", SERVE, &own]);
    let ask = |socket: &Path| {
        let mut client = UnixStream::connect(socket).expect("somebody listens");
        client.write_all(b"a\n").expect("it is there");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("it answers");
        answer
    };
    learner.says("learning on ");
    assert_eq!(ask(&socket), "first\n");
    learner.says("now the same again");
    assert_eq!(ask(&socket), "first\n");
    let (said, status) = learner.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(!socket.exists());
}

#[test]
fn a_peer_over_udp_is_forwarded_too() {
    let (_room, file) = place();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    peer.set_read_timeout(Some(crate::scene::patience())).expect("a socket can be set");
    let address = peer.local_addr().expect("it is bound").to_string();
    let serving = std::thread::spawn(move || {
        for _ in 0..2 {
            let mut question = [0; 16];
            let (length, from) = peer.recv_from(&mut question).expect("it is asked");
            assert_eq!(&question[..length], b"what\n");
            peer.send_to(b"from the peer\n", from).expect("it may answer");
        }
    });
    let script = format!(
        "use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => '{address}', Proto => 'udp') or die \"$!\"; \
         $s->send(\"what\\n\"); $s->recv(my $x, 99); print $x"
    );
    let outcome =
        arguments(&["learn", "--out", &file.display().to_string(), "--", "/usr/bin/perl", "-e", &script]).run();
    serving.join().expect("it does not panic");
    let learnt = text(&file);
    assert_eq!(outcome.stdout, "from the peer\n".repeat(2), "{outcome}\n{learnt}");
    assert_eq!(outcome.status.code(), Some(0), "{outcome}\n{learnt}");
    assert!(learnt.contains(&format!("\"udp:{address}\",\n")) && !learnt.contains("mode = \"host\""), "{learnt}");
}

#[test]
fn a_peer_over_tcp_is_forwarded_and_nothing_else_is_reached() {
    needs!(landlock 4);
    let (_room, file) = place();
    let peer = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = peer.local_addr().expect("it is bound").to_string();
    let serving = std::thread::spawn(move || {
        for client in peer.incoming().take(2) {
            let _ = client.expect("it comes").write_all(b"from the peer\n");
        }
    });
    let script = format!(
        "use IO::Socket::INET; my $s = IO::Socket::INET->new('{address}') or die \"$!\"; print <$s>; print \"done\\n\""
    );
    let outcome =
        arguments(&["learn", "--out", &file.display().to_string(), "--", "/usr/bin/perl", "-e", &script]).run();
    serving.join().expect("it does not panic");
    let learnt = text(&file);
    assert_eq!(outcome.stdout, "from the peer\ndone\n".repeat(2), "{outcome}\n{learnt}");
    assert_eq!(outcome.status.code(), Some(0), "{outcome}\n{learnt}");
    assert!(learnt.contains(&format!("forward = [\n    # perl: connect, once\n    \"{address}\",\n]")), "{learnt}");
    assert!(!learnt.contains("mode = \"host\""), "{learnt}");
}
