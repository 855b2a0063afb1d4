// SPDX-License-Identifier: Apache-2.0
//! Refusals because of the host: what the policy asks for and this kernel or its settings cannot enforce.
//! Words only: what is lacking is decided in `layers`, `limits`, `files` and `network`.

use crate::host::errno_text;
use crate::host::facts::{Controller, Trial};
use crate::plan::request::Front;
use crate::policy::model::Namespace;
use nix::errno::Errno;
use std::path::PathBuf;

/// Something that the host lacks or refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Older than anything that was ever tried.
    #[error("Linux {release} is too old")]
    Kernel {
        /// The release.
        release: String,
    },
    /// A kind of namespace cannot be made.
    #[error("the {} namespace cannot be made: {}", namespace.name(), .trial)]
    Namespace {
        /// Which.
        namespace: Namespace,
        /// What came of trying.
        trial: Trial,
    },
    /// A kind of sandbox that is more than this host gives.
    #[error("isolation.level = \"{wanted}\" cannot be had here, which needs: {lacks}")]
    Level {
        /// The level that is asked for.
        wanted: &'static str,
        /// The strongest that there is.
        given: Option<&'static str>,
        /// What is missing.
        lacks: String,
    },
    /// The kernel has no Landlock, or it is switched off.
    #[error("this kernel has no Landlock")]
    NoLandlock,
    /// A list of ports that this kernel's Landlock knows nothing of.
    #[error("{key} lists ports, which needs Landlock ABI {needs}; this kernel has {has}")]
    Ports {
        /// The policy key.
        key: &'static str,
        /// The first ABI with the right.
        needs: u32,
        /// The host's ABI.
        has: u32,
    },
    /// This kernel's Landlock says nothing of what it denies.
    #[error(
        "isolation.landlock-audit needs Landlock ABI {} (Linux 6.15); this kernel has {has}",
        crate::plan::AUDIT_ABI
    )]
    Audit {
        /// The host's ABI.
        has: u32,
    },
    /// A call reaches the host's network, and nothing holds it to what was granted.
    #[error("the system call {call} is allowed, and nothing keeps it from {reach}")]
    Unrestricted {
        /// The call.
        call: &'static str,
        /// What it would reach.
        reach: &'static str,
        /// The key that would say so.
        key: &'static str,
        /// Whether a filter is there that could take the call away.
        filter: Filtering,
    },
    /// System call filters cannot be used.
    #[error("system call filters cannot be used: {}", .trial)]
    Seccomp {
        /// What came of trying.
        trial: Trial,
    },
    /// A UTS namespace keeps the host's name.
    #[error("the host's name cannot be hidden: {trial}")]
    HostName {
        /// What came of trying.
        trial: Trial,
    },
    /// A setting that newer kernels have.
    #[error("{key} cannot be enforced: {what} needs {since}: {}", .trial)]
    Setting {
        /// The policy key.
        key: &'static str,
        /// What the kernel calls it.
        what: &'static str,
        /// What a kernel needs to have it.
        since: &'static str,
        /// What came of trying.
        trial: Trial,
    },
    /// A limit needs a cgroup controller.
    #[error("{key} cannot be enforced: {}", place.text(*.controller))]
    Controller {
        /// The policy key.
        key: &'static str,
        /// The controller.
        controller: Controller,
        /// Where it is instead.
        place: Where,
    },
    /// Nothing counts the tasks of one session.
    #[error(
        "limits.tasks cannot be enforced: without a user namespace the kernel counts the user on the whole host, and {}",
        place.text(Controller::Pids)
    )]
    Tasks {
        /// Where the controller is instead.
        place: Where,
    },
    /// What a command leaves behind would live on.
    #[error(
        "nothing would end what a command leaves behind: no PID namespace, no Landlock ABI 6 (Linux 6.12), and no \
         control group ({why})"
    )]
    Tree {
        /// Why there is no control group.
        why: String,
    },
    /// A path of the policy is not there.
    #[error("{}: {}", path.display(), errno_text(Errno::from_raw(*.errno)))]
    Path {
        /// The path.
        path: PathBuf,
        /// What came of looking.
        errno: i32,
    },
    /// The directory that the root is to be made from.
    #[error("the root image {} cannot be used: {why}", path.display())]
    Image {
        /// As written.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What the operator can do about it.
        way_out: String,
    },
    /// A scratch file system is mounted on a directory.
    #[error("{}: there is no directory to mount a scratch file system on", path.display())]
    MountPoint {
        /// The path.
        path: PathBuf,
    },
}

/// Whether the policy has its calls filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// `[syscalls]` decides.
    On,
    /// `isolation.seccomp = "off"`: nothing that `[syscalls]` says has an effect.
    Off,
}

/// Where a cgroup controller is, if not where a session could use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// On a version 1 hierarchy.
    Version1,
    /// Not among those of our directory.
    NotDelegated,
    /// There is no directory for sessions at all.
    NoDirectory(String),
}

impl Where {
    /// The sentence about `controller`.
    pub(in crate::plan) fn text(&self, controller: Controller) -> String {
        let name = controller.name();
        match self {
            Where::Version1 => format!("the {name} controller sits on a version 1 hierarchy"),
            Where::NotDelegated => format!("the {name} controller is not delegated to us"),
            Where::NoDirectory(why) => format!("there is no control group for the {name} controller ({why})"),
        }
    }

    fn way_out(&self, front: Front) -> &'static str {
        match self {
            Where::NotDelegated | Where::NoDirectory(_) if front == Front::Master => {
                "`spawnbox install-postfix` sets up a unit with control groups for sessions, or leave the limit out"
            }
            Where::Version1 => "boot with systemd.unified_cgroup_hierarchy=1, or leave the limit out",
            Where::NotDelegated | Where::NoDirectory(_) => {
                "start spawnbox in a unit with Delegate=yes, or leave the limit out"
            }
        }
    }
}

/// What `spawnbox install-postfix` allows again: see front/install for the settings, each of which was tried.
const DROP_IN: &str = "if a unit like Debian 13's postfix.service withholds it, `spawnbox install-postfix` writes the \
                       drop-in that allows it; else ";

impl Lack {
    /// What the operator can do about it.
    pub(super) fn way_out(&self, front: Front) -> String {
        let drop_in = if front == Front::Master && self.is_like_a_unit() { DROP_IN } else { "" };
        format!("{drop_in}{}", self.own_way_out(front))
    }

    /// Whether a hardened unit shows itself in this way: by SIGSYS, by EPERM; its /proc/sys is hidden or read-only.
    fn is_like_a_unit(&self) -> bool {
        let one_of = |trial: Trial, errnos: &[Errno]| match trial {
            Trial::Works => false,
            Trial::Killed => true,
            Trial::Refused(errno) => errnos.iter().any(|known| *known as i32 == errno),
        };
        match self {
            Lack::Namespace { trial, .. } | Lack::Seccomp { trial } | Lack::HostName { trial } => {
                one_of(*trial, &[Errno::EPERM])
            }
            Lack::Setting { trial, .. } => one_of(*trial, &[Errno::EPERM, Errno::ENOENT, Errno::EROFS]),
            Lack::Kernel { .. }
            | Lack::Level { .. }
            | Lack::NoLandlock
            | Lack::Ports { .. }
            | Lack::Audit { .. }
            | Lack::Unrestricted { .. }
            | Lack::Controller { .. }
            | Lack::Tasks { .. }
            | Lack::Tree { .. }
            | Lack::Path { .. }
            | Lack::Image { .. }
            | Lack::MountPoint { .. } => false,
        }
    }

    fn own_way_out(&self, front: Front) -> String {
        match self {
            Lack::Kernel { .. } => {
                "ending everything that a command has started needs 5.14 (cgroup.kill), and 6.1 is the \
                                    oldest that is supported"
                    .to_string()
            }
            Lack::Namespace { namespace, trial } => namespace_way_out(*namespace, *trial),
            Lack::Level { given: Some(given), .. } => {
                format!("mend that, or say what there is by its name: isolation.level = \"{given}\"")
            }
            Lack::Level { given: None, .. } => "mend that: `spawnbox doctor` says how".to_string(),
            Lack::Seccomp { .. } => "a container engine's or unit's filter withholds it: allow it there".to_string(),
            Lack::NoLandlock => {
                "boot with landlock in lsm=, or switch it off by name: isolation.landlock = \"off\"".to_string()
            }
            Lack::Ports { key, .. } => format!("say that any port is meant: {key}.ports = \"any\""),
            Lack::Audit { .. } => {
                "leave it out: syscalls.on-deny = \"report-all\" names what is denied on any kernel".to_string()
            }
            Lack::Unrestricted { call, key, filter, .. } => {
                let take = match filter {
                    Filtering::On => format!("take the call away: syscalls.deny = [\"{call}\"]"),
                    Filtering::Off => {
                        "let calls be filtered: isolation.seccomp = \"required\", without which syscalls.deny does nothing"
                            .to_string()
                    }
                };
                format!("{take}, or say that it is meant: {key}.ports = \"any\"")
            }
            Lack::HostName { .. } => {
                "a container or a unit (ProtectHostname=, SystemCallFilter=) may withhold it, or show it by name: \
                 isolation.hostname = \"host\""
                    .to_string()
            }
            Lack::Setting { key, .. } => format!("leave {key} out"),
            Lack::Controller { place, .. } | Lack::Tasks { place } => place.way_out(front).to_string(),
            Lack::Tree { .. } => {
                "let isolation.namespaces have \"pid\", or start spawnbox in a unit with Delegate=yes".to_string()
            }
            Lack::Path { .. } => "correct it, or say { path = ..., optional = true }".to_string(),
            Lack::Image { way_out, .. } => way_out.clone(),
            Lack::MountPoint { .. } => "make it, or name another path".to_string(),
        }
    }
}

fn namespace_way_out(namespace: Namespace, trial: Trial) -> String {
    let without = match namespace {
        Namespace::Network => "network.mode = \"host\"".to_string(),
        other => format!("isolation.namespaces without \"{}\"", other.name()),
    };
    let cause = match (namespace, trial) {
        (_, Trial::Killed) => "the unit that started spawnbox forbids it (SystemCallFilter=, RestrictNamespaces=)",
        (Namespace::User, Trial::Refused(errno)) if errno == Errno::ENOSPC as i32 => {
            "raise sysctl user.max_user_namespaces"
        }
        (Namespace::User, _) => {
            "see sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns \
             and user.max_user_namespaces"
        }
        (_, Trial::Refused(errno)) if errno == Errno::ENOSPC as i32 => "raise sysctl user.max_*_namespaces",
        (_, Trial::Refused(_) | Trial::Works) => {
            "a container or a unit (RestrictNamespaces=, CapabilityBoundingSet=) may withhold it"
        }
    };
    format!("{cause}, or switch it off by name: {without}; `spawnbox doctor` names the isolation.level that there is")
}
