// SPDX-License-Identifier: Apache-2.0
//! `spawnbox trace`: whatever a sandbox denies is named once, with the errno that the command met and the line that
//! would allow it; what is named allows it. What the host has not either, or does not let this user use, is named
//! nowhere.

use crate::scene::stage::{mode, program, room};
use crate::scene::{Outcome, a_second, host, patience, scene};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn tracing(script: &str) -> Outcome {
    scene("strict").shell(script).trace()
}

/// The lines that name a denial of this.
fn named<'a>(outcome: &'a Outcome, words: &str) -> Vec<&'a str> {
    outcome.stderr.lines().filter(|line| line.contains(" denied ") && line.contains(words)).collect()
}

#[test]
fn a_file_that_is_not_in_the_root_is_named_with_the_line_that_shows_it() {
    let line = "spawnbox: denied call=openat path=\"/etc/hostname\" program=cat: No such file or directory; \
                to allow it: files.read = [\"/etc/hostname\"]\n";
    tracing("cat /etc/hostname").exits(1).says(line).says("cat: /etc/hostname: No such file or directory");
}

/// What one line denies is allowed by what is printed at the end.
fn is_allowed_by_what_it_lacks(base: &str, script: &str, line: &str) {
    let room = room();
    let policy = room.file("base.toml", &format!("version = 1\nextends = [\"strict\"]\n\n{base}"));
    let outcome = scene("default").policy_file(&policy).shell(script).trace();
    assert!(!outcome.status.success(), "{outcome}");
    let outcome = outcome.says(line);
    let (_, fragment) =
        outcome.stderr.split_once("a policy that also says this allows them:\n").expect("it lacks some");
    let text = format!("version = 1\nextends = [\"strict\"]\n\n{fragment}");
    let policy = room.file("more.toml", &text);
    let outcome = scene("default").policy_file(&policy).shell(script).trace();
    assert!(outcome.status.success(), "{outcome}\n{text}");
    assert_eq!(named(&outcome, line), Vec::<&str>::new(), "{outcome}");
}

#[test]
fn what_is_printed_at_the_end_allows_what_was_denied() {
    let room = room();
    let data = room.directory("data");
    mode(&data, 0o777);
    let script = room.file("data/script", "#!/bin/sh\necho ran\n");
    mode(&script, 0o755);
    let (data, script) = (data.display().to_string(), script.display().to_string());
    let read = format!("[files]\nread = [\"{data}\"]\n");
    for (base, command, line) in [
        ("", "cat /etc/hostname".to_string(), "files.read = [\"/etc/hostname\"]".to_string()),
        ("", format!("cd {data}"), format!("files.read = [\"{data}\"]")),
        (
            &read,
            format!("echo x >{data}/new"),
            format!("Read-only file system; to allow it: files.write = [\"{data}\"]"),
        ),
        (
            &read,
            format!("cd {data} && rm script"),
            format!("Read-only file system; to allow it: files.write = [\"{data}\"]"),
        ),
        (&read, script.clone(), format!("Permission denied; to allow it: files.execute = [\"{script}\"]")),
        ("", "ls /proc/self/fd".to_string(), "files.proc = \"subset\"".to_string()),
        ("", "echo x >/var/tmp/x".to_string(), "files.scratch = [{ path = \"/var/tmp\"".to_string()),
        ("", "perl -e 'chown($<, -1, \"/tmp\") or die $!'".to_string(), "syscalls.allow = [\"chown\"]".to_string()),
    ] {
        // It is written to by some rows, and the script is to be there for each.
        std::fs::write(&script, "#!/bin/sh\necho ran\n").unwrap();
        mode(Path::new(&script), 0o755);
        is_allowed_by_what_it_lacks(base, &command, &line);
    }
}

#[test]
fn an_interpreter_that_is_not_in_the_root_is_named_and_not_the_script_alone() {
    let room = room();
    let interpreter = room.path("interpreter");
    std::fs::copy("/bin/cat", &interpreter).unwrap();
    mode(&interpreter, 0o755);
    let script = room.file("script", &format!("#!{}\nprinted\n", interpreter.display()));
    mode(&script, 0o755);
    let shown = format!("files.execute=[\"/usr\",\"{}\"]", script.display());
    let outcome = scene("strict").set(&shown).shell(&script.display().to_string()).trace();
    let line = format!(
        "path=\"{}\" program=sh: No such file or directory; to allow it: files.execute = [\"{}\"]",
        script.display(),
        interpreter.display()
    );
    outcome.exits(127).says(&line);
}

#[test]
fn what_the_host_has_not_or_does_not_let_this_user_use_is_no_denial() {
    needs!(root);
    let outcome = tracing("cat /no/such; cat /etc/shadow; echo x >/usr/new; echo x >/tmp/own; cat /tmp/own").exits(0);
    for path in ["/no/such", "/etc/shadow", "/usr/new", "/tmp/own"] {
        assert_eq!(named(&outcome, path), Vec::<&str>::new(), "{outcome}");
    }
}

#[test]
fn each_spelling_of_a_path_is_named_once_and_counted_and_both_lack_one_grant() {
    let script = "cd /usr/bin; for i in 1 2 3; do cat ../../etc/hostname & done; wait; cat /etc/../etc/hostname";
    let outcome = tracing(script).says("files.read = [\"/etc/hostname\"]").says("3 times: call=openat");
    assert_eq!(named(&outcome, "hostname\" program=cat").len(), 2, "{outcome}");
}

#[test]
fn a_denied_call_is_answered_as_the_policy_says_and_named() {
    let chown = "perl -e 'chown 1, 1, \"/tmp\"; print $!+0'";
    tracing(chown).stdout("1").exits(0).says("denied call=chown path=\"/tmp\" program=perl: Operation not permitted; ");
    let scene = scene("strict").argv(&["/usr/bin/perl", "-e", "syscall(101, 0, 0, 0, 0); print 'alive'"]);
    let line = "denied call=ptrace program=perl: its process is killed; to allow it: syscalls.allow = [\"trace\"]";
    scene.trace().stdout("").exits(128 + 9).says(line);
}

#[test]
fn what_hands_the_listener_over_can_be_denied_like_all_else() {
    let scene = scene("strict").set("syscalls.deny=[\"sendmsg\",\"seccomp\"]");
    let script = "for (46, 317) { syscall($_, 0, 0, 0); print $!+0, ' ' }";
    scene.argv(&["/usr/bin/perl", "-e", script]).trace().stdout("1 1 ").exits(0);
}

#[test]
fn a_port_is_named_with_the_line_that_opens_it() {
    needs!(landlock 4);
    let connect = "use IO::Socket::INET; IO::Socket::INET->new('127.0.0.1:9') or die $!";
    let command = ["/usr/bin/perl", "-e", connect];
    let scene = scene("strict").set("syscalls.allow=[\"default\",\"network-client\"]");
    let host = scene
        .clone()
        .set("network.mode=host")
        .set("network.connect.ports=[10]")
        .set("network.udp.ports=\"any\"")
        .argv(&command)
        .trace();
    let line = "denied call=connect address=127.0.0.1 port=9 program=perl: Permission denied; \
                to allow it: network.connect.ports = [9]";
    assert!(host.says(line).stderr.contains("Permission denied at -e"));
    let line = "denied call=connect address=127.0.0.1 port=9 program=perl: there is no way to it; \
                to allow it: network.forward = [\"127.0.0.1:9\"]";
    scene.argv(&command).trace().says(line);
}

#[test]
fn what_a_shell_python_and_curl_are_denied_is_named_and_is_all_that_they_lack() {
    needs!(program "python3");
    needs!(program "curl");
    let rows: [(&str, &[&str], &str); 3] = [
        (
            "strict",
            &["/bin/bash", "-c", "read x </etc/hostname"],
            "denied call=openat path=\"/etc/hostname\" program=bash: No such file or directory; \
             to allow it: files.read = [\"/etc/hostname\"]\n",
        ),
        (
            "python3",
            &["/usr/bin/python3", "-c", "open('/etc/hostname')"],
            "denied call=openat path=\"/etc/hostname\" program=python3: No such file or directory; \
             to allow it: files.read = [\"/etc/hostname\"]\n",
        ),
        (
            "strict",
            &["/usr/bin/curl", "-sS", "http://127.0.0.1:9/"],
            "denied call=socket family=inet type=stream program=curl: Operation not permitted; \
             to allow it: syscalls.allow = [\"tcp-client\"]\n",
        ),
    ];
    for (policy, command, line) in rows {
        let outcome = scene(policy).argv(command).trace();
        assert!(!outcome.status.success(), "{outcome}");
        outcome.says(line);
    }
    let curl = scene("strict").set("syscalls.allow=[\"default\",\"tcp-client\"]").argv(rows[2].1).trace();
    curl.says(
        "denied call=connect address=127.0.0.1 port=9 program=curl: there is no way to it; \
               to allow it: network.forward = [\"127.0.0.1:9\"]\n",
    );
}

#[test]
fn permissive_makes_the_calls_that_the_filter_denies_and_says_so() {
    let script = "open(F, '>', '/tmp/x') or die; chown($<, -1, '/tmp/x') or die; print 'owned '; \
                  syscall(101, 0, 0, 0, 0); print 'alive '; -e '/etc/hostname' or print 'hidden'";
    let scene = scene("strict").argv(&["/usr/bin/perl", "-e", script]);
    let strict = scene.clone().trace().stdout("");
    assert!(!strict.status.success() && !strict.stderr.contains("would be"), "{strict}");
    let outcome = scene.option("--permissive").trace().stdout("owned alive hidden").exits(0);
    outcome
        .says("permissive: calls that the filter denies are made, so the command is held by less than its policy says")
        .says(
            "spawnbox: would be denied call=chown path=\"/tmp/x\" program=perl: Operation not permitted; \
             to allow it: syscalls.allow = [\"chown\"]\n",
        )
        .says("spawnbox: would be denied call=ptrace program=perl: its process is killed; ")
        .says("spawnbox: denied call=newfstatat path=\"/etc/hostname\" program=perl: No such file or directory; ")
        .says("allow = [\"chown\", \"trace\"]\n");
}

#[test]
fn permissive_is_of_trace_alone() {
    for words in [
        &["run", "--permissive", "--", "true"][..],
        &["listen", "--permissive", "127.0.0.1:0", "--", "true"],
        &["learn", "--permissive", "--out", "/no/such", "--", "true"],
    ] {
        crate::scene::arguments(words).run().says("unexpected argument '--permissive'").exits(2);
    }
    scene("strict").set("isolation.seccomp=permissive").shell("echo ran").run().stdout("").exits(2);
}

#[test]
fn no_file_that_is_there_is_written_over() {
    let room = room();
    let file = room.file("denied", "mine\n");
    let scene = scene("strict").option(&format!("--out={}", file.display())).shell("echo ran");
    scene.trace().stdout("").says("error: this file is there already").exits(2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
}

#[test]
fn an_ordinary_user_traces_too() {
    let scene = scene("strict").unprivileged().shell("cat /etc/hostname");
    scene.trace().exits(1).says("files.read = [\"/etc/hostname\"]");
}

#[test]
fn a_policy_for_the_hosts_files_is_traced_by_its_calls() {
    needs!(root);
    let script = "cat /etc/hostname >/dev/null; mount -t tmpfs x /mnt";
    let outcome = scene("compatible").shell(script).trace().exits(32).says("syscalls.allow = [\"mount\"]");
    assert_eq!(named(&outcome, "hostname"), Vec::<&str>::new(), "{outcome}");
}

#[test]
fn each_connection_is_traced_and_the_last_one_ends_it() {
    let server = scene("strict").shell("read x; cat /etc/hostname; echo $x").trace_connections(2);
    for word in ["one", "two"] {
        let said = server.connect().send(format!("{word}\n").as_bytes()).rest();
        assert!(said.ends_with(&format!("{word}\n")), "{said}");
    }
    // It has ended by itself: nobody is there for the signal.
    server.logs("a policy that also says this allows them:");
    let (status, log) = server.end();
    assert!(status.success(), "{log}");
    assert!(log.contains("2 times: call=openat path=\"/etc/hostname\"\n"), "{log}");
}

#[test]
fn for_programs_there_is_an_object_on_each_line() {
    let room = room();
    let file = room.path("denied.json");
    let scene = scene("strict").option("--json").option(&format!("--out={}", file.display()));
    let outcome = scene.shell("cat /etc/hostname").trace().exits(1);
    assert!(!outcome.stderr.contains("denied"), "{outcome}");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let hostname = lines.iter().find(|line| line["about"] == "/etc/hostname").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(
        (&hostname["errno"], &hostname["grants"][0]),
        (&"ENOENT".into(), &"files.read = [\"/etc/hostname\"]".into())
    );
    let last = lines.last().unwrap();
    assert_eq!(last["denials"], lines.len() - 1, "{text}");
}

#[test]
fn where_nobody_can_listen_that_is_said() {
    needs!(root);
    // SECCOMP_FILTER_FLAG_NEW_LISTENER, of which there can be one.
    let scene = scene("strict").failing("seccomp@1:8=EBUSY").shell("echo ran");
    scene.trace().stdout("").exits(125).says("cannot trace: a filter around spawnbox is listened to already");
    let any = ["connect", "bind", "udp"].map(|key| format!("network.{key}={{ports=\"any\"}}"));
    let off = any.iter().fold(self::scene("strict").set("isolation.seccomp=off"), |scene, any| scene.set(any));
    let off = off.shell("echo ran");
    off.trace().stdout("").exits(125).says("isolation.seccomp is off, and a command is heard by its filter");
}

#[test]
fn a_private_directory_that_is_full_is_named_with_twice_the_room() {
    let scene = scene("strict").set("files.scratch=[{path=\"/tmp\",size=\"64K\",inodes=8}]");
    let more = |size: &str, inodes: u32| {
        format!(
            "spawnbox: denied call=write path=\"/tmp\" program=perl: No space left on device; \
             to allow it: files.scratch = [{{ path = \"/tmp\", size = \"{size}\", inodes = {inodes} }}]\n"
        )
    };
    // write(2) is not heard of, but the end of its process is.
    let large = "open(my $f, '>', '/tmp/x'); syswrite($f, 'x' x 100_000) == 100_000 or exit 3";
    let many = "for (1..9) { open(my $f, '>', \"/tmp/$_\") or exit 4 } exit 0";
    for (script, status) in [(large, 3), (many, 4)] {
        let outcome = scene.clone().argv(&["/usr/bin/perl", "-e", script]).trace();
        outcome.exits(status).says(&more("128K", 16));
    }
    let whole = scene.argv(&["/usr/bin/perl", "-e", "open(my $f, '>', '/tmp/x'); print $f 'x'"]).trace().exits(0);
    assert_eq!(named(&whole, "No space left"), Vec::<&str>::new(), "{whole}");
}

/// A trace of a command that never ends, and which has begun.
fn endless(which: u32) -> Child {
    let mark = host::seconds(which);
    let script = format!("trap '' INT TERM; echo ready; (setsid sleep {mark} &); while :; do sleep {mark}; done");
    begun(&[], &script)
}

/// A trace with these options of a script that has said that it is ready.
fn begun(options: &[&str], script: &str) -> Child {
    let mut line = Command::new(program("spawnbox"));
    line.args(["trace"]).args(options);
    if host::is_root() {
        line.arg("-scommand.user=\"nobody\"");
    }
    let mut child = line
        .args(["--", "/bin/sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn nothing_is_left(which: u32) {
    let deadline = Instant::now() + patience();
    while !host::processes(&format!("sleep {}", host::seconds(which))).is_empty() {
        assert!(Instant::now() < deadline, "it lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_ends_it_and_what_was_denied_is_summed_up() {
    for (signal, status, which) in [(Signal::SIGINT, 130, 40), (Signal::SIGTERM, 143, 41)] {
        let child = endless(which);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let outcome = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(outcome.status.code(), Some(status), "{said}");
        assert!(said.contains("calls"), "{said}");
        nothing_is_left(which);
    }
}

/// Nobody answers a call of the command then, and the supervisor, which asks the tracer nothing, ends it in its time.
#[test]
fn a_session_ends_in_its_time_though_its_tracer_is_stopped_and_that_is_told() {
    // The tracer, which lives on, has the script among its own arguments.
    let script =
        format!("(setsid sleep ''{} &); echo ready; while :; do read x </etc/hostname; done", host::seconds(43));
    let limit = format!("{}s", 3 * a_second().as_secs());
    let mut child = begun(&[&format!("-slimits.time=\"{limit}\"")], &script);
    let tracer = Pid::from_raw(child.id() as i32);
    kill(tracer, Signal::SIGSTOP).unwrap();
    // The tracer has the other end too, so that what is read does not end with the supervisor.
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (say, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
    let line = loop {
        let line = lines.recv_timeout(patience()).expect("the supervisor tells of its end");
        if line.contains("outcome=") {
            break line;
        }
    };
    assert!(line.contains(&format!("outcome=time-limit limit={limit}")), "{line}");
    nothing_is_left(43);
    kill(tracer, Signal::SIGCONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(124), "{:?}", lines.iter().collect::<Vec<_>>());
}

#[test]
fn a_command_dies_with_who_traces() {
    let mut child = endless(42);
    child.kill().unwrap();
    child.wait().unwrap();
    nothing_is_left(42);
}
