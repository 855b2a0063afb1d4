// SPDX-License-Identifier: Apache-2.0
//! What a text becomes, and which names no text takes.

use super::super::load::from_text;
use super::super::{load_from, set};
use super::*;
use proptest::prelude::*;
use std::path::Path;

const FILE: Known<'_> = Known { service: "greylist", user: None, stand_in: None };

/// What `-s` makes of nothing.
fn written(set: &[&str]) -> Written {
    let set: Vec<String> = set.iter().map(ToString::to_string).collect();
    load_from(Path::new("/nonexistent"), "echo", &set).unwrap_or_else(|error| panic!("{error}"))
}

fn lines(written: Written, known: Known<'_>) -> Vec<String> {
    written.fill(known).unwrap_err().lines().map(|line| line.replacen("command line: ", "", 1)).collect()
}

#[test]
fn a_text_that_names_no_one_stays_as_it_is() {
    for text in ["", "$", "$$", "a$b", "{service}", "$service", "$ {service}", "a}b"] {
        assert_eq!(parts(text).unwrap(), [Part::Text(text)], "{text}");
    }
}

#[test]
fn two_dollars_before_a_brace_are_one_that_names_no_one() {
    for (text, expected) in [
        ("$${HOME}", "${HOME}"),
        ("$${service}", "${service}"),
        ("$$${service}", "$${service}"),
        ("$${", "${"),
        ("a$${b$${c}", "a${b${c}"),
        ("$${${service}}", "${greylist}"),
        ("${service}$${service}", "greylist${service}"),
        ("x${service}-${service}.db", "xgreylist-greylist.db"),
    ] {
        let policy = written(&[&format!("command.environment.A={text}")]).fill(FILE).unwrap();
        assert_eq!(policy.command.environment["A"].value, expected, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_as_it_is_stays_as_it_is(text in "[${}serviceuser]{0,20}") {
        let filled = written(&[&format!("command.environment.A={}", set::quote(&literal(&text)))]).fill(FILE);
        prop_assert_eq!(&filled.unwrap().command.environment["A"].value, &text);
    }
}

#[test]
fn paths_arguments_variables_and_accounts_are_filled_in() {
    let policy = written(&[
        "command.user=${service}",
        "command.group=${user}-data",
        "command.argv=[\"/usr/lib/${service}/run\", \"--user=${user}\"]",
        "command.directory=/var/lib/${service}",
        "files.read=/etc/${service}",
        "files.execute=/usr/lib/${service}",
        "files.write=[{ path = \"/var/lib/${service}\", optional = true }]",
        "files.scratch=[{ path = \"/run/${service}\", size = 1, inodes = 1 }]",
    ]);
    let policy = policy.fill(FILE).unwrap();
    let command = &policy.command;
    assert_eq!(command.user.as_ref().unwrap().value, User::Account("greylist".into()));
    assert_eq!(command.group.as_ref().unwrap().value, "greylist-data");
    assert_eq!(command.argv.as_ref().unwrap().value, ["/usr/lib/greylist/run", "--user=greylist"]);
    assert_eq!(command.directory.as_ref().unwrap().value, Path::new("/var/lib/greylist"));
    let paths: Vec<String> = policy.paths().iter().map(|path| path.display().to_string()).collect();
    for path in ["/etc/greylist", "/usr/lib/greylist", "/var/lib/greylist", "/run/greylist"] {
        assert!(paths.iter().any(|one| one == path), "{path}: {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains('$')), "{paths:?}");
    assert!(paths.is_sorted());
    let filled = policy.filled.iter().map(|one| (one.written.as_str(), one.became.as_str())).collect::<Vec<_>>();
    assert_eq!(filled.len(), 9, "{filled:?}");
    assert!(filled.contains(&("/etc/${service}", "/etc/greylist")));
    assert!(policy.filled.iter().all(|one| one.origin == Origin::CommandLine));
}

#[test]
fn the_user_is_master_cfs_before_it_is_the_policys() {
    let text = ["command.environment.A=${user}", "command.user=own"];
    let user = |known| written(&text).fill(known).unwrap().command.environment["A"].value.clone();
    assert_eq!(user(FILE), "own");
    assert_eq!(user(Known { stand_in: Some("nobody"), ..FILE }), "own");
    assert_eq!(user(Known { user: Some("entrys"), ..FILE }), "entrys");
}

#[test]
fn a_user_whom_nobody_names_is_refused_where_the_policy_needs_one() {
    let text = ["command.environment.A=${user}"];
    assert_eq!(
        lines(written(&text), FILE),
        ["`${user}` stands for nobody: no user is named (name one: `user` under [command])"]
    );
    let looked_at = written(&text).fill(Known { stand_in: Some("nobody"), ..FILE }).unwrap();
    assert_eq!(looked_at.command.environment["A"].value, "nobody");
    let range = ["command.environment.A=${user}", "command.user={ range = \"61184-65519\" }"];
    assert_eq!(
        lines(written(&range), Known { stand_in: Some("nobody"), ..FILE }),
        ["`${user}` stands for nobody: each session has a user of its own"]
    );
    assert!(written(&[]).fill(FILE).is_ok());
}

#[test]
fn a_name_that_could_lead_elsewhere_is_refused_wherever_it_would_stand() {
    let texts = [
        "files.read=/var/lib/${service}",
        "files.read=/var/lib/x.${service}",
        "command.argv=[\"/bin/echo\", \"${service}\"]",
        "command.environment.A=${service}",
        "command.group=${service}",
    ];
    for (name, why) in [
        ("", "it is empty"),
        (".", "it would be another directory"),
        ("..", "it would be another directory"),
        ("../x", "with a `/` it would be another directory"),
        ("private/x", "with a `/` it would be another directory"),
        ("/", "with a `/` it would be another directory"),
        ("a\nb", "it holds a character that cannot be seen"),
        ("a\0b", "it holds a character that cannot be seen"),
    ] {
        for text in texts {
            let found = lines(written(&[text]), Known { service: name, ..FILE });
            let shown = name.replace('\n', "\\u{a}").replace('\0', "\\u{0}");
            let expected = format!(
                "`${{service}}` cannot stand for `{shown}`: {why} \
                 (write here what is meant, or give the service another name)"
            );
            assert_eq!(found, [expected], "{text}");
        }
        assert!(written(&[]).fill(Known { service: name, ..FILE }).is_ok(), "{name:?} stands nowhere");
    }
    let user = lines(written(&["files.read=/home/${user}"]), Known { user: Some(".."), ..FILE });
    assert!(user[0].starts_with("`${user}` cannot stand for `..`: it would be another directory"), "{user:?}");
}

#[test]
fn what_a_text_becomes_is_looked_at_like_what_is_written() {
    let long = "x".repeat(4096);
    let found = lines(written(&["files.read=/var/${service}"]), Known { service: &long, ..FILE });
    assert!(found[0].contains(": no file can have this name"), "{found:?}");
    let found = lines(written(&["command.group=${service}"]), Known { service: "a b", ..FILE });
    assert_eq!(found, ["no account can be `a b`: no account has this name"]);
    // No name is looked for in what came of one.
    let group = written(&["command.group=$${staff}"]).fill(FILE).unwrap().command.group;
    assert_eq!(group.unwrap().value, "${staff}");
}

#[test]
fn entries_that_become_one_path_are_one_and_scratch_that_does_is_a_mistake() {
    let entries = written(&["files.read=[{ path = \"/srv/${service}\", optional = true }, \"/srv/greylist\"]"]);
    let read = entries.fill(FILE).unwrap().files.read;
    let read: Vec<_> = read.iter().filter(|entry| entry.value.path.starts_with("/srv")).collect();
    assert_eq!((read.len(), read[0].value.optional), (1, false));
    let twice = written(&["files.scratch=[{ path = \"/a/${service}\", size = 1, inodes = 1 }, \
                        { path = \"/a/greylist\", size = 2, inodes = 1 }]"]);
    let expected = "scratch path is written twice: this becomes /a/greylist, as does what is at command line";
    assert_eq!(lines(twice, FILE), [expected]);
}

#[test]
fn a_mistake_stands_where_the_text_is_written() {
    let text = "version = 1\n[files]\nread = [\n    \"/srv/${user}\",\n]\n[command]\nuser.range = \"61184-65519\"\n";
    let error = from_text(text, &[]).unwrap_err();
    let line = "/etc/spawnbox/text.toml:4:5: `${user}` stands for nobody: each session has a user of \
                its own";
    assert_eq!(error.lines().collect::<Vec<_>>(), [line]);
    assert!(error.to_string().contains("4 |     \"/srv/${user}\",\n  |     ^^^^^^^^^^^^^^"), "{error}");
}
