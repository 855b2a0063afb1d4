// SPDX-License-Identifier: Apache-2.0
//! Reaping with accounts: nix and rustix have no wait4(2).

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::time::Duration;

/// A child that was reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its wait status, as wait(2) encodes it.
    pub status: i32,
    /// User and system time of it and of every descendant that was waited for.
    pub processor: Duration,
    /// The largest resident set among them, in bytes.
    pub resident: u64,
}

/// Reaps the child `pid` if it is dead; `None` while it lives. Never waits.
pub fn reap(pid: Pid) -> Result<Option<Reaped>, Errno> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to memory of ours that outlives the call.
    let got = unsafe { libc::wait4(pid.as_raw(), &mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    if Errno::result(got)? == 0 {
        return Ok(None);
    }
    // SAFETY: all zeroes is a valid rusage, and the kernel has written over it.
    let usage = unsafe { usage.assume_init() };
    Ok(Some(Reaped {
        status,
        processor: duration(usage.ru_utime) + duration(usage.ru_stime),
        // Kilobytes: see getrusage(2).
        resident: (usage.ru_maxrss as u64).saturating_mul(1024),
    }))
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::zombie_processes, reason = "it is reaped by the function under test")]
    fn a_living_child_is_not_reaped_and_a_dead_one_once() {
        assert_eq!(reap(Pid::from_raw(i32::MAX)), Err(Errno::ECHILD));
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        assert_eq!(reap(pid), Ok(None));
        child.kill().unwrap();
        let status = loop {
            if let Some(reaped) = reap(pid).unwrap() {
                break reaped.status;
            }
        };
        assert_eq!(status, libc::SIGKILL);
        assert_eq!(reap(pid), Err(Errno::ECHILD));
    }
}
