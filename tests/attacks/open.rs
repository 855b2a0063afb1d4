// SPDX-License-Identifier: Apache-2.0
//! `open.txt`: the attacks that are known to work, by setting and by what the host lacks, and those that cannot be
//! tried; and whether that is so.

use super::tried::{Found, Verdict};
use crate::scene::needs;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

const TEXT: &str = include_str!("open.txt");

/// An attack of the list.
#[derive(Debug)]
pub(crate) struct Row {
    settings: &'static str,
    host: &'static str,
    reason: &'static str,
    pub(crate) attack: &'static str,
}

/// Every attack, each with the heading that it stands under.
pub(crate) fn rows() -> Vec<Row> {
    let mut heading = None;
    let mut rows = Vec::new();
    for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("    "), heading) {
            (None, _) => heading = Some(parse(line).unwrap_or_else(|| panic!("open.txt: {line}"))),
            (Some(attack), Some((settings, host, reason))) => rows.push(Row { settings, host, reason, attack }),
            (Some(_), None) => panic!("open.txt: no heading above {line}"),
        }
    }
    rows
}

fn parse(line: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let mut parts = line.splitn(3, '|').map(str::trim);
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// What a line of the list says of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Open,
    /// Open or not: what the kernel was built with decides.
    Either,
    Blocked,
    /// Not tried: that kind of connection does not have it.
    Absent,
}

impl Row {
    /// Whether it speaks of this setting: `strict` of all that begin so, `strict/tcp` of one.
    fn concerns(&self, setting: &str) -> bool {
        let under = |one: &str| setting == one || setting.strip_prefix(one).is_some_and(|rest| rest.starts_with('/'));
        self.settings.split(' ').any(under)
    }

    fn expected(&self) -> Expected {
        let lacking = match self.host.split_once(' ') {
            None if self.host == "every" => true,
            None if self.host == "some" => return Expected::Either,
            None if self.host == "n/a" => return Expected::Absent,
            Some(("before", version)) => {
                let (major, minor) = numbers(version);
                !needs::kernel(major, minor).is_there()
            }
            Some(("without", name)) => !needs::controller(name).is_there(),
            _ => panic!("open.txt: {} is no host", self.host),
        };
        if lacking { Expected::Open } else { Expected::Blocked }
    }
}

fn numbers(version: &str) -> (u32, u32) {
    let (major, minor) = version.split_once('.').expect("a version has a dot");
    let number = |text: &str| text.parse().expect("a version has numbers");
    (number(major), number(minor))
}

/// Prints the counts, with `SPAWNBOX_ATTACKS=show` every attack too, and returns how many are open.
pub(crate) fn count(setting: &str, all: &[Found]) -> usize {
    let count = |verdict| all.iter().filter(|one| one.verdict == verdict).count();
    let (open, blocked, absent) = (count(Verdict::Open), count(Verdict::Blocked), count(Verdict::Absent));
    let mut text = format!("attacks: {setting}: {open} open, {blocked} blocked, {absent} n/a\n");
    if std::env::var("SPAWNBOX_ATTACKS").is_ok_and(|value| value == "show") {
        for Found { name, verdict, why } in all {
            text.push_str(&format!("    {:8}{name}: {why}\n", verdict.word()));
        }
    }
    // On the real standard error, which the test runner does not swallow.
    let _ = std::io::stderr().write_all(text.as_bytes());
    open
}

/// Prints the counts, and says what is not as the list has it.
pub(crate) fn judge(setting: &str, all: &[Found]) -> Vec<String> {
    let mut wrong = differences(setting, all);
    wrong.extend(undocumented(all));
    wrong
}

/// The same for a part of the attacks, of which the page may have more.
pub(crate) fn differences(setting: &str, all: &[Found]) -> Vec<String> {
    count(setting, all);
    let rows = rows();
    let listed: BTreeMap<&str, Expected> =
        rows.iter().filter(|row| row.concerns(setting)).map(|row| (row.attack, row.expected())).collect();
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "an attack has two results");
    let unknown = listed.keys().filter(|name| !names.contains(*name));
    let unknown = unknown.map(|name| format!("{setting}: listed, and there is no such attack: {name}"));
    let wrong = all.iter().filter_map(|Found { name, verdict, why }| {
        let expected = listed.get(name.as_str()).copied().unwrap_or(Expected::Blocked);
        match (expected, verdict) {
            (Expected::Blocked, Verdict::Blocked)
            | (Expected::Open, Verdict::Open)
            | (Expected::Either, Verdict::Open | Verdict::Blocked)
            | (Expected::Absent, Verdict::Absent) => None,
            (Expected::Blocked | Expected::Absent, Verdict::Open) => {
                Some(format!("{setting}: open and not listed: {name} ({why})"))
            }
            (Expected::Open | Expected::Absent, Verdict::Blocked) => {
                Some(format!("{setting}: listed and not so: {name} ({why})"))
            }
            (Expected::Blocked | Expected::Open | Expected::Either, Verdict::Absent) => {
                Some(format!("{setting}: not tried and not listed: {name} ({why})"))
            }
        }
    });
    unknown.chain(wrong).collect()
}

/// The names of attacks on the page of the documentation: what stands in backquotes and is `group: what`.
fn documented() -> BTreeSet<&'static str> {
    let quoted = spawnbox::security::PAGE.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.contains(": ") && !text.contains('\n')).collect()
}

/// What the page lacks of these, and has beside them.
fn undocumented(all: &[Found]) -> Vec<String> {
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let documented = documented();
    let missing = names.difference(&documented).map(|name| format!("not in src/security.md: {name}"));
    let unknown = documented.difference(&names).map(|name| format!("in src/security.md, and not tried: {name}"));
    missing.chain(unknown).collect()
}

#[test]
fn the_page_has_as_many_open_attacks_as_the_list() {
    let rows = rows();
    let count = |setting: &str| {
        let listed = rows.iter().filter(|row| ["every", "some"].contains(&row.host) && row.concerns(setting));
        listed.map(|row| row.attack).collect::<BTreeSet<_>>().len()
    };
    assert_eq!([count("strict/tcp"), count("strict/unix"), count("strict/master-tcp")], [0; 3]);
    let [tcp, unix] = ["tcp", "unix"].map(|kind| count(&format!("compatible/master-{kind}")));
    let line = format!("| at most {tcp} | at most {unix} |");
    assert!(spawnbox::security::PAGE.contains(&line), "no {line:?} in src/security.md");
}

#[test]
fn the_page_has_what_each_kernel_leaves_open_under_strict() {
    let rows = rows();
    for (row, kernel, lacking) in [
        ("| 6.1, Debian 12 | 2 |", (6, 1), ""),
        ("| 6.12, Debian 13 | 6 |", (6, 12), ""),
        ("| 6.18, no memory controller | 7 |", (6, 18), "memory"),
        ("| 7.3 | 11 |", (7, 3), ""),
    ] {
        let is_open = |host: &str| match host.split_once(' ') {
            Some(("before", version)) => kernel < numbers(version),
            Some(("without", controller)) => controller == lacking,
            _ => host == "every",
        };
        let open = |setting: &str| -> BTreeSet<&str> {
            let listed = rows.iter().filter(|row| row.concerns(setting) && is_open(row.host));
            listed.map(|row| row.attack).collect()
        };
        let (tcp, unix) = (open("strict/tcp"), open("strict/unix"));
        let start = format!("{row} {} | {} |", tcp.len(), unix.len());
        let line = spawnbox::security::PAGE.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {start:?} in src/security.md"));
        let named: BTreeSet<&str> = line.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, &tcp | &unix, "{line}");
    }
}

#[test]
fn the_page_has_what_each_level_leaves_open() {
    let rows = rows();
    let mut above = BTreeSet::new();
    for (setting, row) in [
        ("strict/tcp", "| `full` | root |"),
        ("userns/tcp", "| `userns` | an ordinary user |"),
        ("landlock-only/root-tcp", "| `landlock-only` | root, as in a container that is granted nothing |"),
        ("landlock-only/user-tcp", "| `landlock-only` | an ordinary user, as in a restricted pod |"),
    ] {
        let listed = rows.iter().filter(|row| row.host == "every" && row.concerns(setting));
        let open: BTreeSet<&str> = listed.map(|row| row.attack).collect();
        let start = format!("{row} {} |", open.len());
        let line = spawnbox::security::PAGE.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {start:?} in src/security.md"));
        // Behind the name of the level.
        let named: BTreeSet<&str> = line.split('`').skip(3).step_by(2).collect();
        assert!(above.is_subset(&open), "{setting}");
        assert_eq!(named, &open - &above, "{line}");
        above = open;
    }
}

#[test]
fn every_open_attack_has_a_reason_and_a_strict_one_is_never_left_to_the_host() {
    for row in rows() {
        assert!(row.reason.len() > 20, "{}: that is no reason", row.attack);
        assert!(row.host != "some" || row.settings.starts_with("compatible"), "{}: open, or not?", row.attack);
    }
}
