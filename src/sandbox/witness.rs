// SPDX-License-Identifier: Apache-2.0
//! What the self-test compares with, read by the launcher before there is a child: what is the launcher's own, and what
//! each mount should be. Decides nothing: which proofs there are is the plan's.

use super::HostError;
use super::prepare::Mount;
use crate::plan::model::{Access, Plan, Root};
use crate::plan::proofs::{self, CANARIES, Item};
use crate::policy::model::Namespace;
use crate::sys;
use crate::sys::errno;
use nix::errno::Errno;
use nix::libc;
use rustix::fs::AtFlags;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// `ST_RDONLY`, `ST_NOSUID`, `ST_NODEV` and `ST_NOEXEC` of statfs(2).
const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;
/// Those of the root directory.
pub(super) const ROOT_FLAGS: u64 = RDONLY | NOSUID | NODEV | NOEXEC;

/// What a self-test compares with.
pub(super) struct Witness {
    /// What is to be proven.
    pub(super) items: Vec<Item>,
    /// The launcher's namespaces, in the order of [`Namespace::ALL`].
    pub(super) namespaces: [u64; Namespace::ALL.len()],
    /// The launcher's session keyring, where it has one.
    pub(super) keyring: Option<i32>,
    /// Device and inode of the host's root directory.
    pub(super) host_root: (u64, u64),
    /// Each part of the host that is shown, and the flags that its mount must have.
    pub(super) mounts: Vec<(CString, u64)>,
    /// Each scratch file system: bytes, inodes, flags.
    pub(super) scratch: Vec<(u64, u64, u64)>,
    /// A port that the policy does not name.
    pub(super) port: u16,
    /// The errno of each canary.
    pub(super) canaries: [Option<i32>; CANARIES.len()],
    /// A name for an abstract UNIX socket that nobody else uses.
    pub(super) socket: [u8; NAME.len() + 4],
}

/// The start of that name; the launcher's process id is the rest.
const NAME: &[u8] = b"spawnbox-self-test-";

/// The name of a kind of namespace below /proc/self/ns.
pub(super) fn link(namespace: Namespace) -> &'static CStr {
    match namespace {
        Namespace::Mount => c"self/ns/mnt",
        Namespace::Pid => c"self/ns/pid",
        Namespace::Network => c"self/ns/net",
        Namespace::Ipc => c"self/ns/ipc",
        Namespace::Uts => c"self/ns/uts",
        Namespace::Cgroup => c"self/ns/cgroup",
        Namespace::User => c"self/ns/user",
    }
}

/// The inode that stands for a namespace of the caller, see namespaces(7).
pub(super) fn namespace(proc: &OwnedFd, namespace: Namespace) -> Result<u64, Errno> {
    let found = rustix::fs::statat(proc, link(namespace), AtFlags::empty());
    found.map(|stat| stat.st_ino).map_err(errno)
}

/// Device and inode of a directory.
pub(super) fn identity(path: &CStr) -> Result<(u64, u64), Errno> {
    let found = rustix::fs::stat(path);
    found.map(|stat| (stat.st_dev, stat.st_ino)).map_err(errno)
}

impl Witness {
    /// For `plan`, in the template. `host_root` was looked at before.
    pub(super) fn new(
        plan: &Plan,
        proc: &OwnedFd,
        host_root: (u64, u64),
        scratch: &[Mount],
    ) -> Result<Witness, HostError> {
        let told = |errno| HostError::new("look at the launcher's own namespaces", errno);
        let mut namespaces = [0; Namespace::ALL.len()];
        for (slot, kind) in namespaces.iter_mut().zip(Namespace::ALL) {
            *slot = namespace(proc, kind).map_err(told)?;
        }
        let mut socket = [0; NAME.len() + 4];
        socket[..NAME.len()].copy_from_slice(NAME);
        socket[NAME.len()..].copy_from_slice(&std::process::id().to_le_bytes());
        let filter = plan.filter.as_ref();
        Ok(Witness {
            items: proofs::needed(plan, false),
            namespaces,
            keyring: sys::lock::session_keyring().ok(),
            host_root,
            mounts: mounts(plan),
            scratch: plan.scratch.iter().zip(scratch).map(|(s, mount)| (s.size, s.inodes, flags(mount))).collect(),
            port: proofs::foreign_port(plan).unwrap_or_default(),
            canaries: std::array::from_fn(|canary| filter.and_then(|filter| proofs::denial(filter, canary))),
            socket,
        })
    }
}

impl Witness {
    /// Whether each canary that is none of these is denied to this process; not if there is none.
    pub(super) fn is_denied_but(&self, open: &BTreeSet<u32>) -> bool {
        let canaries = self.canaries.iter().zip(CANARIES).filter_map(|(errno, (_, call))| Some(((*errno)?, call)));
        let mut denied = canaries
            .filter(|(_, call)| !open.contains(&(*call as u32)))
            .map(|(errno, call)| matches!(sys::probe::call_with_nonsense(call), Err(met) if met as i32 == errno));
        denied.next() == Some(true) && denied.all(|denied| denied)
    }
}

fn mounts(plan: &Plan) -> Vec<(CString, u64)> {
    let Root::Empty { binds, .. } = &plan.root else { return Vec::new() };
    let wanted = |access| match access {
        Access::Read => RDONLY | NOSUID | NODEV | NOEXEC,
        Access::Execute => RDONLY | NOSUID | NODEV,
        Access::Write => NOSUID | NODEV | NOEXEC,
    };
    let path = |path: &std::path::Path| CString::new(path.as_os_str().as_bytes());
    // Every one has its place, which is its number; the policy refuses a path with a NUL.
    binds.iter().map(|bind| (path(&bind.path).unwrap_or_default(), wanted(bind.access))).collect()
}

/// The flags that a mount(2) asks for, as statfs(2) gives them back.
fn flags(mount: &Mount) -> u64 {
    let pairs = [(libc::MS_NOSUID, NOSUID), (libc::MS_NODEV, NODEV), (libc::MS_NOEXEC, NOEXEC)];
    pairs.iter().filter(|(asked, _)| mount.flags & asked != 0).fold(0, |all, (_, flag)| all | flag)
}
