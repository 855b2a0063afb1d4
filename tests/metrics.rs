// SPDX-License-Identifier: Apache-2.0
//! The numbers of a running supervisor over HTTP: that a strict reader of the format takes them, that they say what
//! happened, and that no reader of them holds anybody up.

use crate::scene::{Client, Server, arguments, host, patience, scene, stage};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// A listening spawnbox with metrics at a UNIX socket in a room.
struct Measured {
    room: stage::Room,
    server: Server,
}

impl Measured {
    fn new(script: &str) -> Measured {
        Measured::with(&[], script)
    }

    fn with(options: &[&str], script: &str) -> Measured {
        let room = stage::room();
        let metrics = format!("unix:{}", room.path("metrics").display());
        let scene = scene("strict").option("--metrics").option(&metrics);
        let server = options.iter().fold(scene, |scene, word| scene.option(word)).shell(script).listen();
        Measured { room, server }
    }

    fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(self.room.path("metrics")).expect("the supervisor listens");
        let limit = Some(patience());
        stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)).expect("a time-out can be set");
        stream
    }

    fn get(&self, path: &str) -> (String, String) {
        answer(self.stream(), &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    fn samples(&self) -> BTreeMap<String, f64> {
        let (head, body) = self.get("/metrics");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
        strictly(&body)
    }

    fn awaits(&self, sample: &str, value: f64) {
        host::eventually(sample, patience(), || self.samples().get(sample) == Some(&value));
    }
}

/// Head and body of what comes until the end.
fn answer(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).expect("the supervisor reads");
    let mut bytes = Vec::new();
    // Where more was sent than was read, a reset comes behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("it is text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("it has a length");
    if request.starts_with("GET") {
        assert_eq!(length.parse(), Ok(body.len()), "{head}");
    }
    (format!("{head}\r\n"), body.to_string())
}

/// Reads the format as Prometheus' own documentation has it, and refuses whatever `promtool check metrics` would: a
/// sample before its type, a name or a label twice, a counter without `_total`, a histogram whose classes fall.
fn strictly(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut kinds, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut family = String::new();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    assert!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help has a text");
            assert!(is_name(name) && help.ends_with('.') && helped.insert(name.to_string()), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type has a kind");
            assert!(helped.contains(name), "{line}");
            assert!(kinds.insert(name.to_string(), kind.to_string()).is_none(), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = name.to_string();
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
        let (name, labels) = key.split_once('{').map_or((key, ""), |(name, rest)| {
            (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("labels without an end: {line:?}")))
        });
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} stands below {family}"));
        match kinds[&family].as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
            "gauge" | "counter" => assert_eq!(suffix, "", "{line}"),
            other => panic!("unknown kind {other}"),
        }
        let mut seen = BTreeSet::new();
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, quoted) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && seen.insert(label), "{line}");
            assert!(quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"'), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line:?}"));
        assert!(value >= 0.0 && value.is_finite(), "{line}");
        assert!(samples.insert(key.to_string(), value).is_none(), "twice: {line}");
    }
    let ordered: Vec<(&str, f64)> = text
        .lines()
        .filter(|line| line.contains("_bucket{"))
        .filter_map(|line| Some((line.split(",le=").next()?, line.rsplit(' ').next()?.parse().ok()?)))
        .collect();
    assert!(ordered.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 <= pair[1].1), "{ordered:?}");
    samples
}

#[test]
fn the_numbers_say_what_happened_in_a_form_that_a_strict_reader_takes() {
    let measured = Measured::new("read line; exit $line");
    let before = measured.samples();
    assert_eq!(before["spawnbox_service_ready{service=\"sh\"}"], 1.0);
    assert_eq!(before["spawnbox_accepted_total{service=\"sh\"}"], 0.0);
    for status in ["0\n", "0\n", "3\n"] {
        assert_eq!(measured.server.connect().send(status.as_bytes()).rest(), "");
    }
    let open = measured.server.connect();
    measured.awaits("spawnbox_outcomes_total{service=\"sh\",outcome=\"exited\"}", 3.0);
    measured.awaits("spawnbox_sessions{service=\"sh\"}", 1.0);
    let after = measured.samples();
    assert_eq!(after["spawnbox_accepted_total{service=\"sh\"}"], 4.0);
    assert_eq!(after["spawnbox_abnormal_outcomes_total{service=\"sh\"}"], 1.0);
    measured.awaits("spawnbox_handover_seconds_count{service=\"sh\"}", 4.0);
    let after = measured.samples();
    assert_eq!(after["spawnbox_setup_seconds_bucket{service=\"sh\",le=\"+Inf\"}"], 4.0);
    assert!(after["spawnbox_setup_seconds_sum{service=\"sh\"}"] > 0.0);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "no client makes a series");
    drop(open);
}

#[test]
fn who_asks_whether_it_lives_and_is_ready_is_answered_in_words() {
    let measured = Measured::new("echo ready; read line");
    assert_eq!(measured.get("/livez").1, "alive\n");
    let (head, body) = measured.get("/readyz");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "ready\n");
    let (head, body) = answer(measured.stream(), "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}{body}");
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
        (&format!("GET /{} HTTP/1.1", "x".repeat(8192)), "431"),
    ] {
        let (head, _) = answer(measured.stream(), request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    let mut client = measured.server.connect();
    assert_eq!(client.line(), "ready");
    measured.server.signal(nix::sys::signal::Signal::SIGTERM);
    host::eventually("it drains", patience(), || measured.get("/readyz").0.starts_with("HTTP/1.1 503 "));
    assert_eq!(measured.get("/readyz").1, "draining: it accepts nobody more\n");
    assert_eq!(measured.samples()["spawnbox_draining"], 1.0);
    drop(client);
}

#[test]
fn who_was_told_to_end_is_not_ready_first_and_accepts_until_it_drains() {
    let measured = Measured::with(&["--drain-delay", "600s"], "echo ready; read line");
    let mut before = measured.server.connect();
    assert_eq!(before.line(), "ready");
    measured.server.signal(nix::sys::signal::Signal::SIGTERM);
    measured.server.logs("leaving: not ready any more, accepts for 600 s yet; another signal has it drain now");
    let (head, body) = measured.get("/readyz");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "leaving: it was told to end, and accepts for a moment yet\n");
    assert!(measured.get("/livez").0.starts_with("HTTP/1.1 200 "));
    assert_eq!(measured.samples()["spawnbox_draining"], 0.0);
    let mut late = measured.server.connect();
    assert_eq!(late.line(), "ready", "who comes before it is known is served");
    measured.server.signal(nix::sys::signal::Signal::SIGHUP);
    measured.server.logs("nothing is changed: this program is about to end");
    measured.server.signal(nix::sys::signal::Signal::SIGTERM);
    measured.server.logs("draining: sessions left: 2");
    assert_eq!(measured.samples()["spawnbox_draining"], 1.0);
    for client in [before, late] {
        assert_eq!(client.send(b"end\n").rest(), "");
    }
    let (status, log) = measured.server.end();
    assert!(status.success(), "{log}");
}

#[test]
fn who_was_told_to_end_drains_when_its_delay_is_over() {
    let measured = Measured::with(&["--drain-delay", "1s", "--drain-limit", "1s"], "echo ready; exec sleep 600");
    let mut client = measured.server.connect();
    assert_eq!(client.line(), "ready");
    measured.server.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, log) = measured.server.end();
    assert!(status.success(), "{log}");
    let steps =
        ["leaving: not ready any more, accepts for 1 s yet", "draining: sessions left: 1", "draining took too long"];
    let places = steps.map(|step| log.find(step).unwrap_or_else(|| panic!("no {step:?} in {log}")));
    assert!(places.is_sorted(), "{log}");
}

#[test]
fn a_service_that_cannot_be_had_keeps_the_supervisor_from_being_ready() {
    let room = stage::room();
    let policies = room.directory("policies");
    let policy = |name: &str| {
        let user = if host::is_root() { "user = \"nobody\"\n" } else { "" };
        let socket = room.path(&format!("{name}.sock"));
        let text = format!(
            "version = 1\nextends = [\"shell\"]\n[command]\n{user}argv = [\"/bin/sh\", \"-c\", \"echo hello\"]\n\
             [listen]\naddresses = [\"unix:{}\"]\n",
            socket.display()
        );
        room.file(&format!("policies/{name}.toml"), &text)
    };
    policy("good");
    room.file("policies/bad.toml", "version = 1\nlimits.tiem = 5\n");
    let mut command = Command::new(stage::program("spawnbox"));
    command.args(["serve", "--control", "none", "--metrics", "127.0.0.1:0"]).arg(policies);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start_silent(command);
    let line = server.logs("metrics: http://");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("it is told").to_string();
    let get = |path: &str| {
        let stream = TcpStream::connect(&address).expect("the supervisor listens");
        stream.set_read_timeout(Some(patience())).expect("a time-out can be set");
        answer(stream, &format!("GET {path} HTTP/1.1\r\n\r\n"))
    };
    host::eventually("the good one is ready", patience(), || {
        strictly(&get("/metrics").1).get("spawnbox_service_ready{service=\"good\"}") == Some(&1.0)
    });
    let (head, body) = get("/readyz");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "bad: refused: its file is wrong: the log and `spawnbox check` say where\n");
    assert_eq!(strictly(&get("/metrics").1)["spawnbox_service_ready{service=\"bad\"}"], 0.0);
    assert!(get("/livez").0.starts_with("HTTP/1.1 200 "));
    std::fs::remove_file(room.path("policies/bad.toml")).expect("it is there");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    host::eventually("it is ready", patience(), || get("/readyz").0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_slow_scraper_is_dropped_and_holds_nobody_up() {
    let measured = Measured::new("echo hello");
    let mut half = measured.stream();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").expect("the supervisor reads");
    let silent: Vec<UnixStream> = (0..200).map(|_| measured.stream()).collect();
    assert_eq!(measured.server.connect().rest(), "hello\n");
    // Whoever asks finds a place meanwhile: who has asked nothing for longest gives way.
    assert_eq!(measured.get("/livez").1, "alive\n");
    let ended = |mut stream: UnixStream| {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => bytes.is_empty(),
            // A reset is an end as well, a time-out is none.
            Err(error) => {
                matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) && bytes.is_empty()
            }
        }
    };
    assert!(ended(half) && silent.into_iter().all(ended));
    assert_eq!(measured.samples()["spawnbox_accepted_total{service=\"sh\"}"], 1.0);
}

#[test]
fn a_scraper_that_never_reads_takes_nothing_from_others() {
    let measured = Measured::new("echo hello");
    let stream = measured.stream();
    (&stream).write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("the supervisor reads");
    stream.shutdown(Shutdown::Write).expect("the connection is there");
    let others: Vec<_> = (0..20).map(|_| measured.get("/livez").1).collect();
    assert!(others.iter().all(|body| body == "alive\n"));
    assert_eq!(Client::connect(measured.server.address()).rest(), "hello\n");
    drop(stream);
}

#[test]
fn an_address_that_cannot_be_had_is_no_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    arguments(&["listen", "127.0.0.1:0", "--metrics", &address, "--", "/bin/cat"])
        .run()
        .says(&format!("cannot listen on {address}: Address already in use"))
        .exits(1);
}
