// SPDX-License-Identifier: Apache-2.0
//! More than one machine: two supervisors, each in a network of its own, behind haproxy, which tells them its clients
//! by the PROXY protocol. One after the other is taken out, drained, ended and replaced while clients come, as an
//! operator would: no connection fails, and none of those that are held on a supervisor that drains.
//! `SPAWNBOX_BALANCED` says how many clients come; 2000 by default, across ten replacements.

use crate::scene::{Client, Server, host, patience, scene, stage};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where haproxy listens: for everybody, and for those who are held on each machine.
const FRONT: &str = "127.0.0.1:7000";
const HELD: [&str; 2] = ["127.0.0.1:7001", "127.0.0.1:7002"];
const REPLACEMENTS: usize = 10;
/// Clients that come at once.
const AT_ONCE: usize = 4;

#[test]
fn a_pair_behind_a_balancer_is_replaced_ten_times_over_and_no_connection_fails() {
    needs!(root);
    needs!(program "haproxy");
    needs!(program "ip");
    needs!(program "nsenter");
    let count =
        std::env::var("SPAWNBOX_BALANCED").map_or(2000, |text| text.parse().expect("SPAWNBOX_BALANCED is a number"));
    // What a thread makes and starts is in the thread's network, which ends with it.
    let balanced = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may");
        ip("link set lo up");
        balance(count);
    });
    if let Err(panic) = balanced.join() {
        std::panic::resume_unwind(panic);
    }
}

fn balance(count: usize) {
    let room = stage::room();
    let machines = [1, 2].map(Machine::new);
    let mut servers: Vec<Server> = machines.iter().map(Machine::serve).collect();
    let haproxy = Balancer::start(&room);
    let (left, served) = (AtomicUsize::new(count), AtomicUsize::new(0));
    let sessions = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| come(&left, &served))).collect();
        let mut sessions = 0;
        for replacement in 0..REPLACEMENTS {
            // Spread over the whole crowd.
            let due = count * (replacement + 1) / (REPLACEMENTS + 2);
            host::eventually("clients are served", patience() * 20, || served.load(Ordering::Relaxed) >= due);
            let number = replacement % machines.len();
            let new = replace(&machines[number], &haproxy, servers.remove(number), &mut sessions);
            servers.insert(number, new);
        }
        for client in clients {
            client.join().expect("no client fails");
        }
        sessions
    });
    assert_eq!(served.load(Ordering::Relaxed), count);
    let logs = servers.into_iter().map(|server| counted(server.stop()));
    let sessions = sessions + logs.sum::<usize>();
    assert_eq!(sessions, count + REPLACEMENTS, "sessions that ended as they should, and those that were held");
}

/// One client after the other, each with a line of its own that comes back.
fn come(left: &AtomicUsize, served: &AtomicUsize) {
    let next = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    while let Ok(number) = next() {
        let mut stream = TcpStream::connect(FRONT).expect("the balancer listens");
        stream.set_read_timeout(Some(patience())).expect("a time-out can be set");
        let said = format!("client {number}\n");
        stream.write_all(said.as_bytes()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("client {number}: {error}"));
        assert_eq!(answer, said, "client {number}");
        served.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes a machine out, ends its supervisor and starts another, as an operator would. Somebody is connected all the
/// while, and notices nothing.
fn replace(machine: &Machine, haproxy: &Balancer, old: Server, sessions: &mut usize) -> Server {
    let mut held = Client::connect(machine.held);
    writeln!(held, "before").expect("it is connected");
    assert_eq!(held.line(), "before");
    haproxy.set(machine, "drain");
    host::eventually("the balancer's connections there have ended", patience(), || haproxy.connections(machine) == 0);
    old.signal(Signal::SIGTERM);
    old.logs("draining");
    writeln!(held, "while it drains").expect("it is connected still");
    assert_eq!(held.line(), "while it drains");
    assert_eq!(held.finish().rest(), "");
    *sessions += counted(old.end());
    let new = machine.serve();
    haproxy.set(machine, "ready");
    new
}

/// How many sessions a supervisor had, all of which ended as they should.
fn counted((status, log): (std::process::ExitStatus, String)) -> usize {
    assert!(status.success(), "{status}\n{log}");
    let sessions = log.lines().filter(|line| line.contains(" outcome="));
    let good = |line: &str| line.contains(" proxy=10.9.") && line.contains(" outcome=exited status=0 ");
    let (good, bad): (Vec<&str>, Vec<&str>) = sessions.partition(|line| good(line));
    assert!(bad.is_empty(), "{bad:?}");
    good.len()
}

/// A network with one interface, and whoever keeps it there.
struct Machine {
    name: String,
    keeper: stage::Running,
    address: String,
    proxy: String,
    held: &'static str,
}

impl Machine {
    fn new(number: usize) -> Machine {
        let name = format!("m{number}");
        let keeper = Command::new("unshare").args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).spawn();
        let keeper = stage::Running(keeper.expect("util-linux is there"));
        let pid = keeper.0.id();
        let apart = || host::namespace(pid, "net") != host::namespace(std::process::id(), "net");
        host::eventually("it has its network", patience(), || apart() && host::command_line(pid).starts_with("sleep"));
        let (ours, theirs) = (format!("10.9.{number}.1"), format!("10.9.{number}.2"));
        ip(&format!("link add {name} type veth peer name eth0 netns {pid}"));
        ip(&format!("addr add {ours}/24 dev {name}"));
        ip(&format!("link set {name} up"));
        let machine = Machine { name, keeper, address: format!("{theirs}:7000"), proxy: ours, held: HELD[number - 1] };
        machine.ip(&format!("addr add {theirs}/24 dev eth0"));
        machine.ip("link set eth0 up");
        machine
    }

    fn within(&self) -> Vec<String> {
        vec!["nsenter".to_string(), format!("--net=/proc/{}/ns/net", self.keeper.0.id())]
    }

    fn ip(&self, words: &str) {
        run(self.within().iter().map(String::as_str).chain(["ip"]).chain(words.split(' ')));
    }

    fn serve(&self) -> Server {
        let within = self.within();
        let within: Vec<&str> = within.iter().map(String::as_str).collect();
        let trusted = format!("clients.proxy-protocol={{ from = [\"{}\"] }}", self.proxy);
        scene("strict").set(&trusted).through(&within).command("/bin/cat").listen_on(&self.address)
    }
}

/// haproxy, and the socket over which it takes orders.
struct Balancer {
    _running: stage::Running,
    orders: PathBuf,
}

impl Balancer {
    fn start(room: &stage::Room) -> Balancer {
        let orders = room.path("orders");
        let server = |number: usize| format!(" server m{number} 10.9.{number}.2:7000 send-proxy-v2\n");
        // No second try hides a first one that has failed.
        let text = format!(
            "global\n stats socket {} level admin\ndefaults\n mode tcp\n retries 0\n timeout connect 20s\n timeout client \
             60s\n timeout server 60s\nlisten all\n bind {FRONT}\n balance leastconn\n{}{}listen held1\n bind {}\n{}listen \
             held2\n bind {}\n{}",
            orders.display(),
            server(1),
            server(2),
            HELD[0],
            server(1),
            HELD[1],
            server(2),
        );
        let file = room.file("haproxy.cfg", &text);
        let running =
            Command::new("haproxy").arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let balancer = Balancer { _running: stage::Running(running.expect("it is installed")), orders };
        host::eventually("haproxy listens", patience(), || UnixStream::connect(&balancer.orders).is_ok());
        balancer
    }

    fn set(&self, machine: &Machine, state: &str) {
        assert_eq!(ask(&self.orders, &format!("set server all/{} state {state}", machine.name)).trim(), "");
    }

    /// Connections of everybody's that are open there, as `show stat` counts them.
    fn connections(&self, machine: &Machine) -> usize {
        let page = ask(&self.orders, "show stat");
        let start = format!("all,{},", machine.name);
        let line = page.lines().find(|line| line.starts_with(&start)).expect("it knows its servers");
        line.split(',').nth(4).and_then(|count| count.parse().ok()).expect("a number")
    }
}

fn ask(orders: &Path, words: &str) -> String {
    let mut stream = UnixStream::connect(orders).expect("haproxy listens");
    writeln!(stream, "{words}").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn ip(words: &str) {
    run(["ip"].into_iter().chain(words.split(' ')));
}

fn run<'a>(words: impl Iterator<Item = &'a str>) {
    let words: Vec<&str> = words.collect();
    let ended = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().expect("it starts");
    assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
}
