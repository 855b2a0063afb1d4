// SPDX-License-Identifier: Apache-2.0
//! The descriptors that master(8) leaves open for a daemon. Their numbers are Postfix's, see
//! [`crate::postfix::protocol`].

use crate::postfix::protocol::{FLOW_FDS, LISTEN_FD, STATUS_FD};
use crate::sys::inherit;
use nix::errno::Errno;
use std::os::fd::{OwnedFd, RawFd};

/// The most listeners: master makes one for each address of the host.
const MOST_LISTENERS: RawFd = 1000;

/// What master left open.
pub(super) struct Inherited {
    pub(super) status: Result<OwnedFd, Errno>,
    pub(super) listeners: Vec<OwnedFd>,
}

impl Inherited {
    /// Takes every descriptor that master leaves open, and closes what is not used. Once, before anything is opened.
    pub(super) fn adopt() -> Inherited {
        FLOW_FDS.iter().for_each(|number| drop(inherit::adopt(*number)));
        let status = inherit::adopt(STATUS_FD);
        let numbers = LISTEN_FD..LISTEN_FD + MOST_LISTENERS;
        Inherited { status, listeners: numbers.map_while(|number| inherit::adopt(number).ok()).collect() }
    }
}
