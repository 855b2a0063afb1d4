// SPDX-License-Identifier: Apache-2.0
//! Each limit, reached: what the command meets, and which limit the log says it was.

use crate::scene::stage::program;
use crate::scene::{host, patience, scene};

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

#[test]
fn the_kernel_ends_sessions_before_their_supervisor_when_memory_ends() {
    let server = scene("strict").probe("line").listen();
    let _client = server.connect();
    let probe = program("probe").display().to_string();
    let is_there = || host::tree(server.pid()).into_iter().any(|pid| host::command_line(pid).starts_with(&probe));
    host::eventually("the command is there", patience(), is_there);
    let adjusted = |pid: u32| -> i32 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("the process lives");
        text.trim().parse().expect("a number")
    };
    let own = adjusted(std::process::id());
    assert_eq!(adjusted(server.pid()), own);
    for pid in host::tree(server.pid()).into_iter().filter(|pid| *pid != server.pid()) {
        assert_eq!(adjusted(pid), own.max(500), "{}", host::command_line(pid));
    }
}

#[test]
fn a_session_cannot_take_that_back() {
    // Only with CAP_SYS_RESOURCE, which no command has, and in strict there is no file for it.
    let found = scene("strict").set("files.proc=\"subset\"").probe("write /proc/self/oom_score_adj -1000").run();
    assert!(["EACCES", "EROFS", "EPERM"].contains(&found.answer("write /proc/self/oom_score_adj -1000")), "{found}");
}
