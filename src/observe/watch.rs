// SPDX-License-Identifier: Apache-2.0
//! Which calls are handed to us. All of them would make a command many times slower, so what a policy grants anyway and
//! has no path or address among its arguments is made unseen: a notice costs two switches of process.

use super::sockets;
use crate::plan::calls::{deny_write_execute, with_paths};
use crate::plan::model::{Condition, Denial, Filter, Verdict};
use crate::sandbox::HostError;
use crate::sandbox::filter::{Program, watching};
use nix::libc;

/// Answers nothing: what is denied here is handed over.
const HAND_OVER: Denial = Denial::Errno(libc::EPERM);

/// The program that hands over each call that `base` does not grant, each with a path or an address, and each mapping
/// of a file that can be executed. The one that gives the listener away through `channel` is not among them.
pub fn watch(base: &Filter, channel: u32) -> Result<Program, HostError> {
    let mut filter = base.clone();
    deny_write_execute(&mut filter);
    for verdict in filter.calls.values_mut() {
        match verdict {
            Verdict::Allow => {}
            Verdict::AllowIf(_, denial) | Verdict::Deny(denial) => *denial = HAND_OVER,
        }
    }
    for call in with_paths() {
        filter.calls.insert(call, Verdict::Deny(HAND_OVER));
    }
    for call in sockets::CALLS {
        filter.calls.insert(*call as u32, Verdict::Deny(HAND_OVER));
    }
    let is = |argument, mask: u64, value: u64, negated| Condition { argument, mask, value, negated, wide: false };
    let whole = u64::from(u32::MAX);
    // Without an address it is what send(2) is.
    let silent = Condition { argument: 4, mask: u64::MAX, value: 0, negated: false, wide: true };
    let execute = is(2, libc::PROT_EXEC as u64, 0, false);
    for (call, condition) in [
        (libc::SYS_sendto, silent),
        (libc::SYS_sendmsg, is(0, whole, u64::from(channel), false)),
        (libc::SYS_mmap, execute),
    ] {
        filter.calls.insert(call as u32, Verdict::AllowIf(vec![vec![condition]], HAND_OVER));
    }
    watching(&Filter { default: HAND_OVER, newest: u32::MAX, ..filter })
}
