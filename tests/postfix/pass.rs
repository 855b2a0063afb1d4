// SPDX-License-Identifier: Apache-2.0
//! The transport type `pass`, beyond what spawn(8) does with it: who hands a client over keeps nobody else waiting, and
//! is not forgotten at a reload.

use super::instance::Postfix;
use super::private::in_private;
use crate::scene::stage::room;
use crate::scene::{Client, host, patience};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::fstat;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What comes behind the descriptor at least: the end of the attributes.
const NO_ATTRIBUTES: &[u8] = b"\0";

/// A daemon in front of a service, which hands a client over as postscreen(8) does.
pub(crate) struct Passer(UnixStream);

impl Passer {
    /// Connects to `unix:PATH`.
    pub(crate) fn connect(address: &str) -> Passer {
        let stream = UnixStream::connect(address.trim_start_matches("unix:")).expect("master listens");
        stream.set_read_timeout(Some(patience())).expect("a time-out can be set");
        Passer(stream)
    }

    /// Sends these descriptors, with a byte.
    pub(crate) fn hands_over(&mut self, descriptors: &[&OwnedFd]) {
        let numbers: Vec<_> = descriptors.iter().map(|one| one.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(b"\0")], &rights, MsgFlags::empty(), None)
            .expect("the daemon takes it");
    }

    pub(crate) fn says(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the daemon reads");
    }

    /// Says that nothing more will come.
    pub(crate) fn ends(&mut self) {
        self.0.shutdown(std::net::Shutdown::Write).expect("it is connected");
    }

    /// Whether the daemon has let go.
    pub(crate) fn sees_the_end(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(length) => length == 0,
            // It did not read all.
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// A client, and what is handed over of it.
pub(crate) fn pair() -> (Client, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().expect("descriptors are left");
    ours.set_read_timeout(Some(patience())).expect("a time-out can be set");
    (Client::Unix(ours), theirs.into())
}

/// A client that is handed over and served.
fn served(address: &str) -> Client {
    let (client, theirs) = pair();
    let mut passer = Passer::connect(address);
    passer.hands_over(&[&theirs]);
    passer.says(NO_ATTRIBUTES);
    client.served()
}

/// Whether this process has this socket.
fn has(pid: u32, socket: &OwnedFd) -> bool {
    let name = format!("socket:[{}]", fstat(socket).expect("it is open").st_ino);
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|link| link.as_os_str() == name.as_str())
}

#[test]
fn who_hands_a_client_over_slowly_keeps_nobody_waiting() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |_log| {
        let entry = "echo pass - n n - 1 spawnbox -o echo_concurrency=3 user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entry);
        let address = postfix.socket("echo");
        let (client, theirs) = pair();
        let mut slow = Passer::connect(&address);
        slow.hands_over(&[&theirs]);
        assert_eq!(served(&address).finish().rest(), "");
        assert_eq!(served(&address).finish().rest(), "");
        slow.says(NO_ATTRIBUTES);
        drop(theirs);
        assert_eq!(client.send(b"at last\n").finish().rest(), "at last\n");
        assert!(slow.sees_the_end());
        postfix.stop();
    });
}

#[test]
fn who_does_not_hand_a_client_over_leaves_the_place_to_another() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "echo pass - n n - 1 spawnbox -o echo_concurrency=3 user=nobody argv=/bin/cat\n";
        let postfix = Postfix::start(&room, "", entry);
        let address = postfix.socket("echo");
        let passers = [Passer::connect(&address), Passer::connect(&address)];
        // Who is accepted after them has the last place.
        let stays = served(&address);
        drop(passers);
        log.says("warning: pass_accept_attr: cannot receive file descriptor: ");
        assert_eq!(served(&address).finish().rest(), "");
        assert_eq!(stays.finish().rest(), "");
        postfix.stop();
    });
}

#[test]
fn a_client_that_is_being_handed_over_at_a_reload_is_served() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", "echo pass - n n - 1 spawnbox user=nobody argv=/bin/cat\n");
        let address = postfix.socket("echo");
        assert_eq!(served(&address).finish().rest(), "");
        let [daemon] = postfix.daemons("echo")[..] else { panic!("not one daemon") };
        let (client, theirs) = pair();
        let mut slow = Passer::connect(&address);
        slow.hands_over(&[&theirs]);
        host::eventually("the daemon has the client", patience(), || has(daemon, &theirs));
        let watched = host::watch(&[daemon]);
        postfix.signal(Signal::SIGHUP);
        log.says("reload -- version");
        slow.says(NO_ATTRIBUTES);
        drop(theirs);
        assert_eq!(client.send(b"still there\n").finish().rest(), "still there\n");
        assert!(watched.end_within(patience()), "a process of before the reload takes clients");
        postfix.stop();
    });
}
