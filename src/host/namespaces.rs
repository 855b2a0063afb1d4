// SPDX-License-Identifier: Apache-2.0
//! Which namespaces can be made, and what can be set in a PID namespace: tried in the order that a session takes.
//! Root makes the other namespaces, changes its ids and makes the user namespace last; an ordinary user has the
//! right to the others only inside a user namespace, and makes a second one last.

use super::facts::{Kernel, Namespace, Trial};
use super::trial::{outcome, within};
use crate::sys::errno;
use crate::sys::{self, probe};
use nix::errno::Errno;
use nix::libc;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

/// What stands for the command's user while root tries: nobody's id, see nobody(5).
const SOMEONE: u32 = 65534;
/// See capabilities(7).
const NO_SETUID_FIXUP: u64 = libc::SECBIT_NO_SETUID_FIXUP as u64;
/// Where the trial's file system is attached: a directory that every host has.
const WORKSHOP: &str = "/proc";

/// All but the user namespace, which has its own place in the order.
const OTHERS: [(Namespace, i32); 6] = [
    (Namespace::Mount, libc::CLONE_NEWNS),
    (Namespace::Pid, libc::CLONE_NEWPID),
    (Namespace::Network, libc::CLONE_NEWNET),
    (Namespace::Ipc, libc::CLONE_NEWIPC),
    (Namespace::Uts, libc::CLONE_NEWUTS),
    (Namespace::Cgroup, libc::CLONE_NEWCGROUP),
];

/// What the trials came to.
pub(super) struct Tried {
    pub(super) namespaces: BTreeMap<Namespace, Trial>,
    pub(super) pid_max: Trial,
    pub(super) memfd_noexec: Trial,
    pub(super) ns_last_pid: Trial,
    pub(super) hostname: Trial,
}

/// Who tries, with what the children need and cannot make.
struct Attempt {
    /// The host's /proc: a sysctl written through it is that of the writer's PID namespace.
    proc: OwnedFd,
    /// An ordinary user that can have a user namespace enters it first.
    start: Start,
    /// Whom a command would run as.
    uid: u32,
    gid: u32,
    uid_map: CString,
    gid_map: CString,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// As root, with its rights.
    Root,
    /// As an ordinary user, inside a user namespace of its own.
    Inside,
    /// As an ordinary user that can have none.
    Bare,
}

/// Tries everything. The error is a /proc that cannot be opened.
pub(super) fn observe(kernel: &Kernel, uid: u32, gid: u32) -> Result<Tried, Errno> {
    let proc =
        rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
    let (start, uid, gid) = if uid == 0 { (Start::Root, SOMEONE, SOMEONE) } else { (Start::Inside, uid, gid) };
    let map = |id: u32| CString::new(format!("{id} {id} 1")).expect("digits and blanks have no NUL");
    let mut attempt = Attempt { proc, start, uid, gid, uid_map: map(uid), gid_map: map(gid) };
    Ok(Tried {
        namespaces: attempt.namespaces(),
        pid_max: attempt.pid_max(kernel),
        memfd_noexec: attempt.setting(c"sys/vm/memfd_noexec", b"2"),
        ns_last_pid: attempt.setting(c"sys/kernel/ns_last_pid", b"300"),
        hostname: attempt.inside(libc::CLONE_NEWUTS as u64, name),
    })
}

impl Attempt {
    /// Tries `act` in new namespaces.
    fn inside(&self, namespaces: u64, act: impl FnOnce() -> Result<(), Errno>) -> Trial {
        within(probe::clone_quietly, || {
            let entered = match self.start {
                Start::Root | Start::Bare => Ok(()),
                Start::Inside => self.enter_user_namespace(),
            };
            match entered {
                Ok(()) => within(|| probe::clone_into(namespaces), || outcome(act())),
                Err(errno) => Trial::Refused(errno as i32),
            }
        })
    }

    /// All together first, since that is what a session asks for; one by one only to find the one that is refused.
    fn namespaces(&mut self) -> BTreeMap<Namespace, Trial> {
        let all = OTHERS.iter().fold(0, |flags, (_, flag)| flags | *flag as u64);
        let whole = || mount().and_then(|()| self.last_namespace());
        if self.inside(all, whole) == Trial::Works {
            return Namespace::ALL.into_iter().map(|namespace| (namespace, Trial::Works)).collect();
        }
        let user = self.inside(0, || self.last_namespace());
        if self.start == Start::Inside && user != Trial::Works {
            self.start = Start::Bare;
        }
        let one = |namespace, flag: i32| match namespace {
            Namespace::Mount => self.inside(flag as u64, mount),
            Namespace::Pid
            | Namespace::Network
            | Namespace::Ipc
            | Namespace::Uts
            | Namespace::Cgroup
            | Namespace::User => self.inside(flag as u64, || Ok(())),
        };
        let others = OTHERS.iter().map(|(namespace, flag)| (*namespace, one(*namespace, *flag)));
        others.chain([(Namespace::User, user)]).collect()
    }

    /// The command's own user namespace, which comes last.
    fn last_namespace(&self) -> Result<(), Errno> {
        if self.start == Start::Root {
            become_someone(self.uid, self.gid)?;
        }
        self.enter_user_namespace()
    }

    fn enter_user_namespace(&self) -> Result<(), Errno> {
        sys::mount::unshare(libc::CLONE_NEWUSER)?;
        self.write(c"self/setgroups", b"deny")?;
        self.write(c"self/uid_map", self.uid_map.to_bytes())?;
        self.write(c"self/gid_map", self.gid_map.to_bytes())
    }

    /// Before Linux 6.14 there is one `pid_max`, the host's: not to be tried. After that the value that is there
    /// already is as good a trial as any.
    fn pid_max(&self, kernel: &Kernel) -> Trial {
        if !kernel.at_least(6, 14) {
            return Trial::Refused(libc::ENOSYS);
        }
        match std::fs::read_to_string("/proc/sys/kernel/pid_max") {
            Ok(value) => self.setting(c"sys/kernel/pid_max", value.trim().as_bytes()),
            Err(error) => Trial::Refused(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }

    /// A setting of a new PID namespace.
    fn setting(&self, file: &CStr, value: &[u8]) -> Trial {
        self.inside(libc::CLONE_NEWPID as u64, || self.write(file, value))
    }

    fn write(&self, file: &CStr, value: &[u8]) -> Result<(), Errno> {
        let told = errno;
        let opened = rustix::fs::openat(&self.proc, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        rustix::io::write(opened.map_err(told)?, value).map(drop).map_err(told)
    }
}

/// What root does with its ids before the user namespace: the saved id and the rights stay until the maps are written.
fn become_someone(uid: u32, gid: u32) -> Result<(), Errno> {
    sys::process::control(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0)?;
    sys::credentials::set_only_group(gid)?;
    sys::credentials::set_gid(gid)?;
    sys::credentials::set_uid(uid, 0)?;
    sys::credentials::set_file_uid(0);
    // The change of ids has cleared it.
    sys::process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0)
}

/// What hides the host's name.
fn name() -> Result<(), Errno> {
    let named = rustix::system::sethostname(b"localhost").and_then(|()| rustix::system::setdomainname(b"(none)"));
    named.map_err(errno)
}

/// One of each mount call that a private root takes: a mount namespace in which they are refused is of no use.
fn mount() -> Result<(), Errno> {
    let told = errno;
    let prepare = || -> rustix::io::Result<(OwnedFd, OwnedFd)> {
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let part = rustix::mount::open_tree(CWD, "/dev/null", flags)?;
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, "size", "4k")?;
        rustix::mount::fsconfig_create(&context)?;
        let root =
            rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, rustix::mount::MountAttrFlags::empty())?;
        rustix::mount::move_mount(&root, "", CWD, WORKSHOP, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        rustix::process::fchdir(&root)?;
        Ok((part, root))
    };
    let (part, root) = prepare().map_err(told)?;
    sys::mount::set_attributes(part.as_fd(), libc::MOUNT_ATTR_NOSUID)?;
    sys::mount::pivot_here()?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(told)?;
    sys::mount::set_own_attributes(root.as_fd(), libc::MOUNT_ATTR_RDONLY)
}
