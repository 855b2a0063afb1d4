// SPDX-License-Identifier: Apache-2.0
//! How this program was started: read before anything of its own could change it.

use nix::libc;
use nix::sys::signal::SigSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Signals that were ignored when the program was executed, bit `n - 1` for signal `n`.
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Rust's own start-up ignores SIGPIPE before `main`; the functions of this section are called before it.
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = first;

extern "C" fn first() {
    let mut ignored = 0;
    for signal in 1..=64 {
        // SAFETY: an all-zero sigaction is a valid value to be overwritten.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: no new action is given; the old one has room.
        let result = unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
        if result == 0 && action.sa_sigaction == libc::SIG_IGN {
            ignored |= 1 << (signal - 1);
        }
    }
    IGNORED.store(ignored, Ordering::Relaxed);
}

/// What the program found.
pub(crate) struct Start {
    /// Signals that were ignored or blocked.
    pub(crate) deaf: Vec<i32>,
    /// Descriptors beyond standard input, output and error.
    pub(crate) descriptors: Vec<i32>,
}

impl Start {
    pub(crate) fn look() -> Start {
        let ignored = IGNORED.load(Ordering::Relaxed);
        let mask = SigSet::thread_get_mask().expect("the mask can be read");
        let blocked: Vec<i32> = mask.iter().map(|signal| signal as i32).collect();
        let deaf = (1..=64).filter(|signal| ignored & 1 << (signal - 1) != 0 || blocked.contains(signal)).collect();
        // SAFETY: F_GETFD changes nothing, whatever the number is.
        let open = |number: &i32| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0;
        Start { deaf, descriptors: (3..4096).filter(open).collect() }
    }
}
