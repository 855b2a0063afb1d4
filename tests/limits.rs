// SPDX-License-Identifier: Apache-2.0
//! Each limit, reached: what the command meets, and which limit the log says it was.

use crate::scene::scene;

#[test]
fn the_time_limit_counts_from_the_connection_and_is_said() {
    let server = scene("strict").set("limits.time=\"1s\"").shell("echo ready; read line").listen();
    let since = std::time::Instant::now();
    assert_eq!(server.connect().rest(), "ready\n");
    let took = since.elapsed();
    assert!(took >= std::time::Duration::from_millis(990), "ended after {took:?}");
    server.logs("outcome=time-limit");
}

#[test]
fn processor_time_ends_a_command_that_spins() {
    scene("strict")
        .set("limits.processor-time=\"1s\"")
        .probe("spin")
        .run()
        .says("limit=processor-time:1s")
        .exits(128 + 24);
}

#[test]
fn a_file_may_not_grow_past_its_limit() {
    scene("strict")
        .set("limits.file-size=\"4K\"")
        .probe("fill /tmp/file 4096 , fill /tmp/more 8192")
        .run()
        .exits(128 + 25);
}

#[test]
fn open_files_are_limited() {
    let script =
        "exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null 9</dev/null; echo opened";
    let found = scene("strict").set("limits.open-files=8").shell(script).run();
    assert_eq!(found.stdout, "", "{found}");
    found.says("Too many open files");
}

#[test]
fn tasks_are_limited_for_an_ordinary_user_too() {
    let found = scene("strict").unprivileged().set("limits.tasks=10").probe("fork 40").run();
    assert!(found.answer("fork 40").ends_with("then EAGAIN"), "{found}");
}

#[test]
fn address_space_is_limited() {
    scene("strict").set("limits.address-space=\"64M\"").probe("memory 100000000").run().exits(128 + 6);
}

#[test]
fn memory_is_limited_for_the_whole_session() {
    needs!(root);
    needs!(controller "memory");
    let scene = scene("strict").set("limits.memory=\"32M\"").set("limits.address-space=\"1G\"");
    scene.probe("memory 100000000").run().says("limit=memory:32M").exits(128 + 9);
}

#[test]
fn tasks_are_limited_for_the_whole_session() {
    needs!(root);
    needs!(controller "pids");
    let scene = scene("strict")
        .set("limits.tasks=10")
        .set("isolation.namespaces=[\"mount\",\"pid\",\"network\",\"ipc\",\"uts\",\"cgroup\"]");
    let found = scene.probe("fork 40").run();
    assert!(found.answer("fork 40").ends_with("then EAGAIN"), "{found}");
}

#[test]
fn a_limit_that_this_host_cannot_set_is_refused_in_words() {
    let refused = scene("strict").unprivileged().set("limits.memory=\"32M\"").command("/bin/true").run();
    refused.says("limits.memory").exits(2);
}
