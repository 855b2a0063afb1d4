// SPDX-License-Identifier: Apache-2.0
//! An alarm that ends a process which has stood still for too long, in three steps, so that a clock which jumps does
//! not: see util/watchdog.c of Postfix, whose daemons have one.

use super::signal::{Disposition, set_disposition, set_mask};
use nix::errno::Errno;
use nix::libc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// So often it may ring before it is enough.
const STEPS: u32 = 3;
/// How long last words may take, in seconds.
const GRACE_S: u32 = 5;

static STEP_S: AtomicU32 = AtomicU32::new(0);
static RUNG: AtomicU32 = AtomicU32::new(0);
static LAST_WORDS: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Installs the alarm, which rings every `step_s` seconds from [`wind`] on. When it has rung for the third time, the
/// process says its last words and ends with status 1; words that get stuck end it by SIGALRM.
pub fn install(step_s: u32, last_words: fn()) -> Result<(), Errno> {
    STEP_S.store(step_s, Ordering::Relaxed);
    LAST_WORDS.store(last_words as *mut (), Ordering::Relaxed);
    // SAFETY: all zeros are an empty mask and no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ring as extern "C" fn(i32) as usize;
    // Whatever else is interrupted goes on; epoll_wait(2) returns, and the loop has turned.
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `ring` does what is safe in a handler, but for the last words, after which nothing else ever runs.
    let result = unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) };
    Errno::result(result).map(drop)
}

/// It has turned: the alarm begins anew.
pub fn wind() {
    RUNG.store(0, Ordering::Relaxed);
    set(STEP_S.load(Ordering::Relaxed));
}

/// It may stand still: the alarm does not ring until it is wound again.
pub fn stop() {
    set(0);
}

fn set(seconds: u32) {
    // SAFETY: alarm(2) takes a number, and is safe in a handler.
    unsafe { libc::alarm(seconds) };
}

extern "C" fn ring(_signal: i32) {
    if RUNG.fetch_add(1, Ordering::Relaxed) + 1 < STEPS {
        return set(STEP_S.load(Ordering::Relaxed));
    }
    // Refused or not, the process ends here.
    let _ = set_disposition(libc::SIGALRM, Disposition::Default).and_then(|()| set_mask(0));
    set(GRACE_S);
    let words = LAST_WORDS.load(Ordering::Relaxed);
    if !words.is_null() {
        // SAFETY: what is stored there is a function of this type, and never changed while the alarm is set.
        let words = unsafe { std::mem::transmute::<*mut (), fn()>(words) };
        words();
    }
    super::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clone::{self, Side};
    use crate::sys::process;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};

    /// How a child ends that has an alarm with steps of this length and does this.
    fn ended(step_s: u32, last_words: fn(), does: fn()) -> WaitStatus {
        match clone::clone_child().unwrap() {
            Side::Parent(child) => waitpid(child, None).unwrap(),
            Side::Child => {
                if install(step_s, last_words).is_ok() {
                    wind();
                    does();
                }
                process::exit(0)
            }
        }
    }

    /// However often it rings.
    fn pause(seconds: u64) {
        std::thread::sleep(std::time::Duration::from_secs(seconds));
    }

    #[test]
    fn who_stands_still_ends_with_words_and_who_turns_goes_on() {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(matches!(ended(1, || (), || pause(60)), WaitStatus::Exited(_, 1)));
            });
            scope.spawn(|| {
                let stuck = ended(1, || pause(60), || pause(60));
                assert!(matches!(stuck, WaitStatus::Signaled(_, Signal::SIGALRM, _)), "{stuck:?}");
            });
            scope.spawn(|| {
                let turning = ended(2, || (), || (0..7).for_each(|_| (pause(1), wind()).1));
                assert!(matches!(turning, WaitStatus::Exited(_, 0)), "{turning:?}");
            });
            scope.spawn(|| {
                let stopped = ended(1, || (), || (stop(), pause(4)).1);
                assert!(matches!(stopped, WaitStatus::Exited(_, 0)), "{stopped:?}");
            });
        });
    }
}
