// SPDX-License-Identifier: Apache-2.0
//! `isolation.landlock-audit`: what Landlock denies is named by way of the kernel's audit log, where that can be read
//! and tells; and nobody but the kernel can put a line there. That log is the whole host's, so most of this is for
//! machines of one's own.

use crate::postfix::instance::Postfix;
use crate::postfix::private::{in_private, replace_policies};
use crate::scene::host::{children, eventually};
use crate::scene::stage::{mode, room};
use crate::scene::{Client, Scene, Server, arguments, patience, scene};
use crate::serve::Services;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether audit is on is one thing for all tests here.
static ONE: Mutex<()> = Mutex::new(());

/// Audit switched on or off, until it is dropped.
struct Audit {
    before: u32,
    _only: MutexGuard<'static, ()>,
}

impl Audit {
    fn set(enabled: u32) -> Audit {
        let only = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = status();
        switch(enabled);
        assert_eq!(status(), enabled);
        Audit { before, _only: only }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        switch(self.before);
    }
}

fn endpoint() -> OwnedFd {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkAudit);
    let socket = socket.expect("this kernel has audit");
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).expect("it has a number");
    socket
}

/// A message as netlink(7) has it.
fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = (16 + payload.len()) as u32;
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], payload].concat()
}

fn send(socket: &OwnedFd, to: NetlinkAddr, message: &[u8]) -> Result<usize, Errno> {
    sendto(socket.as_raw_fd(), message, &to, MsgFlags::empty())
}

/// `AUDIT_GET`: whether audit is on.
fn status() -> u32 {
    let (socket, mut answer) = (endpoint(), [0; 256]);
    send(&socket, NetlinkAddr::new(0, 0), &message(1000, 1, &[])).expect("root may ask");
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).expect("the kernel answers");
    assert_eq!((answer[4..6].to_vec(), length >= 24), (1000_u16.to_ne_bytes().to_vec(), true));
    u32::from_ne_bytes(answer[20..24].try_into().expect("four bytes"))
}

/// `AUDIT_SET` of `AUDIT_STATUS_ENABLED`, acknowledged.
fn switch(enabled: u32) {
    let (socket, mut answer) = (endpoint(), [0; 256]);
    let payload = [&1_u32.to_ne_bytes()[..], &enabled.to_ne_bytes(), &[0; 32]].concat();
    send(&socket, NetlinkAddr::new(0, 0), &message(1001, 5, &payload)).expect("root may switch it");
    recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).expect("the kernel answers");
    assert_eq!(answer[16..20], [0; 4], "audit is locked until the next boot");
}

fn audited() -> Scene {
    scene("strict").set("isolation.level=landlock-only").set("isolation.landlock-audit=true")
}

/// The number of the server's socket, under which others could try to send to it.
fn number_of(server: &Server) -> Option<u32> {
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("it runs")
        .flatten()
        .filter_map(|fd| {
            std::fs::read_link(fd.path())
                .ok()?
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_string)
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/netlink").expect("there is netlink");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode, see netlink(7); 9 is NETLINK_AUDIT.
    let row = { rows }.find(|row| row[1] == "9" && inodes.iter().any(|inode| inode == row[9]));
    row.map(|row| row[2].parse().expect("a number"))
}

#[test]
fn what_landlock_denies_is_named_with_the_line_that_would_allow_it_and_nothing_else_is() {
    needs!(audit);
    let _audit = Audit::set(1);
    let room = room();
    let odd = room.file("a b\n\"x\" outcome=exited", "odd\n");
    mode(&odd, 0o644);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the host has a loopback");
    let port = listener.local_addr().expect("it is bound").port();
    let script = format!(
        "use Socket; $| = 1; for my $n ('/etc/hostname', '{}' . \"/a b\\n\\\"x\\\" outcome=exited\") {{ open(F, '<', $n); print $!+0, ' ' }}
         open(F, '>', '/etc/none'); print $!+0, ' '; mkdir '/var/none'; print $!+0, ' '; kill(0, getppid); print $!+0, ' ';
         socket(my $s, AF_INET, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_in({port}, inet_aton('127.0.0.1'))); print $!+0",
        room.path("").display()
    );
    let client = audited().set("syscalls.allow=[\"default\",\"network-client\"]").set("network.connect={ports=[1]}");
    let server = client.set("network.udp={ports=\"any\"}").set("network.bind={ports=\"any\"}").perl(&script).listen();
    assert_eq!(server.connect().rest(), "13 13 13 13 1 13");
    let whole = odd.display().to_string().replace('\n', "\\x0a").replace('"', "\\\"");
    for line in [
        "blockers=fs.read_file path=\"/etc/hostname\": Permission denied; to allow it: files.read = [\"/etc/hostname\"]"
            .to_string(),
        format!("blockers=fs.read_file path=\"{whole}\": Permission denied; to allow it: files.read = "),
        "blockers=fs.make_reg path=\"/etc\": Permission denied; to allow it: files.write = [\"/etc\"]".to_string(),
        "blockers=fs.make_dir path=\"/var\": Permission denied; to allow it: files.write = [\"/var\"]".to_string(),
        format!(
            "blockers=net.connect_tcp address=127.0.0.1 port={port}: Permission denied; \
             to allow it: network.connect.ports = [{port}]"
        ),
    ] {
        server.logs(&format!("session=1 denied {line}"));
    }
    // What is not asked for has no line, and what another server's sessions are denied has none here, though both hear
    // of all of it, in one order.
    let quiet = scene("strict").set("isolation.level=landlock-only").perl("open(F, '<', '/etc/passwd'); print $!+0");
    let quiet = quiet.run().stdout("13").exits(0);
    assert!(!quiet.stderr.contains("denied"), "{quiet}");
    let other = audited().perl("open(F, '<', '/etc/passwd'); print $!+0").listen();
    assert_eq!(other.connect().rest(), "13");
    other.logs("session=1 denied blockers=fs.read_file path=\"/etc/passwd\"");
    assert_eq!(server.connect().rest(), "13 13 13 13 1 13");
    server.logs("session=2 denied blockers=net.connect_tcp ");
    let log = server.log();
    assert!(!log.contains("/etc/passwd") && !log.contains("left-out"), "{log}");
}

#[test]
fn sessions_in_namespaces_with_ids_of_their_own_and_from_spares_are_told_apart() {
    needs!(audit);
    let _audit = Audit::set(1);
    let any = ["network.udp={ports=\"any\"}", "network.bind={ports=\"any\"}", "connection.spares=1"];
    let client = scene("strict").set("isolation.landlock-audit=true").set("network.mode=host").users("61450-61459");
    let client = client.set("syscalls.allow=[\"default\",\"network-client\"]").set("network.connect={ports=[1]}");
    let script = "use Socket; my $port = <STDIN>; socket(my $s, AF_INET, SOCK_STREAM, 0) or die; \
                  connect($s, pack_sockaddr_in($port, inet_aton('127.0.0.1'))); print $!+0";
    let server = any.iter().fold(client, |client, key| client.set(key)).perl(script).listen();
    for (before, port) in [11, 12, 13].into_iter().enumerate() {
        assert_eq!(server.connect().send(format!("{port}\n").as_bytes()).rest(), "13");
        let line = server.logs(&format!(" denied blockers=net.connect_tcp address=127.0.0.1 port={port}: "));
        let whose = line.split_whitespace().find(|word| word.starts_with("session=")).expect("it is a session's");
        let over = server.logs_times("outcome=exited", before + 1).pop().expect("there is one");
        assert!(over.split_whitespace().any(|word| word == whose), "{over}: {line}");
    }
}

/// A service whose command asks for a file that it may not read.
fn write(services: &Services, audit: bool) {
    let text = format!(
        "version = 1\nextends = [\"strict\"]\n[command]\nuser = \"nobody\"\n\
         argv = [\"/bin/sh\", \"-c\", \"true 2>/dev/null </etc/hostname; echo {audit}\"]\n\
         [isolation]\nlevel = \"landlock-only\"\nlandlock-audit = {audit}\n\
         [listen]\naddresses = [\"{},mode=0666\"]\n",
        services.socket("x")
    );
    let new = services.room.file(".new", &text);
    std::fs::rename(new, services.room.path("x.toml")).expect("the stage can be written");
}

#[test]
fn a_reload_begins_to_listen_and_stops() {
    needs!(audit);
    let _audit = Audit::set(1);
    let services = Services::new();
    write(&services, false);
    let server = services.serve(&[]);
    server.logs("services: unchanged 0, changed 0, new 1, gone 0");
    let reload = |audit, times| {
        write(&services, audit);
        server.signal(Signal::SIGHUP);
        server.logs_times("x: its new policy is in force", times);
        assert_eq!(Client::connect(&services.socket("x")).rest(), format!("{audit}\n"));
    };
    assert_eq!(number_of(&server), None);
    reload(true, 1);
    server.logs("x: session=1 denied blockers=fs.read_file path=\"/etc/hostname\"");
    reload(false, 2);
    eventually("it listens no longer", patience(), || number_of(&server).is_none());
    assert!(server.stop().0.success());
}

#[test]
fn where_audit_is_off_a_reload_that_asks_for_it_leaves_the_policy_as_it_was() {
    needs!(audit);
    let _audit = Audit::set(0);
    let services = Services::new();
    write(&services, false);
    let server = services.serve(&[]);
    server.logs("services: unchanged 0, changed 0, new 1, gone 0");
    write(&services, true);
    server.signal(Signal::SIGHUP);
    let line = server.logs("its policy stays as it was");
    assert!(line.contains("no record came of a denial"), "{line}");
    assert_eq!(Client::connect(&services.socket("x")).rest(), "false\n");
    assert_eq!(number_of(&server), None);
    assert!(server.stop().0.success());
}

#[test]
fn who_asks_for_one_thing_too_often_has_a_few_lines_and_the_next_client_is_served() {
    needs!(audit);
    let _audit = Audit::set(1);
    let script = "for (1 .. <STDIN>) { open(F, '<', '/etc/hostname') } print qq(done\\n)";
    let server = audited().perl(script).listen();
    assert_eq!(server.connect().send(b"300\n").rest(), "done\n");
    assert_eq!(server.connect().send(b"1\n").rest(), "done\n");
    server.logs("session=2 denied blockers=fs.read_file ");
    server.logs("session=1 denials-left-out=");
    let lines = server.log().matches("session=1 denied ").count();
    assert!((1..60).contains(&lines), "{lines} lines: {}", server.log());
}

#[test]
fn nobody_but_the_kernel_can_say_that_something_was_denied() {
    needs!(audit);
    let _audit = Audit::set(1);
    let server = audited().shell("echo $PPID; read line; : </etc/hostname").listen();
    let mut client = server.connect();
    // The session's first process, which has made its domain, and waits for the command to end.
    let first: u32 = client.line().parse().expect("a number");
    assert!(children(server.pid()).contains(&first), "{first} is no child of {}", server.pid());
    let (socket, forged) =
        (endpoint(), |text: &str, kind| message(kind, 0, format!("audit(1.0:1): domain=7 {text}").as_bytes()));
    let number = number_of(&server).expect("it listens");
    let lines = [
        forged("blockers=fs.read_file path=\"/forged\"", 1423),
        forged(&format!("status=allocated mode=enforcing pid={first} uid=65534 exe=\"x\" comm=\"x\""), 1424),
    ];
    for line in &lines {
        assert_eq!(send(&socket, NetlinkAddr::new(number, 0), line), Err(Errno::ECONNREFUSED));
        // Root of the host may send to the group, and is not heard either.
        let _ = send(&socket, NetlinkAddr::new(0, 1), line);
    }
    drop(client.send(b"\n").rest());
    server.logs("session=1 denied blockers=fs.read_file path=\"/etc/hostname\"");
    assert!(!server.log().contains("forged"), "{}", server.log());
}

/// The kernel tells nobody in another network namespace, so master is in the host's; it serves no port.
#[test]
fn under_master_it_is_named_in_the_log_of_mail() {
    needs!(root);
    needs!(audit);
    needs!(program "postfix");
    let _audit = Audit::set(1);
    let room = room();
    in_private(&room.path(""), |log| {
        let policy = "extends = [\"shell\"]\nisolation.level = \"landlock-only\"\nisolation.landlock-audit = true";
        replace_policies(&room.path("etc"), &[("told.toml", policy)]);
        let entry = "told unix - n n - 0 spawnbox policy=told user=nobody \
                     argv=/bin/sh -c { true 2>/dev/null </etc/hostname; echo served }\n";
        let in_the_hosts = ["nsenter", "--net=/proc/1/ns/net"].map(str::to_string);
        let postfix = Postfix::start_alone(&in_the_hosts, &room, entry);
        for session in 1..3 {
            assert_eq!(Client::connect(&postfix.socket("told")).rest(), "served\n", "{}", log.text());
            let line = format!("told: session={session} denied blockers=fs.read_file path=\"/etc/hostname\": ");
            log.says_all(&["postfix/spawnbox[", &line]);
        }
        postfix.stop();
    });
}

#[test]
fn one_command_is_told_of_before_the_program_ends_and_doctor_says_that_it_can_be() {
    needs!(audit);
    let _audit = Audit::set(1);
    let outcome = audited().shell(": </etc/hostname").run();
    outcome.says("denied blockers=fs.read_file path=\"/etc/hostname\": Permission denied; to allow it: files.read = ");
    let page = arguments(&["doctor", "strict"]).run().stdout;
    let page: String = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("what it denies can be named by way of the audit log (isolation.landlock-audit)"), "{page}");
}

#[test]
fn where_audit_is_off_the_start_is_refused_in_words() {
    needs!(audit);
    let _audit = Audit::set(0);
    let words = "where what it denies is told by the audit log; switch audit on (`auditctl -e 1`), ";
    audited().shell("echo never").run().stdout("").says(words);
}

#[test]
fn who_may_not_read_the_audit_log_is_refused_in_words() {
    needs!(landlock 7);
    let words = "told by the audit log: it cannot be read: Operation not permitted; switch audit on (`auditctl -e 1`), \
                 start spawnbox with CAP_AUDIT_READ";
    audited().unprivileged().shell("echo never").run().stdout("").says(words);
    needs!(root);
    let without = audited().through(&["setpriv", "--bounding-set=-audit_read"]);
    without.shell("echo never").run().stdout("").says(words);
}

#[test]
fn a_kernel_that_tells_nothing_is_refused_in_words() {
    needs!(landlock 6);
    let words = "isolation.landlock-audit needs Landlock ABI 7 (Linux 6.15); this kernel has 6; leave it out: ";
    audited().failing("landlock=6").shell("echo never").run().stdout("").says(words).exits(2);
}
