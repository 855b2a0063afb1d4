// SPDX-License-Identifier: Apache-2.0
//! Many sessions that do nothing, with few descriptors: what each takes of the supervisor, and how fast that answers.
//! `SPAWNBOX_IDLE=10000` says how many, and has the times held to what is promised; 60 by default.

use crate::scene::{Client, Server, arguments, host, patience, scene, stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Descriptors that the supervisor may have.
const DESCRIPTORS: u64 = 20_000;
/// What it may take for 10,000 sessions, in KiB, and what it has without any.
const MEMORY_KIB: u64 = 40 * 1024;
const BASE_KIB: u64 = 8 * 1024;
/// How long it may take to answer.
const PROMISED: Duration = Duration::from_millis(50);
/// How long all of them may take to end, which the kernel does one after the other.
const ENDING: Duration = Duration::from_secs(600);
/// Between two looks while they do.
const BETWEEN: Duration = Duration::from_millis(20);
/// How often it is asked.
const ASKED: usize = 11;

/// A program without a C library, so that the memory of this machine is the supervisor's and the kernel's.
fn tiny(room: &stage::Room) -> String {
    let (program, source) = (room.path("line"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/line.c"));
    let options = ["-O2", "-static", "-nostdlib", "-fno-stack-protector", "-Wl,--build-id=none", "-o"];
    let built = std::process::Command::new("cc").args(options).arg(&program).arg(source).status();
    assert!(built.expect("cc is there").success(), "cannot build {source}");
    program.display().to_string()
}

/// How long this takes, at the median.
fn median(act: impl Fn()) -> Duration {
    let one = |_| {
        let begin = Instant::now();
        act();
        begin.elapsed()
    };
    middle((0..ASKED).map(one).collect())
}

fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// How long the supervisor takes to answer what `status` asks, without the start of a program.
fn look(control: &str) -> std::io::Result<Duration> {
    let begin = Instant::now();
    let mut stream = BufReader::new(UnixStream::connect(control)?);
    for what in ["services", "sessions"] {
        stream.get_mut().write_all(format!("{{\"version\":1,\"ask\":\"{what}\"}}\n").as_bytes())?;
        let mut answer = String::new();
        if stream.read_line(&mut answer)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        assert!(answer.contains(what) && answer.ends_with('\n'), "{answer}");
    }
    Ok(begin.elapsed())
}

/// Its own memory and page tables.
fn taken_kib(server: &Server) -> u64 {
    let tables = host::status_of(server.pid(), "VmPTE").expect("it lives");
    host::memory_kib(server.pid()) + tables.trim_end_matches(" kB").trim().parse::<u64>().expect("a number")
}

#[test]
fn idle_sessions_take_little_of_the_supervisor_which_answers_as_before() {
    needs!(root);
    needs!(program "cc");
    let told: Option<u64> = std::env::var("SPAWNBOX_IDLE").ok().map(|text| text.parse().expect("a number"));
    let count = told.unwrap_or(60);
    let room = stage::room();
    let (program, control) = (tiny(&room), room.path("control").display().to_string());
    let server = scene("strict")
        .through(&["prlimit", &format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}")])
        .option(&format!("--max-sessions={}", count + 1))
        .option(&format!("--control={control}"))
        .set(&format!("files.execute=[\"{program}\"]"))
        .set("limits.time=\"3600s\"")
        .argv(&[&program, "stay"])
        .listen();
    let enter = || {
        let mut client = server.connect();
        assert_eq!(client.line(), "ok", "{}", server.log());
        client
    };
    drop(enter());
    host::eventually("the first session has ended", patience(), || host::tree(server.pid()).len() == 2);
    let (descriptors, base, begin) = (host::descriptors(server.pid()), taken_kib(&server), Instant::now());
    let mut clients: Vec<Client> = (0..count).map(|_| enter()).collect();
    let opened = begin.elapsed();
    let taken = || host::descriptors(server.pid()).saturating_sub(descriptors);
    // The last one's command may speak before its launcher has told of it, and until then it has more.
    host::eventually("each has two descriptors at most", patience(), || taken() <= 2 * count as usize);
    let each = taken() as f64 / count as f64;
    let memory = taken_kib(&server);
    let ask = |words: &[&str]| arguments(&[words, &["--control", &control]].concat()).run();
    let text = median(|| drop(ask(&["status"]).exits(0)));
    let json = median(|| drop(ask(&["status", "--json"]).exits(0)));
    let newcomer = median(|| drop(enter()));
    println!(
        "{count} idle sessions, opened in {opened:?}: descriptors {each:.2} each, supervisor {memory} KiB ({base} without \
         them), status {text:?}, all of it as JSON {json:?}, a new client {newcomer:?}"
    );
    assert!(memory <= BASE_KIB + count * (MEMORY_KIB - BASE_KIB) / 10_000, "{memory} KiB for {count} sessions");
    let asked = (0..ASKED).map(|_| look(&control).expect("it answers")).collect();
    let answered = middle(asked);
    println!("the supervisor alone answers in {answered:?}");

    let shown = || ask(&["status"]).exits(0).stdout.lines().next().expect("a line").to_string();
    let (half, begin) = (count as usize / 2, Instant::now());
    server.signal(Signal::SIGTERM);
    drop(clients.split_off(half));
    host::eventually("half of them have left", ENDING, || shown().ends_with(&format!("waits for sessions: {half}")));
    let left = begin.elapsed();
    let begin = Instant::now();
    server.signal(Signal::SIGTERM);
    let mut looks = Vec::new();
    while let Ok(took) = look(&control) {
        looks.push(took);
        assert!(begin.elapsed() < ENDING, "{}", shown());
        std::thread::sleep(BETWEEN);
    }
    let (status, log) = server.end();
    let (ended, longest) = (begin.elapsed(), looks.iter().max().copied().unwrap_or_default());
    let meanwhile = if looks.is_empty() { Duration::ZERO } else { middle(looks) };
    println!(
        "{half} of them left in {left:?} while it drained; the others were ended in {ended:?}, while it answered in \
         {meanwhile:?}, {longest:?} at the longest"
    );
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains("cannot end session"), "{log}");
    assert_eq!(log.matches("outcome=stopped").count(), half);
    drop(clients);
    // Its launcher, which has the command's words too, ends by itself once nobody can ask it.
    host::eventually("no command is left", patience(), || host::processes(&program).is_empty());
    assert!(told.is_none() || answered.max(meanwhile) <= PROMISED, "answered after {answered:?} and {meanwhile:?}");
}

/// The process of the session that has just begun.
fn reaper_of(server: &Server, before: &[u32]) -> u32 {
    let new = || host::children(server.pid()).into_iter().find(|&pid| !before.contains(&pid) && host::is_inside(pid));
    host::eventually("its process is there", patience(), || new().is_some());
    new().expect("it is there")
}

#[test]
fn sessions_that_have_few_descriptors_end_as_all_others_do() {
    needs!(root);
    let control = stage::room();
    let path = control.path("control").display().to_string();
    let script = "echo ready; read what; case $what in fail) exit 3;; esac";
    let server = scene("strict")
        .through(&["prlimit", "--nofile=300:300"])
        .option(&format!("--control={path}"))
        .shell(script)
        .listen();
    let before = host::descriptors(server.pid());
    let enter = || {
        let known = host::children(server.pid());
        let mut client = server.connect();
        assert_eq!(client.line(), "ready");
        (client, reaper_of(&server, &known))
    };
    // The last ones have a descriptor less, at least the five that are looked at.
    let mut all: Vec<(Client, u32)> = (0..30).map(|_| enter()).collect();
    let taken = || host::descriptors(server.pid()) - before;
    host::eventually("they have fewer", patience(), || taken() <= 2 * all.len() - 5);
    let (failing, _) = all.pop().expect("there are more");
    assert_eq!(failing.send(b"fail\n").rest(), "");
    server.logs("outcome=exited status=3");
    let (ending, _) = all.pop().expect("there are more");
    drop(ending);
    server.logs("outcome=exited status=0");
    let (lost, reaper) = all.pop().expect("there are more");
    kill(Pid::from_raw(reaper as i32), Signal::SIGKILL).expect("it is there");
    assert_eq!(lost.rest(), "");
    server.logs("outcome=lost");
    let (stopped, _) = all.pop().expect("there are more");
    arguments(&["kill", "27", "--control", &path]).run().exits(0);
    assert_eq!(stopped.rest(), "");
    server.logs("outcome=stopped");
    let (held, reaper) = all.pop().expect("there are more");
    kill(Pid::from_raw(reaper as i32), Signal::SIGSTOP).expect("it is there");
    arguments(&["kill", "26", "--control", &path]).run().exits(0);
    assert_eq!(held.rest(), "");
    server.logs_times("outcome=stopped", 2);
    host::eventually("only others are left", patience(), || host::children(server.pid()).len() == all.len() + 1);
    drop(all);
    server.logs_times("client=", 30);
    host::eventually("its launcher alone is left", patience(), || host::tree(server.pid()).len() == 2);
    host::eventually("no descriptor is left", patience(), || host::descriptors(server.pid()) <= before);
    assert!(Path::new(&path).exists() && server.stop().0.success());
}
