// SPDX-License-Identifier: Apache-2.0
//! What an operator sees of a running supervisor and orders it to do, and what those come to who ask too much, too
//! slowly, or have no right to.

use crate::scene::{Client, Outcome, Server, arguments, host, patience, stage};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A supervisor of a directory of services, with a control socket of its own.
struct Served {
    room: stage::Room,
    server: Option<Server>,
}

impl Served {
    /// Each service is a name and a script.
    fn new(services: &[(&str, &str)], control: &str) -> Served {
        let mut served = Served { room: stage::room(), server: None };
        let directory = served.room.directory("policies");
        for (name, script) in services {
            served.write(name, script);
        }
        let mut command = Command::new(stage::program("spawnbox"));
        command.args(["serve", "--control", &format!("{}{control}", served.control())]).arg(directory);
        command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        served.server = Some(Server::start_silent(command));
        served
    }

    fn write(&self, name: &str, script: &str) {
        let user = if host::is_root() { "user = \"nobody\"\n" } else { "" };
        let text = format!(
            "version = 1\nextends = [\"shell\"]\n[command]\n{user}argv = [\"/bin/sh\", \"-c\", \"{script}\"]\n\
             [listen]\naddresses = [\"{}\"]\n[limits]\ntime = \"600s\"\n",
            self.address(name)
        );
        self.room.file(&format!("policies/{name}.toml"), &text);
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it was started")
    }

    fn address(&self, name: &str) -> String {
        format!("unix:{}", self.room.path(&format!("{name}.sock")).display())
    }

    fn client(&self, name: &str) -> Client {
        Client::connect(&self.address(name))
    }

    fn control(&self) -> String {
        self.room.path("control").display().to_string()
    }

    /// One word of those that ask.
    fn ask(&self, words: &[&str]) -> Outcome {
        arguments(&[words, &["--control", &self.control()]].concat()).run()
    }

    fn status(&self) -> Value {
        let outcome = self.ask(&["status", "--json"]).exits(0);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"))
    }

    /// Until the status of the service of this name is so.
    fn awaits(&self, name: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        host::eventually(what, patience(), || {
            let status = self.status();
            let services = status["services"].as_array().expect("a list");
            found = services.iter().find(|service| service["service"] == name).cloned().unwrap_or_default();
            so(&found)
        });
        found
    }

    fn ready(services: &[(&str, &str)], control: &str) -> Served {
        let served = Served::new(services, control);
        for (name, _) in services {
            served.awaits(name, "the service is ready", |service| service["state"] == "ready");
        }
        served
    }

    /// A connection to the control socket itself.
    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(self.control()).expect("the supervisor listens");
        let limit = Some(patience());
        stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)).expect("a time-out can be set");
        stream
    }
}

/// Everything that comes until the end, however that comes.
fn rest(mut stream: UnixStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
        Err(error) => panic!("the connection is not closed: {error}"),
    }
    String::from_utf8_lossy(&text).into_owned()
}

const HELLO: (&str, &str) = ("hello", "echo hello");
const STAYS: (&str, &str) = ("stays", "echo ready; read line");

#[test]
fn status_says_what_is_served_and_who() {
    let served = Served::ready(&[HELLO, STAYS], "");
    assert_eq!(served.client("hello").rest(), "hello\n");
    let mut client = served.client("stays");
    assert_eq!(client.line(), "ready");
    let hello = served.awaits("hello", "the session is over", |service| service["outcomes"]["exited"] == 1);
    assert_eq!((hello["accepted"].as_u64(), hello["sessions"].as_u64()), (Some(1), Some(0)));
    assert_eq!(hello["addresses"], serde_json::json!([served.address("hello")]));
    assert!(hello["setup"]["count"].as_u64() >= Some(1), "{hello}");
    assert!(hello["handover"]["mean_s"].as_f64() > Some(0.0), "{hello}");
    // A command may speak before its launcher has told of it.
    host::eventually("it runs", patience(), || served.status()["sessions"][0]["state"] == "running");
    let status = served.status();
    assert_eq!(status["supervisor"]["state"], "serving");
    assert_eq!(status["supervisor"]["pid"].as_u64(), Some(u64::from(served.server().pid())));
    let sessions = status["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), 1, "{status}");
    assert_eq!((&sessions[0]["service"], &sessions[0]["state"]), (&"stays".into(), &"running".into()));
    assert!(sessions[0]["left_s"].as_f64().is_some_and(|left| left > 500.0 && left <= 600.0), "{status}");
    let pid = sessions[0]["pid"].as_u64().expect("it has a process");
    assert!(host::children(served.server().pid()).contains(&(pid as u32)), "{status}");
    let table = served.ask(&["status"]).exits(0);
    let table = table.prints("SERVICE").prints(&served.address("hello")).prints("CLIENT");
    assert!(!table.stdout.contains('\x1b'), "{table}");
    drop(client);
}

#[test]
fn what_is_not_served_is_told_with_its_reason() {
    let served = Served::ready(&[HELLO], "");
    served.room.file("policies/bad.toml", "version = 1\nlimits.tiem = 5\n");
    served.room.file("policies/hello.toml", "version = 1\nlimits.tiem = 5\n");
    served.server().signal(Signal::SIGHUP);
    let hello = served.awaits("hello", "it is told", |service| service["why"].is_string());
    assert_eq!(hello["state"], "ready", "{hello}");
    assert!(hello["why"].as_str().is_some_and(|why| why.contains("its file is wrong")), "{hello}");
    let bad = &served.status()["not_served"]["bad"];
    assert!(bad.as_str().is_some_and(|why| why.contains("spawnbox check")), "{bad}");
    served.ask(&["status"]).prints("bad").prints("refused").exits(0);
}

#[test]
fn counts_survive_a_reload_and_so_does_a_pause() {
    let served = Served::ready(&[HELLO], "");
    assert_eq!(served.client("hello").rest(), "hello\n");
    served.awaits("hello", "it is counted", |service| service["outcomes"]["exited"] == 1);
    served.ask(&["pause", "hello"]).exits(0);
    served.write("hello", "echo other");
    served.server().signal(Signal::SIGHUP);
    served.server().logs("hello: its new policy is in force");
    let hello = served.awaits("hello", "it is paused", |service| service["state"] == "paused");
    assert_eq!(hello["accepted"].as_u64(), Some(1), "{hello}");
    served.ask(&["resume", "hello"]).exits(0);
    assert_eq!(served.client("hello").rest(), "other\n");
}

#[test]
fn a_session_is_killed_by_its_number_and_the_log_says_by_whom() {
    let served = Served::ready(&[STAYS], "");
    let mut client = served.client("stays");
    assert_eq!(client.line(), "ready");
    let id = served.status()["sessions"][0]["session"].as_u64().expect("it has a number");
    served.ask(&["kill", &id.to_string()]).prints(&format!("stays: session={id} is ended")).exits(0);
    assert_eq!(client.rest(), "");
    let uid = nix::unistd::getuid();
    served.server().logs(&format!("stays: session={id} is ended: by uid={uid} pid="));
    served.server().logs("outcome=stopped");
    served.ask(&["kill", "999999"]).says("there is no session 999999").exits(1);
}

#[test]
fn a_paused_service_has_its_clients_wait() {
    let served = Served::ready(&[HELLO], "");
    served.ask(&["pause", "hello"]).prints("hello: paused; clients wait").exits(0);
    let waiting = served.client("hello");
    served.awaits("hello", "it is paused", |service| service["state"] == "paused" && service["accepted"] == 0);
    served.ask(&["resume", "hello"]).exits(0);
    assert_eq!(waiting.rest(), "hello\n");
    served.ask(&["pause", "nobody"]).says("no service of that name listens").exits(1);
    served.server().logs("hello: resumed: by uid=");
}

#[test]
fn draining_says_what_it_waits_for() {
    let served = Served::ready(&[STAYS], "");
    let mut client = served.client("stays");
    assert_eq!(client.line(), "ready");
    served.server().signal(Signal::SIGTERM);
    served.awaits("stays", "it drains", |service| service["state"] == "draining");
    served.ask(&["status"]).prints("draining: waits for sessions: 1").prints("stays").exits(0);
    assert_eq!(client.send(b"\n").rest(), "");
}

#[test]
fn a_watch_ends_with_its_reader() {
    let served = Served::ready(&[HELLO], "");
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["status", "--watch", "--json", "--control", &served.control()]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("it prints");
    let first: Value = serde_json::from_str(&line).expect("a line is one object");
    assert_eq!(first["services"][0]["service"], "hello");
    drop(stdout);
    assert!(host::ends_within(child.id(), patience()), "it goes on though nobody reads it");
    assert!(child.wait().expect("it is ours").success());
}

#[test]
fn who_is_not_there_is_told_in_words() {
    let room = stage::room();
    let control = room.path("control").display().to_string();
    arguments(&["status", "--control", &control]).run().says("there is no such socket").exits(1);
    drop(std::os::unix::net::UnixListener::bind(room.path("control")).expect("a socket"));
    arguments(&["status", "--control", &control]).run().says("nobody listens there any more").exits(1);
}

#[test]
fn a_socket_that_lives_is_refused_and_a_dead_one_replaced() {
    let served = Served::ready(&[HELLO], "");
    let control = served.control();
    let second = || arguments(&["listen", "127.0.0.1:0", "--control", &control, "--", "/bin/cat"]).run();
    second().says("another program listens there").exits(1);
    let Served { room, server } = served;
    drop(server.expect("it was started"));
    assert!(room.path("control").exists(), "it was killed");
    drop(std::os::unix::net::UnixListener::bind(room.path("hello2")).expect("a socket"));
    let server = arguments(&["listen", "--print-port", "127.0.0.1:0", "--control", &control, "--", "/bin/cat"])
        .listen_on("127.0.0.1:0");
    arguments(&["status", "--control", &control]).run().prints("cat").exits(0);
    assert!(server.stop().0.success());
    assert!(!room.path("control").exists());
}

#[test]
fn a_place_that_others_may_write_in_is_refused() {
    let room = stage::room();
    stage::mode(room.whole(), 0o777);
    let control = room.path("control").display().to_string();
    let start = |control: &str| arguments(&["listen", "127.0.0.1:0", "--control", control, "--", "/bin/cat"]).run();
    start(&control).says("can be written by others").exits(1);
    start(&format!("{control},mode=0666")).says("everybody could connect").exits(1);
    start("control").says("a path starts with `/`").exits(2);
}

#[test]
fn members_of_the_group_may_look_and_nobody_else() {
    needs!(root);
    let served = Served::ready(&[HELLO], ",mode=0660,group=65533");
    let as_other = |groups: &str, words: &[&str]| {
        let through = ["setpriv", "--reuid=65534", "--regid=65534", groups];
        arguments(&[words, &["--control", &served.control()]].concat()).through(&through).run()
    };
    let member = "--groups=65532,65533";
    as_other(member, &["status"]).prints("hello").exits(0);
    as_other(member, &["pause", "hello"]).says("only root and the supervisor's own user may do that").exits(1);
    as_other("--clear-groups", &["status"]).says("permission denied").exits(1);
    // Whatever lets somebody in by mistake, the kernel says who it is.
    stage::mode(&served.room.path("control"), 0o666);
    as_other("--clear-groups", &["status"]).says("user 65534 may not ask").exits(1);
    assert_eq!(served.awaits("hello", "it goes on", |_| true)["state"], "ready");
}

#[test]
fn members_of_the_group_who_ask_all_the_time_lock_nobody_out() {
    needs!(root);
    let served = Served::ready(&[HELLO], ",mode=0660,group=65533");
    // More of them than there are places, each of which was answered and may ask again.
    let script = format!(
        "use IO::Socket::UNIX; $| = 1; my @all; for (1 .. 40) {{ \
         my $s = IO::Socket::UNIX->new('{}') or die qq(no: $!); push @all, $s; \
         print $s qq({{\"version\":1,\"ask\":\"services\"}}\n); $s->flush; <$s> =~ /hello/ or die 'no answer'; }} \
         print qq(asked\n); <STDIN>;",
        served.control()
    );
    let member = ["--reuid=65534", "--regid=65534", "--groups=65533"];
    let mut command = Command::new("setpriv");
    command.args(member).args(["perl", "-e", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut many = command.spawn().expect("setpriv is there");
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(many.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("it prints");
    let one = [&["setpriv"][..], &member].concat();
    let look = arguments(&["status", "--control", &served.control()]).through(&one).run();
    let paused = served.ask(&["pause", "hello"]);
    drop(many.stdin.take());
    many.wait().expect("it is ours");
    assert_eq!(line, "asked\n");
    look.prints("hello").exits(0);
    paused.prints("hello: paused").exits(0);
}

#[test]
fn a_command_may_not_ask_though_its_user_is_the_server_s() {
    let room = stage::room();
    if host::is_root() {
        std::os::unix::fs::chown(room.whole(), Some(65534), Some(65534)).expect("it is root's to give");
    }
    let control = room.path("control").display().to_string();
    let script = format!(
        "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new('{control}') or die qq(no: $!); \
         print $s qq({{\"version\":1,\"ask\":\"services\"}}\\n); $s->flush; print scalar <$s>;"
    );
    let server = crate::scene::scene("compatible")
        .set("isolation.namespaces=[\"user\", \"mount\", \"pid\", \"uts\", \"cgroup\"]")
        .unprivileged()
        .option("--control")
        .option(&control)
        .perl(&script);
    let server = server.listen();
    let answer = server.connect().rest();
    assert!(answer.contains("a process in a PID namespace of its own may not ask"), "{answer}");
}

#[test]
fn a_connection_whose_maker_has_ended_is_nobody_s() {
    needs!(kernel 6, 5);
    let served = Served::ready(&[HELLO], "");
    // Nobody is accepted while the one that connects ends, and one that it has started holds its connection.
    served.server().signal(Signal::SIGSTOP);
    let script = format!(
        "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new('{}') or die qq(no: $!); \
         print $s qq({{\"version\":1,\"ask\":\"services\"}}\n); $s->flush; exit 0 if fork; print scalar <$s>;",
        served.control()
    );
    let mut maker = Command::new("perl").args(["-e", &script]).stdout(Stdio::piped()).spawn().expect("perl is there");
    // It is not waited for yet, so that its number is not free and /proc still knows it.
    let ended = host::ends_within(maker.id(), patience());
    served.server().signal(Signal::SIGCONT);
    let mut answer = String::new();
    maker.stdout.take().expect("a pipe").read_to_string(&mut answer).expect("it is text");
    maker.wait().expect("it is ours");
    assert!(ended && answer.contains("whoever connected has ended"), "{answer}");
}

#[test]
fn whoever_says_too_much_or_no_request_is_refused_in_words() {
    let served = Served::ready(&[HELLO], "");
    for (bytes, expected) in [
        (vec![b'x'; 10_000], "a request has at most 4096 bytes"),
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), "one request at a time"),
        (b"status\n".to_vec(), "a request is a JSON object"),
        (b"\xff\xfe\0\n".to_vec(), "a request is a JSON object"),
        (b"{\"version\":9,\"ask\":\"services\"}\n".to_vec(), "speaks version 1"),
        (b"{\"version\":1,\"ask\":\"kill\"}\n".to_vec(), "`kill` takes `session`"),
    ] {
        let mut stream = served.raw();
        // Where it is refused before it has said everything, the rest has no reader.
        let _ = stream.write_all(&bytes);
        let answer = rest(stream);
        assert!(answer.contains(expected) && answer.ends_with("}\n"), "{answer}");
    }
    assert_eq!(served.client("hello").rest(), "hello\n");
}

#[test]
fn whoever_is_slow_is_dropped_and_keeps_nobody_waiting() {
    let served = Served::ready(&[HELLO], "");
    let silent: Vec<UnixStream> = (0..200).map(|_| served.raw()).collect();
    let mut half = served.raw();
    let _ = half.write_all(b"{\"version\":1,");
    // The service goes on, and so do those who ask: who has said nothing for longest gives way, and is told.
    assert_eq!(served.client("hello").rest(), "hello\n");
    served.ask(&["status"]).prints("hello").exits(0);
    let mut answers: Vec<String> = silent.into_iter().map(rest).collect();
    answers.push(rest(half));
    let refused = answers.iter().filter(|answer| answer.contains("too many ask at once")).count();
    assert!((1..200).contains(&refused), "{refused}");
    assert!(answers.iter().all(|answer| answer.is_empty() || answer.contains("too many ask at once")), "{answers:?}");
    assert_eq!(served.awaits("hello", "it answers", |_| true)["accepted"].as_u64(), Some(1));
}

#[test]
fn whoever_never_reads_costs_no_time() {
    let served = Served::ready(&[HELLO, STAYS], "");
    let mut stream = served.raw();
    let waiting = |stream: &UnixStream| rustix::io::ioctl_fionread(stream).expect("it can be asked");
    // It asks until nothing more comes: its answers have filled every buffer. Before there is much, nothing means late.
    loop {
        let before = waiting(&stream);
        let bound = if before > 10_000 { Duration::from_millis(300) } else { patience() };
        stream.write_all(b"{\"version\":1,\"ask\":\"services\"}\n").expect("the supervisor reads");
        let asked = Instant::now();
        while waiting(&stream) == before && asked.elapsed() < bound {
            std::thread::sleep(Duration::from_millis(1));
        }
        if waiting(&stream) == before {
            break;
        }
    }
    assert!(waiting(&stream) > 10_000, "{}", waiting(&stream));
    // And says more, which nobody reads: a loop that heard of it again and again would never rest.
    let _ = stream.write_all(&[b'x'; 1000]);
    let pid = served.server().pid();
    let before = host::ticks(pid);
    std::thread::sleep(Duration::from_secs(1));
    let taken = host::ticks(pid) - before;
    assert!(taken <= 20, "{taken} ticks of a second without a client");
    assert_eq!(served.client("hello").rest(), "hello\n");
}

#[test]
fn status_is_answered_in_the_middle_of_a_flood() {
    let served = Served::ready(&[HELLO, STAYS], "");
    let address = served.address("hello");
    let flood = std::thread::spawn(move || {
        for _ in 0..20 {
            let clients: Vec<Client> = (0..10).map(|_| Client::connect(&address)).collect();
            assert!(clients.into_iter().all(|client| client.rest() == "hello\n"));
        }
    });
    let mut looks = 0;
    while !flood.is_finished() {
        assert_eq!(served.status()["supervisor"]["state"], "serving");
        looks += 1;
    }
    flood.join().expect("no client is lost");
    assert!(looks > 0);
    served.awaits("hello", "all are counted", |service| service["outcomes"]["exited"] == 200);
}

#[test]
fn many_sessions_come_in_pages() {
    let served = Served::ready(&[STAYS], "");
    let mut clients: Vec<Client> = (0..150).map(|_| served.client("stays")).collect();
    assert!(clients.iter_mut().all(|client| client.line() == "ready"));
    let status = served.status();
    let sessions = status["sessions"].as_array().expect("a list");
    let numbers: std::collections::BTreeSet<u64> = sessions.iter().filter_map(|it| it["session"].as_u64()).collect();
    assert_eq!((sessions.len(), numbers.len()), (150, 150));
    served.ask(&["status"]).prints("... and 50 more").exits(0);
    // A command may speak before its launcher has told of it.
    host::eventually("all of them are told to run", patience(), || {
        let all = served.ask(&["status", "--all"]).exits(0);
        all.stdout.lines().filter(|line| line.contains("running")).count() == 150
    });
}
