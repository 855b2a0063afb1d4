// SPDX-License-Identifier: Apache-2.0
//! Whose rights the loop has. A daemon of Postfix works as the mail owner and stays root by its real and saved ids;
//! what needs root takes its rights back for as long as it lasts: making a sandbox, killing one, and its cgroup.

use crate::host::{HostError, errno_text};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, geteuid, setegid, seteuid, setgroups};

/// Whose rights this process has while nothing needs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// Those that it was started with.
    Own,
    /// This user's.
    Lowered(Uid),
}

impl Rights {
    /// Takes on the effective ids of an account, and its group as the only one.
    pub(super) fn lower(uid: u32, gid: u32) -> Result<Rights, HostError> {
        let failed = |errno| HostError::new(format!("take on the ids of the mail owner ({uid}:{gid})"), errno);
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        setgroups(&[gid]).map_err(failed)?;
        setegid(gid).map_err(failed)?;
        // The last step: the others need it not to have been taken.
        seteuid(uid).map_err(failed)?;
        Ok(Rights::Lowered(uid))
    }

    /// Does something with all the rights that this process can have.
    pub(super) fn whole<T>(self, act: impl FnOnce() -> T) -> T {
        let Rights::Lowered(uid) = self else { return act() };
        if geteuid().is_root() {
            // Something that needs root does something else that does.
            return act();
        }
        // The real and saved ids are root's, so this can fail only by a filter around us. Then what is done fails too,
        // and says so: nothing is skipped.
        let _ = seteuid(Uid::from_raw(0));
        let done = act();
        go_back(uid);
        done
    }
}

/// Does something as this user. For root without CAP_KILL, as under Debian 13's postfix.service, who may signal no
/// process of another user, and take on every user's effective id. Its real and saved ids stay root's, so that no
/// process of the user's can signal us meanwhile, see kill(2).
pub(super) fn as_user<T>(user: u32, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let before = geteuid();
    seteuid(Uid::from_raw(user))?;
    let done = act();
    go_back(before);
    done
}

/// Going on with the ids of somebody else would be worse than not to go on.
fn go_back(uid: Uid) {
    if let Err(errno) = seteuid(uid) {
        crate::log::panic(format_args!("cannot go back to effective user id {uid}: {}", errno_text(errno)));
        std::process::abort();
    }
}
