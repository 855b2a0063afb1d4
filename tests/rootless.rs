// SPDX-License-Identifier: Apache-2.0
//! An ordinary user's sandbox: what it has all the same, and what is refused in words.

use crate::isolation::unfiltered;
use crate::scene::{host, scene};

#[test]
fn an_ordinary_users_command_has_its_own_identity_and_no_rights() {
    let found =
        scene("strict").unprivileged().probe("ids , capabilities , bounding , no-new-privs , descriptors , pid").run();
    let uid = if host::is_root() { crate::scene::NOBODY } else { nix::unistd::getuid().as_raw() };
    assert!(found.answer("ids").starts_with(&format!("uid {uid} {uid} {uid} ")), "{found}");
    assert_eq!(found.answer("capabilities"), "none");
    assert_eq!(found.answer("bounding"), "none");
    assert_eq!(found.answer("no-new-privs"), "1");
    assert_eq!(found.answer("descriptors"), "0 1 2");
    assert_eq!(found.answer("pid"), "2 parent 1");
}

#[test]
fn an_ordinary_user_sees_neither_host_nor_network() {
    let found =
        scene("strict").unprivileged().probe("open /etc/shadow , open /etc/passwd , list /proc , interfaces").run();
    assert_eq!(found.answer("open /etc/shadow"), "ENOENT");
    assert_eq!(found.answer("open /etc/passwd"), "ENOENT");
    assert_eq!(found.answer("list /proc"), "ENOENT");
    // The filter gives no socket to ask with; without it, the namespace answers.
    assert_eq!(found.answer("interfaces"), "EPERM");
    assert_eq!(unfiltered().unprivileged().probe("interfaces").run().answer("interfaces"), "lo");
}

#[test]
fn an_ordinary_user_may_have_a_fresh_proc() {
    let shown = scene("strict").unprivileged().set("files.proc=\"subset\"").probe("list /proc").run();
    let names: Vec<&str> = shown.answer("list /proc").split(' ').collect();
    assert!(
        names.contains(&"1") && names.iter().all(|name| ["1", "2", "self", "thread-self"].contains(name)),
        "{shown}"
    );
}

#[test]
fn another_users_identity_is_refused() {
    scene("strict").unprivileged().set("command.user=\"daemon\"").command("/bin/true").run().says("daemon").exits(2);
}

#[test]
fn supplementary_groups_are_refused_or_named() {
    needs!(root);
    let groups = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=27"];
    let scene = || scene("strict").user("nobody").through(&groups);
    scene().command("/bin/true").explain(&[]).prints("27");
    scene()
        .set("files.root=host")
        .set("files.proc=full")
        .set("isolation.landlock=off")
        .command("/bin/true")
        .run()
        .says("supplementary groups 27")
        .exits(2);
}
