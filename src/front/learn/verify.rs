// SPDX-License-Identifier: Apache-2.0
//! Whether a command did the same in its sandbox as outside, in words. Compares; runs nothing.

use super::attend::{End, Status};
use std::collections::BTreeSet;

/// Says each difference; false where there is any.
pub(super) fn say(open: &[End], walled: &[End], idle: &BTreeSet<String>) -> bool {
    let (mut found, many) = (Vec::new(), open.len() > 1);
    for (index, (open, walled)) in open.iter().zip(walled).enumerate() {
        let which = if many { format!("connection {}: ", index + 1) } else { String::new() };
        found.extend(differences(open, walled, idle).into_iter().map(|line| format!("{which}{line}")));
    }
    if walled.len() < open.len() {
        found.push(format!("{} of {} were verified", walled.len(), open.len()));
    }
    for line in &found {
        tracing::warn!("{line}");
    }
    if found.is_empty() {
        let same = open.iter().map(same).next().unwrap_or_default();
        tracing::info!("verified: under the policy it does the same{same}");
    } else {
        tracing::warn!("under the policy it does not do the same; the file is written all the same");
    }
    found.is_empty()
}

fn same(end: &End) -> String {
    let bytes = end.output.map_or_else(String::new, |(length, _)| format!(", {length} bytes"));
    format!(" ({}{bytes}, no call denied)", end.status)
}

/// What differs, a line each; what is denied in vain comes to nothing outside, too.
fn differences(open: &End, walled: &End, idle: &BTreeSet<String>) -> Vec<String> {
    let mut lines = Vec::new();
    let said = walled.said.iter().filter(|line| line.contains(" denied call="));
    let said = said.filter(|line| !idle.iter().any(|idle| line.contains(&format!(" denied {idle}")))).map(|line| {
        // Which session it was is known.
        line.split_once(" denied ").map_or(line.clone(), |(_, rest)| format!("denied {rest}"))
    });
    lines.extend(said);
    let status = as_outside(walled.status, open.status);
    if status != open.status {
        lines.push(format!("{status}, and {} without a sandbox", open.status));
    }
    match (open.output, walled.output) {
        (Some((was, _)), Some((is, _))) if was != is => {
            lines.push(format!("{is} bytes of output, and {was} without a sandbox"));
        }
        (Some((length, was)), Some((_, is))) if was != is => {
            lines.push(format!("another output of the same {length} bytes"));
        }
        (Some(_), Some(_)) | (None, _) | (_, None) => {}
    }
    // What kept it from starting has no call of its own.
    if !lines.is_empty() && walled.status != Status::Interrupted {
        let told = walled.said.iter().filter(|line| line.starts_with("fatal: ") || line.starts_with("error: "));
        lines.extend(told.cloned());
    }
    lines
}

/// `run` tells a signal as a shell does, which a command may, too: it is what it was outside, if it can be.
fn as_outside(status: Status, outside: Status) -> Status {
    match status {
        Status::Exited(number @ 129..=192) if outside != status => Status::Signaled(number - 128),
        Status::Exited(_) | Status::Signaled(_) | Status::Interrupted => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(status: i32, output: Option<(u64, u8)>, said: &[&str]) -> End {
        let output = output.map(|(length, digest)| (length, [digest; 32]));
        End { status: Status::Exited(status), output, said: said.iter().map(|line| line.to_string()).collect() }
    }

    #[test]
    fn every_difference_has_its_words() {
        let (open, none) = (end(0, Some((5, 1)), &[]), BTreeSet::new());
        assert_eq!(differences(&open, &open, &none), Vec::<String>::new());
        let table = [
            (end(1, Some((5, 1)), &[]), "exit status 1, and exit status 0 without a sandbox"),
            (end(0, Some((0, 2)), &[]), "0 bytes of output, and 5 without a sandbox"),
            (end(0, Some((5, 2)), &[]), "another output of the same 5 bytes"),
            (end(0, Some((5, 1)), &["x: session=1 denied call=chown: no"]), "denied call=chown: no"),
        ];
        for (walled, words) in table {
            assert_eq!(differences(&open, &walled, &none), [words]);
        }
        let killed = End { status: Status::Signaled(11), ..open.clone() };
        assert_eq!(differences(&killed, &end(139, Some((5, 1)), &[]), &none), Vec::<String>::new());
        assert_eq!(
            differences(&open, &end(139, Some((5, 1)), &[]), &none),
            ["killed by SIGSEGV, and exit status 0 without a sandbox"]
        );
        let idle = BTreeSet::from(["call=socket arguments=0x1,0x2,0x0 ".to_string()]);
        let walled = end(0, Some((5, 1)), &["x: session=1 denied call=socket arguments=0x1,0x2,0x0 family=unix: no"]);
        assert_eq!(differences(&open, &walled, &idle), Vec::<String>::new());
    }
}
