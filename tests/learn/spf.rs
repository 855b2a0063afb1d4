// SPDX-License-Identifier: Apache-2.0
//! The newcomer's way with a real service: Debian's policyd-spf, over connections, and then a thousand questions.

use super::{place, text};
use crate::postfix::private::in_private;
use crate::postfix::resolver::{Entry, Resolver};
use crate::scene::stage::program;
use crate::scene::{arguments, patience};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the resolver of these tests knows.
pub(crate) const NAMES: &[Entry] = &[Entry::Txt("open.example", "v=spf1 ip4:192.0.2.7 -all")];

/// A question of smtpd(8), with another client each time.
fn question(number: u32) -> String {
    format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nhelo_name=open.example\n\
         client_address=192.0.2.{}\nclient_name=unknown\nsender=a@open.example\nrecipient=b@here.example\n\
         instance={number}.2.3\nsize=9\n\n",
        if number.is_multiple_of(2) { 7 } else { 8 }
    )
}

/// The answer to one question on a connection that stays.
pub(crate) fn ask(client: &mut BufReader<TcpStream>, number: u32) -> String {
    client.get_mut().write_all(question(number).as_bytes()).expect("it listens");
    let mut answer = String::new();
    while !answer.ends_with("\n\n") {
        if client.read_line(&mut answer).expect("it answers in time") == 0 {
            break;
        }
    }
    answer
}

/// A connection to where it listens.
pub(crate) fn connect(address: &str) -> BufReader<TcpStream> {
    let client = TcpStream::connect(address).expect("somebody listens");
    client.set_read_timeout(Some(patience())).expect("a time-out can be set");
    BufReader::new(client)
}

/// As a person does it: asks once, and once more when told to.
fn learnt(file: &Path) -> String {
    let mut child = Command::new(program("spawnbox"))
        .args(["learn", "--out"])
        .arg(file)
        .args(["--user", "policyd-spf", "127.0.0.1:7000", "--", "/usr/bin/policyd-spf"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is built");
    let mut said = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let mut all = String::new();
    for step in ["learning on 127.0.0.1:7000: try  nc 127.0.0.1 7000", "now the same again, under the policy: "] {
        let from = all.len();
        while !all[from..].contains(step) {
            assert_ne!(said.read_line(&mut all).expect("it can be read"), 0, "{all}");
        }
        let answer = ask(&mut connect("127.0.0.1:7000"), 0);
        assert!(answer.contains("Received-SPF: Pass"), "{answer}\n{all}");
    }
    said.read_to_string(&mut all).expect("it can be read");
    let status = child.wait().expect("it is ours");
    assert!(status.success() && all.contains("verified: under the policy it does the same"), "{all}\n{}", text(file));
    text(file)
}

#[test]
fn a_newcomer_learns_a_policy_for_policyd_spf_and_it_serves_a_thousand_questions() {
    needs!(root);
    needs!(program "policyd-spf");
    let (room, file) = place();
    in_private(&room.path(""), |_| {
        let _resolver = Resolver::start(NAMES);
        let policy = learnt(&file);
        println!("{policy}");
        assert!(policy.lines().count() < 25, "{policy}");
        assert!(policy.contains("extends = [\"python3\", \"dns-client\", \"syslog\"]"), "{policy}");
        arguments(&["check", &file.display().to_string()]).run().exits(0);
        let word = format!("--policy={}", file.display());
        let server = arguments(&["listen", "127.0.0.1:0", "--print-port", &word]).listen();
        // As smtpd(8): many questions over each connection.
        for session in 0..10 {
            let mut client = connect(server.address());
            for number in 0..100 {
                let answer = ask(&mut client, session * 100 + number);
                let expected = if number.is_multiple_of(2) { "Received-SPF: Pass" } else { "action=550 5.7.23" };
                assert!(answer.contains(expected), "{answer}\n{}", server.log());
            }
        }
    });
}
