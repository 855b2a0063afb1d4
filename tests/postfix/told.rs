// SPDX-License-Identifier: Apache-2.0
//! One line says what an administrator needs when a command does not come to run, or runs out of time.

use super::instance::Postfix;
use super::private::{Log, in_private, replace_policies};
use crate::scene::stage::room;
use crate::scene::{Client, patience};
use std::fs;

/// The lines of a service.
fn lines(log: &Log, service: &str, text: &str) -> Vec<String> {
    let start = format!("]: {service}: ");
    let of = |line: &&str| (line.contains(&start) || line.contains("warning: ")) && line.contains(text);
    log.text().lines().filter(of).map(str::to_string).collect()
}

#[test]
fn a_command_that_cannot_be_executed_is_told_with_its_name_step_and_reason() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let postfix = Postfix::start(&room, "", "lost unix - n n - 1 spawnbox user=nobody argv=/no/such a b\n");
        assert_eq!(Client::connect(&postfix.socket("lost")).rest(), "");
        log.says("warning: command /no/such: cannot execute the command /no/such: No such file or directory");
        let why = "cannot execute the command /no/such: No such file or directory";
        let own = log.says_all(&["lost: session=1 policy=compatible@", "outcome=setup-failed step=Exec"]);
        assert!(own.ends_with(why), "{own}");
        postfix.stop();
    });
}

/// A sandbox that could be made at the start, and later not: the service goes on.
#[test]
fn a_sandbox_that_cannot_be_made_is_told_with_the_step_and_what_it_was_about() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let place = room.directory("place");
    in_private(&room.path(""), |log| {
        let policy = format!("extends = [\"compatible\"]\n[command]\ndirectory = {:?}", place.display().to_string());
        replace_policies(&room.path("etc"), &[("there.toml", &policy)]);
        let postfix = Postfix::start(&room, "", "there unix - n n - 1 spawnbox user=nobody argv=/bin/pwd\n");
        let answer = || Client::connect(&postfix.socket("there")).rest();
        assert_eq!(answer(), format!("{}\n", place.display()));
        fs::remove_dir(&place).expect("the stage can be changed");
        assert_eq!(answer(), "");
        let why = format!("cannot enter the working directory {}: No such file or directory", place.display());
        log.says(&format!("warning: command /bin/pwd: {why}"));
        let own = log.says_all(&["there: session=2 policy=there@", "outcome=setup-failed step=Directory"]);
        assert!(own.ends_with(&why), "{own}");
        // Each of the two lines says it all, and there is no third one.
        assert_eq!(lines(log, "there", "cannot enter").len(), 2, "{}", log.text());
        fs::create_dir(&place).expect("the stage can be changed");
        crate::scene::stage::mode(&place, 0o755);
        assert_eq!(answer(), format!("{}\n", place.display()));
        postfix.stop();
    });
}

#[test]
fn where_both_names_set_a_time_limit_the_log_says_which_one_counts() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = "both unix - n n - 0 spawnbox user=nobody argv=/bin/sleep 60\n";
        let settings = "both_time_limit = 1\nboth_command_time_limit = 50\n";
        let postfix = Postfix::start(&room, settings, entry);
        assert_eq!(Client::connect(&postfix.socket("both")).rest(), "");
        log.says("warning: parameter both_time_limit overrides both_command_time_limit");
        log.says("warning: /bin/sleep: session 1: command time limit exceeded (1s, set by both_time_limit)");
        postfix.stop();
    });
}

#[test]
fn the_line_of_a_time_limit_names_what_sets_it() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    let sleeps = "user=nobody argv=/bin/sleep 60";
    in_private(&room.path(""), |log| {
        replace_policies(&room.path("etc"), &[("own.toml", "extends = [\"compatible\"]\nlimits.time = \"1s\"")]);
        let entries: String =
            ["named", "old", "shared", "own"].map(|name| format!("{name} unix - n n - 0 spawnbox {sleeps}\n")).concat();
        let settings = "command_time_limit = 1\nnamed_time_limit = 1\nold_command_time_limit = 1\n";
        let postfix = Postfix::start(&room, settings, &entries);
        for (service, by) in [
            ("named", "named_time_limit"),
            ("old", "old_command_time_limit"),
            ("shared", "command_time_limit"),
            ("own", "/etc/spawnbox/own.toml:3"),
        ] {
            assert_eq!(Client::connect(&postfix.socket(service)).rest(), "");
            let line = log.find(patience(), |line| line.ends_with(&format!("(1s, set by {by})")));
            let line = line.unwrap_or_else(|| panic!("{service}: {}", log.text()));
            assert!(line.contains("]: warning: /bin/sleep: session 1: command time limit exceeded "), "{line}");
        }
        postfix.stop();
    });
}
