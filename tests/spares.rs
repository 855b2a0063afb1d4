// SPDX-License-Identifier: Apache-2.0
//! Sandboxes that wait for clients: a client gets one that is there, and gets one all the same where that one has died,
//! was stopped or is out of date; what waits is nobody's to reach, and leaves nothing.

use crate::scene::{Client, Scene, Server, a_second, host, patience, scene, soon, stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use std::time::{Duration, Instant};

/// A sandbox that waits, or serves: its reaper, and the process that is the command or will become it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sandbox {
    reaper: u32,
    command: u32,
}

/// All sandboxes of a server. Its launcher has no children.
fn sandboxes(server: &Server) -> Vec<Sandbox> {
    let firsts = host::children(server.pid()).into_iter();
    let mut all: Vec<Sandbox> = firsts
        .flat_map(|reaper| host::children(reaper).into_iter().map(move |command| Sandbox { reaper, command }))
        .collect();
    all.sort();
    all
}

/// Those that have nothing left to do before their client comes: the mask of signals is emptied in the last step
/// before, but for the filter.
fn waiting(server: &Server) -> Vec<Sandbox> {
    let program = stage::program("spawnbox").display().to_string();
    let is_ready = |sandbox: &Sandbox| {
        host::command_line(sandbox.command).starts_with(&program)
            && host::status_of(sandbox.command, "SigBlk").is_some_and(|mask| mask.chars().all(|c| c == '0'))
    };
    sandboxes(server).into_iter().filter(is_ready).collect()
}

/// Waits until so many wait.
fn await_spares(server: &Server, count: usize) -> Vec<Sandbox> {
    host::eventually("as many sandboxes wait as shall", patience(), || waiting(server).len() == count);
    waiting(server)
}

fn with_spares(count: usize) -> Scene {
    scene("strict").set(&format!("connection.spares={count}"))
}

/// A server whose command says `ready` and waits, once its spares do too.
fn serving(scene: Scene, count: usize) -> (Server, Vec<Sandbox>) {
    let server = scene.probe("say ready , line").listen();
    let spares = await_spares(&server, count);
    (server, spares)
}

fn served(server: &Server) -> Client {
    let mut client = server.connect();
    assert_eq!(client.line(), "ready", "{}", server.log());
    client
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("it lives");
}

/// Kills a process, and waits until it is dead.
fn end(pid: u32) {
    let watched = host::watch(&[pid]);
    signal(pid, Signal::SIGKILL);
    assert!(watched.end_within(patience()));
}

/// Stops a process, and waits until it is.
fn stop(pid: u32) {
    signal(pid, Signal::SIGSTOP);
    let stopped = || host::status_of(pid, "State").is_some_and(|state| state.starts_with('T'));
    host::eventually("it is stopped", patience(), stopped);
}

/// The process that runs the command.
fn commands(server: &Server) -> Vec<u32> {
    let probe = stage::program("probe").display().to_string();
    let all = sandboxes(server).into_iter().map(|sandbox| sandbox.command);
    all.filter(|pid| host::command_line(*pid).starts_with(&probe)).collect()
}

/// The seconds in a session's line.
fn time_of(line: &str) -> f64 {
    let (_, rest) = line.split_once(" time=").expect("a session's line has its time");
    rest.split_once('s').and_then(|(number, _)| number.parse().ok()).expect("seconds")
}

#[test]
fn a_client_gets_the_sandbox_that_waited_for_one() {
    let (server, spares) = serving(with_spares(1), 1);
    let client = served(&server);
    assert_eq!(commands(&server), [spares[0].command]);
    assert_eq!(client.finish().rest(), "line: end of file\n");
    let line = server.logs("outcome=exited status=0");
    assert!(line.contains(" session=1 ") && line.contains(" client=127.0.0.1:"), "{line}");
}

#[test]
fn what_waits_is_under_all_of_its_commands_filter_where_that_allows_to_take_a_connection() {
    let filters = |pid: u32| host::status_of(pid, "Seccomp_filters").and_then(|count| count.parse::<u32>().ok());
    for (scene, more) in [(with_spares(1), 0), (with_spares(1).set("syscalls.deny=[\"recvmsg\"]"), 1)] {
        let (server, spares) = serving(scene, 1);
        let client = served(&server);
        let pid = spares[0].command;
        assert_eq!(commands(&server), [pid]);
        let all = filters(pid).expect("Linux 5.9 or later counts them");
        let next = await_spares(&server, 1);
        let next = next.iter().find(|spare| spare.command != pid).expect("another waits").command;
        host::eventually("the next one waits under as many", patience(), || filters(next) == Some(all - more));
        assert_eq!(client.finish().rest(), "line: end of file\n");
    }
}

#[test]
fn another_takes_its_place_and_no_more_wait_than_shall() {
    let (server, spares) = serving(with_spares(2), 2);
    let clients = [served(&server), served(&server)];
    let (mut first, mut waited) = (commands(&server), spares.iter().map(|spare| spare.command).collect::<Vec<_>>());
    first.sort();
    waited.sort();
    assert_eq!(first, waited);
    let next = await_spares(&server, 2);
    assert!(next.iter().all(|spare| !spares.contains(spare)), "{spares:?} {next:?}");
    drop(clients);
}

#[test]
fn without_a_word_in_the_policy_nobody_waits() {
    let server = scene("strict").probe("say ready , line").listen();
    let client = served(&server);
    assert_eq!(sandboxes(&server).len(), 1);
    drop(client);
}

#[test]
fn a_client_finds_what_it_would_find_in_a_sandbox_made_for_it() {
    let (server, _spares) = {
        let server = with_spares(1).set("command.client-environment=true").probe("environment , line").listen();
        let spares = await_spares(&server, 1);
        (server, spares)
    };
    let client = server.connect();
    let text = client.finish().rest();
    assert!(text.contains("TCPREMOTEIP=127.0.0.1") && text.contains("PROTO=TCP"), "{text}");
}

#[test]
fn what_its_command_says_on_standard_error_is_in_the_log() {
    let server = with_spares(1).set("connection.stderr=log").shell("echo here is the error >&2").listen();
    await_spares(&server, 1);
    assert_eq!(server.connect().rest(), "");
    server.logs("here is the error");
    server.logs("outcome=exited status=0");
}

#[test]
fn each_that_waits_has_a_user_id_of_its_own() {
    needs!(root);
    let (server, spares) = serving(with_spares(2).users("61184-65519"), 2);
    let uid = |sandbox: &Sandbox| host::status_of(sandbox.command, "Uid").expect("it waits");
    assert_ne!(uid(&spares[0]), uid(&spares[1]));
    let own = uid(&spares[0]).split('\t').next().unwrap_or_default().to_string();
    served(&server).finish().rest();
    let line = server.logs("outcome=exited status=0");
    assert!(line.contains(&format!(" uid={own} ")), "{line} {own}");
}

#[test]
fn they_and_the_sessions_are_never_more_than_there_may_be_sessions() {
    let (server, _) = serving(with_spares(5).set("connection.concurrency=2"), 2);
    let first = served(&server);
    await_spares(&server, 1);
    let second = served(&server);
    assert_eq!(sandboxes(&server).len(), 2);
    let mut third = server.connect();
    drop(first);
    assert_eq!(third.line(), "ready", "its place was taken by what waits");
    drop(second);
}

#[test]
fn with_one_session_at_once_one_waits_between_two_clients() {
    let (server, mut spares) = serving(with_spares(1).set("connection.concurrency=1"), 1);
    for _ in 0..3 {
        let client = served(&server);
        assert_eq!(commands(&server), [spares[0].command]);
        assert_eq!(sandboxes(&server).len(), 1, "none is made beside the one session that there may be");
        client.finish().rest();
        spares = await_spares(&server, 1);
    }
}

/// A client comes to a server whose spares have met something, and is served.
fn is_served_after(what: impl Fn(&Sandbox), count: usize) -> (Server, Duration) {
    let (server, spares) = serving(with_spares(count), count);
    spares.iter().for_each(what);
    let start = Instant::now();
    let client = served(&server);
    let took = start.elapsed();
    assert!(!spares.iter().any(|spare| commands(&server).contains(&spare.command)));
    assert_eq!(client.finish().rest(), "line: end of file\n");
    (server, took)
}

#[test]
fn a_client_is_served_though_what_waited_for_it_is_killed() {
    let (server, _) = is_served_after(|spare| end(spare.command), 2);
    server.logs("lost a spare: outcome=");
    let (server, _) = is_served_after(|spare| end(spare.reaper), 2);
    server.logs("lost a spare: outcome=lost");
}

#[test]
fn a_client_is_served_soon_though_what_waits_for_it_is_stopped() {
    let (server, took) = is_served_after(|spare| stop(spare.command), 3);
    let seconds = a_second() * 3;
    assert!(took < seconds, "it took {took:?}");
    server.logs("lost a spare: outcome=lost");
    // The others were stopped too, and are let go: the next client waits for none of them.
    let start = Instant::now();
    served(&server).finish().rest();
    assert!(start.elapsed() < a_second(), "the next client waited {:?}", start.elapsed());
    // What is stopped does not stay.
    host::eventually("they are gone", patience(), || sandboxes(&server).is_empty());
}

#[test]
fn a_client_has_one_command_however_late_the_supervisor_hears_that_it_was_taken() {
    // On a busy machine it may have gone on before it is stopped.
    assert!((0..5).any(|_| is_stopped_in_time_and_hears_late()), "the supervisor was never stopped in time");
}

fn is_stopped_in_time_and_hears_late() -> bool {
    // More than it hears of at once.
    const MANY: usize = 70;
    let server = with_spares(MANY).set("connection.concurrency=200").probe("say once").listen();
    let spares = await_spares(&server, MANY);
    spares.iter().for_each(|spare| stop(spare.command));
    let (before, offered) = (host::descriptors(server.pid()), Instant::now());
    let mut clients: Vec<Client> = (0..MANY).map(|_| server.connect()).collect();
    host::eventually("all are accepted", patience(), || host::descriptors(server.pid()) >= before + MANY);
    signal(server.pid(), Signal::SIGSTOP);
    if offered.elapsed() > a_second() / 2 {
        return false;
    }
    spares.iter().for_each(|spare| signal(spare.command, Signal::SIGCONT));
    assert!(clients.iter_mut().all(|client| client.line() == "once"));
    // Longer than what has a client may take to say that it took it.
    host::eventually("the time is over", patience(), || offered.elapsed() > 2 * a_second());
    signal(server.pid(), Signal::SIGCONT);
    let rest: Vec<String> = clients.into_iter().map(Client::rest).collect();
    assert!(rest.iter().all(String::is_empty), "{rest:?}");
    true
}

#[test]
fn the_time_limit_counts_from_the_connection_however_long_the_sandbox_waited() {
    let limit = 2 * a_second();
    let limited = |scene: Scene| scene.set(&format!("limits.time=\"{}s\"", limit.as_secs()));
    let server = limited(with_spares(1)).probe("say ready , wait").listen();
    let spare = await_spares(&server, 1)[0];
    let start = Instant::now();
    host::eventually("longer than the limit", patience(), || start.elapsed() > limit + a_second() / 4);
    assert_eq!(waiting(&server), [spare]);
    let client = served(&server);
    let time = time_of(&server.logs("outcome=time-limit limit=2s"));
    assert!((limit.as_secs_f64()..(limit + a_second()).as_secs_f64()).contains(&time), "{time}");
    assert_eq!(client.rest(), "");
    // Nor does it begin again with the sandbox that takes over from one that was stopped.
    let spare = await_spares(&server, 1)[0];
    stop(spare.command);
    let client = served(&server);
    let time = time_of(&server.logs_times("outcome=time-limit limit=2s", 2)[1]);
    assert!((limit.as_secs_f64()..(limit + a_second()).as_secs_f64()).contains(&time), "{time}");
    assert_eq!(client.rest(), "");
}

#[test]
fn what_waits_ends_with_its_launcher_and_clients_are_served_by_the_next() {
    needs!(root);
    let (server, spares) = serving(with_spares(1), 1);
    let firsts = host::children(server.pid()).into_iter();
    let launcher: Vec<u32> = firsts.filter(|pid| *pid != spares[0].reaper).collect();
    assert_eq!(launcher.len(), 1);
    let watched = host::watch(&[spares[0].reaper, spares[0].command]);
    signal(launcher[0], Signal::SIGKILL);
    assert!(watched.end_within(patience()));
    served(&server);
    await_spares(&server, 1);
    assert!(!server.log().contains("lost a spare"), "{}", server.log());
}

#[test]
fn what_shows_a_file_that_was_replaced_is_let_go() {
    let room = stage::room();
    let file = room.file("resolv.conf", "before\n");
    let server = with_spares(1)
        .set(&format!("files.read=[{:?}]", file.display().to_string()))
        .shell(&format!("cat {}", file.display()))
        .listen();
    await_spares(&server, 1);
    std::fs::rename(room.file("resolv.conf.new", "after\n"), &file).unwrap();
    host::eventually("a session sees the new file", patience(), || server.connect().rest() == "after\n");
    await_spares(&server, 1);
    assert_eq!(server.connect().rest(), "after\n", "one that waited since before was kept");
}

#[test]
fn a_server_that_stops_leaves_none_and_tells_of_none() {
    let (server, spares) = serving(with_spares(3), 3);
    let watched = host::watch(&host::tree(server.pid()));
    let cgroup = host::cgroup_of(spares[0].command).filter(|path| path.display().to_string().contains("spawnbox"));
    let (status, log) = server.stop();
    assert!(status.success() && watched.end_within(soon()), "{log}");
    assert!(log.contains("draining: sessions left: 0") && !log.contains("session="), "{log}");
    assert!(cgroup.is_none_or(|path| !path.exists()));
}

#[test]
fn a_server_that_is_killed_takes_them_along() {
    let (server, spares) = serving(with_spares(2), 2);
    // Who is stopped does not read the end of its cord.
    stop(spares[0].command);
    let watched = host::watch(&host::tree(server.pid()));
    server.signal(Signal::SIGKILL);
    assert!(watched.end_within(soon()), "something outlived the supervisor");
}

#[test]
fn a_process_of_the_same_user_on_the_host_cannot_look_into_what_waits() {
    needs!(root);
    let (_server, spares) = serving(with_spares(1), 1);
    let Sandbox { reaper, command } = spares[0];
    assert!(host::status_of(command, "Uid").is_some_and(|uids| uids.starts_with("65534")));
    nobody_looks_into(&[command, reaper]);
    // Any other process of that user is open to its kind.
    let mut other = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "60"])
        .spawn()
        .expect("setpriv runs");
    let pid = other.id();
    host::eventually("it runs", patience(), || host::command_line(pid).starts_with("sleep"));
    let asked = format!("open /proc/{pid}/environ , open /proc/{pid}/maps , open /proc/{pid}/ns/mnt");
    let said = as_nobody(&stage::program("probe").display().to_string(), &asked);
    other.kill().and_then(|()| other.wait().map(drop)).expect("it is our own child");
    assert_eq!(said.lines().filter(|line| line.ends_with(": ok")).count(), 3, "{said}");
}

/// Whether a process of the user of these can do no more to them than to signal them.
pub(crate) fn nobody_looks_into(pids: &[u32]) {
    for pid in pids {
        assert!(host::status_of(*pid, "Uid").is_some_and(|uids| uids.starts_with("65534")));
        let questions = [
            (format!("kill {pid} 0"), ""),
            (format!("ptrace {pid}"), "EPERM"),
            (format!("open /proc/{pid}/mem"), "EACCES"),
            (format!("read /proc/{pid}/environ"), "EACCES"),
            (format!("read /proc/{pid}/maps"), "EACCES"),
            (format!("list /proc/{pid}/fd"), "EACCES"),
            (format!("list /proc/{pid}/root/"), "EACCES"),
            (format!("list /proc/{pid}/cwd/"), "EACCES"),
            (format!("open /proc/{pid}/ns/mnt"), "EACCES"),
            (format!("take-descriptor {pid} 3"), "EPERM"),
            (format!("read-memory {pid}"), "EPERM"),
        ];
        let asked: Vec<&str> = questions.iter().map(|(question, _)| question.as_str()).collect();
        let script = asked.join(" , ");
        let said = as_nobody(&stage::program("probe").display().to_string(), &script);
        for (question, answer) in &questions {
            let expected = format!("{question}: {}", if answer.is_empty() { "ok" } else { answer });
            assert!(said.lines().any(|line| line == expected), "not {expected:?} in\n{said}");
        }
    }
}

fn as_nobody(program: &str, script: &str) -> String {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", program])
        .args(script.split(' '))
        .output()
        .expect("setpriv runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
