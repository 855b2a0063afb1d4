// SPDX-License-Identifier: Apache-2.0
//! The calls of a profile, as `explain --seccomp` lists them, each made once with each of its conditions; every other
//! call of the architecture; and each call that has conditions, with arguments that meet none.

use super::all;
use crate::isolation::unfiltered;
use crate::scene::{Scene, scene};
use std::collections::{BTreeMap, BTreeSet};
use syscalls::x86_64::Sysno;

/// Arguments of a call.
type Six = [u64; 6];

/// `(arg1 & 0xf) == 0x1`: what an argument must be, and whether it must not.
struct Condition {
    argument: usize,
    mask: u64,
    value: u64,
    equal: bool,
}

impl Condition {
    fn parse(text: &str) -> Condition {
        let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
        let words: Vec<&str> = text.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
        let argument = |word: &str| word.strip_prefix("arg").and_then(|digit| digit.parse().ok()).expect("an argument");
        match words[..] {
            [arg, relation, value] => {
                Condition { argument: argument(arg), mask: u64::MAX, value: number(value), equal: relation == "==" }
            }
            [arg, "&", mask, relation, value] => {
                Condition { argument: argument(arg), mask: number(mask), value: number(value), equal: relation == "==" }
            }
            _ => panic!("{text} is no condition"),
        }
    }

    fn holds(&self, six: &Six) -> bool {
        (six[self.argument] & self.mask == self.value) == self.equal
    }
}

/// What a profile says of its calls: the ways to make each, one of which has to be met. A call that is not in it is
/// denied.
fn listed(scene: &Scene) -> BTreeMap<Sysno, Vec<Vec<Condition>>> {
    let text = scene.clone().explain(&["--seccomp", "--json"]).exits(0).stdout;
    let page: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let calls = page["calls"].as_array().expect("it has calls").iter();
    let conditions = |text: &str| text.split("&&").map(|one| Condition::parse(one.trim())).collect::<Vec<_>>();
    let ways = |call: &serde_json::Value| match call["if"].as_array() {
        Some(ways) => ways.iter().map(|way| conditions(way.as_str().expect("text"))).collect(),
        None => vec![Vec::new()],
    };
    calls.map(|call| (call["name"].as_str().and_then(|name| name.parse().ok()).expect("a call"), ways(call))).collect()
}

/// Arguments that meet these conditions.
fn meeting(way: &[Condition]) -> Six {
    let mut six = [0; 6];
    for condition in way.iter().filter(|condition| condition.equal) {
        six[condition.argument] |= condition.value;
    }
    assert!(way.iter().all(|condition| condition.holds(&six)), "zero is not met");
    six
}

/// Arguments that meet none of these ways, if there are any that are not worth a search.
fn beside(ways: &[Vec<Condition>]) -> Option<Six> {
    let values = [0, 0xffff_ffff, 1, 0x400, 0x77].map(|value| [value; 6]);
    // Those that each condition must not see.
    let mut other = [0; 6];
    for condition in ways.iter().flatten().filter(|condition| !condition.equal || condition.mask != u64::MAX) {
        other[condition.argument] |= if condition.equal { !condition.value & condition.mask } else { condition.value };
    }
    let none = |six: &Six| ways.iter().all(|way| !way.iter().all(|condition| condition.holds(six)));
    [other].into_iter().chain(values).find(none)
}

fn word(call: Sysno, six: &Six) -> String {
    let told = six.iter().rposition(|argument| *argument != 0).map_or(0, |last| last + 1);
    let arguments: String = six[..told].iter().map(|argument| format!(":{argument:#x}")).collect();
    format!("{}{arguments}", call.id())
}

/// What comes of each of these.
fn made(scene: &Scene, words: &BTreeSet<String>) -> BTreeMap<String, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = scene.clone().probe(&format!("each {}", words.join(" "))).run();
    let (_, said) = outcome.stdout.trim_end().split_once(": ").unwrap_or_else(|| panic!("no answer in {outcome}"));
    said.split(' ').map(|pair| pair.split_once('=').expect("a pair")).map(|(a, b)| (a.into(), b.into())).collect()
}

/// What a call that is denied ends with, but for SIGSYS: errnos of the filter's own that the kernel has not for
/// arguments like these. ENOSYS is what a library takes for an older kernel.
const DENIED: [&str; 5] = ["SIGSYS", "ENOSYS", "ENOTTY", "EAFNOSUPPORT", "ENOPROTOOPT"];

/// Calls that the kernel shows no filter: its own trampolines make them, and to anybody else it answers with a signal
/// or an error. See `seccomp_uprobe_exception` of Linux's kernel/seccomp.c.
const UNSEEN: [&str; 2] = ["uretprobe", "uprobe"];

#[test]
fn every_call_of_a_profile_can_be_made_and_no_other() {
    needs!(root);
    for profile in all() {
        // So that what is denied cannot be mistaken for what the kernel says to arguments that are nothing.
        let scene = scene(&profile).set("syscalls.on-deny=kill");
        let listed = listed(&scene.clone().command("/bin/true"));
        let allowed: BTreeSet<String> =
            listed.iter().flat_map(|(call, ways)| ways.iter().map(|way| word(*call, &meeting(way)))).collect();
        let (ruled, others): (Vec<Sysno>, Vec<Sysno>) =
            Sysno::iter().filter(|call| !UNSEEN.contains(&call.name())).partition(|call| listed.contains_key(call));
        let ruled = ruled.iter().filter_map(|call| Some(word(*call, &beside(&listed[call])?)));
        let denied: BTreeSet<String> = ruled.chain(others.iter().map(|call| word(*call, &[0; 6]))).collect();
        // What the kernel says itself, where nothing is filtered.
        let kernels: BTreeMap<String, String> = made(&unfiltered(), &allowed);
        let named = |(word, outcome): (String, String)| {
            let call = word.split(':').next().and_then(|id| Sysno::new(id.parse().ok()?));
            format!("{} ({word}): {outcome}", call.map_or("unknown", |call| call.name()))
        };
        let is_denied = |outcome: &String| DENIED.contains(&outcome.as_str());
        let found = made(&scene, &allowed).into_iter();
        let vain: Vec<String> = found
            .filter(|(word, outcome)| is_denied(outcome) && kernels.get(word) != Some(outcome))
            .map(named)
            .collect();
        let found = made(&scene, &denied).into_iter();
        let open: Vec<String> = found.filter(|(_, outcome)| !is_denied(outcome)).map(named).collect();
        println!("{profile}: {} ways allowed, {} beside them", allowed.len(), denied.len());
        assert_eq!(vain, [""; 0], "{profile} grants these, and they are denied");
        assert_eq!(open, [""; 0], "{profile} does not grant these, and they can be made");
    }
}
