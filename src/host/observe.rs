// SPDX-License-Identifier: Apache-2.0
//! Observing the machine: once for the machine itself, then for each service what it names.
//! Tries in throw-away children, changes nothing that outlives them, decides nothing.

use super::error::is_passing;
use super::facts::{Accounts, Facts, Image, Kernel, Names, Resource, Trial};
use super::trial::attempt;
use super::{Elsewhere, HostError, accounts, cgroup, errno_text, namespaces, paths, ranges, resolvers};
use crate::sys::clone::Side;
use crate::sys::process;
use crate::sys::{lock, probe};
use nix::errno::Errno;
use nix::libc;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Linux 6.3.
const REFUSE_EXEC_GAIN: u64 = libc::PR_MDWE_REFUSE_EXEC_GAIN as u64;
/// The account that commands get which no one named a user for.
const NOBODY: &str = "nobody";

/// What is true of the machine, whatever a service asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine(Facts);

impl Machine {
    /// Looks and tries. Some milliseconds, mostly of children that are made and gone.
    pub fn observe() -> Result<Machine, HostError> {
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let kernel = kernel()?;
        let tried = namespaces::observe(&kernel, uid, gid).map_err(|errno| HostError::new("open /proc", errno))?;
        let groups = nix::unistd::getgroups().map_err(|errno| HostError::new("read the own groups", errno))?;
        Ok(Machine(Facts {
            uid,
            gid,
            groups: groups.into_iter().map(|group| group.as_raw()).collect(),
            namespaces: tried
                .namespaces
                .into_iter()
                .map(|(namespace, trial)| {
                    Ok((namespace, certain(&format!("make a {} namespace", namespace.name()), trial)?))
                })
                .collect::<Result<_, _>>()?,
            landlock_abi: landlock_abi()?,
            seccomp: certain("install a filter", attempt(install_filter))?,
            listener: certain("install a filter that is listened to", attempt(install_listener))?,
            clone3: certain("make a process with clone3", attempt(clone_and_wait))?,
            keyring: certain("join a session keyring", attempt(lock::join_session_keyring))?,
            bounding_set: certain("drop a capability", attempt(drop_one))?,
            mdwe: certain("set PR_SET_MDWE", attempt(|| process::control(libc::PR_SET_MDWE, REFUSE_EXEC_GAIN, 0)))?,
            pid_max: certain("set pid_max in a PID namespace", tried.pid_max)?,
            memfd_noexec: certain("set memfd_noexec in a PID namespace", tried.memfd_noexec)?,
            ns_last_pid: certain("set ns_last_pid in a PID namespace", tried.ns_last_pid)?,
            hostname: certain("set the host's name in a UTS namespace", tried.hostname)?,
            cgroup: cgroup::observe(&kernel, uid)?,
            last_capability: last_capability()?,
            suid_dumpable: suid_dumpable(),
            oom_score_adj: oom_score_adj()?,
            hard_limits: hard_limits()?,
            resolvers: resolvers::observe(),
            paths: BTreeMap::new(),
            image: None,
            accounts: Accounts::default(),
            kernel,
        }))
    }

    /// The facts for one service. The own account and nobody's are looked up in any case.
    pub fn facts(&self, names: &Names, paths: &[PathBuf]) -> Result<Facts, HostError> {
        let own = self.0.uid.to_string();
        let users: BTreeSet<String> = names.users.iter().cloned().chain([own, NOBODY.to_string()]).collect();
        let accounts = accounts::look_up(&Names { users: users.into_iter().collect(), ..names.clone() })?;
        Ok(Facts { accounts, paths: paths::look_at(paths)?, ..self.0.clone() })
    }

    /// The facts for a service below another root directory: names and paths are that one's. Ids are the host's.
    pub fn facts_in(&self, place: &Elsewhere, names: &Names, paths: &[PathBuf]) -> Result<Facts, HostError> {
        let occupied = ranges::occupied(&names.ranges)?;
        let accounts = Accounts { occupied, ..place.accounts(&names.users, &names.groups) };
        Ok(Facts { accounts, paths: place.look_at(paths)?, ..self.0.clone() })
    }

    /// The user that looks.
    pub fn uid(&self) -> u32 {
        self.0.uid
    }

    /// The facts for a service whose paths are those of a root image. Names are the host's.
    pub fn facts_of_image(&self, image: &Elsewhere, names: &Names, paths: &[PathBuf]) -> Result<Facts, HostError> {
        let found = Image::Found { path: image.path().to_path_buf(), top: image.look_at(&image.top()?)? };
        Ok(Facts { paths: image.look_at(paths)?, image: Some(found), ..self.facts(names, &[])? })
    }
}

fn kernel() -> Result<Kernel, HostError> {
    let name = nix::sys::utsname::uname().map_err(|errno| HostError::new("ask for the kernel's release", errno))?;
    parse_release(&name.release().to_string_lossy())
}

/// The first two numbers: distributions add to the rest as they like.
pub(super) fn parse_release(release: &str) -> Result<Kernel, HostError> {
    let mut numbers = release.splitn(3, |c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    let dotted = release.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('.');
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if dotted => Ok(Kernel { major, minor, release: release.to_string() }),
        _ => Err(HostError {
            doing: "tell how old this kernel is".into(),
            why: format!("its release, {release}, does not begin with two numbers"),
        }),
    }
}

/// `LANDLOCK_ACCESS_FS_EXECUTE`, which every ABI has.
const EXECUTE: u64 = 1;

/// A ruleset must not only be known to the kernel: a filter may stand between.
fn landlock_abi() -> Result<u32, HostError> {
    let enforced = attempt(|| {
        probe::landlock_abi()?;
        let ruleset = probe::ruleset(EXECUTE)?;
        process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        lock::restrict_self(std::os::fd::AsFd::as_fd(&ruleset), 0)
    });
    match certain("enforce a Landlock ruleset", enforced)? {
        Trial::Works => probe::landlock_abi().map_err(|errno| HostError::new("ask for the Landlock ABI", errno)),
        Trial::Refused(_) | Trial::Killed => Ok(0),
    }
}

/// What came of a trial, unless the next one may well come to something else: that is no fact of this host, and would
/// switch off what it was a trial of.
fn certain(what: &str, trial: Trial) -> Result<Trial, HostError> {
    match trial {
        Trial::Refused(errno) if is_passing(Errno::from_raw(errno)) => {
            let why = format!("{}; what this host can do cannot be told", errno_text(Errno::from_raw(errno)));
            Err(HostError { doing: format!("try to {what}"), why })
        }
        Trial::Works | Trial::Refused(_) | Trial::Killed => Ok(trial),
    }
}

/// A filter that allows everything.
const OPEN: [libc::sock_filter; 1] =
    [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];

fn install_filter() -> Result<(), Errno> {
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    lock::install_filter(&OPEN)
}

fn install_listener() -> Result<(), Errno> {
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    lock::install_listener(&OPEN).map(drop)
}

/// Any will do, in a process that is about to end.
fn drop_one() -> Result<(), Errno> {
    process::control(libc::PR_CAPBSET_DROP, 0, 0)
}

fn clone_and_wait() -> Result<(), Errno> {
    match probe::clone3_quietly()? {
        Side::Child => process::exit(0),
        Side::Parent(child) => nix::sys::wait::waitpid(child, Some(nix::sys::wait::WaitPidFlag::__WALL)).map(drop),
    }
}

/// Asked of the kernel itself, since /proc/sys may be hidden.
fn last_capability() -> Result<u8, HostError> {
    // A 64-bit set cannot hold more.
    let known = |capability: &u8| process::control(libc::PR_CAPBSET_READ, u64::from(*capability), 0).is_ok();
    let (known, unknown): (Vec<u8>, Vec<u8>) = (0..64).partition(known);
    let newest = known.last().filter(|newest| unknown.iter().all(|capability| capability > newest));
    // One that is unknown below one that is known would be kept by every command.
    newest.copied().ok_or_else(|| HostError::new("ask for the bounding set", Errno::EINVAL))
}

/// Where it cannot be read, nothing is to rely on it.
fn suid_dumpable() -> bool {
    let text = std::fs::read_to_string("/proc/sys/fs/suid_dumpable").unwrap_or_default();
    !matches!(text.trim(), "0" | "2")
}

fn oom_score_adj() -> Result<i16, HostError> {
    let path = "/proc/self/oom_score_adj";
    let text = std::fs::read_to_string(path)
        .map_err(|error| HostError { doing: format!("read {path}"), why: error.to_string() })?;
    text.trim().parse().map_err(|_| HostError::new(format!("read {path}"), Errno::EINVAL))
}

fn hard_limits() -> Result<BTreeMap<Resource, u64>, HostError> {
    use nix::sys::resource::{RLIM_INFINITY, Resource as Number, getrlimit, setrlimit};
    let numbers = [
        (Resource::ProcessorTime, Number::RLIMIT_CPU),
        (Resource::OpenFiles, Number::RLIMIT_NOFILE),
        (Resource::FileSize, Number::RLIMIT_FSIZE),
        (Resource::AddressSpace, Number::RLIMIT_AS),
        (Resource::Stack, Number::RLIMIT_STACK),
        (Resource::CoreSize, Number::RLIMIT_CORE),
        (Resource::LockedMemory, Number::RLIMIT_MEMLOCK),
        (Resource::PendingSignals, Number::RLIMIT_SIGPENDING),
        (Resource::MessageQueues, Number::RLIMIT_MSGQUEUE),
        (Resource::Tasks, Number::RLIMIT_NPROC),
        (Resource::Nice, Number::RLIMIT_NICE),
        (Resource::RealtimePriority, Number::RLIMIT_RTPRIO),
    ];
    let mut limits = BTreeMap::new();
    for (resource, number) in numbers {
        let (_, hard) = getrlimit(number).map_err(|errno| HostError::new("read the own limits", errno))?;
        // No core file is smaller, so to raise it lets nothing be written, and 0 does not stop a piped core_pattern.
        let hard = match (resource, hard) {
            (Resource::CoreSize, 0) if attempt(|| setrlimit(number, 1, 1)) == Trial::Works => 1,
            (_, hard) => hard,
        };
        if hard != RLIM_INFINITY {
            limits.insert(resource, hard);
        }
    }
    Ok(limits)
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
