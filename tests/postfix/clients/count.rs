// SPDX-License-Identifier: Apache-2.0
//! Counts what has arrived. Everything that was sent is there, once, and as the service marked it.

use std::collections::BTreeMap;

/// The messages of one crowd among all that are held: every copy of each number.
pub(super) fn of_crowd<'a>(held: &'a [String], name: &str) -> BTreeMap<u32, Vec<&'a str>> {
    let mark = format!("Subject: {name} number ");
    let mut found: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for message in held {
        let Some((_, rest)) = message.split_once(&mark) else { continue };
        let number = rest.split_once('.').and_then(|(number, _)| number.parse().ok());
        found.entry(number.expect("a number and a dot")).or_default().push(message);
    }
    found
}

/// What is wrong with what has arrived of so many, where `more` copies may be there beside the first one of each.
pub(super) fn complaints(
    found: &BTreeMap<u32, Vec<&str>>,
    sent: u32,
    more: u32,
    marked: impl Fn(u32, &str) -> bool,
) -> Vec<String> {
    let lost = (0..sent).filter(|number| !found.contains_key(number)).map(|number| format!("{number} is lost"));
    let unknown = found.keys().filter(|number| **number >= sent).map(|number| format!("{number} was never sent"));
    let copies: usize = found.values().map(|copies| copies.len() - 1).sum();
    let doubled = (copies > more as usize).then(|| format!("{copies} came twice, where {more} may"));
    let wrong = found.iter().flat_map(|(number, copies)| copies.iter().map(move |copy| (*number, *copy)));
    let wrong = wrong.filter(|(number, copy)| !marked(*number, copy));
    let wrong = wrong.map(|(number, copy)| format!("{number} is not marked as it should be: {copy}"));
    lost.chain(unknown).chain(doubled).chain(wrong).collect()
}

#[test]
fn what_is_lost_doubled_or_answered_for_another_is_complained_about() {
    let message = |number: u32, mark: u32| format!("Subject: crowd number {number}.\nX-Mark: {mark};");
    let check = |numbers: &[(u32, u32)], more: u32| {
        let held: Vec<String> = numbers.iter().map(|(number, mark)| message(*number, *mark)).collect();
        let marked = |number: u32, text: &str| text.contains(&format!("X-Mark: {number};"));
        complaints(&of_crowd(&held, "crowd"), 3, more, marked).len()
    };
    let whole = [(0, 0), (1, 1), (2, 2)];
    assert_eq!(check(&whole, 0), 0);
    assert_eq!(check(&whole[..2], 0), 1);
    assert_eq!(check(&[whole.as_slice(), &[(1, 1)]].concat(), 0), 1);
    assert_eq!(check(&[whole.as_slice(), &[(1, 1)]].concat(), 1), 0);
    assert_eq!(check(&[(0, 0), (1, 2), (2, 2)], 0), 1);
    assert_eq!(check(&[whole.as_slice(), &[(3, 3)]].concat(), 0), 1);
    assert!(of_crowd(&[message(0, 0)], "crow").is_empty());
}
