// SPDX-License-Identifier: Apache-2.0
//! The transport type `pass`: a daemon in front of us, such as postscreen(8), hands its client over. See
//! util/pass_accept.c: a byte with the client's descriptor, then attributes, `name\0value\0` each and `\0` at the end.

use super::at::At;
use super::row::{Row, row};
use crate::postfix::pass::{Passer, pair};
use crate::scene::Client;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

pub(super) fn rows() -> Vec<Row> {
    [clients(), passers()].into_iter().flatten().collect()
}

const ATTRIBUTES: &[u8] = b"name\0value\0\0";

fn passed(name: &str, proves: &'static str) -> Row {
    row(name, proves).columns("pass - n n - 0")
}

/// As a daemon does that has no more to do with its client.
fn hands_over(at: &At<'_>, client: OwnedFd) -> Passer {
    let mut passer = Passer::connect(&at.postfix.socket(at.name));
    passer.hands_over(&[&client]);
    passer.says(ATTRIBUTES);
    passer
}

fn clients() -> Vec<Row> {
    let attributed = |name: &str, proves, attributes: &[u8]| {
        let attributes = attributes.to_vec();
        passed(name, proves).sees(move |at| {
            let (client, theirs) = pair();
            let mut passer = Passer::connect(&at.postfix.socket(at.name));
            passer.hands_over(&[&theirs]);
            passer.says(&attributes);
            drop(theirs);
            assert_eq!(client.send(b"hello\n").finish().rest(), "hello\n");
            assert!(passer.sees_the_end());
        })
    };
    vec![
        attributed("pass_service", "pass: accept, receive a descriptor, then serve it.", ATTRIBUTES),
        attributed("pass_no_attributes", "There may be no attributes.", b"\0"),
        attributed("pass_many_attributes", "Attributes are dropped.", &many(500, b"\0")),
        attributed("pass_attributes_twice", "An attribute that comes twice is no error.", b"a\x001\0a\x002\0\0"),
        attributed("pass_attributes_in_braces", "Attributes may be a list in braces.", b"{\0a\x001\0}\0\0"),
        attributed("pass_attributes_close", "Without a list a closing brace is a name.", b"}\x001\0{\0a\x001\0}\0\0"),
        attributed("pass_attributes_after_braces", "What follows a list is skipped.", b"{\0}\0{\0}\0\0"),
        attributed("pass_too_many_attributes", "The 1025th attribute ends them.", &many(1025, b"")),
        passed("pass_slowly", "What is passed may come byte by byte.").sees(|at| {
            let (client, theirs) = pair();
            let mut passer = Passer::connect(&at.postfix.socket(at.name));
            passer.hands_over(&[&theirs]);
            for byte in ATTRIBUTES {
                passer.says(&[*byte]);
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            drop(theirs);
            assert_eq!(client.send(b"hello\n").finish().rest(), "hello\n");
        }),
        passed("pass_blocking", "The client's descriptor is made blocking.")
            .runs("user=nobody argv=/bin/grep flags /proc/self/fdinfo/0")
            .sees(|at| {
                let (client, theirs) = pair();
                fcntl(&theirs, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a socket has flags");
                let _passer = hands_over(at, theirs);
                assert_eq!(client.rest(), "flags:\t02\n", "{:?}", at.said());
            }),
        passed("pass_tcp", "The client is whom the descriptor connects: its address is the command's to ask for.")
            .runs("user=nobody argv=/usr/bin/perl -MSocket -e {print((sockaddr_in getpeername STDIN)[0])}")
            .sees(|at| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
                let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("we listen");
                let port = client.local_addr().expect("a connected socket").port();
                let (theirs, _) = listener.accept().expect("a client is there");
                let _passer = hands_over(at, OwnedFd::from(theirs));
                client.set_read_timeout(Some(at.patience)).expect("a time-out can be set");
                assert_eq!(Client::Tcp(client).rest(), port.to_string());
            }),
        passed("pass_descriptors", "The command has the client's descriptor and no other.")
            .runs("user=nobody argv=/bin/ls /proc/self/fd")
            .sees(|at| {
                let (client, theirs) = pair();
                let _passer = hands_over(at, theirs);
                assert_eq!(client.rest(), "0\n1\n2\n3\n");
            }),
        passed("pass_refused", "Attributes of the entry are refused when the first client has been passed.")
            .runs("user=ghost argv=/bin/cat")
            .sees(|at| {
                let (client, theirs) = pair();
                let _passer = hands_over(at, theirs);
                assert_eq!(client.rest(), "");
                at.says("fatal: unknown user name: ghost");
            }),
        passed("pass_lock", "The lock file is the transport's: pid/pass.NAME.").sees(|at| {
            let (_client, theirs) = pair();
            assert!(hands_over(at, theirs).sees_the_end());
            assert!(at.path("postfix/queue/pid").join(format!("pass.{}", at.name)).exists());
        }),
        passed("pass_reuse", "One process serves one client after another.").columns("pass - n n - 1").sees(|at| {
            for _ in 0..3 {
                let (client, theirs) = pair();
                let _passer = hands_over(at, theirs);
                assert_eq!(client.send(b"x").finish().rest(), "x");
            }
        }),
    ]
}

fn passers() -> Vec<Row> {
    let fails = |name: &str, proves, does: fn(&mut Passer, &OwnedFd), says: &'static str| {
        passed(name, proves).columns("pass - n n - 1").sees(move |at| {
            let (_client, theirs) = pair();
            let mut passer = Passer::connect(&at.postfix.socket(at.name));
            does(&mut passer, &theirs);
            passer.ends();
            assert!(passer.sees_the_end());
            at.says(&format!("warning: pass_accept_attr: {says}"));
            at.says("error: accept connection: *");
            let (client, theirs) = pair();
            let _passer = hands_over(at, theirs);
            assert_eq!(client.send(b"hello\n").finish().rest(), "hello\n");
        })
    };
    vec![
        passed("pass_fails_often", "The 13th error is fatal: too many errors - program terminated").sees(|at| {
            (0..13).for_each(|_| drop(Passer::connect(&at.postfix.socket(at.name))));
            at.says("fatal: too many errors - program terminated");
        }),
        passed("pass_failed_client", "A client whose handing over fails sees the end.").sees(|at| {
            let (client, theirs) = pair();
            let mut passer = Passer::connect(&at.postfix.socket(at.name));
            passer.hands_over(&[&theirs]);
            drop((passer, theirs));
            assert_eq!(client.rest(), "");
        }),
        fails(
            "pass_nothing",
            "Nothing is passed: cannot receive file descriptor",
            |_, _| {},
            "cannot receive file descriptor: *",
        ),
        fails(
            "pass_a_byte",
            "A byte without a descriptor is none",
            |passer, _| passer.says(b"x"),
            "cannot receive file descriptor: *",
        ),
        fails(
            "pass_two",
            "One descriptor is passed at a time",
            |passer, theirs| passer.hands_over(&[theirs, theirs]),
            "cannot receive file descriptor: *",
        ),
        fails(
            "pass_without_attributes",
            "No end of attributes: cannot receive connection attributes",
            |passer, theirs| passer.hands_over(&[theirs]),
            "cannot receive connection attributes: *",
        ),
        fails(
            "pass_half_attributes",
            "An attribute that does not end",
            |passer, theirs| {
                passer.hands_over(&[theirs]);
                passer.says(b"name\0val");
            },
            "cannot receive connection attributes: *",
        ),
        fails(
            "pass_half_list",
            "A list that does not end",
            |passer, theirs| {
                passer.hands_over(&[theirs]);
                passer.says(b"{\0name\0value\0}\0");
            },
            "cannot receive connection attributes: *",
        ),
    ]
}

/// So many attributes, and what follows them.
fn many(count: usize, end: &[u8]) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number}\0x\0").into_bytes()).chain(end.iter().copied()).collect()
}
