// SPDX-License-Identifier: Apache-2.0
//! Why this host may refuse what was tried: settings of the kernel, and what stands around this process.
//! Reads only. What was tried and what came of it is in the facts; nothing is decided by a cause.

use nix::libc;
use std::collections::BTreeMap;
use std::path::Path;

/// Settings that withhold namespaces, as sysctl(8) names them.
const SETTINGS: [&str; 9] = [
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.unprivileged_userns_clone",
    "user.max_cgroup_namespaces",
    "user.max_ipc_namespaces",
    "user.max_mnt_namespaces",
    "user.max_net_namespaces",
    "user.max_pid_namespaces",
    "user.max_user_namespaces",
    "user.max_uts_namespaces",
];
/// CAP_SYS_ADMIN of capabilities(7).
const SYS_ADMIN: u64 = 21;
/// What container engines leave for programs to find; the last is systemd-nspawn's.
const MARKS: [&str; 3] = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];

/// What may be the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causes {
    /// Those of the settings that this kernel has.
    pub settings: BTreeMap<&'static str, u64>,
    /// The security modules in force, where the kernel tells.
    pub modules: Option<Vec<String>>,
    /// Somebody has put a system call filter around this process.
    pub filtered: bool,
    /// This process can never have CAP_SYS_ADMIN.
    pub bounded: bool,
    /// It runs in a container.
    pub container: bool,
    /// No user namespace maps its user ids: they are the host's, in a container too.
    pub unmapped: bool,
    /// The unit of systemd that started it.
    pub unit: Option<String>,
}

impl Causes {
    /// Looks for all of them. What cannot be read is no cause that could be named.
    pub fn observe() -> Causes {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let setting = |name: &'static str| {
            let text = read(&format!("/proc/sys/{}", name.replace('.', "/")))?;
            Some((name, text.trim().parse().ok()?))
        };
        let status = read("/proc/self/status").unwrap_or_default();
        let systemd = Path::new("/run/systemd/system").is_dir();
        Causes {
            settings: SETTINGS.into_iter().filter_map(setting).collect(),
            modules: read("/sys/kernel/security/lsm").map(|list| list.trim().split(',').map(str::to_string).collect()),
            filtered: field(&status, "Seccomp").is_some_and(|mode| mode != "0"),
            bounded: crate::sys::process::ask(libc::PR_CAPBSET_READ, SYS_ADMIN, 0) == Ok(0),
            container: MARKS.iter().any(|mark| Path::new(mark).exists()) || std::env::var_os("container").is_some(),
            unmapped: read("/proc/self/uid_map").is_some_and(|map| is_whole(&map)),
            unit: read("/proc/self/cgroup").filter(|_| systemd).as_deref().and_then(unit),
        }
    }

    /// The value of a setting, where the kernel has it.
    pub fn setting(&self, name: &str) -> Option<u64> {
        self.settings.get(name).copied()
    }
}

/// A field of proc_pid_status(5).
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether a map of user_namespaces(7) is that of the first namespace: every id to itself.
fn is_whole(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The innermost service in the path of the control group.
fn unit(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.split('/').rev().find(|name| name.ends_with(".service")).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel_are_read() {
        assert_eq!(field("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n", "Seccomp"), Some("2"));
        assert_eq!(field("Name:\tx\n", "Seccomp"), None);
        assert!(is_whole("         0          0 4294967295\n") && !is_whole("0 100000 65536\n") && !is_whole(""));
        let unit = |path| unit(path);
        assert_eq!(unit("4:memory:/\n0::/system.slice/postfix.service/x\n"), Some("postfix.service".into()));
        assert_eq!(unit("0::/user.slice/user-1000.slice/session-3.scope\n"), None);
        assert_eq!(unit("4:memory:/a.service\n"), None);
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let causes = Causes::observe();
        assert!(causes.settings.keys().all(|name| SETTINGS.contains(name)));
        assert_eq!(causes.setting("no.such"), None);
    }
}
