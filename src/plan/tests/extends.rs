// SPDX-License-Identifier: Apache-2.0
//! A profile never loosens silently: what a policy allows beyond those that it extends is written in it, and a limit
//! is larger only where `override` names it. The judge is `difference`, which knows nothing of files.

use super::super::difference::{Difference, difference};
use super::super::hosts::{listen, root_on_618};
use super::super::model::Plan;
use super::super::resolve;
use super::SH;
use super::laws::{REPLACING, UNITING};
use crate::host::facts::PathFact;
use crate::policy::laws::{laid_over, policy};
use crate::policy::{Policy, builtin, load};
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::Config;
use std::collections::BTreeSet;

/// What the lines of the other laws leave out.
const MORE: &[&str] = &[
    r#"files.scratch = [{ path = "/var/tmp", size = "1M", inodes = 9, execute = true }]"#,
    r#"files.scratch = [{ path = "/tmp", size = "64M", inodes = 9 }]"#,
    r#"files.read = ["/usr", "/var/lib"]"#,
    "limits.processor-time = 500",
    "limits.core-size = 4096",
    r#"limits.stack = "64M""#,
    "limits.message-queues = 8192",
    "isolation.memory-deny-write-execute = false",
    "isolation.landlock-audit = true",
    r#"isolation.hostname = "host""#,
    "isolation.pid-max = 1000",
    r#"connection.stderr = "log""#,
    r#"connection.stderr = "none""#,
    "command.client-environment = true",
    r#"command.client-environment = "xinetd""#,
    "connection.concurrency = 5000",
    r#"listen.addresses = ["127.0.0.1:25", "unix:@x"]"#,
    r#"listen.addresses = ["unix:/run/x.sock,mode=0666"]"#,
    "listen.backlog = 5",
    "listen.reuse-port = true",
    "connection.spares = 4",
    r#"command.user = "postfix""#,
    r#"clients.allow = ["10.0.0.0/8"]"#,
    "clients.per-source = 5",
];

/// One file's lines, each key once, and the limits among them that it overrides.
#[derive(Debug, Clone)]
struct Text {
    lines: Vec<&'static str>,
    overrides: BTreeSet<&'static str>,
}

impl Text {
    fn text(&self) -> String {
        let overrides: Vec<String> = self.overrides.iter().map(|key| format!("{key:?}")).collect();
        format!("override = [{}]\n{}", overrides.join(", "), self.lines.join("\n"))
    }

    /// Whether it writes one of these keys, or one below.
    fn writes(&self, keys: &[&str]) -> bool {
        self.lines.iter().any(|line| keys.iter().any(|key| line.starts_with(key)))
    }

    /// Whether it says what this line of a difference is about.
    fn says(&self, line: &str) -> bool {
        match line.strip_prefix("limits.").and_then(|rest| rest.split_once(':')) {
            Some((limit, _)) => self.overrides.contains(format!("limits.{limit}").as_str()),
            None => self.writes(keys_of(line)),
        }
    }
}

/// The keys by which a policy says what a line of `allows` is about. A line that is not here fails.
fn keys_of(line: &str) -> &'static [&'static str] {
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    match line {
        _ if begins(&["read ", "execute ", "write ", "files: ", "link "]) => &["files."],
        _ if begins(&["scratch ", "files in scratch "]) => &["files.scratch"],
        _ if begins(&["device "]) => &["files.devices", "files.root"],
        _ if begins(&["/proc: "]) => &["files.proc"],
        _ if begins(&["network: ", "the connection itself"]) => &["network."],
        _ if begins(&["connect to TCP ", "bind TCP ", "send UDP to "]) => &["network.", "isolation.landlock"],
        _ if begins(&["act as "]) => &["command.user", "command.group"],
        _ if begins(&["share the host's "]) => &["isolation.namespaces"],
        _ if begins(&["see which files the host has"]) => &["files.root", "isolation.level"],
        _ if begins(&["see the host's name"]) => &["isolation.hostname"],
        _ if begins(&["file accesses without Landlock"]) => &["isolation.landlock", "files.root"],
        _ if begins(&["signals and abstract sockets without Landlock"]) => &["isolation.landlock"],
        _ if begins(&["fill the host's audit log"]) => &["isolation.landlock-audit"],
        _ if begins(&["memory that is writable"]) => {
            &["isolation.memory-deny-write-execute", "isolation.seccomp", "syscalls.allow"]
        }
        _ if begins(&["isolation.pid-max"]) => &["isolation.pid-max"],
        _ if begins(&["executable memory files"]) => &["isolation.memfd-noexec"],
        _ if begins(&["live on after"]) => &["connection.ends"],
        _ if begins(&["standard error"]) => &["connection.stderr"],
        _ if begins(&["connection.concurrency"]) => &["connection.concurrency"],
        _ if begins(&["what is known of the client"]) => &["command.client-environment"],
        // Under `all` no default kills.
        _ if begins(&["go on after a call that is denied"]) => {
            &["syscalls.on-deny", "syscalls.allow", "isolation.seccomp"]
        }
        _ if begins(&["every system call"]) => &["isolation.seccomp"],
        _ if begins(&["call "]) => &["syscalls.allow"],
        _ => panic!("no key is known for {line:?}"),
    }
}

fn texts() -> impl Strategy<Value = Text> {
    let all: Vec<&'static str> = [UNITING, REPLACING, MORE].concat();
    let lines = subsequence(all, 0..7).prop_map(|lines| {
        let mut seen = BTreeSet::new();
        lines.into_iter().filter(|line| seen.insert(key(line))).collect::<Vec<_>>()
    });
    (lines, any::<u16>()).prop_map(|(lines, chosen)| {
        let limits = lines.iter().map(|line| key(line)).filter(|key| key.starts_with("limits."));
        let overrides = limits.enumerate().filter(|(at, _)| chosen >> (at % 16) & 1 == 1).map(|(_, key)| key).collect();
        Text { lines, overrides }
    })
}

fn key(line: &'static str) -> &'static str {
    line.split(' ').next().unwrap_or_default()
}

/// The plan of these, the first at the bottom, over `strict`.
fn planned(texts: &[&Text]) -> Option<Plan> {
    let strict = builtin("strict").unwrap();
    let texts: Vec<String> = texts.iter().map(|text| text.text()).collect();
    let bottom = strict.sources[0].text();
    let all: Vec<&str> = std::iter::once(bottom).chain(texts.iter().map(String::as_str)).collect();
    plan(&laid_over(&all))
}

fn plan(policy: &Policy) -> Option<Plan> {
    let mut facts = root_on_618();
    for path in policy.paths() {
        let found = PathFact::Found { resolved: path.clone(), directory: true, link: None };
        facts.paths.entry(path).or_insert(found);
    }
    resolve(&listen(SH), policy, &facts).ok()
}

proptest! {
    // A case that is refused is drawn again, and too many of them fail: so many cases are plans.
    #![proptest_config(Config { cases: Config::default().cases / 8, max_global_rejects: 8192, ..Config::default() })]

    #[test]
    fn what_a_policy_allows_beyond_what_it_extends_is_written_in_it(below in texts(), own in texts()) {
        let (Some(before), Some(after)) = (planned(&[&below]), planned(&[&below, &own])) else {
            return Err(TestCaseError::reject("refused"));
        };
        for line in difference(&before, &after).allows {
            prop_assert!(own.says(&line), "{line}\n{below:?}\n{own:?}");
        }
    }

    #[test]
    fn what_a_policy_has_beyond_its_own_words_is_written_in_what_it_extends(below in texts(), own in texts()) {
        let (Some(alone), Some(after)) = (planned(&[&own]), planned(&[&below, &own])) else {
            return Err(TestCaseError::reject("refused"));
        };
        for line in difference(&alone, &after).allows {
            // A limit can only be smaller for it: `strict` has less than the limits that are overridden.
            prop_assert!(below.says(&line), "{line}");
        }
    }

    #[test]
    fn one_more_profile_makes_no_limit_larger_and_turns_no_layer_off_unless_it_says_so(
        below in texts(),
        more in texts(),
        own in texts(),
    ) {
        let Some(without) = planned(&[&below, &own]) else { return Err(TestCaseError::reject("refused")) };
        let with = [planned(&[&more, &below, &own]), planned(&[&below, &more, &own])];
        if with.iter().all(Option::is_none) {
            return Err(TestCaseError::reject("refused"));
        }
        for with in with.iter().flatten() {
            for line in difference(&without, with).allows {
                prop_assert!(more.says(&line), "{line}");
            }
        }
    }

    #[test]
    fn a_policy_that_says_nothing_changes_nothing(below in texts(), other in texts()) {
        let nothing = Text { lines: Vec::new(), overrides: BTreeSet::new() };
        let Some(plan) = planned(&[&below, &other]) else { return Err(TestCaseError::reject("refused")) };
        for texts in [[&below, &other, &nothing], [&nothing, &below, &other], [&below, &nothing, &other]] {
            let with = planned(&texts);
            prop_assert_eq!(with.map(|with| difference(&plan, &with)), Some(Difference::default()));
        }
    }
}

#[test]
fn a_file_that_only_extends_is_what_it_extends() {
    let mut compared = 0;
    for name in load::builtin_names() {
        let child = policy(&format!("version = 1\nextends = [\"{name}\"]\n")).unwrap();
        let (Some(own), Some(child)) = (plan(&builtin(name).unwrap()), plan(&child)) else { continue };
        compared += 1;
        assert_eq!(difference(&own, &child), Difference::default(), "{name}");
    }
    assert!(compared > load::builtin_names().count() / 2, "{compared} could be planned");
}
