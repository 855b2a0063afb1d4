// SPDX-License-Identifier: Apache-2.0
//! What is carried of each format, and what is named instead.

mod oci;
mod nsjail;
mod xinetd;
mod systemd;

use super::*;

/// As the plan answers, for the few names that are used here.
fn call(name: &str) -> Option<String> {
    let known =
        ["read", "write", "exit_group", "execve", "socket", "chown", "mount", "@system-service", "@mount", "all"];
    (!known.contains(&name)).then(|| "no call or group has this name".to_string())
}

fn deny(name: &str) -> Option<String> {
    (!["chown", "mount", "@mount", "@aio"].contains(&name)).then(|| "it cannot be denied".to_string())
}

/// `@mount` is a set of two, and every other word stands for itself.
fn shared(one: &str, other: &str) -> Shared {
    match (one, other) {
        (one, other) if one == other => Shared::Whole,
        ("mount" | "umount2", "@mount") => Shared::Whole,
        ("@mount", "mount" | "umount2") => Shared::Part,
        _ => Shared::Nothing,
    }
}

const CALLS: Calls<'static> = Calls { allow: &call, deny: &deny, shared: &shared };

/// The lines of the policy after its head, and what is lost.
fn imported(format: Format, text: &str) -> (Vec<String>, Vec<String>) {
    let Imported { policy, lost, .. } = import(format, text, CALLS).unwrap();
    crate::policy::laws::policy(&policy).unwrap_or_else(|error| panic!("{policy}\n{error}"));
    let lines = policy.lines().skip(3).take_while(|line| !line.is_empty()).filter(|line| !line.starts_with(['#', 'o']));
    let lost = lost.into_iter().filter(|lost| !lost.starts_with("the list of calls as the only one: "));
    (lines.map(str::to_owned).collect(), lost.collect())
}

fn check(format: Format, text: &str, policy: &[&str], lost: &[&str]) {
    let (lines, missing) = imported(format, text);
    assert_eq!(
        (lines, missing),
        (policy.iter().map(ToString::to_string).collect(), lost.iter().map(ToString::to_string).collect()),
        "{text}"
    );
}

#[test]
fn what_is_nothing_of_the_kind_is_refused() {
    for (format, text, why) in [
        (Format::Oci, "", "it is no JSON"),
        (Format::Oci, "[]", "it is no object"),
        (Format::Oci, "{}", "it has no defaultAction"),
        (Format::Nsjail, "name: \"a", "a quote is open"),
        (Format::Nsjail, "mount {", "mount has no end"),
        (Format::Nsjail, "}", "a bracket is closed that was not opened"),
        (Format::Nsjail, "name", "name has no value"),
        (Format::Xinetd, "defaults\n{\n}\n", "there is no service in it"),
        (Format::Systemd, "[Unit]\nDescription=x\n", "there is no [Service] in it"),
    ] {
        let said = import(format, text, CALLS).unwrap_err();
        assert!(said.starts_with(why), "{text}: {said}");
    }
    let deep = "a {".repeat(100);
    assert_eq!(import(Format::Nsjail, &deep, CALLS).unwrap_err(), "its messages are too deep in one another");
    assert!(import(Format::Nsjail, &" ".repeat(2 << 20), CALLS).unwrap_err().starts_with("it is longer than"));
}

#[test]
fn what_a_denied_call_meets_is_carried_or_named() {
    let calls = "syscalls.allow = [\"read\"]";
    let kill = "syscalls.on-deny = \"kill\"";
    let unit = |lines: &str| format!("[Service]\n{lines}\n");
    check(Format::Systemd, &unit("SystemCallFilter=read"), &[calls, kill], &[]);
    check(Format::Systemd, &unit("SystemCallFilter=read\nSystemCallErrorNumber=kill"), &[calls, kill], &[]);
    check(Format::Systemd, &unit("SystemCallFilter=read\nSystemCallErrorNumber=EPERM"), &[calls], &[]);
    check(
        Format::Systemd,
        &unit("SystemCallErrorNumber=ENOSYS\nSystemCallFilter=read"),
        &[calls],
        &["SystemCallErrorNumber=ENOSYS: a denied call fails with EPERM here"],
    );
    let (lines, lost) = imported(Format::Systemd, &unit("SystemCallFilter=~chown"));
    assert_eq!(lines, ["syscalls.deny = [\"chown\"]"]);
    assert!(lost[0].contains("a denied call kills") && lost.len() == 1, "{lost:?}");
    check(
        Format::Oci,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["chown"], "action": "SCMP_ACT_KILL"},
            {"names": ["@aio"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["chown"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
            {"action": "SCMP_ACT_ALLOW"}]}"#,
        &["syscalls.deny = [\"chown\"]", "syscalls.on-deny = \"errno\""],
        &[
            "chown (SCMP_ACT_KILL): it kills for this call alone, and here the call fails",
            "@aio (SCMP_ACT_ERRNO): it is no call",
            "chown (SCMP_ACT_ERRNO): it fails with an errno of its own, and here with that of every call",
            "read (SCMP_ACT_ALLOW): it is for older kernels",
            "an entry of syscalls (SCMP_ACT_ALLOW): it names no call",
        ],
    );
}

#[test]
fn the_parts_that_are_too_many_are_counted() {
    let found = import(Format::Systemd, &format!("[Service]\n{}", "Foo=1\n".repeat(MOST_LOST + 7)), CALLS).unwrap();
    assert_eq!((found.lost.len(), found.lost.last().unwrap().as_str()), (MOST_LOST + 1, "and 7 more parts"));
    assert_eq!(found.parts, MOST_LOST + 7);
    assert!(found.policy.ends_with("#  and 7 more parts\n"));
    let found = import(Format::Systemd, &format!("[Service]\n{}", "Foo=1\n".repeat(MOST_LOST + 1)), CALLS).unwrap();
    assert_eq!(found.lost.last().unwrap(), "and 1 more part");
}

#[test]
fn a_long_line_is_cut_at_a_word() {
    let long = |word: &str| {
        let (_, lost) = imported(Format::Systemd, &format!("[Service]\nFoo={}\n", word.repeat(100)));
        lost[0].clone()
    };
    let words = long("abcde ");
    assert!(words.ends_with("abcde ...") && words.chars().count() <= 304, "{words}");
    let one = long("abcdef");
    assert_eq!(one, format!("Foo={} ...", &"abcdef".repeat(100)[..296]), "there is nothing to cut at");
}
