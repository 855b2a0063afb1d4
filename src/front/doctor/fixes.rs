// SPDX-License-Identifier: Apache-2.0
//! What an administrator can do about a gap: commands to paste, or a sentence where no command does it.
//! Chosen by what the host says of itself; where it says nothing, every known cause is named.

use crate::front::install::unit;
use crate::host::Causes;
use crate::host::facts::{Facts, Namespace, Trial};
use nix::errno::Errno;

/// As many namespaces as anyone may want; the kernel's own default is larger on any machine with memory.
const MANY: u64 = 15_000;
const USERNS_CLONE: &str = "kernel.unprivileged_userns_clone";
const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// Why a kind of namespace may be refused.
pub(super) fn namespace(namespace: Namespace, trial: Trial, facts: &Facts, causes: &Causes) -> Vec<String> {
    let limit = format!("user.max_{}_namespaces", short(namespace));
    if trial == Trial::Refused(Errno::ENOSPC as i32) {
        return sysctl(&limit, MANY);
    }
    // An ordinary user has the others only inside a user namespace, so that is the one to mend.
    let mends_all = facts.rootless() && namespace != Namespace::User;
    if mends_all && facts.namespaces.get(&Namespace::User) != Some(&Trial::Works) {
        return Vec::new();
    }
    if causes.setting(&limit) == Some(0) {
        return sysctl(&limit, MANY);
    }
    let denied = |name, value| facts.rootless() && causes.setting(name) == Some(value);
    if denied(USERNS_CLONE, 0) {
        return sysctl(USERNS_CLONE, 1);
    }
    if denied(APPARMOR, 1) {
        return apparmor();
    }
    surroundings(causes)
}

/// A setting, now and after the next boot.
fn sysctl(name: &str, value: u64) -> Vec<String> {
    vec![format!("echo '{name} = {value}' >/etc/sysctl.d/60-spawnbox.conf && sysctl -p /etc/sysctl.d/60-spawnbox.conf")]
}

/// The profile that allows it to this program alone, see apparmor.d(5), `userns`: and so to whoever starts it, who
/// chooses the command and how it is confined.
fn apparmor() -> Vec<String> {
    let program = std::env::current_exe().map_or("/usr/sbin/spawnbox".to_string(), |path| path.display().to_string());
    let text = format!(
        r"abi <abi/4.0>,\ninclude <tunables/global>\nprofile spawnbox {program} flags=(unconfined) {{\n  userns,\n}}\n"
    );
    vec![
        format!("printf '{text}' >/etc/apparmor.d/spawnbox && apparmor_parser -r /etc/apparmor.d/spawnbox"),
        "or start it as root: with such a profile, whoever may start it has what this setting withholds".to_string(),
    ]
}

/// What stands around this process: a unit, a container, or something that nothing is known of.
pub(super) fn surroundings(causes: &Causes) -> Vec<String> {
    match (&causes.unit, causes.container) {
        (Some(name), _) if (causes.filtered || causes.bounded) && unit::POSTFIX.contains(&name.as_str()) => {
            vec!["spawnbox install-postfix && systemctl restart postfix".to_string()]
        }
        (Some(name), _) if causes.filtered || causes.bounded => {
            let lines: String = unit::whole().iter().map(|line| format!(r"{line}\n")).collect();
            let place = format!("/etc/systemd/system/{name}.d");
            vec![format!(
                r"mkdir -p {place} && printf '[Service]\n{lines}' >{place}/spawnbox.conf && systemctl daemon-reload"
            )]
        }
        (_, true) => vec![
            "start the container so that it may make namespaces and mounts: with docker or podman, --cap-add SYS_ADMIN \
             --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
                .to_string(),
        ],
        (_, false) if causes.filtered => {
            vec![
                "start it outside of whatever put a system call filter around it (Seccomp in /proc/self/status)".into(),
            ]
        }
        (_, false) if causes.bounded => {
            vec!["start it with CAP_SYS_ADMIN in its bounding set (CapBnd in /proc/self/status)".into()]
        }
        (_, false) => vec![
            "look for what withholds it: a security module, a container, a unit's RestrictNamespaces= or \
             SystemCallFilter="
                .to_string(),
        ],
    }
}

/// How Landlock comes into force.
pub(super) fn landlock(causes: &Causes) -> Vec<String> {
    match &causes.modules {
        Some(modules) if modules.iter().all(|module| module != "landlock") => {
            let list = modules.join(",");
            vec![format!(
                "boot with lsm=landlock,{list} (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub); a kernel \
                 without CONFIG_SECURITY_LANDLOCK needs another one"
            )]
        }
        // The kernel has it, or does not say.
        Some(_) => surroundings(causes),
        None => {
            let mut ways =
                vec!["boot with landlock in lsm= (cat /sys/kernel/security/lsm shows what is in force)".into()];
            if causes.filtered || causes.container {
                ways.extend(surroundings(causes));
            }
            ways
        }
    }
}

/// How a place for the control groups of sessions comes to be.
pub(super) fn delegation(facts: &Facts) -> Vec<String> {
    match facts.rootless() {
        true => vec!["start it in a unit of its own: systemd-run --user -p Delegate=yes spawnbox ...".to_string()],
        false => vec![
            "start it in a unit with Delegate=yes, or let `spawnbox install-postfix` set up one for all".to_string(),
        ],
    }
}

fn short(namespace: Namespace) -> &'static str {
    match namespace {
        Namespace::Mount => "mnt",
        Namespace::Network => "net",
        Namespace::Pid | Namespace::Ipc | Namespace::Uts | Namespace::Cgroup | Namespace::User => namespace.name(),
    }
}
