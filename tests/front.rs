// SPDX-License-Identifier: Apache-2.0
//! The command line's own promises: exit statuses, admission, inetd, and a launcher that fails its service.

use crate::scene::{Server, host, outcome, patience, scene, stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// `spawnbox run` with one socket as standard input, output and error, as inetd gives it: its end and all that the
/// client got.
fn under_inetd(words: &[&str]) -> (ExitStatus, String) {
    under_inetd_as(&[&["run"], words].concat())
}

fn under_inetd_as(words: &[&str]) -> (ExitStatus, String) {
    let (mut client, server) = UnixStream::pair().expect("socket pairs can be made");
    let descriptor = || OwnedFd::from(server.try_clone().expect("a socket can be copied"));
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(words).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    if host::is_root() {
        command.arg("-scommand.user=nobody");
    }
    command.args(["--", "/bin/sh", "-c", "echo answer; echo complaint >&2; exec sleep 60"]);
    command.stdin(descriptor()).stdout(descriptor()).stderr(descriptor());
    let mut child = command.spawn().expect("the program is there");
    drop((command, server));
    client.set_read_timeout(Some(patience())).expect("a time-out can be set");
    let mut said = String::new();
    client.read_to_string(&mut said).expect("the connection is closed at the end");
    (outcome::wait(&mut child, patience(), "a run under inetd"), said)
}

#[test]
fn under_inetd_a_client_never_reads_our_own_words() {
    let (status, said) = under_inetd(&["-slimits.time=1s"]);
    assert_eq!((status.code(), said.as_str()), (Some(124), "answer\ncomplaint\n"));
    let (status, said) = under_inetd(&["-sno.such.key=1"]);
    assert_eq!((status.code(), said.as_str()), (Some(2), ""));
    let (status, said) = under_inetd(&["--no-such-option"]);
    assert_eq!((status.code(), said.as_str()), (Some(2), ""));
    let (status, said) = under_inetd_as(&["--color", "never", "run", "--no-such-option"]);
    assert_eq!((status.code(), said.as_str()), (Some(2), ""));
}

#[test]
fn run_says_by_its_status_what_kept_the_command_from_running() {
    let room = stage::room();
    let not_a_program = room.file("text", "no program\n");
    let shown = format!("files.execute=[\"{}\"]", room.whole().display());
    scene("strict").set(&shown).command(&not_a_program.display().to_string()).run().exits(126);
    scene("strict").set("limits.time=1s").shell("exec sleep 60").run().says("outcome=time-limit limit=1s").exits(124);
}

#[test]
fn each_status_of_run_that_its_help_and_its_manual_name_is_what_it_ends_with() {
    needs!(root);
    let room = stage::room();
    let program = |name: &str, text: &str| {
        let file = room.file(name, text);
        stage::mode(&file, 0o755);
        scene("strict")
            .set(&format!("files.execute=[\"{}\"]", room.whole().display()))
            .command(&file.display().to_string())
    };
    let shell = |script: &str| scene("strict").shell(script);
    for (status, scene, said) in [
        ("0", shell("exit 0"), ""),
        ("3", shell("exit 3"), ""),
        ("2", shell("exit 0").set("no.such=1"), "error: "),
        ("124", shell("exec sleep 60").set("limits.time=1s"), "outcome=time-limit"),
        ("125", shell("exit 0").failing("keyctl=EPERM"), "cannot join an empty session keyring"),
        ("126", program("text", "no program\n"), "outcome=setup-failed step=Exec"),
        ("127", program("script", "#!/no/such/interpreter\n"), "outcome=setup-failed step=Exec"),
        ("137", shell("kill -9 $$"), "outcome=signaled signal=SIGKILL"),
    ] {
        scene.run().says(said).exits(status.parse().expect("a number"));
    }
    let help = crate::scene::arguments(&["run", "--help"]).run().exits(0).stdout;
    let manual = crate::scene::arguments(&["man"]).run().exits(0).stdout;
    for (words, item) in [
        ("2 usage or policy", ".It 2\n"),
        ("124 time limit", ".It 124\n"),
        ("125 the\nsandbox could not be made", ".It 125\n"),
        ("126 the command could not be run", ".It 126\n"),
        ("127 it was not found", ".It 127\n"),
        ("128+N it died of signal N", ".It 128+"),
    ] {
        assert!(help.contains(words) && manual.contains(item), "{words}: {help}");
    }
}

#[test]
fn who_asks_for_nothing_or_for_what_there_is_not_is_told_what_there_is() {
    let arguments = |words: &[&str]| crate::scene::arguments(words).run();
    for group in ["Serve:\n  listen ", "Write policies:\n  explain ", "Look at this host:\n  doctor ", "Set up:\n"] {
        arguments(&[]).says(group).exits(2);
        arguments(&["--help"]).prints(group).exits(0);
        arguments(&["help"]).prints(group).exits(0);
    }
    arguments(&["lisen"]).says("a similar subcommand exists: 'listen'").says("try '--help'").exits(2);
    arguments(&["run", "--polcy", "x"]).says("a similar argument exists: '--policy'").exits(2);
    arguments(&["help", "run"]).prints("Example: spawnbox run --policy ./draft.toml").exits(0);
}

#[test]
fn a_signal_ends_what_run_started() {
    let mark = "front-mark-of-run";
    let mut command = Command::new(stage::program("spawnbox"));
    command.arg("run").current_dir("/").env_clear();
    if host::is_root() {
        command.arg("-scommand.user=nobody");
    }
    command.args(["--", "/bin/sh", "-c", &format!("echo ready; : {mark}; while :; do sleep 1; done")]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("the program is there");
    let mut ready = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("the command speaks");
    let watched = host::watch(&host::tree(child.id()));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("the child is ours");
    let status = outcome::wait(&mut child, patience(), "an interrupted run");
    assert_eq!(status.code(), Some(128 + Signal::SIGINT as i32));
    assert!(watched.end_within(crate::scene::soon()), "something outlived the run");
}

#[test]
fn a_full_service_lets_the_next_client_wait_and_costs_nothing_meanwhile() {
    let server = scene("strict").option("--max-sessions=2").shell("echo ready; read line").listen();
    let mut served = [server.connect(), server.connect()];
    served.iter_mut().for_each(|client| assert_eq!(client.line(), "ready"));
    let mut waiting = std::net::TcpStream::connect(server.address()).expect("the kernel's queue takes it");
    waiting.set_read_timeout(Some(Duration::from_millis(500))).expect("a time-out can be set");
    let before = host::ticks(server.pid());
    let silence = waiting.read(&mut [0]).expect_err("it is not served").kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    assert!(host::ticks(server.pid()) <= before + 2, "the supervisor is busy with a client that must wait");
    let [first, _second] = served;
    first.send(b"\n").rest();
    waiting.set_read_timeout(Some(patience())).expect("a time-out can be set");
    let mut ready = [0; 6];
    waiting.read_exact(&mut ready).expect("it is served now");
    waiting.write_all(b"\n").expect("its command reads");
}

fn launcher(server: &Server) -> Pid {
    let children = host::children(server.pid());
    assert_eq!(children.len(), 1, "one launcher and no session");
    Pid::from_raw(children[0] as i32)
}

#[test]
fn a_client_of_a_stopped_launcher_is_let_go_at_its_limit() {
    let server = scene("strict").set("limits.time=1s").shell("echo never").listen();
    kill(launcher(&server), Signal::SIGSTOP).expect("it is ours");
    let began = Instant::now();
    assert_eq!(server.connect().rest(), "");
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    // Before the launcher is given up, which lets go of everybody.
    assert!(!server.log().contains("making a new one"), "{waited:?}: {}", server.log());
}

#[test]
fn a_launcher_that_is_killed_takes_no_session_along() {
    let server = scene("strict").shell("echo ready; read line; echo \"$line\"").listen();
    let dead = launcher(&server);
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    // A launcher tells of a session, whose command may speak before, ahead of the next one.
    assert_eq!(server.connect().line(), "ready");
    kill(dead, Signal::SIGKILL).expect("it is ours");
    server.logs("the launcher is gone");
    let mut next = server.connect();
    assert_eq!(next.line(), "ready");
    assert_eq!(client.send(b"still here\n").rest(), "still here\n");
    let gone = || host::status_of(dead.as_raw() as u32, "State").is_none();
    host::eventually("the dead launcher is reaped", patience(), gone);
}

#[test]
fn a_supervisor_that_may_not_kill_ends_a_session_by_its_cord() {
    // As where CAP_KILL is missing: the command has another user than the supervisor.
    let limited = scene("strict").unprivileged().failing("pidfd_send_signal=EPERM").set("limits.time=1s");
    let server = limited.shell("echo ready; trap '' TERM HUP; while :; do :; done").listen();
    let mut client = server.connect();
    assert_eq!(client.line(), "ready");
    let session = host::watch(&host::tree(server.pid())[2..]);
    server.logs("outcome=time-limit");
    assert!(session.end_within(crate::scene::soon()), "the session lives on");
    assert_eq!(client.rest(), "");
    let (_, log) = server.stop();
    assert!(!log.contains("error"), "{log}");
}
