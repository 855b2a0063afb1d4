// SPDX-License-Identifier: Apache-2.0
//! What a command is told about its client is what tcpserver and xinetd tell the same command, as they are installed
//! here.

use crate::scene::{Client, host, patience, scene, stage};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// The variables of /usr/bin/env behind this address, with the client's port for its number.
fn told(address: &str) -> BTreeMap<String, String> {
    let client = Client::connect(address);
    let Client::Tcp(stream) = &client else { panic!("it is TCP") };
    let own: SocketAddr = stream.local_addr().unwrap();
    let to = address.rsplit(':').next().unwrap().to_string();
    let text = client.rest();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let named = |value: &str| match value {
        _ if value == own.port().to_string() => "the client's port".to_string(),
        _ if value == to => "the server's port".to_string(),
        other => other.to_string(),
    };
    pairs.map(|(name, value)| (name.to_string(), named(value))).collect()
}

/// What spawnbox tells by these names, beside what the policy itself sets.
fn own(names: &str) -> BTreeMap<String, String> {
    let of = |names: &str| {
        let set = format!("command.client-environment={names}");
        told(scene("strict").set(&set).command("/usr/bin/env").listen().address())
    };
    let (mut all, nothing) = (of(names), of("false"));
    nothing.keys().for_each(|name| drop(all.remove(name)));
    all
}

#[test]
fn what_tcpserver_tells_is_told() {
    needs!(program "tcpserver");
    // No name of a host is looked up.
    let words = ["-1", "-HR", "-l", "0", "127.0.0.1", "0", "/usr/bin/env"];
    let mut command = Command::new("tcpserver");
    let mut server = stage::Running(command.args(words).env_clear().stdout(Stdio::piped()).spawn().unwrap());
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let mut theirs = told(&format!("127.0.0.1:{}", port.trim()));
    // The name that it was told to have: we have none.
    assert_eq!(theirs.remove("TCPLOCALHOST").as_deref(), Some("0"));
    assert_eq!(theirs.len(), 5, "{theirs:?}");
    assert_eq!(own("tcpserver"), theirs);
    assert_eq!(own("true"), theirs);
}

#[test]
fn what_xinetd_tells_is_told() {
    needs!(root);
    needs!(program "xinetd");
    let room = stage::room();
    // It cannot be told to choose.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "service env\n{{\ntype = UNLISTED\nsocket_type = stream\nprotocol = tcp\nwait = no\nuser = nobody\n\
         bind = 127.0.0.1\nport = {port}\nserver = /usr/bin/env\n}}\n"
    );
    let (file, pid) = (room.file("xinetd.conf", &text), room.path("pid"));
    let mut command = Command::new("/usr/sbin/xinetd");
    command.args(["-dontfork", "-f"]).arg(file).arg("-pidfile").arg(pid).env_clear();
    let _server = stage::Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let address = format!("127.0.0.1:{port}");
    host::eventually("xinetd listens", patience(), || TcpStream::connect(&address).is_ok());
    assert_eq!(own("xinetd"), told(&address));
}

#[test]
fn what_systemd_tells_is_told_as_its_manual_says() {
    // systemd.exec(5): "$REMOTE_ADDR, $REMOTE_PORT: ... for IPv4 and IPv6 connections, IP address and port".
    let expected = [("REMOTE_ADDR", "127.0.0.1"), ("REMOTE_PORT", "the client's port")];
    assert_eq!(own("systemd"), expected.map(|(name, value)| (name.to_string(), value.to_string())).into());
}
