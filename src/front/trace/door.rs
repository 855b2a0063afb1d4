// SPDX-License-Identifier: Apache-2.0
//! The supervisor's door while its commands are traced: listeners go to the tracer, the rest is as `run` and `listen`
//! have it.

use crate::front::run::Once;
use crate::supervise::{Advice, Door, Ended};
use crate::sys::socket;
use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A listener comes with it.
pub(super) const LISTENER: &[u8] = b"L";

/// Passes listeners on.
pub(super) struct Passing {
    to: OwnedFd,
    /// How the last session ended.
    pub(super) once: Once,
    /// How many more connections are traced, if that is limited.
    left: Option<u32>,
}

impl Passing {
    pub(super) fn new(to: OwnedFd, left: Option<u32>) -> Passing {
        Passing { to, once: Once::default(), left }
    }
}

impl Door for Passing {
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        Some(self.to.as_fd())
    }

    /// The tracer has ended, and calls would be answered by nobody. Not by a parent-death signal: who has become the
    /// command's user may not send us one.
    fn ready(&mut self) -> Advice {
        // The first one drains where connections are accepted, the second one ends what there is.
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            // To ourselves nothing is refused.
            let _ = raise(signal);
        }
        Advice::Drain
    }

    fn accepted(&mut self, _: usize, _: usize) -> Advice {
        match &mut self.left {
            Some(left) => {
                *left = left.saturating_sub(1);
                if *left == 0 { Advice::Drain } else { Advice::Continue }
            }
            None => Advice::Continue,
        }
    }

    fn traced(&mut self, listener: OwnedFd) {
        // A tracer that is gone ends this process; by one that is stuck it is not to be stopped. Calls of a session
        // whose listener is nowhere fail with ENOSYS.
        if socket::send_descriptors_if_ready(self.to.as_fd(), LISTENER, &[listener.as_fd()]) == Err(Errno::EAGAIN) {
            tracing::error!("whoever traces takes no more sessions: the calls of this one fail");
        }
    }

    fn ended(&mut self, ended: &Ended<'_>, live: usize) -> Advice {
        self.once.ended(ended, live);
        Advice::Continue
    }

    fn signaled(&mut self, signal: i32) {
        self.once.signaled(signal);
    }
}
