// SPDX-License-Identifier: Apache-2.0
//! What the words of `[syscalls]` come to.

use super::*;
use crate::plan::model::Verdict::{Allow, AllowIf, Deny};
use std::sync::Arc;

fn words(words: &str) -> Vec<Sourced<String>> {
    let place = Origin::Postfix(Arc::from("here"));
    words.split_whitespace().map(|word| Sourced::new(word.to_string(), place.clone())).collect()
}

fn syscalls(allow: &str, deny: &str, on_deny: OnDeny) -> Syscalls {
    Syscalls { allow: words(allow), deny: words(deny), on_deny: Some(Sourced::new(on_deny, Origin::CommandLine)) }
}

fn filter(allow: &str) -> Filter {
    resolve(&syscalls(allow, "", OnDeny::Errno)).unwrap()
}

/// The kernel's answer to a call with these arguments, straight from the filter.
fn answer(filter: &Filter, name: &str, arguments: [u64; 6]) -> Option<Denial> {
    verdict_on(filter, filter.calls.get(&number(name.parse().unwrap())), arguments)
}

fn verdict_on(filter: &Filter, verdict: Option<&Verdict>, arguments: [u64; 6]) -> Option<Denial> {
    match verdict {
        Some(Allow) => None,
        Some(AllowIf(alternatives, denial)) => {
            let holds = |condition: &Condition| condition.holds(arguments);
            (!alternatives.iter().any(|conditions| conditions.iter().all(holds))).then_some(*denial)
        }
        Some(Deny(denial)) => Some(*denial),
        None => Some(filter.default),
    }
}

const EPERM: Option<Denial> = Some(Denial::Errno(libc::EPERM));
const ENOSYS: Option<Denial> = Some(Denial::Errno(libc::ENOSYS));
const ENOTTY: Option<Denial> = Some(Denial::Errno(libc::ENOTTY));
const EAFNOSUPPORT: Option<Denial> = Some(Denial::Errno(libc::EAFNOSUPPORT));
const KILL: Option<Denial> = Some(Denial::Kill);
const NONE: [u64; 6] = [0; 6];

#[test]
fn a_wrong_word_is_refused_in_words() {
    let never = "all its calls are on the never list: name the one that is needed";
    let floor = "execve, exit_group and write cannot be denied: the command could not be started";
    let cases = [
        ("netwrok-client", "", "no system call or group is called netwrok-client; did you mean network-client?"),
        ("@netwrk-io", "", "no system call or group is called @netwrk-io; did you mean @network-io?"),
        ("opneat", "", "no system call or group is called opneat; did you mean openat?"),
        ("net", "", "no system call or group is called net; did you mean network-client or network-server?"),
        ("xyzzy", "", "no system call or group is called xyzzy"),
        ("io io-uring", "", "io-uring is refused: what io_uring does passes by every system call filter"),
        ("@aio", "", "@aio is refused: what io_uring does passes by every system call filter"),
        ("io_uring_enter", "", "io_uring_enter is refused: what io_uring does passes by every system call filter"),
        (
            "clone3",
            "",
            "clone3 is refused: its flags are behind a pointer, where no filter sees them; libc falls back to clone",
        ),
        ("@mount", "", &format!("@mount is refused: {never}")),
        ("@debug", "", &format!("@debug is refused: {never}")),
        ("default", "write", &format!("write is refused: {floor}")),
        ("default", "process", &format!("process is refused: {floor}")),
        ("default", "all", &format!("all is refused: {floor}")),
        ("default", "execv", "no system call or group is called execv; did you mean execve?"),
    ];
    for (allow, deny, message) in cases {
        assert_eq!(resolve(&syscalls(allow, deny, OnDeny::Errno)).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_may_be_denied_includes_what_could_not_be_allowed() {
    for deny in ["io-uring", "@aio", "@mount", "@keyring", "clone3", "ptrace", "files-write", "@file-system"] {
        resolve(&syscalls("default", deny, OnDeny::Errno)).unwrap();
    }
}

#[test]
fn nothing_allowed_still_lets_the_command_start_and_nothing_else() {
    let filter = filter("");
    let allowed: Vec<_> = Sysno::iter().map(|call| call.name()).filter(|name| allows(&filter, name)).collect();
    assert_eq!(allowed, ["write", "execve", "exit_group"]);
}

#[test]
fn answers() {
    let connected = [3, 0x1000, 10, 0, 0, 0];
    let addressed = [3, 0x1000, 10, 0, 0x7f00_0000_0000, 16];
    let cases = [
        ("default", "read", NONE, None),
        ("default", "mount", NONE, KILL),
        ("default", "ptrace", NONE, KILL),
        ("default", "io_uring_setup", NONE, KILL),
        ("default", "socket", [2, 1, 0, 0, 0, 0], EPERM),
        ("default", "setuid", NONE, EPERM),
        ("default", "clone3", NONE, ENOSYS),
        ("default", "openat2", NONE, ENOSYS),
        ("default", "mseal", NONE, ENOSYS),
        ("default", "clone", [0x1200011, 0, 0, 0, 0, 0], None),
        ("default", "clone", [0x1000_0011, 0, 0, 0, 0, 0], EPERM),
        ("default", "clone", [0xffff_ffff_1000_0011, 0, 0, 0, 0, 0], EPERM),
        ("default", "clone", [0xffff_ffff_0000_0011, 0, 0, 0, 0, 0], None),
        ("default", "ioctl", [0, 0x5401, 0, 0, 0, 0], None),
        ("default", "ioctl", [0, 0xffff_ffff_0000_5412, 0, 0, 0, 0], ENOTTY),
        ("default", "ioctl", [0, 0x8912, 0, 0, 0, 0], ENOTTY),
        ("default", "prctl", [15, 0, 0, 0, 0, 0], None),
        ("default", "prctl", [22, 1, 0, 0, 0, 0], EPERM),
        ("default", "prlimit64", [0, 7, 0, 0x1000, 0, 0], None),
        ("default", "prlimit64", [0, 7, 0x1_0000_0000, 0, 0, 0], EPERM),
        ("default", "socketpair", [1, 1, 0, 0, 0, 0], None),
        ("default", "socketpair", [16, 1, 0, 0, 0, 0], EPERM),
        // A datagram socket sends to any name.
        ("default", "socketpair", [1, 2, 0, 0, 0, 0], EPERM),
        ("default", "socketpair", [1, 3, 0, 0, 0, 0], EPERM),
        ("default", "socketpair", [1, 0o2000005, 0, 0, 0, 0], None),
        ("default unix-client", "socketpair", [1, 2, 0, 0, 0, 0], None),
        // F_SETLK, F_SETLEASE, F_NOTIFY.
        ("io", "fcntl", [3, 6, 0, 0, 0, 0], None),
        ("io", "fcntl", [3, 1024, 0, 0, 0, 0], EPERM),
        ("io", "fcntl", [3, 1 << 32 | 1026, 0, 0, 0, 0], EPERM),
        ("default", "sendto", connected, None),
        ("default", "sendto", addressed, EPERM),
        ("default", "sendto", [3, 0x1000, 10, 0x2000_0000, 0, 0], EPERM),
        ("default", "sendmsg", [3, 0x1000, 0x2000_0000, 0, 0, 0], EPERM),
        ("default", "sendmmsg", [3, 0x1000, 1, 0x2000_0000, 0, 0], EPERM),
        ("default", "setsockopt", [3, 1, 9, 0, 0, 0], None),
        ("default", "setsockopt", [3, 1, 26, 0, 0, 0], EPERM),
        ("default", "setsockopt", [3, 0, 11, 0, 0, 0], EPERM),
        ("default", "getsockopt", [3, 1, 4, 0, 0, 0], None),
        ("default", "getsockopt", [3, 1, 77, 0, 0, 0], EPERM),
        ("default", "chmod", [0x1000, 0o755, 0, 0, 0, 0], None),
        ("default", "chmod", [0x1000, 0o4755, 0, 0, 0, 0], EPERM),
        ("default", "fchmodat", [0, 0x1000, 0o2755, 0, 0, 0], EPERM),
        // Without O_CREAT the mode is whatever was in the register.
        ("default", "openat", [0, 0x1000, 0, 0o6755, 0, 0], None),
        ("default", "openat", [0, 0x1000, 0o100, 0o644, 0, 0], None),
        ("default", "openat", [0, 0x1000, 0o100, 0o4755, 0, 0], EPERM),
        ("default", "openat", [0, 0x1000, 0o20_200_000, 0o4755, 0, 0], EPERM),
        ("default", "open", [0x1000, 0o200_000, 0o4755, 0, 0, 0], None),
        ("default", "personality", [0xffff_ffff, 0, 0, 0, 0, 0], None),
        ("default", "personality", [0x0040_0000, 0, 0, 0, 0, 0], EPERM),
        // SECCOMP_FILTER_FLAG_TSYNC, _NEW_LISTENER, _LOG, _SPEC_ALLOW.
        ("default", "seccomp", [1, 1, 0, 0, 0, 0], None),
        ("default", "seccomp", [1, 1 << 3, 0, 0, 0, 0], EPERM),
        ("default", "seccomp", [1, 1 << 1, 0, 0, 0, 0], EPERM),
        ("default", "seccomp", [1, 1 << 2, 0, 0, 0, 0], EPERM),
        ("all", "seccomp", [1, 1 << 3, 0, 0, 0, 0], None),
        ("default", "execveat", [3, 0x1000, 0, 0, 0x1000, 0], EPERM),
        ("default resolve", "socket", [2, 0x80802, 17, 0, 0, 0], None),
        ("default resolve", "socket", [10, 1, 0, 0, 0, 0], None),
        ("default resolve", "socket", [16, 3, 0, 0, 0, 0], None),
        ("default resolve", "socket", [16, 3, 12, 0, 0, 0], EAFNOSUPPORT),
        ("default resolve", "socket", [1, 1, 0, 0, 0, 0], EAFNOSUPPORT),
        ("default resolve", "socket", [2, 1, 262, 0, 0, 0], EAFNOSUPPORT),
        ("default resolve", "socket", [2, 3, 0, 0, 0, 0], EAFNOSUPPORT),
        ("default resolve", "sendto", addressed, None),
        ("default resolve", "setsockopt", [3, 0, 11, 0, 0, 0], None),
        ("default resolve", "listen", NONE, EPERM),
        ("default network-server", "listen", NONE, None),
        ("default network-server", "socket", [16, 3, 0, 0, 0, 0], EAFNOSUPPORT),
        ("default unix-client", "socket", [1, 1, 0, 0, 0, 0], None),
        ("default unix-client", "socket", [2, 1, 0, 0, 0, 0], EAFNOSUPPORT),
        ("default unix-client network-client", "socket", [2, 1, 0, 0, 0, 0], None),
        ("default trace", "ptrace", NONE, None),
        ("default trace", "prctl", [0x59616d61, 0, 0, 0, 0, 0], None),
        ("default trace", "prctl", [15, 0, 0, 0, 0, 0], None),
        ("default keyctl", "keyctl", NONE, None),
        ("default ioctl", "ioctl", [0, 0x8912, 0, 0, 0, 0], None),
        ("default ioctl", "ioctl", [0, 0xffff_ffff_0000_5412, 0, 0, 0, 0], ENOTTY),
        ("default openat2", "openat2", NONE, None),
        ("@file-system", "openat2", NONE, ENOSYS),
        ("@process", "unshare", NONE, EPERM),
        ("@process", "mount", NONE, KILL),
        ("@process", "clone3", NONE, ENOSYS),
        ("@system-service", "io_uring_setup", NONE, ENOSYS),
        ("@system-service", "mbind", NONE, EPERM),
        ("@system-service", "socket", [1, 1, 0, 0, 0, 0], None),
        ("@system-service", "prlimit64", [0, 7, 1, 0, 0, 0], None),
        ("@default", "alarm", NONE, EPERM),
        ("all", "mount", NONE, EPERM),
        ("all", "ptrace", NONE, EPERM),
        ("all", "clone3", NONE, ENOSYS),
        ("all", "io_uring_setup", NONE, ENOSYS),
        ("all", "clone", [0x1000_0011, 0, 0, 0, 0, 0], EPERM),
        ("all", "ioctl", [0, 0x5412, 0, 0, 0, 0], ENOTTY),
        ("all", "ioctl", [0, 0x5402, 0, 0, 0, 0], None),
        ("all", "socket", [40, 1, 0, 0, 0, 0], EAFNOSUPPORT),
        ("all", "socket", [2, 3, 1, 0, 0, 0], None),
        ("all", "socket", [2, 1, 262, 0, 0, 0], EAFNOSUPPORT),
        ("all", "sendto", [3, 0x1000, 10, 0x2000_0000, 0, 0], EPERM),
        ("all", "setuid", NONE, None),
        ("all", "chmod", [0x1000, 0o4755, 0, 0, 0, 0], None),
        ("all ptrace", "ptrace", NONE, None),
    ];
    for (allow, call, arguments, expected) in cases {
        assert_eq!(answer(&filter(allow), call, arguments), expected, "{allow}: {call} {arguments:x?}");
    }
}

#[test]
fn deny_wins_over_allow() {
    let filter = resolve(&syscalls("chmod default all", "@sync chmod", OnDeny::Errno)).unwrap();
    assert_eq!(answer(&filter, "chmod", NONE), EPERM);
    assert_eq!(answer(&filter, "sync", NONE), EPERM);
    assert_eq!(answer(&filter, "fchmod", NONE), None);
}

#[test]
fn a_killing_filter_still_lets_libc_probe() {
    let filter = resolve(&syscalls("default resolve", "", OnDeny::Kill)).unwrap();
    assert_eq!(answer(&filter, "setuid", NONE), KILL);
    assert_eq!(answer(&filter, "clone", [0x1000_0011, 0, 0, 0, 0, 0]), KILL);
    assert_eq!(answer(&filter, "clone3", NONE), ENOSYS);
    assert_eq!(answer(&filter, "ioctl", [0, 1, 0, 0, 0, 0]), ENOTTY);
    assert_eq!(answer(&filter, "socket", [40, 1, 0, 0, 0, 0]), EAFNOSUPPORT);
}

#[test]
fn every_name_of_ours_is_a_call_and_every_rule_belongs_to_one() {
    for group in groups::GROUPS.iter().chain(systemd::SETS) {
        let inner = group.groups.split_whitespace();
        assert!(inner.clone().count() == inner.filter_map(find).count(), "{}", group.name);
        for (ruled, _) in group.rules {
            assert!(group.calls.split_whitespace().any(|name| name == *ruled), "{} {ruled}", group.name);
        }
        assert!(!group.members().is_empty());
    }
    for names in [NEVER, PROBED, FLOOR, BLIND] {
        assert!(!named(names).is_empty());
    }
}

#[test]
fn no_group_grants_what_the_widest_rule_withholds() {
    let words = [0, 1, 2, 3, 10, 16, 17, 40, 256, 262, 0x5401, 0x5412, 0x541c, 0x1000_0011, 0x2000_0000, u64::MAX];
    let all = filter("all");
    for group in groups::GROUPS.iter().chain(systemd::SETS).filter(|group| !group.grants().is_empty()) {
        if groups::REFUSED.iter().any(|(name, _)| *name == group.name) {
            continue;
        }
        let narrow = filter(group.name);
        for call in group.grants().into_iter().map(|(call, _)| number(call)) {
            // What `all` does not grant at all, only the group's own reach does.
            let Some(wide @ AllowIf(..)) = all.calls.get(&call) else { continue };
            for a in words {
                for (b, c) in words.into_iter().flat_map(|b| words.map(|c| (b, c))) {
                    let arguments = [a, b, c, c, a, b];
                    let wide = verdict_on(&all, Some(wide), arguments);
                    let narrow = verdict_on(&narrow, narrow.calls.get(&call), arguments);
                    assert!(narrow.is_some() || wide.is_none(), "{} {call} {arguments:x?}", group.name);
                }
            }
        }
    }
}

#[test]
fn in_words() {
    let cases = [
        ("", "3 calls: write, execve, exit_group"),
        ("default", "189 calls: default"),
        ("default resolve", "192 calls: default, resolve"),
        ("default tcp-client", "191 calls: default, tcp-client"),
        ("default network-client", "192 calls: default, network-client"),
        ("default network-client unix-client", "192 calls: default, network-client, unix-client"),
        ("default ioctl", "189 calls: default"),
        ("all", "321 calls: all"),
        ("all ptrace", "322 calls: all and ptrace"),
        ("io files getpid", "76 calls: io, files, getpid, execve, exit_group"),
        ("default mq_open mq_unlink chown", "195 calls: default, chown, mq_open, mq_unlink"),
        ("@setuid @memlock", "15 calls: write, execve, setuid, setgid and 11 more"),
    ];
    for (allow, expected) in cases {
        assert_eq!(describe(&filter(allow)), expected);
    }
    let denied = resolve(&syscalls("all", "@keyring sync chroot alarm", OnDeny::Errno)).unwrap();
    assert_eq!(describe(&denied), "319 calls: all but alarm, sync");
}

#[test]
fn a_narrowed_filter_has_no_way_to_memory_that_is_written_and_executed() {
    let read_implies_exec = 0x0040_0000;
    let eacces = Some(Denial::Errno(libc::EACCES));
    for (allow, name, arguments, plain, narrowed) in [
        ("default", "mmap", [0, 0, 7, 0, 0, 0], None, eacces),
        ("default", "mmap", [0, 0, 6, 0, 0, 0], None, eacces),
        ("default", "mmap", [0, 0, 5, 0, 0, 0], None, None),
        ("default", "mmap", [0, 0, 3, 0, 0, 0], None, None),
        ("default", "mprotect", [0, 0, 5, 0, 0, 0], None, eacces),
        ("default", "mprotect", [0, 0, 4, 0, 0, 0], None, eacces),
        ("default", "mprotect", [0, 0, 3, 0, 0, 0], None, None),
        ("default", "pkey_mprotect", [0, 0, 3, 0, 0, 0], EPERM, EPERM),
        ("all", "pkey_mprotect", [0, 0, 4, 0, 0, 0], None, eacces),
        ("all", "shmat", [0, 0, 0o100_000, 0, 0, 0], None, eacces),
        ("all", "shmat", [0, 0, 0, 0, 0, 0], None, None),
        ("all", "personality", [read_implies_exec, 0, 0, 0, 0, 0], None, eacces),
        ("all", "personality", [0xffff_ffff, 0, 0, 0, 0, 0], None, None),
        ("default", "personality", [0xffff_ffff, 0, 0, 0, 0, 0], None, None),
        ("default", "personality", [read_implies_exec, 0, 0, 0, 0, 0], EPERM, EPERM),
    ] {
        let mut filter = filter(allow);
        assert_eq!(answer(&filter, name, arguments), plain, "{name} under {allow}");
        deny_write_execute(&mut filter);
        assert_eq!(answer(&filter, name, arguments), narrowed, "{name} under {allow}, narrowed");
    }
}

#[test]
fn a_narrowed_filter_has_the_words_of_the_one_it_was() {
    for allow in ["default", "all", "default network-client jit", "memory mprotect personality"] {
        let mut narrowed = filter(allow);
        deny_write_execute(&mut narrowed);
        keep_death_signal(&mut narrowed);
        assert_eq!(describe(&narrowed), describe(&filter(allow)), "{allow}");
    }
}

#[test]
fn a_command_that_is_process_1_keeps_its_death_signal() {
    let set = |option: i32| [1 << 32 | option as u64, 0, 0, 0, 0, 0];
    for allow in ["default", "all", "prctl", "process trace"] {
        let mut filter = filter(allow);
        assert_eq!(answer(&filter, "prctl", set(libc::PR_SET_PDEATHSIG)), None, "{allow}");
        keep_death_signal(&mut filter);
        assert_eq!(answer(&filter, "prctl", set(libc::PR_SET_PDEATHSIG)), EPERM, "{allow}");
        assert_eq!(answer(&filter, "prctl", set(libc::PR_SET_NAME)), None, "{allow}");
    }
}
