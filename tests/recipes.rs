// SPDX-License-Identifier: Apache-2.0
//! The recipes for those who come from elsewhere, run as they stand: each file of a section is written, each command is
//! run beside it. A server goes on until the command after it has ended, or serves.

use crate::readme::{Running, transcripts};
use crate::scene::{host, patience, stage};
use spawnbox::recipes::PAGE;
use std::net::{TcpListener, TcpStream};

#[test]
fn every_recipe_does_what_it_says() {
    needs!(root);
    needs!(program "nc");
    let sections: Vec<&str> = PAGE.split("\n## ").skip(1).collect();
    assert_eq!(sections.len(), 4);
    sections.into_iter().for_each(follow);
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
