// SPDX-License-Identifier: Apache-2.0
//! What Landlock denies, in the words of the kernel's audit log: how that ends for the command, and what in the policy
//! would allow it. By the plan alone.

use super::Plan;
use super::calls::{self, Aim, Grant, Using};
use super::sought::{self, End};
use crate::host::audit::{Access, Object};
use nix::libc;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a right that was lacking is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocker {
    /// A file, which was to be used so.
    File(Using),
    /// A port, with TCP or else UDP, to have it or else to reach it.
    Port { stream: bool, bind: bool },
    /// What no policy grants.
    Never(&'static str),
}

/// The kernel's words, see Documentation/admin-guide/LSM/landlock.rst and security/landlock/audit.c of Linux 7.3.
const BLOCKERS: [(&str, Blocker); 26] = [
    ("fs.execute", Blocker::File(Using::Execute)),
    ("fs.read_file", Blocker::File(Using::Read)),
    ("fs.read_dir", Blocker::File(Using::Read)),
    ("fs.write_file", Blocker::File(Using::Write)),
    ("fs.truncate", Blocker::File(Using::Write)),
    ("fs.remove_dir", Blocker::File(Using::Change)),
    ("fs.remove_file", Blocker::File(Using::Change)),
    ("fs.make_dir", Blocker::File(Using::Change)),
    ("fs.make_reg", Blocker::File(Using::Change)),
    ("fs.make_sock", Blocker::File(Using::Change)),
    ("fs.make_fifo", Blocker::File(Using::Change)),
    ("fs.make_sym", Blocker::File(Using::Change)),
    ("fs.refer", Blocker::File(Using::Change)),
    ("fs.resolve_unix", Blocker::File(Using::Connect)),
    ("fs.make_char", Blocker::Never("no policy lets a command make a device")),
    ("fs.make_block", Blocker::Never("no policy lets a command make a device")),
    ("fs.ioctl_dev", Blocker::Never("no policy opens a device to its own orders (ioctl)")),
    ("fs.change_topology", Blocker::Never("no policy lets a command mount under Landlock")),
    ("net.connect_tcp", Blocker::Port { stream: true, bind: false }),
    ("net.bind_tcp", Blocker::Port { stream: true, bind: true }),
    ("net.connect_send_udp", Blocker::Port { stream: false, bind: false }),
    ("net.bind_udp", Blocker::Port { stream: false, bind: true }),
    ("scope.signal", Blocker::Never("no policy lets a signal out of the sandbox under Landlock")),
    ("scope.abstract_unix_socket", Blocker::Never("no policy opens an abstract UNIX socket outside under Landlock")),
    ("ptrace", Blocker::Never("no policy opens a process outside under Landlock")),
    ("unknown", Blocker::Never(UNKNOWN)),
];
const UNKNOWN: &str = "what would allow it is not known: this kernel's Landlock is newer than spawnbox";

/// What the command sees of it, and what would allow it.
pub fn blocked(plan: &Plan, access: &Access) -> (End, Result<Vec<Grant>, String>) {
    let mut grants: Vec<Grant> = Vec::new();
    let mut never = None;
    for word in access.blockers.split(',') {
        let known = BLOCKERS.iter().find(|(name, _)| *name == word);
        match grant(plan, known.map_or(Blocker::Never(UNKNOWN), |(_, blocker)| *blocker), &access.object) {
            Ok(more) => grants.extend(more),
            Err(why) => never = never.or(Some(why)),
        }
    }
    // What may be written may be read.
    let written = |grant: &Grant| grants.iter().any(|one| one.key == "files.write" && one.value == grant.value);
    let needed: Vec<Grant> =
        grants.iter().filter(|grant| grant.key != "files.read" || !written(grant)).cloned().collect();
    let mut told = Vec::new();
    needed.into_iter().for_each(|grant| {
        if !told.contains(&grant) {
            told.push(grant)
        }
    });
    let missing = match never {
        // The rest would not help.
        Some(why) => Err(why),
        None if told.is_empty() => Err("no policy can name it".to_string()),
        None => Ok(told),
    };
    (End::Fails(errno(&access.blockers)), missing)
}

/// See landlock(7): rights to files and ports end in EACCES, what is renamed between directories in EXDEV, the rest in
/// EPERM.
fn errno(blockers: &str) -> i32 {
    match blockers {
        "fs.refer" => libc::EXDEV,
        "fs.change_topology" => libc::EPERM,
        _ if blockers.starts_with("fs.") || blockers.starts_with("net.") => libc::EACCES,
        _ => libc::EPERM,
    }
}

fn grant(plan: &Plan, blocker: Blocker, object: &Object) -> Result<Vec<Grant>, String> {
    match (blocker, object) {
        (Blocker::Never(why), Object::Path(_) | Object::Port { .. } | Object::Process { .. } | Object::Untold) => {
            Err(why.to_string())
        }
        (Blocker::File(using), Object::Path(path)) => {
            // The directory itself is told where a name in it is made or removed.
            sought::opening(plan, Path::new(OsStr::from_bytes(path)), using)
        }
        (Blocker::Port { stream: false, bind: true }, Object::Port { .. }) => {
            Ok(vec![Grant::only("network.udp.ports", "any")])
        }
        (Blocker::Port { stream, bind }, Object::Port { address, port }) => {
            let address = SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), *port);
            Ok(calls::ways(plan, Aim { stream, bind, address }))
        }
        (Blocker::File(_), Object::Port { .. } | Object::Process { .. } | Object::Untold)
        | (Blocker::Port { .. }, Object::Path(_) | Object::Process { .. } | Object::Untold) => {
            Err("the kernel does not tell what it was about".to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hosts::{listen, on, root_on_618, strict};
    use super::super::resolve;
    use super::*;
    use crate::policy::model::Level;

    fn said(blockers: &str, object: Object) -> String {
        let mut policy = strict();
        policy.isolation.level = Some(on(1, Level::LandlockOnly));
        let plan = resolve(&listen(&["sh"]), &policy, &root_on_618()).unwrap();
        let (end, missing) = blocked(&plan, &Access { blockers: blockers.to_string(), object });
        format!("{end}; {}", calls::said(&missing))
    }

    #[test]
    fn each_right_has_the_line_that_would_grant_it_or_says_that_none_does() {
        let path = |path: &str| Object::Path(path.as_bytes().to_vec());
        let to = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            let ip = Some(address.ip()).filter(|ip| !ip.is_unspecified());
            Object::Port { address: ip, port: address.port() }
        };
        let process = || Object::Process { pid: 1, name: b"init".to_vec() };
        let (denied, not) = ("Permission denied; to allow it: ", "Operation not permitted; ");
        for (blockers, object, expected) in [
            ("fs.read_file", path("/srv/x"), format!("{denied}files.read = [\"/srv/x\"]")),
            ("fs.read_dir", path("/srv"), format!("{denied}files.read = [\"/srv\"]")),
            ("fs.execute,fs.read_file", path("/x"), format!("{denied}files.execute = [\"/x\"], files.read = [\"/x\"]")),
            ("fs.write_file,fs.read_file,fs.truncate", path("/x"), format!("{denied}files.write = [\"/x\"]")),
            ("fs.make_reg,fs.refer", path("/srv"), format!("{denied}files.write = [\"/srv\"]")),
            ("fs.refer", path("/srv"), "Invalid cross-device link; to allow it: files.write = [\"/srv\"]".to_string()),
            ("fs.resolve_unix", path("/run/s"), format!("{denied}files.write = [\"/run/s\"]")),
            ("fs.read_file", path("/dev/zero"), format!("{denied}files.devices = [\"zero\"]")),
            (
                "fs.ioctl_dev",
                path("/dev/tty"),
                "Permission denied; no policy opens a device to its own orders (ioctl)".into(),
            ),
            ("net.connect_tcp", to("127.0.0.1:25"), format!("{denied}network.connect.ports = [25]")),
            ("net.bind_tcp", to("0.0.0.0:8080"), format!("{denied}network.bind.ports = [8080]")),
            ("net.connect_send_udp", to("[::1]:53"), format!("{denied}network.udp.ports = [53]")),
            ("net.bind_udp", to("0.0.0.0:53"), format!("{denied}network.udp.ports = \"any\"")),
            ("scope.signal", process(), format!("{not}no policy lets a signal out of the sandbox under Landlock")),
            ("fs.later", path("/x"), format!("Permission denied; {UNKNOWN}")),
            (
                "fs.read_file",
                Object::Untold,
                "Permission denied; the kernel does not tell what it was about".to_string(),
            ),
        ] {
            assert_eq!(said(blockers, object), expected, "{blockers}");
        }
    }

    #[test]
    fn no_word_is_there_twice() {
        let words: std::collections::BTreeSet<_> = BLOCKERS.iter().map(|(word, _)| *word).collect();
        assert_eq!(words.len(), BLOCKERS.len());
    }
}
