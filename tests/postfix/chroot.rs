// SPDX-License-Identifier: Apache-2.0
//! The chroot column: the sandbox is made from the queue directory, and nothing of the host is in it.

use super::instance::Postfix;
use super::private::in_private;
use crate::scene::Client;
use crate::scene::stage::{mode, room};
use std::fs;
use std::path::Path;

/// What cat(1) needs, an account, and a file that only a policy with the whole tree shows.
fn furnish(queue: &Path) {
    for directory in ["bin", "etc", "lib64", "lib", "lib/x86_64-linux-gnu", "tmp"] {
        fs::create_dir(queue.join(directory)).expect("the scene's directory can be written");
        mode(&queue.join(directory), 0o755);
    }
    for file in ["bin/cat", "lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"] {
        fs::copy(Path::new("/").join(file), queue.join(file)).expect("the host has cat(1)");
    }
    for (file, text) in [("etc/passwd", "guest:x:4242:4242::/:/bin/false\n"), ("marker", "marked\n"), ("tmp/old", "")] {
        fs::write(queue.join(file), text).expect("the scene's directory can be written");
        mode(&queue.join(file), 0o644);
    }
}

#[test]
fn in_the_chroot_column_the_queue_directory_is_all_there_is() {
    needs!(root);
    needs!(program "postfix");
    let room = room();
    in_private(&room.path(""), |log| {
        let entry = |name: &str, rest: &str| format!("{name} unix - n y - 0 spawnbox user=guest {rest}\n");
        let entries = [
            entry("whole", "argv=/bin/cat marker /tmp/old /proc/version"),
            entry("strict", "policy=strict argv=/bin/cat /marker"),
            entry("devices", "policy=strict argv=/bin/cat /dev/null /dev/sda"),
            entry("host", "argv=/usr/bin/perl"),
        ];
        let postfix = Postfix::start(&room, "", &entries.concat());
        furnish(&room.path("postfix/queue"));
        let said = |service: &str| Client::connect(&postfix.socket(service)).rest();
        let lacks = |file: &str| format!("/bin/cat: {file}: No such file or directory\n");
        assert_eq!(said("whole"), format!("marked\n{}{}", lacks("/tmp/old"), lacks("/proc/version")));
        assert_eq!(said("strict"), lacks("/marker"));
        assert_eq!(said("devices"), lacks("/dev/sda"));
        assert_eq!(said("host"), "");
        log.says("warning: command /usr/bin/perl: cannot execute the command /usr/bin/perl: No such file or directory");
        postfix.stop();
    });
}
