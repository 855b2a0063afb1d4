// SPDX-License-Identifier: Apache-2.0
//! The signals that a run listens to: those that say it is enough, and that of a child's end.

use crate::host::HostError;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// The signals that end learning, and a child's end.
pub(in crate::front::learn) struct Signals {
    descriptor: SignalFd,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Signals {
    /// From here on they are asked for.
    pub(in crate::front::learn) fn block() -> Result<Signals, HostError> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
            set.add(signal);
        }
        let failed = |errno| HostError::new("wait for signals", errno);
        set.thread_block().map_err(failed)?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
        Ok(Signals { descriptor })
    }

    /// Whether one of those that are waiting says that it is enough.
    pub(in crate::front::learn) fn enough(&self) -> bool {
        let mut enough = false;
        while let Ok(Some(signal)) = self.descriptor.read_signal() {
            enough |= signal.ssi_signo != libc::SIGCHLD as u32;
        }
        enough
    }

    /// Waits for a signal or for this descriptor to be readable; false at a signal that says that it is enough.
    pub(in crate::front::learn) fn wait_for(&self, descriptor: BorrowedFd<'_>) -> bool {
        loop {
            let mut entries =
                [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN), PollFd::new(descriptor, PollFlags::POLLIN)];
            let _ = poll(&mut entries, PollTimeout::NONE);
            if self.enough() {
                return false;
            }
            if entries[1].revents().is_some_and(|events| !events.is_empty()) {
                return true;
            }
        }
    }
}
