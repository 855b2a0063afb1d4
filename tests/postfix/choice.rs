// SPDX-License-Identifier: Apache-2.0
//! Which policy a service runs under: the one that is named, else its own file, else a default that may be tightened;
//! and what it says at its start about that.

use super::instance::Postfix;
use super::private::{Log, in_private, replace_policies};
use crate::scene::host::eventually;
use crate::scene::stage::room;
use crate::scene::{Client, arguments, patience};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::Write;

/// Says whether the host's /root is in sight, as it is under `compatible`.
const LOOK: &str = "user=nobody argv=/bin/sh -c { test -e /root && echo seen || echo hidden }";

/// Plays `scene` with these services, each with what stands before its attributes, and these policies in /etc/spawnbox.
fn services(policies: &[(&str, &str)], services: &[(&str, &str)], scene: impl Fn(&Postfix, &Log) + Sync) {
    let room = room();
    let entries = services.iter().map(|(name, words)| format!("{name} unix - n n - 0 spawnbox {words} {LOOK}\n"));
    let entries = entries.collect::<String>();
    in_private(&room.path(""), |log| {
        replace_policies(&room.path("etc"), policies);
        let postfix = Postfix::start(&room, "", &entries);
        scene(&postfix, log);
        postfix.stop();
    });
}

fn look(postfix: &Postfix, service: &str) -> String {
    Client::connect(&postfix.socket(service)).rest()
}

#[test]
fn a_service_without_a_policy_runs_as_under_spawn_and_says_how_to_do_better() {
    needs!(root);
    needs!(program "postfix");
    services(&[], &[("plain", "")], |postfix, log| {
        assert_eq!(look(postfix, "plain"), "seen\n");
        let line = log.says("plain: no policy is named, so the command runs under \"compatible\"; ");
        assert!(line.ends_with("policy=NAME in master.cf or /etc/spawnbox/plain.toml gives it less"), "{line}");
        log.says("plain: session=1 policy=compatible@");
        // Once for each process, and not for each client.
        for _ in 0..3 {
            look(postfix, "plain");
        }
        let text = log.text();
        let said = text.matches("no policy is named").count();
        let process = |line: &'_ str| Some(line.split_once("spawnbox[")?.1.split_once(']')?.0.to_string());
        let processes: std::collections::BTreeSet<_> = text.lines().filter_map(process).collect();
        assert_eq!(said, processes.len(), "{text}");
    });
}

#[test]
fn a_policy_is_the_one_that_is_named_else_the_services_own_else_the_default() {
    needs!(root);
    needs!(program "postfix");
    let strict = "extends = [\"strict\"]";
    let policies = [("own.toml", strict), ("default.toml", strict), ("shared.toml", strict)];
    let entries = [
        ("own", ""),
        ("other", ""),
        ("named", "policy=compatible"),
        ("both", "policy=shared"),
        ("own2", "-o spawnbox_default_policy=compatible"),
    ];
    services(&policies, &entries, |postfix, log| {
        for (service, sees, policy, says) in [
            ("own", "hidden", "own", None),
            ("other", "hidden", "default", Some(" (/etc/spawnbox/default.toml)")),
            ("named", "seen", "compatible", None),
            ("both", "hidden", "shared", None),
            ("own2", "seen", "compatible", Some(" (spawnbox_default_policy)")),
        ] {
            assert_eq!(look(postfix, service), format!("{sees}\n"), "{service}");
            log.says(&format!("{service}: session=1 policy={policy}@"));
            let start = format!("{service}: no policy is named, so the command runs under \"{policy}\"");
            let said = log.find(patience() / 20, |line| line.contains(&start));
            match says {
                Some(words) => assert!(said.is_some_and(|line| line.ends_with(words)), "{service}: {}", log.text()),
                None => assert_eq!(said, None, "{service}"),
            }
        }
    });
}

#[test]
fn a_default_that_cannot_be_read_is_never_passed_over() {
    needs!(root);
    needs!(program "postfix");
    services(&[("default.toml", "[files]\nraed = []")], &[("plain", "")], |postfix, log| {
        assert_eq!(look(postfix, "plain"), "");
        let line = log.says_all(&["postfix/spawnbox[", "]: fatal: "]);
        assert!(line.contains("/etc/spawnbox/default.toml:3:1") && line.contains("unknown key `raed`"), "{line}");
    });
}

#[test]
fn what_a_policy_extends_by_name_is_read_anew_at_each_start_and_told() {
    needs!(root);
    needs!(program "postfix");
    let policies = [
        ("own.toml", "extends = [\"common\"]"),
        ("common.toml", "extends = [\"strict\"]"),
        ("strict.toml", "extends = [\"strict\"]"),
    ];
    services(&policies, &[("own", "")], |postfix, log| {
        assert_eq!(look(postfix, "own"), "hidden\n");
        let instead = "/etc/spawnbox/strict.toml is used, and not the built-in strict";
        arguments(&["check", "own"])
            .run()
            .exits(0)
            .stdout(&format!("own: ok, for a command that is named elsewhere\n    note: {instead}\n"));
        arguments(&["explain", "--json", "--policy", "own", "--", "sh"]).run().exits(0).prints(
            "read from /etc/spawnbox/own.toml, /etc/spawnbox/common.toml, \
             /etc/spawnbox/strict.toml (not the built-in strict), built-in strict.toml",
        );
        // Not made where it is not there: this must be the scene's own /etc.
        let common = File::options().append(true).open("/etc/spawnbox/common.toml");
        common.and_then(|mut file| file.write_all(b"[files]\nraed = []\n")).expect("it is the scene's");
        let place = "/etc/spawnbox/common.toml:4:1";
        arguments(&["check", "own"]).run().says(&format!("--> {place}")).exits(2);
        let running = postfix.daemons("own");
        postfix.signal(Signal::SIGHUP);
        eventually("the old daemon ends", patience(), || running.iter().all(|id| !postfix.daemons("own").contains(id)));
        assert_eq!(look(postfix, "own"), "");
        log.says(&format!("fatal: {place}: unknown key `raed`"));
    });
}

#[test]
fn one_policy_serves_several_services_each_by_its_own_name_and_user() {
    needs!(root);
    needs!(program "postfix");
    let shared = "extends = [\"strict\"]\ncommand.environment.WHO = \"${service} of ${user}\"";
    let entry = |name: &str, words: &str| format!("{name} unix - n n - 0 spawnbox policy={words}\n");
    let entries = [
        entry("one", "shared user=nobody argv=/bin/sh -c { echo $WHO }"),
        entry("two", "shared user=daemon argv=/bin/sh -c { echo $WHO }"),
        entry("rest", "rest user=nobody argv=/bin/cat"),
    ];
    let room = room();
    in_private(&room.path(""), |log| {
        replace_policies(
            &room.path("etc"),
            &[("shared.toml", shared), ("rest.toml", "files.read = [\"/srv/${host}\"]")],
        );
        let postfix = Postfix::start(&room, "", &entries.concat());
        assert_eq!(look(&postfix, "one"), "one of nobody\n");
        assert_eq!(look(&postfix, "two"), "two of daemon\n");
        assert_eq!(look(&postfix, "rest"), "");
        log.says("fatal: /etc/spawnbox/rest.toml:2:15: impossible value of `read`: `${host}` is not known, ");
        postfix.stop();
    });
}
