// SPDX-License-Identifier: Apache-2.0
//! What a test needs of the host. A test whose need is not met says so and is skipped; where `SPAWNBOX_TESTS=must` it
//! fails, unless `SPAWNBOX_LACKS` names the need: a list, separated by commas, of what this machine is known not to
//! have. What that list names and the machine has after all fails too, so that the list cannot grow stale.

use super::{host, stage};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::io::Write;
use std::path::Path;

/// Ends a test early where the host lacks something: `needs!(root)`, `needs!(program "strace")`, `needs!(landlock 4)`,
/// `needs!(kernel 6, 3)`, `needs!(cgroup)`, `needs!(controller "memory")`, `needs!(clock)`,
/// `needs!(audit)`, `needs!(processors 2)`.
macro_rules! needs {
    (root) => { needs!(@ $crate::scene::needs::root()) };
    (clock) => { needs!(@ $crate::scene::needs::clock()) };
    (audit) => { needs!(@ $crate::scene::needs::audit()) };
    (cgroup) => { needs!(@ $crate::scene::needs::cgroup()) };
    (processors $count:literal) => { needs!(@ $crate::scene::needs::processors($count)) };
    (program $name:literal) => { needs!(@ $crate::scene::needs::program($name)) };
    (landlock $abi:literal) => { needs!(@ $crate::scene::needs::landlock($abi)) };
    (kernel $major:literal, $minor:literal) => { needs!(@ $crate::scene::needs::kernel($major, $minor)) };
    (controller $name:literal) => { needs!(@ $crate::scene::needs::controller($name)) };
    (@ $need:expr) => { if !$crate::scene::needs::met($need) { return; } };
}

/// Something that a test needs, in words, and whether it is there.
pub(crate) struct Need {
    what: String,
    there: bool,
}

impl Need {
    /// Whether this machine has it; for what is expected of a host, and not for skipping.
    pub(crate) fn is_there(&self) -> bool {
        self.there
    }
}

/// Whether the need is met; says why not, on the real standard error, which the test runner does not swallow.
pub(crate) fn met(need: Need) -> bool {
    let lacks = std::env::var("SPAWNBOX_LACKS").unwrap_or_default();
    let known = lacks.split(',').any(|lack| lack.trim() == need.what);
    assert!(!(known && need.there), "SPAWNBOX_LACKS names {:?}, but this machine has it", need.what);
    if need.there {
        return true;
    }
    let must = std::env::var("SPAWNBOX_TESTS").is_ok_and(|value| value == "must");
    assert!(!must || known, "this machine lacks {:?}, and SPAWNBOX_TESTS=must", need.what);
    let name = std::thread::current().name().unwrap_or("a test").to_string();
    let _ = writeln!(std::io::stderr(), "skipped: {name} needs {}", need.what);
    false
}

pub(crate) fn root() -> Need {
    Need { what: "root".to_string(), there: host::is_root() }
}

pub(crate) fn program(name: &str) -> Need {
    let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    Need { what: name.to_string(), there: places.iter().any(|place| Path::new(place).join(name).exists()) }
}

/// Those that this process may run on, as the supervisor counts them: a quota is none of them less.
pub(crate) fn processors(count: usize) -> Need {
    let ours = sched_getaffinity(Pid::from_raw(0)).expect("a process may ask for its own");
    let number = (0..CpuSet::count()).filter(|processor| ours.is_set(*processor) == Ok(true)).count();
    Need { what: format!("processors {count}"), there: number >= count }
}

pub(crate) fn landlock(abi: u32) -> Need {
    Need { what: format!("landlock {abi}"), there: landlock_abi() >= abi }
}

pub(crate) fn kernel(major: u32, minor: u32) -> Need {
    let release = nix::sys::utsname::uname().expect("uname works").release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|word| word.parse::<u32>().unwrap_or(0));
    let running = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Need { what: format!("kernel {major}.{minor}"), there: running >= (major, minor) }
}

pub(crate) fn cgroup() -> Need {
    let there = host::is_root() && host::cgroup_root().is_some();
    Need { what: "cgroup".to_string(), there }
}

/// A clock that nobody else reads, which root may set: nothing tells a machine of one's own but whoever made it.
pub(crate) fn clock() -> Need {
    let own = std::env::var("SPAWNBOX_CLOCK").is_ok_and(|value| value == "own");
    Need { what: "clock".to_string(), there: own && host::is_root() }
}

/// An audit log that nobody else reads or writes, which root may switch on: processes that are made from then on are
/// slower until the next boot, since the kernel looks at each of their calls (`audit_alloc` of kernel/auditsc.c).
pub(crate) fn audit() -> Need {
    Need { what: "audit".to_string(), there: clock().there && landlock_abi() >= 7 }
}

pub(crate) fn controller(name: &str) -> Need {
    let list =
        host::cgroup_root().map(|root| std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default());
    let there = host::is_root() && list.is_some_and(|list| list.split_whitespace().any(|word| word == name));
    Need { what: format!("controller {name}"), there }
}

/// The Landlock ABI of the running kernel, asked by the probe, since the call has no safe wrapper.
pub(crate) fn landlock_abi() -> u32 {
    let output = std::process::Command::new(stage::program("probe")).arg("landlock").output().expect("the probe runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().strip_prefix("landlock: ").and_then(|abi| abi.parse().ok()).expect("the probe answers with a number")
}
