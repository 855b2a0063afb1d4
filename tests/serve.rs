// SPDX-License-Identifier: Apache-2.0
//! Services that say themselves where they listen, many of them under one supervisor, and what becomes of them while
//! they are changed.

use crate::scene::{arguments, stage};

/// A policy whose command prints a word.
fn policy(listen: &str, word: &str) -> String {
    let user = if crate::scene::host::is_root() { "user = \"nobody\"\n" } else { "" };
    format!(
        "version = 1\nextends = [\"shell\"]\n[command]\n{user}argv = [\"/bin/sh\", \"-c\", \"echo {word}\"]\n[listen]\n{listen}\n"
    )
}

#[test]
fn a_policy_says_where_its_service_listens() {
    let room = stage::room();
    let socket = room.whole().join("x.sock");
    let text = policy(&format!("addresses = [\"unix:{},mode=0666\"]", socket.display()), "hello");
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
    let file = room.file("x.toml", &policy("addresses = [\"unix:/run/x.sock,group=no-such-group\"]", "hello"));
    arguments(&["check", &file.display().to_string()])
        .run()
        .says("unknown group name: no-such-group")
        .says(&format!("{}:7:", file.display()))
        .exits(2);
}
