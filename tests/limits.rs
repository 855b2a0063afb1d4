// SPDX-License-Identifier: Apache-2.0
//! Each limit, reached: what the command meets, and which limit the log says it was.

use crate::isolation::unfiltered;
use crate::scene::stage::program;
use crate::scene::{Client, host, patience, scene};
use std::io::Write;

#[test]
fn the_time_limit_counts_from_the_connection_and_is_said() {
    let server = scene("strict").set("limits.time=\"1s\"").shell("echo ready; read line").listen();
    let since = std::time::Instant::now();
    // Which a slow machine does not start within a second.
    assert!("ready\n".starts_with(&server.connect().rest()));
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
fn a_session_whose_memory_ends_ends_as_a_whole() {
    needs!(root);
    needs!(controller "memory");
    // The shell is small: without the whole group it would see its child die and go on.
    let probe = program("probe").display().to_string();
    let found = scene("strict")
        .set("limits.memory=\"32M\"")
        .set(&format!("files.execute=[\"{probe}\"]"))
        .shell(&format!("{probe} memory 100000000; echo survived"))
        .run();
    assert_eq!(found.stdout, "", "{found}");
    found.says("limit=memory:32M").exits(128 + 9);
}

#[test]
fn a_session_is_limited_in_its_own_cgroup() {
    needs!(root);
    needs!(controller "memory");
    let server = scene("strict")
        .set("limits.memory=\"32M\"")
        .set("limits.tasks=5")
        .set("limits.cpu=50")
        .set("limits.service.memory=\"64M\"")
        .probe("say ready , line")
        .listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let probe = program("probe").display().to_string();
    let mut pids = host::tree(server.pid()).into_iter();
    let command = pids.find(|pid| host::command_line(*pid).starts_with(&probe)).expect("it has said something");
    let cgroup = host::cgroup_of(command).expect("version 2 is there");
    let read = |file: &str| std::fs::read_to_string(cgroup.join(file)).map(|text| text.trim().to_string());
    for (file, value) in [
        ("memory.max", "33554432"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "6"),
        ("cpu.max", "50000 100000"),
        ("../../memory.max", "67108864"),
        ("../../memory.swap.max", "0"),
        ("../../memory.oom.group", "0"),
    ] {
        match read(file) {
            Ok(found) => assert_eq!(found, value, "{file}"),
            // Without swap in the kernel there is none to limit.
            Err(error) => assert!(file.contains("swap"), "{file}: {error}"),
        }
    }
    // Linux 5.19, where swap can be compressed.
    assert!(read("memory.zswap.max").is_ok_and(|found| found == "0") || read("memory.zswap.max").is_err());
}

#[test]
fn a_share_of_the_processor_is_not_exceeded() {
    needs!(root);
    needs!(controller "cpu");
    let found = scene("strict").set("limits.cpu=10").set("limits.time=\"3s\"").probe("spin").run();
    let text = found.to_string();
    let used = text.split("cpu=").nth(1).and_then(|rest| rest.split('s').next()).and_then(|used| used.parse().ok());
    let used: f64 = used.unwrap_or_else(|| panic!("no cpu= in {text}"));
    assert!(used < 1.0, "{used} seconds of the processor in three: {text}");
}

#[test]
fn all_sessions_of_a_service_have_memory_together() {
    needs!(root);
    needs!(controller "memory");
    let scene = scene("strict").set("limits.service.memory=\"64M\"").probe("line , hold 40000000 , line");
    let server = scene.listen();
    let hold = || {
        let mut client = server.connect();
        writeln!(client, "go").expect("the command reads");
        client
    };
    let mut first = hold();
    assert_eq!([first.line(), first.line()], ["line: go", "hold 40000000: held"]);
    // Its pages are those too many, and the kernel chooses between the two; it may take both before it has counted
    // what the first one's death gave back.
    let second = hold();
    server.logs("limit=service.memory:64M");
    let left = [first.finish().rest(), second.finish().rest()];
    assert!(left.iter().filter(|said| said.contains("end of file")).count() < 2, "{left:?}");
    let mut again = hold();
    assert_eq!([again.line(), again.line()], ["line: go", "hold 40000000: held"]);
}

#[test]
fn all_sessions_of_a_service_have_tasks_together() {
    needs!(root);
    needs!(controller "pids");
    let server = scene("strict").set("limits.service.tasks=20").probe("fork 40 , line").listen();
    let made = |client: &mut Client| -> u32 {
        let line = client.line();
        let made = line.strip_prefix("fork 40: ").and_then(|rest| rest.strip_suffix(" made, then EAGAIN"));
        made.and_then(|made| made.parse().ok()).unwrap_or_else(|| panic!("{line}: {}", server.log()))
    };
    let mut first = server.connect();
    // Process 1 and the command itself are two.
    assert_eq!(made(&mut first), 18);
    drop(first);
    // Until it is over, its processes count.
    server.logs("session=1 ");
    let mut again = server.connect();
    assert_eq!(made(&mut again), 18);
}

#[test]
fn two_supervisors_of_a_service_share_its_limits_and_leave_no_cgroup() {
    needs!(root);
    needs!(controller "pids");
    let start = || scene("strict").set("limits.service.tasks=9").probe("fork 3 , line").listen();
    let (server, other) = (start(), start());
    let said = [server.connect().line(), other.connect().line()];
    assert_eq!(said, ["fork 3: 3 made", "fork 3: 2 made, then EAGAIN"], "five and four are nine");
    let services = || {
        let all = host::cgroups_below(&host::cgroup_root().expect("version 2 is there"));
        all.into_iter().filter(|path| path.to_string_lossy().contains("/spawnbox-service-probe-")).count()
    };
    assert!(services() > 0);
    server.stop();
    // Killed: what it leaves is the next one's to sweep.
    drop(other);
    start().stop();
    assert_eq!(services(), 0);
}

#[test]
fn a_limit_that_this_host_cannot_set_is_refused_in_words() {
    let refused = scene("strict").unprivileged().set("limits.memory=\"32M\"").command("/bin/true").run();
    refused.says("limits.memory").exits(2);
    let refused = scene("strict").unprivileged().set("limits.service.tasks=9").command("/bin/true").run();
    refused.says("limits.service.tasks").exits(2);
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

#[test]
fn what_the_kernel_counts_for_a_user_is_counted_for_the_session() {
    // One more than the session may have, and less than an ordinary user of the host: 128, see inotify(7).
    for scene in [unfiltered(), scene("strict").set("syscalls.allow=inotify_init1")] {
        let found = scene.probe("inotify 40").run();
        assert_eq!(found.answer("inotify 40"), "16 made", "{found}");
    }
}

#[test]
fn a_core_handler_that_is_a_pipe_is_not_started_or_explain_says_that_it_is() {
    // Root may raise it, unless a container withholds the right: then it is told as a layer that is off.
    let started = || scene("strict").through(&["prlimit", "--core=0:0"]);
    let found = started().probe("limits").run();
    let is = |value: &str| found.answer("limits").split(' ').any(|word| word == format!("core-size={value}"));
    assert!(is("0/0") || is("1/1"), "{found}");
    let page = started().command("/bin/true").explain(&[]);
    assert_eq!(is("0/0"), page.stdout.contains("core dumps"), "{found}\n{page}");
}
