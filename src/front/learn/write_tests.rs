// SPDX-License-Identifier: Apache-2.0
//! What is written is what was meant, and an author's words stay.

use super::*;
use crate::policy::load::from_text;
use crate::policy::model::{Device, NetworkMode, Policy, Proc};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn grant(path: &str) -> Grant {
    Grant { path: path.into(), why: "cat: openat, once".into(), optional: false, warning: None }
}

fn files(draft: &mut Draft, list: &'static str, grants: &[Grant]) {
    draft.files.insert(list, grants.iter().cloned().collect());
}

fn paths(policy: &Policy) -> BTreeSet<PathBuf> {
    policy.files.read.iter().map(|entry| entry.value.path.clone()).collect()
}

#[test]
fn a_new_policy_says_what_was_learnt_and_why() {
    let text = skeleton("x", Some("me"), &["/usr/bin/perl".into(), "-e".into(), "print \"\\n\"".into()]);
    let text = begin(&text, "Learnt from a run of perl.", &["perl", "syslog"]);
    let mut draft = Draft { notes: vec!["perl lists /etc\nversion = 2".into()], ..Draft::default() };
    files(&mut draft, "read", &[grant("/etc/x"), Grant { warning: Some("A secret?"), ..grant("/etc/shadow") }]);
    files(&mut draft, "write", &[Grant { optional: true, ..grant("/srv/x") }]);
    draft.allow.insert("chown", "perl: chown, twice".into());
    draft.forward.insert("127.0.0.1:25".parse().unwrap(), "perl: connect, once".into());
    let text = add(&text, &draft, false).unwrap();
    let expected = r#"# Learnt from a run of perl.
version = 1
extends = ["perl", "syslog"]

[command]
user = "me"
argv = ["/usr/bin/perl", "-e", 'print "\n"']

[files]
read = [
    # A secret?
    { path = "/etc/shadow", why = "cat: openat, once" },
    { path = "/etc/x", why = "cat: openat, once" },
]
write = [
    { path = "/srv/x", why = "cat: openat, once", optional = true },
]

[network]
forward = [
    # perl: connect, once
    "127.0.0.1:25",
]

[syscalls]
allow = [
    # perl: chown, twice
    "chown",
]

# Used, and not granted:
#  perl lists /etc?version = 2
"#;
    assert_eq!(text, expected);
    assert!(from_text(&text, &[]).is_ok());
}

#[test]
fn a_policy_that_is_there_keeps_every_word_of_its_author() {
    let theirs = r#"# Mine.
version = 1 # of the language
extends = ["strict"] # nothing else

# What it reads.
files.read = ["/etc/a", # the first
    "/etc/b" # the last
    ]

[network]
# No one.
mode = "none"
"#;
    let mut draft = Draft { extends: vec!["tls"], host_network: Some("x: socket, once".into()), ..Draft::default() };
    files(&mut draft, "read", &[grant("/etc/c")]);
    draft.ports.insert("connect", (Ports::List([25].into()), "x: connect, once".into()));
    let text = add(theirs, &draft, true).unwrap();
    for word in
        ["# Mine.", "# of the language", "# nothing else", "# What it reads.", "# the first", "# the last", "# No one."]
    {
        assert!(text.contains(word), "{word} is gone:\n{text}");
    }
    assert!(text.contains("    # learnt\n    { path = \"/etc/c\""), "{text}");
    assert!(text.contains("# learnt: x: connect, once\nconnect = { ports = [25] }"), "{text}");
    let policy = from_text(&text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(policy.network.mode.as_ref().map(|mode| mode.value), Some(NetworkMode::Host));
    let read = paths(&policy);
    assert!(["/etc/a", "/etc/b", "/etc/c"].map(PathBuf::from).iter().all(|path| read.contains(path)), "{read:?}");
    // What is there already is found there the second time.
    assert_eq!(add(&text, &Draft::default(), true).as_deref(), Ok(&*text));
}

#[test]
fn both_forms_of_a_list_are_added_to() {
    let mut draft = Draft::default();
    files(&mut draft, "read", &[grant("/etc/c")]);
    for theirs in [
        "files = { read = [\"/etc/a\"] }\n",
        "[[files.read]]\npath = \"/etc/a\" # mine\n",
        "[files]\nread = []\n[command]\numask = \"077\"\n",
        "files.read = [\n  \"/etc/a\",\n  # the end\n]\n",
    ] {
        let text = add(&format!("version = 1\n{theirs}"), &draft, true).unwrap();
        let policy = from_text(&text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(paths(&policy).contains(&PathBuf::from("/etc/c")), "{text}");
        let comments = theirs.matches('#').count() + 1;
        assert_eq!(text.matches('#').count(), comments, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_it_was_meant(
        names in proptest::collection::btree_set("([^\\x00/]|[$]\\{){1,40}", 0..8),
        why in "\\PC{0,60}",
        argv in proptest::collection::vec("([^\\x00]|[$]\\{){0,30}", 1..4),
        note in ".{0,60}",
        ports in proptest::collection::btree_set(1_u16.., 0..4),
    ) {
        // These would be another path.
        let names: BTreeSet<&String> = names.iter().filter(|name| !matches!(name.as_str(), "." | "..")).collect();
        let meant: BTreeSet<PathBuf> = names.iter().map(|name| PathBuf::from(format!("/srv/{name}"))).collect();
        let text = begin(&skeleton("x", None, &argv), &note, &[]);
        let mut draft = Draft { notes: vec![note], proc: Some(why.clone()), ..Draft::default() };
        let grants = names.iter().map(|name| Grant { why: why.clone(), ..grant(&format!("/srv/{name}")) });
        draft.files = BTreeMap::from([("read", grants.collect())]);
        draft.scratch.insert("/var/tmp".into(), why.clone());
        draft.devices.insert("zero", why.clone());
        draft.host_network = Some(why.clone());
        draft.ports.insert("connect", (Ports::List(ports.clone()), why.clone()));
        let text = add(&text, &draft, false).unwrap();
        match from_text(&text, &[]) {
            Ok(policy) => {
                prop_assert!(meant.is_subset(&paths(&policy)), "{text}");
                prop_assert_eq!(policy.command.argv.map(|argv| argv.value), Some(argv));
                prop_assert_eq!(policy.files.proc.map(|proc| proc.value), Some(Proc::Subset));
                prop_assert!(policy.files.devices.iter().any(|device| device.value == Device::Zero));
                let whys = policy.files.read.iter().filter(|entry| meant.contains(&entry.value.path));
                prop_assert!(whys.clone().all(|entry| entry.value.why.as_deref() == Some(&*why)), "{text}");
            }
            // What a policy cannot say is refused where it is checked, and never taken for something else.
            Err(error) => {
                let odd = names.iter().any(|name| name.chars().any(char::is_control))
                    || argv.iter().any(|word| word.chars().any(char::is_control) || word.is_empty())
                    || why.is_empty();
                prop_assert!(odd, "{error}\n{text}");
            }
        }
    }
}
