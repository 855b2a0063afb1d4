// SPDX-License-Identifier: Apache-2.0
//! The chroot column, and which passwd(5) counts.

use super::at::{At, install};
use super::row::{Row, row};
use nix::mount::{MsFlags, mount};
use std::fs;

pub(super) fn rows() -> Vec<Row> {
    let chroot = |name: &str, proves| row(name, proves).alone().columns("unix - n y - 0").sees(furnish);
    let host = |name: &str, proves| row(name, proves).alone().sees(rename_root);
    vec![
        chroot("chroot_column", "chroot y: the command runs with the queue directory as its root, in / of it")
            .runs("user=guest argv=/pwd")
            .prints("/\n"),
        chroot("chroot_accounts", "User and group are looked up after the chroot: the passwd file is the chroot's")
            .runs("user=nobody argv=/pwd")
            .refused("unknown user name: nobody"),
        chroot("chroot_log", "Syslog is connected before")
            .runs("user=guest argv=/pwd --no-such-option")
            .sees(|at| drop(at.answer()))
            .says("warning: command /pwd exit status 1"),
        host("refuse_by_number_not_name", "An account with uid 0 under another name is root")
            .runs("user=toor argv=/bin/cat")
            .refused("request to deliver as root"),
        host("refuse_user_minus_one", "user must not have user ID -1")
            .runs("user=minus argv=/bin/cat")
            .refused("user must not have user ID -1"),
        host("refuse_group_minus_one", "user must not have group ID -1")
            .runs("user=minusgroup argv=/bin/cat")
            .refused("user must not have group ID -1"),
        host("accounts_of_the_host", "Accounts are looked up by name in passwd(5), when the first client is there")
            .runs("user=guest argv=/usr/bin/id -u")
            .prints("4242\n"),
    ]
}

const ACCOUNTS: &str = "toor:x:0:0::/:/bin/false\nguest:x:4242:4242::/:/bin/false\n\
    minus:x:4294967295:4242::/:/bin/false\nminusgroup:x:4243:4294967295::/:/bin/false\n";

/// What pwd(1) needs in the queue directory, and its accounts.
fn furnish(at: &At<'_>) {
    let queue = at.path("postfix/queue");
    for directory in ["etc", "lib64", "lib/x86_64-linux-gnu"] {
        fs::create_dir_all(queue.join(directory)).expect("the scene's directory can be written");
    }
    for (from, to) in [
        ("/bin/pwd", "pwd"),
        ("/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libc.so.6"),
    ] {
        install(from, &queue.join(to), "755");
    }
    for directory in ["etc", "lib64", "lib", "lib/x86_64-linux-gnu"] {
        crate::scene::stage::mode(&queue.join(directory), 0o755);
    }
    fs::write(queue.join("etc/passwd"), ACCOUNTS).expect("the scene's directory can be written");
    crate::scene::stage::mode(&queue.join("etc/passwd"), 0o644);
}

/// Two more accounts for the host, as far as this mail system sees it.
fn rename_root(at: &At<'_>) {
    let accounts = fs::read_to_string("/etc/passwd").expect("there are accounts");
    let file = at.room.file("passwd", &format!("{accounts}{ACCOUNTS}"));
    let target = std::path::Path::new("/etc/passwd");
    mount(Some(&file), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("root may mount in its namespace");
}
