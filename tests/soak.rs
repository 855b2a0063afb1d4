// SPDX-License-Identifier: Apache-2.0
//! Many connections in a row leave nothing behind: no descriptor, process, cgroup or mount, and no growing memory.
//! `SPAWNBOX_SOAK` says how many; 500 by default.

mod idle;
mod fleet;
mod drought;
mod storm;

use crate::scene::left::Left;
use crate::scene::{Scene, Server, host, scene, stage};

/// Memory that may come and go with the buffers of an allocator: less than a byte a connection at 20,000 of them.
const SLACK_KIB: u64 = 16;

#[test]
fn many_connections_leave_nothing_behind() {
    soak(scene("strict"));
}

#[test]
fn many_connections_of_an_ordinary_user_leave_nothing_behind() {
    soak(scene("strict").unprivileged());
}

/// How many sessions cannot be made, one after the other.
const FAILING: usize = 1000;

#[test]
fn a_thousand_connections_that_fail_in_a_row_have_a_clear_line_each_and_turn_nothing_off() {
    let room = stage::room();
    let gone = room.directory("gone");
    let shown = format!("files.read=[\"{}\"]", room.whole().display());
    let inside = format!("command.directory={}", gone.display());
    let server = scene("strict").set(&shown).set(&inside).shell("echo hello").listen();
    let before = Left::of(&server).but_for_mounts();
    assert_eq!(server.connect().rest(), "hello\n");
    std::fs::remove_dir(&gone).expect("the stage can be changed");
    for _ in 0..FAILING {
        assert_eq!(server.connect().rest(), "");
    }
    let why = format!("cannot enter the working directory {}: No such file or directory", gone.display());
    let lines = server.logs_times(&why, FAILING);
    assert_eq!(lines.len(), FAILING);
    assert!(lines.iter().all(|line| line.contains(" client=") && line.contains(" outcome=setup-failed ")), "{lines:?}");
    before.settle(&server);
    assert_eq!(Left::of(&server).but_for_mounts(), before);
    room.directory("gone");
    assert_eq!(server.connect().rest(), "hello\n");
}

fn soak(scene: Scene) {
    let count = std::env::var("SPAWNBOX_SOAK").map_or(500, |text| text.parse().expect("SPAWNBOX_SOAK is a number"));
    let server = scene.shell("read line; echo \"$line\"").listen();
    let before = Left::of(&server).but_for_mounts();
    // The first ones fill buffers that are kept.
    serve(&server, 50);
    serve(&server, count / 2);
    let half = host::memory_kib(server.pid());
    serve(&server, count - count / 2);
    before.settle(&server);
    assert_eq!(Left::of(&server).but_for_mounts(), before);
    let grown = host::memory_kib(server.pid()).saturating_sub(half);
    assert!(grown <= SLACK_KIB, "the supervisor grew by {grown} KiB over the second half");
}

fn serve(server: &Server, count: usize) {
    for number in 0..count {
        assert_eq!(server.connect().send(format!("{number}\n").as_bytes()).rest(), format!("{number}\n"));
    }
}
