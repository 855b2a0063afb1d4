// SPDX-License-Identifier: Apache-2.0
//! Where a command's standard error goes: to its client, to nobody, or into the log, in which it can do no harm and
//! keeps nobody waiting.

use crate::scene::{Scene, Server, host, scene, soon, stage};
use spawnbox::sys::socket::receive_descriptors;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Instant;

fn logged() -> Scene {
    scene("strict").set("connection.stderr=log")
}

/// What a session has said, as it stands in the log, behind its number.
fn said(server: &Server, session: u32) -> Vec<String> {
    let mark = format!(": session={session} stderr");
    let log = server.log();
    log.lines().filter_map(|line| line.split_once(&mark)).map(|(_, rest)| rest.to_string()).collect()
}

#[test]
fn a_client_gets_no_word_that_is_not_meant_for_it() {
    let words = "echo answer; echo complaint >&2";
    for (to, expected) in [("connection", "answer\ncomplaint\n"), ("none", "answer\n"), ("log", "answer\n")] {
        let server = scene("strict").set(&format!("connection.stderr={to}")).shell(words).listen();
        assert_eq!(server.connect().rest(), expected, "{to}");
        server.logs("outcome=exited");
        let lines = if to == "log" { vec![r#"="complaint""#] } else { vec![] };
        assert_eq!(said(&server, 1), lines, "{to}");
    }
}

#[test]
fn what_is_run_on_a_terminal_can_be_logged_too() {
    let run = |to: &str| scene("strict").set(&format!("connection.stderr={to}")).shell("echo a; echo b >&2").run();
    let none = run("none").stdout("a\n").exits(0);
    // Another test may have killed a supervisor whose control groups this start has removed.
    let of_the_session = none.stderr.lines().filter(|line| !line.contains("removed what killed supervisors had left"));
    assert_eq!(of_the_session.count(), 0, "{none}");
    run("log").stdout("a\n").says("session=1 stderr=\"b\"\n").exits(0);
}

#[test]
fn no_line_can_pass_for_one_of_ours() {
    let server = logged().shell(r#"printf 'x" outcome=exited\nspawnbox: fatal: \033[2Jforged\r\n\377\n' >&2"#).listen();
    server.connect().rest();
    server.logs("outcome=exited status=0");
    let expected = [r#"="x\" outcome=exited""#, r#"="spawnbox: fatal: \x1b[2Jforged\x0d""#, r#"="\xff""#];
    assert_eq!(said(&server, 1), expected);
    assert!(server.log().lines().all(|line| line.starts_with("spawnbox: ")), "{}", server.log());
}

#[test]
fn the_last_words_are_in_the_log_however_the_command_ends() {
    for (end, outcome) in [
        ("exit 3", "outcome=exited status=3"),
        ("kill -KILL $$", "outcome=signaled signal=SIGKILL"),
        ("exec sleep 60", "outcome=time-limit"),
    ] {
        let script = format!("i=0; while [ $i -lt 50 ]; do i=$((i + 1)); echo $i >&2; done; printf last >&2; {end}");
        let server = logged().set("limits.time=1s").shell(&script).listen();
        server.connect().rest();
        server.logs(outcome);
        let mut expected: Vec<String> = (1..=50).map(|number| format!("=\"{number}\"")).collect();
        expected.push("=\"last\"".to_string());
        assert_eq!(said(&server, 1), expected, "{end}");
        // The line of the session comes after them.
        assert!(server.log().lines().last().expect("it is there").contains(outcome), "{}", server.log());
    }
}

#[test]
fn what_the_children_of_a_command_say_is_heard_after_its_end() {
    let script = "exec 3<&0; (read line <&3; echo child said $line >&2) & echo left; exit 0";
    let server = logged().set("connection.ends=tree").shell(script).listen();
    let mut client = server.connect();
    client.line();
    client.send(b"go on\n").rest();
    server.logs("outcome=exited");
    assert_eq!(said(&server, 1), ["=\"child said go on\""]);
}

#[test]
fn a_command_that_says_too_much_is_neither_held_up_nor_does_it_hold_up_another() {
    // 8 MiB in short lines: a pipe that nobody reads holds 64 KiB.
    let flood = "yes complaint | head -c 8388608 >&2; echo done";
    let server = logged()
        .set("limits.tasks=8")
        .shell(&format!("read what; case $what in flood) {flood};; *) echo hello >&2; echo here;; esac"))
        .listen();
    let mut loud = server.connect().send(b"flood\n");
    let mut quiet = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(server.connect().send(b"\n").rest(), "here\n");
        quiet.push(began.elapsed());
    }
    assert!(quiet.iter().all(|time| *time < soon()), "{quiet:?}");
    assert_eq!(loud.line(), "done");
    loud.rest();
    server.logs_times("outcome=exited", 6);
    let lines = said(&server, 1);
    let shown = lines.iter().filter(|line| *line == "=\"complaint\"").count();
    let left_out: u64 =
        lines.iter().filter_map(|line| line.strip_prefix("-lines-left-out=")?.parse::<u64>().ok()).sum();
    assert!((100..2000).contains(&shown), "{shown} lines were shown");
    // The last line is cut by head, and has no end.
    assert!(lines.len() as u64 - shown as u64 >= 1 && shown as u64 + left_out >= 8_388_608 / 10, "{left_out} left out");
    for session in 2..=6 {
        assert_eq!(said(&server, session), ["=\"hello\""]);
    }
}

#[test]
fn a_reader_of_the_log_that_has_stopped_holds_nobody_up() {
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["listen", "127.0.0.1:0", "--print-port", "-sconnection.stderr=log"]);
    if host::is_root() {
        command.arg("-scommand.user=nobody");
    }
    command.args(["--", "/bin/sh", "-c", "yes $(printf %400d 0) | head -c 100000 >&2; echo done"]);
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is there");
    // Held and never read: what does not fit is lost.
    let unread = child.stderr.take();
    let mut port = String::new();
    let stdout = child.stdout.take().expect("standard output is a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port).expect("it says its port");
    let address = format!("127.0.0.1:{}", port.trim());
    // Each says 100 lines of 400 bytes: together more than the 64 KiB of the pipe.
    for _ in 0..5 {
        assert_eq!(crate::scene::Client::connect(&address).rest(), "done\n");
    }
    let _ = child.kill();
    let _ = child.wait();
    drop(unread);
}

#[test]
fn a_pipe_that_was_given_away_ends_with_its_session() {
    // A process elsewhere keeps the other end, and goes on writing: no session waits for it.
    needs!(program "python3");
    let room = stage::room();
    let path = room.path("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("the stage can be written");
    stage::mode(&path, 0o777);
    let server = scene("compatible")
        .set("connection.stderr=log")
        .argv(&["/usr/bin/python3", "-c", &format!(
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect({:?}); socket.send_fds(s, [b'x'], [2])",
            path.display().to_string()
        )])
        .listen();
    let client = server.connect();
    let (guest, _) = listener.accept().expect("the command connects");
    let (_, [pipe, ..]) = receive_descriptors(guest.as_fd(), &mut [0]).expect("it is sent");
    let pipe = pipe.expect("a descriptor came with it");
    assert_eq!(client.rest(), "");
    server.logs("outcome=exited status=0");
    assert_eq!(nix::unistd::write(&pipe, b"late\n"), Err(nix::errno::Errno::EPIPE));
}
