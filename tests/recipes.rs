// SPDX-License-Identifier: Apache-2.0
//! The recipes for those who come from elsewhere, run as they stand: each file of a section is written, each command is
//! run beside it. A server goes on until the command after it has ended, or serves.

use crate::postfix::instance::Postfix;
use crate::postfix::private::{in_private, replace_policies};
use crate::postfix::resolver::{Entry, Resolver};
use crate::readme::{Running, transcripts};
use crate::scene::{Client, host, patience, stage};
use nix::sys::signal::Signal;
use spawnbox::recipes::PAGE;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

/// What an engine gives a container of itself: `capabilities` of ci/engine.
const GRANTED: &str = "--bounding-set=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,\
                       +setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write";
/// The service as the image has it.
const SPF: &str = "policyd-spf  unix  -       n       n       -       0       spawn\n    user=policyd-spf argv=/usr/bin/policyd-spf\n";

#[test]
fn every_recipe_does_what_it_says() {
    needs!(root);
    needs!(program "nc");
    needs!(program "policyd-spf");
    needs!(landlock 6);
    let sections: Vec<&str> = PAGE.split("\n## ").skip(1).collect();
    assert_eq!(sections.len(), 5);
    sections.into_iter().for_each(follow);
}

#[test]
fn the_patch_of_docker_mailserver_has_its_policy_server_answer_from_a_sandbox() {
    needs!(root);
    needs!(program "postfix");
    needs!(program "policyd-spf");
    needs!(landlock 6);
    let section = PAGE.split("\n## ").find(|section| section.starts_with("In docker-mailserver")).expect("it is there");
    let room = stage::room();
    let config = room.directory("config");
    for (name, file) in files(section) {
        room.file(&format!("config/{name}"), file);
    }
    std::fs::copy(stage::program("spawnbox"), config.join("spawnbox")).expect("it is built");
    in_private(&room.path(""), |log| {
        let names = Resolver::start(&[Entry::Txt("strict.example", "v=spf1 -all")]);
        replace_policies(&room.path("etc"), &[]);
        let postfix = Postfix::start_alone(&["setpriv", GRANTED].map(str::to_string), &room, SPF);
        let patched =
            Command::new("sh").arg(config.join("user-patches.sh")).env("MAIL_CONFIG", postfix.config()).status();
        assert!(patched.expect("there is a shell").success());
        postfix.signal(Signal::SIGHUP);
        let question = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=SMTP\nhelo_name=client.example\n\
                        sender=ceo@strict.example\nrecipient=someone@here.example\nclient_address=192.0.2.66\n\
                        client_name=unknown\ninstance=1\n\n";
        // Until master has read it, the service is the old one.
        host::eventually("it answers from a sandbox", patience(), || {
            let mut client = Client::connect(&postfix.socket("policyd-spf")).send(question.as_bytes());
            let answer = client.line();
            assert!(
                answer.starts_with("action=550 5.7.23 ") && answer.contains("SPF fail"),
                "{answer}: {}",
                log.text()
            );
            assert_eq!(client.finish().rest(), "\n");
            log.text().contains("policyd-spf: session=1 policy=spf@")
        });
        assert!(names.was_asked_for("strict.example"));
        postfix.stop();
    });
}

fn follow(section: &str) {
    let room = stage::room();
    // Others may have the port.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    let text = section.replace("7000", &free.port().to_string());
    for (name, file) in files(&text) {
        room.file(name, file);
    }
    // `transcripts` wants one in each section.
    let mut server: Option<Running> = None;
    for transcript in transcripts(&text, "```console") {
        let serves = [" listen ", " serve "].iter().any(|verb| transcript.command.contains(verb));
        if serves {
            drop(server.take());
        }
        let mut running = Running::start_in(room.whole(), transcript, false);
        match serves {
            true => {
                running.promised();
                host::eventually("it listens", patience(), || TcpStream::connect(free).is_ok());
                server = Some(running);
            }
            false => {
                running.finish();
                drop(server.take());
            }
        }
    }
}

/// Every block with a kind and a name: the name and the text.
fn files(section: &str) -> Vec<(&str, &str)> {
    let blocks = section.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| {
            let (head, text) = block.split_once('\n')?;
            let (_, name) = head.split_once(' ')?;
            Some((name, text))
        })
        .collect()
}
