// SPDX-License-Identifier: Apache-2.0
//! How many clients of a service have been accepted and are still being served: what the kernel lists for the network
//! of this thread. A connection that nobody has accepted yet has no inode.

use std::fs;

/// What a connection's state is called in proc_net_tcp(5), and in /proc/net/unix: SS_CONNECTED.
const ESTABLISHED: &str = "01";
const CONNECTED: &str = "03";

/// How many the service of this name has, which is a socket of master's or `127.0.0.1:PORT`.
pub(super) fn of(service: &str) -> usize {
    match service.strip_prefix("127.0.0.1:") {
        Some(port) => in_tcp(&list("tcp"), port.parse().expect("a port is a number")),
        // As master has bound it, in its queue directory.
        None => in_unix(&list("unix"), &format!("private/{service}")),
    }
}

fn list(name: &str) -> String {
    // A socket of somebody else's in it may be named by any bytes.
    let bytes = fs::read(format!("/proc/thread-self/net/{name}")).expect("the tests need /proc");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Columns: Num RefCount Protocol Flags Type St Inode Path.
fn in_unix(list: &str, path: &str) -> usize {
    let lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|line| matches!(line[..], [.., CONNECTED, inode, found] if found == path && inode != "0")).count()
}

/// Columns: sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode.
fn in_tcp(list: &str, port: u16) -> usize {
    let end = format!(":{port:04X}");
    let lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let accepted = |line: &[&str]| matches!(line, [_, local, _, ESTABLISHED, _, _, _, _, _, inode, ..] if local.ends_with(&end) && *inode != "0");
    lines.filter(|line| accepted(line)).count()
}

#[test]
fn who_waits_listens_or_is_a_client_is_not_counted() {
    let unix = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 100 private/calm-1\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 101 private/calm-1\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 102\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 0 private/calm-1\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 103 private/calm-10\n";
    assert_eq!((in_unix(unix, "private/calm-1"), in_unix(unix, "private/calm")), (1, 0));
    let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:09EC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 200 1 0 100 0 0 10 0\n   \
        1: 0100007F:09EC 0100007F:D2A0 01 00000000:00000000 00:00000000 00000000     0        0 201 1 0 20 4 30 10 -1\n   \
        2: 0100007F:D2A0 0100007F:09EC 01 00000000:00000000 00:00000000 00000000     0        0 202 1 0 20 4 30 10 -1\n   \
        3: 0100007F:09EC 0100007F:D2A2 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1\n";
    assert_eq!((in_tcp(tcp, 0x09ec), in_tcp(tcp, 25)), (1, 0));
}
