// SPDX-License-Identifier: Apache-2.0
//! What the supervisor and its launchers take from themselves: every right that they do not use.
//! Only ever takes: a right that was not there at the start is none afterwards either.
//!
//! There is no filter and no Landlock domain around them, because what they make would inherit it: under a domain
//! nothing can be mounted, and a filter would be asked at each call of each command, beside its own. No securebit is
//! locked, since the children's own could not be set then; with no_new_privs no program gives a right that is not held
//! already.

use super::HostError;
use crate::plan::Capabilities;
use crate::sys::credentials::{self, Sets};
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;

const AMBIENT_CLEAR_ALL: u64 = libc::PR_CAP_AMBIENT_CLEAR_ALL as u64;
/// No capability has a higher number: the sets have 64 bits, see capget(2).
const CAPABILITIES: u64 = 64;
const DOING: &str = "give up the rights that are not needed";

/// Keeps these capabilities of those that are there, for this process and for whatever it makes or executes.
pub fn confine(kept: Capabilities) -> Result<(), HostError> {
    let failed = |errno| HostError::new(DOING, errno);
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(failed)?;
    limit_bounding_set(kept).map_err(failed)?;
    limit_capabilities(kept)?;
    process::control(libc::PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0).map_err(failed)?;
    // One byte instead of none: a dump that a program would take, see core(5), is stopped by that and not by 0. The
    // hard limit stays, since it is the command's as well.
    let (_, hard) = process::limit(libc::RLIMIT_CORE).map_err(failed)?;
    process::set_limit(libc::RLIMIT_CORE, hard.min(1), hard).map_err(failed)
}

/// The same for a process that has given up the rest already: of its capabilities, it keeps these.
pub(super) fn limit_capabilities(kept: Capabilities) -> Result<(), HostError> {
    let failed = |errno| HostError::new(DOING, errno);
    let before = credentials::capabilities().map_err(failed)?;
    let wanted =
        Sets { effective: before.effective & kept.mask(), permitted: before.permitted & kept.mask(), inheritable: 0 };
    credentials::set_capabilities(wanted).map_err(failed)?;
    // Read back: a filter around us may answer for the kernel.
    match credentials::capabilities().map_err(failed)? == wanted {
        true => Ok(()),
        false => Err(failed(Errno::EPERM)),
    }
}

/// Without the right to it, as an ordinary user, it stays full: no_new_privs keeps programs from giving any of it.
fn limit_bounding_set(kept: Capabilities) -> Result<(), Errno> {
    let setpcap = 1 << caps::Capability::CAP_SETPCAP.index();
    if credentials::capabilities()?.effective & setpcap == 0 {
        return Ok(());
    }
    for capability in (0..CAPABILITIES).filter(|capability| kept.mask() & 1 << capability == 0) {
        match process::control(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(()) => {}
            // The kernel has none of that number.
            Err(Errno::EINVAL) if process::ask(libc::PR_CAPBSET_READ, capability, 0) != Ok(1) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
