// SPDX-License-Identifier: Apache-2.0
//! What the command was given: identity, rights, limits, descriptors. Reads only.

use nix::libc;
use std::collections::BTreeSet;

/// The fact of this name as text.
pub(crate) fn look(name: &str) -> Option<String> {
    let text = match name {
        "ids" => ids(),
        "groups" => words(nix::unistd::getgroups().expect("getgroups works").iter()),
        "capabilities" => capabilities(),
        "bounding" => words(capability_numbers(libc::PR_CAPBSET_READ, 0)),
        "ambient" => words(capability_numbers(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as u64)),
        "securebits" => option(libc::PR_GET_SECUREBITS),
        "no-new-privs" => option(libc::PR_GET_NO_NEW_PRIVS),
        "seccomp" => option(libc::PR_GET_SECCOMP),
        // PR_GET_MDWE, Linux 6.3; libc has no name for it.
        "mdwe" => option(66),
        "dumpable" => option(libc::PR_GET_DUMPABLE),
        "descriptors" => words(descriptors()),
        "limits" => limits(),
        "ignored" => words(ignored()),
        "blocked" => words(blocked()),
        "session" => session(),
        "pid" => format!("{} parent {}", std::process::id(), std::os::unix::process::parent_id()),
        "umask" => umask(),
        "directory" => {
            std::env::current_dir().map_or_else(|error| error.to_string(), |path| path.display().to_string())
        }
        "environment" => {
            words(std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<BTreeSet<_>>())
        }
        "hostname" => nix::unistd::gethostname().map_or_else(errno, |name| name.to_string_lossy().into_owned()),
        "interfaces" => interfaces(),
        "landlock" => landlock(),
        _ => return None,
    };
    Some(text)
}

fn errno(errno: nix::errno::Errno) -> String {
    format!("{errno:?}")
}

fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if words.is_empty() { "none".to_string() } else { words.join(" ") }
}

fn ids() -> String {
    let (uid, gid) =
        (nix::unistd::getresuid().expect("getresuid works"), nix::unistd::getresgid().expect("getresgid works"));
    format!("uid {} {} {} gid {} {} {}", uid.real, uid.effective, uid.saved, gid.real, gid.effective, gid.saved)
}

fn capabilities() -> String {
    use caps::CapSet::{Effective, Inheritable, Permitted};
    let sets = [Effective, Permitted, Inheritable];
    let found: BTreeSet<String> = sets
        .into_iter()
        .flat_map(|set| caps::read(None, set).expect("capget works"))
        .map(|capability| capability.to_string())
        .collect();
    words(found)
}

/// Every capability number for which `prctl(option, ...)` says 1.
fn capability_numbers(option: i32, first: u64) -> Vec<u64> {
    let ask = |number: u64| match first {
        // SAFETY: these prctls read and take numbers only.
        0 => unsafe { libc::prctl(option, number, 0, 0, 0) },
        // SAFETY: as above.
        _ => unsafe { libc::prctl(option, first, number, 0, 0) },
    };
    (0..64).filter(|&number| ask(number) == 1).collect()
}

fn option(option: i32) -> String {
    // SAFETY: a PR_GET_ option that returns its value takes no pointer.
    let value = unsafe { libc::prctl(option, 0, 0, 0, 0) };
    if value < 0 { errno(nix::errno::Errno::last()) } else { value.to_string() }
}

fn descriptors() -> Vec<i32> {
    // SAFETY: F_GETFD changes nothing, whatever the number is.
    (0..4096).filter(|&number| unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0).collect()
}

fn limits() -> String {
    use nix::sys::resource::{Resource, getrlimit};
    let named = [
        ("processor-time", Resource::RLIMIT_CPU),
        ("file-size", Resource::RLIMIT_FSIZE),
        ("stack", Resource::RLIMIT_STACK),
        ("core-size", Resource::RLIMIT_CORE),
        ("address-space", Resource::RLIMIT_AS),
        ("tasks", Resource::RLIMIT_NPROC),
        ("open-files", Resource::RLIMIT_NOFILE),
        ("locked-memory", Resource::RLIMIT_MEMLOCK),
        ("pending-signals", Resource::RLIMIT_SIGPENDING),
        ("message-queues", Resource::RLIMIT_MSGQUEUE),
        ("nice", Resource::RLIMIT_NICE),
        ("realtime-priority", Resource::RLIMIT_RTPRIO),
    ];
    let show = |value: u64| if value == libc::RLIM_INFINITY { "unlimited".to_string() } else { value.to_string() };
    words(named.map(|(name, resource)| match getrlimit(resource) {
        Ok((soft, hard)) => format!("{name}={}/{}", show(soft), show(hard)),
        Err(refused) => format!("{name}={refused:?}"),
    }))
}

fn ignored() -> Vec<i32> {
    let is_ignored = |&signal: &i32| {
        // SAFETY: an all-zero sigaction is a valid value to be overwritten.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: no new action is given; the old one has room.
        let result = unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
        result == 0 && action.sa_sigaction == libc::SIG_IGN
    };
    // Rust's own start-up ignores SIGPIPE before main: `pipe` in the environment of the process is no evidence, so 13
    // is left to the shell tests.
    (1..65).filter(|&signal| signal != libc::SIGPIPE).filter(is_ignored).collect()
}

fn blocked() -> Vec<i32> {
    let mask = nix::sys::signal::SigSet::thread_get_mask().expect("the mask can be read");
    mask.iter().map(|signal| signal as i32).collect()
}

fn session() -> String {
    use nix::unistd::{getpgrp, getpid, getsid};
    let leader = getsid(None).map_or_else(errno, |sid| (sid == getpid()).to_string());
    let terminal = std::fs::File::open("/dev/tty").is_ok();
    format!("leader {leader} group leader {} terminal {terminal}", getpgrp() == getpid())
}

fn umask() -> String {
    use nix::sys::stat::{Mode, umask};
    let mask = umask(Mode::empty());
    umask(mask);
    format!("{:03o}", mask.bits())
}

fn interfaces() -> String {
    match nix::net::if_::if_nameindex() {
        Ok(all) => words(all.iter().map(|interface| interface.name().to_string_lossy().into_owned())),
        Err(refused) => errno(refused),
    }
}

/// The Landlock ABI; 0 where there is none.
fn landlock() -> String {
    // SAFETY: LANDLOCK_CREATE_RULESET_VERSION (1) asks for a number and takes a null pointer.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    abi.max(0).to_string()
}
