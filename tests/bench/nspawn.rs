// SPDX-License-Identifier: Apache-2.0
//! systemd with a socket unit that says `Accept=yes`: process 1 of a container of systemd-nspawn(1), in the network of
//! the harness, of which only /usr is this host's. Nothing else is started in it, not even a journal, which spares it
//! work that it has elsewhere. Its clock, kernel and limits are the host's, and it can change none of them.

use crate::load::Address;
use crate::peers::Ask;
use std::path::PathBuf;

/// Everything that systemd.exec(5) has for a service of this kind.
const HARDENED: &str = include_str!("../attacks/hardened.conf");

/// A service that changes its user and nothing else.
pub(crate) fn plain(ask: &Ask<'_>) -> Vec<String> {
    container(ask, "User=nobody\n")
}

pub(crate) fn hardened(ask: &Ask<'_>) -> Vec<String> {
    container(ask, HARDENED)
}

fn container(ask: &Ask<'_>, service: &str) -> Vec<String> {
    let Address::Tcp(address) = ask.address else { unreachable!("a socket of the container's would be out of reach") };
    let socket = format!(
        "ListenStream={address}\nAccept=yes\nBacklog=1024\nMaxConnections=6000\nMaxConnectionsPerSource=6000\n\
         TriggerLimitIntervalSec=0\n"
    );
    let service = format!("ExecStart={}\nStandardInput=socket\n{service}", ask.command.join(" "));
    let units = [
        ("line.socket", format!("[Unit]\nDefaultDependencies=no\n[Socket]\n{socket}")),
        (
            "line@.service",
            format!("[Unit]\nDefaultDependencies=no\nCollectMode=inactive-or-failed\n[Service]\n{service}"),
        ),
        ("bench.target", "[Unit]\nDefaultDependencies=no\nRequires=line.socket\n".to_string()),
    ];
    // Its own filter of system calls would be one more for each of its processes.
    let start = ["env", "SYSTEMD_SECCOMP=0", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "systemd-nspawn", "--quiet"];
    let machine = format!("--machine=bench{}", address.port());
    let of =
        ["--directory=/", "--volatile=yes", "--register=no", "--keep-unit", "--capability=all", "--link-journal=no"];
    let program = format!("--bind-ro={}", ask.command[0]);
    let mut words: Vec<String> =
        [&start[..], &of, &[&machine, &program]].concat().into_iter().map(String::from).collect();
    for (name, text) in units {
        let file: PathBuf = ask.room.file(name, &text);
        words.push(format!("--bind-ro={}:/etc/systemd/system/{name}", file.display()));
    }
    let boot = ["--boot", "systemd.unit=bench.target", "systemd.firstboot=off", "quiet"];
    words.extend(boot.map(String::from));
    words
}
