// SPDX-License-Identifier: Apache-2.0
//! Observing the machine that runs the tests.

use super::*;
use crate::host::facts::{Cgroup, Namespace, PathFact};
use crate::host::met;
use crate::sys::credentials;

#[test]
fn a_release_without_numbers_is_refused_in_words() {
    for release in ["", "six", "6", "6-rc1", "6-1", "v6.1", "6.x", ".1", "99999999999.1"] {
        let expected =
            format!("cannot tell how old this kernel is: its release, {release}, does not begin with two numbers");
        assert_eq!(parse_release(release).unwrap_err().to_string(), expected);
    }
    let cases = [("6.1.0-28-amd64", 6, 1), ("6.18.44-fc-v595", 6, 18), ("5.15", 5, 15), ("7.0-rc1", 7, 0)];
    for (release, major, minor) in cases {
        assert_eq!(parse_release(release), Ok(Kernel { major, minor, release: release.to_string() }));
    }
}

/// Observes on a thread of its own after `restrict`, which changes that thread alone.
fn after(restrict: impl FnOnce() + Send + 'static) -> Facts {
    let observe = move || {
        restrict();
        Machine::observe().unwrap().0
    };
    std::thread::spawn(observe).join().unwrap()
}

/// Answers one call with `action` from now on, in this thread and its children.
fn answer(call: libc::c_long, action: u32) {
    let code = |code: u32| code as u16;
    let number = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let (load, equal) = (code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), code(libc::BPF_JMP | libc::BPF_JEQ));
    let step = |code, k, jf| libc::sock_filter { code, jt: 0, jf, k };
    let end = code(libc::BPF_RET);
    let program = [
        step(load, number, 0),
        step(equal, call as u32, 1),
        step(end, action, 0),
        step(end, libc::SECCOMP_RET_ALLOW, 0),
    ];
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0).unwrap();
    lock::install_filter(&program).unwrap();
}

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Whether a session can have everything here, so that a refusal is the test's own doing.
fn capable() -> bool {
    let facts = Machine::observe().unwrap().0;
    let namespaces = facts.namespaces.values().all(|trial| *trial == Trial::Works);
    let able = namespaces && facts.landlock_abi > 0 && facts.seccomp == Trial::Works && facts.clone3 == Trial::Works;
    met("namespaces", able)
}

#[test]
fn a_filter_that_kills_is_told_apart_from_one_that_refuses() {
    if !capable() {
        return;
    }
    let killed = after(|| answer(libc::SYS_move_mount, KILL));
    assert_eq!(killed.namespaces[&Namespace::Mount], Trial::Killed);
    assert_eq!(killed.namespaces[&Namespace::Pid], Trial::Works);
    assert_eq!(killed.namespaces[&Namespace::User], Trial::Works);
    let refused = after(|| answer(libc::SYS_unshare, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    assert_eq!(refused.namespaces[&Namespace::User], Trial::Refused(libc::EPERM));
    assert_eq!(after(|| answer(libc::SYS_seccomp, KILL)).seccomp, Trial::Killed);
    assert_eq!(after(|| answer(libc::SYS_landlock_restrict_self, KILL)).landlock_abi, 0);
}

#[test]
fn a_host_without_clone3_is_told_so() {
    if !capable() {
        return;
    }
    let facts = after(|| answer(libc::SYS_clone3, ABSENT));
    assert_eq!(facts.clone3, Trial::Refused(libc::ENOSYS));
    // clone(2) is there still.
    assert_eq!(facts.namespaces[&Namespace::Network], Trial::Works);
}

#[test]
fn an_ordinary_user_has_the_namespaces_inside_its_own() {
    if !met("root", nix::unistd::geteuid().is_root()) || !capable() {
        return;
    }
    let facts = after(|| {
        credentials::set_only_group(1234).unwrap();
        credentials::set_gid(1234).unwrap();
        credentials::set_uid(1234, 1234).unwrap();
        // The change of ids made the maps root's.
        process::control(libc::PR_SET_DUMPABLE, 1, 0).unwrap();
    });
    assert_eq!((facts.uid, facts.gid, facts.rootless()), (1234, 1234, true));
    for (namespace, trial) in &facts.namespaces {
        assert_eq!(*trial, Trial::Works, "{}", namespace.name());
    }
    // The file is root's, and root is not in the user namespace.
    assert_ne!(facts.memfd_noexec, Trial::Works);
    assert!(matches!(facts.cgroup, Cgroup::Unavailable(_)));
}

#[test]
fn a_service_has_its_own_accounts_and_paths() {
    let machine = Machine::observe().unwrap();
    let paths = [PathBuf::from("/"), PathBuf::from("/no/such")];
    let names = Names { users: vec!["root".into()], groups: vec!["no-such-group".into()], ..Names::default() };
    let facts = machine.facts(&names, &paths).unwrap();
    assert!(facts.accounts.users["root"].is_some());
    assert_eq!(facts.accounts.groups["no-such-group"], None);
    assert_eq!(facts.accounts.users[&facts.uid.to_string()].as_ref().map(|own| own.uid), Some(facts.uid));
    assert!(facts.accounts.users.contains_key(NOBODY));
    assert_eq!(facts.paths[&paths[1]], PathFact::Missing);
    assert_eq!(facts.paths.len(), 2);
}
