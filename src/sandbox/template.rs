// SPDX-License-Identifier: Apache-2.0
//! The template: the root directory of a service's sessions, made once in the launcher's own mount namespace.
//! Each session is cloned with a copy of it, so the cost of a session does not grow with the host's mounts.
//! Runs in the launcher only; after [`enter`] nothing of the host can be reached by name.

mod place;

use super::HostError;
use crate::plan::model::{Access, Bind, Device, PROC, Plan, Proc, Root, SCRATCH};
use crate::sys;
use crate::sys::errno;
use nix::errno::Errno;
use nix::libc;
use place::{Kind, attach, link, make};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the template's file system is attached while it is filled. Any directory that every host has.
const WORKSHOP: &str = "/proc";

/// What a mount must not allow, by mount_setattr(2).
const NO_SET_ID_NO_DEVICES: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Where the scratch file system `index` is mounted.
pub(super) fn scratch_mount_point(plan: &Plan, index: usize) -> PathBuf {
    match plan.root {
        Root::Empty { .. } => Path::new(SCRATCH).join(index.to_string()),
        Root::Host | Root::Held { .. } => plan.scratch[index].path.clone(),
    }
}

/// Where /proc is mounted.
pub(super) fn proc_mount_point(plan: &Plan) -> PathBuf {
    match plan.root {
        Root::Empty { .. } => Path::new(PROC).join("proc"),
        Root::Host | Root::Held { .. } => PathBuf::from("/proc"),
    }
}

/// Puts the launcher into the template.
pub(super) fn enter(plan: &Plan) -> Result<(), HostError> {
    leave_host_mounts()?;
    let (propagation, word) = match plan.root {
        Root::Empty { .. } => (MountPropagationFlags::PRIVATE, "private"),
        // What the host mounts later is still seen.
        Root::Host | Root::Held { .. } => (MountPropagationFlags::DOWNSTREAM, "a slave of the host's"),
    };
    rustix::mount::mount_change("/", propagation | MountPropagationFlags::REC)
        .map_err(|e| refused(format!("make the mount namespace {word}"), e))?;
    // Nodes are the kernel's, wherever their names are.
    let nodes = match &plan.root {
        Root::Host | Root::Held { .. } => Vec::new(),
        Root::Empty { devices, .. } => devices.iter().map(|&device| node(device)).collect::<Result<_, _>>()?,
    };
    if let Some(chroot) = &plan.chroot {
        change_root(chroot)?;
    }
    match &plan.root {
        Root::Host | Root::Held { .. } => Ok(()),
        Root::Empty { binds, links, .. } => build(plan, binds, links, nodes),
    }
}

/// Everything after this changes mounts: where nothing but an answer came of the call, those would be the host's.
fn leave_host_mounts() -> Result<(), HostError> {
    let own = || rustix::fs::stat("/proc/self/ns/mnt").map(|stat| stat.st_ino);
    let told = |e| refused("look at the mount namespace".to_string(), e);
    let before = own().map_err(told)?;
    sys::mount::unshare(libc::CLONE_NEWNS).map_err(|e| HostError::new("make a mount namespace", e))?;
    match own().map_err(told)? == before {
        false => Ok(()),
        true => Err(HostError {
            doing: "make a mount namespace".into(),
            why: "the kernel, or a filter around spawnbox, answered unshare without doing it".into(),
        }),
    }
}

/// Makes a directory of the host the root directory, with what is mounted below it, and lets go of the host's own.
fn change_root(path: &Path) -> Result<(), HostError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let leave = || -> rustix::io::Result<()> {
        let tree = rustix::mount::open_tree(CWD, path, flags)?;
        rustix::mount::move_mount(&tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        rustix::process::fchdir(&tree)?;
        sys::mount::pivot_here().map_err(|e| rustix::io::Errno::from_raw_os_error(e as i32))?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")
    };
    leave().map_err(|e| refused(format!("make {} the root directory", path.display()), e))
}

fn build(
    plan: &Plan,
    binds: &[Bind],
    links: &BTreeMap<PathBuf, PathBuf>,
    nodes: Vec<(Device, OwnedFd)>,
) -> Result<(), HostError> {
    let image = plan.image.as_deref().map(|path| find(None, path).map(|found| (path, found))).transpose()?;
    let image = image.as_ref().map(|(path, found)| (*path, found));
    // Every part of the host is taken up before the new root hides any of it.
    let parts = binds.iter().map(|bind| part(image, bind).map(|tree| (bind, tree))).collect::<Result<Vec<_>, _>>()?;
    let host_proc = host_proc(plan)?;
    // A chroot directory of Postfix has no /proc, but always the directory of its lock files.
    let root = empty_root(if plan.chroot.is_some() { "/pid" } else { WORKSHOP })?;
    for (bind, tree) in parts {
        let kind = if bind.directory { Kind::Directory } else { Kind::File };
        attach(&root, &bind.path, kind, tree.as_fd())?;
    }
    for (device, tree) in nodes {
        attach(&root, &Path::new("/dev").join(device.name()), Kind::File, tree.as_fd())?;
    }
    for index in 0..plan.scratch.len() {
        make(&root, &scratch_mount_point(plan, index), Kind::Directory)?;
        link(&root, &plan.scratch[index].path, &scratch_mount_point(plan, index))?;
    }
    if plan.proc != Proc::None {
        make(&root, &proc_mount_point(plan), Kind::Directory)?;
        link(&root, Path::new("/proc"), &proc_mount_point(plan))?;
    }
    if let Some(tree) = host_proc {
        attach(&root, &proc_mount_point(plan), Kind::Directory, tree.as_fd())?;
    }
    for (path, text) in links {
        link(&root, path, text)?;
    }
    exchange(&root)
}

/// A detached copy of a part of the host or of an image, with the mount attributes that its access asks for.
fn part(image: Option<(&Path, &OwnedFd)>, bind: &Bind) -> Result<OwnedFd, HostError> {
    let attributes = match bind.access {
        Access::Read => NO_SET_ID_NO_DEVICES | libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOEXEC,
        Access::Execute => NO_SET_ID_NO_DEVICES | libc::MOUNT_ATTR_RDONLY,
        Access::Write => NO_SET_ID_NO_DEVICES | libc::MOUNT_ATTR_NOEXEC,
    };
    copy(image, &bind.path, attributes)
}

fn node(device: Device) -> Result<(Device, OwnedFd), HostError> {
    // Read-only concerns the node, which is the host's (its mode, its times), not what is written to the device.
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY;
    Ok((device, copy(None, &Path::new("/dev").join(device.name()), attributes)?))
}

fn copy(image: Option<(&Path, &OwnedFd)>, path: &Path, attributes: u64) -> Result<OwnedFd, HostError> {
    let found = find(image, path)?;
    // Recursive: a user namespace may not take a mount without those that hide parts of it (EINVAL).
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree =
        rustix::mount::open_tree(&found, "", flags).map_err(|e| refused(format!("take up {}", path.display()), e))?;
    sys::mount::set_attributes(tree.as_fd(), attributes)
        .map_err(|e| HostError::new(format!("restrict the mount of {}", path.display()), e))?;
    Ok(tree)
}

/// What a path of the host's, or of an image's, leads to.
fn find(image: Option<(&Path, &OwnedFd)>, path: &Path) -> Result<OwnedFd, HostError> {
    let (from, resolve, place) = match image {
        None => (CWD, ResolveFlags::NO_SYMLINKS, String::new()),
        Some((at, image)) => {
            (image.as_fd(), ResolveFlags::NO_SYMLINKS | ResolveFlags::IN_ROOT, format!(" of {}", at.display()))
        }
    };
    // The plan's paths are resolved. A link that is there now was put there since, by whoever may write on the way.
    rustix::fs::openat2(from, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).map_err(|e| match e {
        rustix::io::Errno::LOOP => HostError {
            doing: format!("take up {}{place}", path.display()),
            why: "a symbolic link has taken the place of a part of this path".into(),
        },
        other => refused(format!("take up {}{place}", path.display()), other),
    })
}

/// In a user namespace a fresh /proc may be mounted only where a whole one is visible already
/// (`mount_too_revealing` in the kernel's fs/namespace.c): the host's lies under the session's, out of reach.
fn host_proc(plan: &Plan) -> Result<Option<OwnedFd>, HostError> {
    if plan.proc == Proc::None || plan.identity.change {
        return Ok(None);
    }
    copy(None, Path::new("/proc"), NO_SET_ID_NO_DEVICES | libc::MOUNT_ATTR_NOEXEC).map(Some)
}

/// The new root, attached over `workshop`.
fn empty_root(workshop: &str) -> Result<OwnedFd, HostError> {
    let make = || -> rustix::io::Result<OwnedFd> {
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, "size", "1m")?;
        rustix::mount::fsconfig_set_string(&context, "nr_inodes", "4096")?;
        rustix::mount::fsconfig_set_string(&context, "mode", "0755")?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes =
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        rustix::mount::move_mount(&root, "", CWD, workshop, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(root)
    };
    make().map_err(|e| refused("mount an empty root directory".to_string(), e))
}

/// Makes `root` the root directory and lets go of the host's.
fn exchange(root: &OwnedFd) -> Result<(), HostError> {
    let leave = || -> Result<(), Errno> {
        rustix::process::fchdir(root).map_err(errno)?;
        sys::mount::pivot_here()?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(errno)?;
        rustix::process::chdir("/").map_err(errno)?;
        let attributes = NO_SET_ID_NO_DEVICES | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY;
        // Only the root's own mount: its children have their attributes.
        sys::mount::set_own_attributes(root.as_fd(), attributes)
    };
    leave().map_err(|e| HostError::new("change to the new root directory", e))
}

fn refused(doing: String, error: rustix::io::Errno) -> HostError {
    HostError::new(doing, errno(error))
}
