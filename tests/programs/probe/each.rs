// SPDX-License-Identifier: Apache-2.0
//! `each 0 41:2:1`: makes one system call after the other, by number or by number and arguments, each in a process
//! of its own, and says what came of it: `0=ok`, the errno's name, or the signal that ended the process. One that waits
//! is ended by SIGALRM, so it was made too.

use super::attempts::number;
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

pub(super) fn each(calls: &[&str]) -> String {
    let made = calls.iter().map(|call| format!("{call}={}", one(call)));
    made.collect::<Vec<_>>().join(" ")
}

fn one(call: &str) -> String {
    let words: Vec<u64> = call.split(':').map(number).collect();
    // SAFETY: this program has one thread.
    match unsafe { fork() }.expect("fork works") {
        ForkResult::Child => make(&words),
        ForkResult::Parent { child } => match waitpid(child, None).expect("the child is ours") {
            WaitStatus::Exited(_, 0) => "ok".to_string(),
            WaitStatus::Exited(_, errno) => format!("{:?}", Errno::from_raw(errno)),
            WaitStatus::Signaled(_, signal, _) => signal.to_string(),
            other => format!("{other:?}"),
        },
    }
}

/// Ends with the errno as its status: every errno of Linux is below 256.
fn make(words: &[u64]) -> ! {
    let soon = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 200_000 },
    };
    // SAFETY: the value stands during the call, and nobody asks for the old one.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &soon, std::ptr::null_mut()) };
    let mut seven = [0; 7];
    seven[..words.len()].copy_from_slice(words);
    let [call, a, b, c, d, e, f] = seven;
    // SAFETY: what a call does to this process is over with it: nothing is run after it but the end.
    let result = unsafe { libc::syscall(call as i64, a, b, c, d, e, f) };
    let status = if result == -1 { Errno::last_raw() } else { 0 };
    // SAFETY: ends this process, and runs nothing of what its parent has registered.
    unsafe { libc::_exit(status) }
}
