// SPDX-License-Identifier: Apache-2.0
//! The steps that make the line the command's user and take every right from it.
//! Nothing here allocates, logs, looks up or decides.

use super::host_proc::write_file;
use super::{Line, Refused};
use crate::plan::model::Tree;
use crate::sandbox::prepare::Own;
use crate::sys;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, BorrowedFd};

const NO_SETUID_FIXUP: u64 = libc::SECBIT_NO_SETUID_FIXUP as u64;
const PR_CAP_AMBIENT_CLEAR_ALL: u64 = libc::PR_CAP_AMBIENT_CLEAR_ALL as u64;

impl Line<'_> {
    pub(super) fn take_identity(&self) -> Result<(), Refused> {
        // Without this bit the change of ids takes the rights that later steps need: those of the user namespace on
        // hosts where those are switched off for ordinary users, and the lock of the securebits.
        if self.prepared.bounding_set {
            sys::process::control(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0).map_err(|errno| (0, errno))?;
        }
        // The group that it has anyway, as spawn(8) leaves it (Postfix's set_ugid.c), and no other.
        sys::credentials::set_only_group(self.prepared.own.gid).map_err(|errno| (1, errno))?;
        sys::credentials::set_gid(self.prepared.own.gid).map_err(|errno| (2, errno))?;
        sys::credentials::set_uid(self.prepared.own.uid, 0).map_err(|errno| (3, errno))?;
        // The files below /proc of a process that has changed its ids belong to root: the maps are written as root.
        sys::credentials::set_file_uid(0);
        Ok(())
    }

    pub(super) fn enter_user_namespace(&self) -> Result<(), Refused> {
        if let Some(kept) = self.user {
            // Its maps are written, and its plan has no limits there.
            return sys::process::enter_user(sys::process::fixed(kept)).map_err(|errno| (4, errno));
        }
        let proc = &self.prepared.proc;
        sys::mount::unshare(libc::CLONE_NEWUSER).map_err(|errno| (0, errno))?;
        write_namespace(proc.as_fd(), &self.prepared.own)?;
        for (index, (file, most)) in self.prepared.user_limits.iter().enumerate() {
            write_file(proc, file, most.to_bytes()).map_err(|errno| (4 + index as u16, errno))?;
        }
        Ok(())
    }

    pub(super) fn give_up_rights(&self) -> Result<(), Refused> {
        let (uid, gid) = (self.prepared.own.uid, self.prepared.own.gid);
        sys::credentials::set_uid(uid, uid).map_err(|errno| (0, errno))?;
        sys::credentials::drop_capabilities().map_err(|errno| (1, errno))?;
        sys::process::control(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0).map_err(|errno| (2, errno))?;
        let ids = sys::credentials::has_ids(uid, gid).map_err(|errno| (3, errno))?;
        let none = sys::credentials::has_no_capabilities().map_err(|errno| (3, errno))?;
        if !(ids && none) {
            return Err((3, Errno::EPERM));
        }
        // An ordinary user's reaper has the same uid as its command from the start: no change of ids has closed its
        // memory and its files below /proc. Exec opens the command's own again.
        sys::process::control(libc::PR_SET_DUMPABLE, 0, 0).map_err(|errno| (4, errno))?;
        if self.prepared.init && self.prepared.tree != Tree::PidNamespace {
            // Its reaper has to be there to kill, so it ends by the end of the cord alone.
            return Ok(());
        }
        // The command as PID 1 does not read the end of the cord, and a reaper that a process of its user on the host
        // has stopped cannot. Who leaves the sessions to a copy of itself has no right to signal them then, so they
        // stay. Here, because a change of ids or rights clears it.
        sys::process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0).map_err(|errno| (5, errno))?;
        // A supervisor that died before this sends no signal any more; the connection may lie in the cord all the same.
        match sys::process::hung_up(self.cord).map_err(|errno| (5, errno))? {
            true => sys::process::exit(0),
            false => Ok(()),
        }
    }
}

/// Writes once and for all who is who in the caller's new user namespace.
pub(in crate::sandbox) fn write_namespace(proc: BorrowedFd<'_>, own: &Own) -> Result<(), Refused> {
    write_file(proc, c"self/setgroups", b"deny").map_err(|errno| (1, errno))?;
    write_file(proc, c"self/uid_map", own.uid_map.to_bytes()).map_err(|errno| (2, errno))?;
    write_file(proc, c"self/gid_map", own.gid_map.to_bytes()).map_err(|errno| (3, errno))
}
