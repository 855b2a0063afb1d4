// SPDX-License-Identifier: Apache-2.0
//! Whether a service accepts connections now: its limit on sessions, and the pauses after trouble.
//! Pure: the loop takes the listeners out of its watch while the answer is no, so that nothing spins.

use nix::errno::Errno;
use std::time::{Duration, Instant};

/// How long a service pauses after the process or the host ran out of something.
const PAUSE: Duration = Duration::from_millis(200);
/// How many sessions may wait for their launcher until it is behind, and nobody else is accepted: each of them has more
/// descriptors than one that runs, and who is not accepted waits as well in the kernel.
pub(super) const BEHIND: usize = 64;
/// How few may wait when it is behind no longer.
const CAUGHT_UP: usize = 32;
/// How long nothing is said about a trouble that goes on.
const QUIET: Duration = Duration::from_secs(60);

/// The admission of one service.
#[derive(Debug)]
pub(super) struct Admission {
    limit: usize,
    live: usize,
    paused: Option<Instant>,
    told: Option<Instant>,
    /// The front door does not want a connection now.
    held: bool,
    /// An operator does not want one now.
    halted: bool,
    /// Its rate does not allow one now.
    slowed: bool,
    /// Its sandbox was not proven yet.
    unproven: bool,
    /// Its launcher is behind.
    behind: bool,
    closed: bool,
}

/// Whether a failed accept(2) means no more than that the client has left, or another process was faster. Its manual
/// page lists the errors of the network that concern one client only. Not EPERM: a filter or a security module says so
/// each time, and leaves the client in the queue.
pub(super) fn is_gone(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EAGAIN
            | Errno::EINTR
            | Errno::ECONNABORTED
            | Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::ENOTCONN
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENONET
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::EOPNOTSUPP
            | Errno::ETIMEDOUT
    )
}

/// Whether to say something about a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// It is new.
    Now,
    /// It was said lately.
    No,
}

impl Admission {
    /// Up to `limit` sessions at once.
    pub(super) fn new(limit: usize) -> Admission {
        Admission {
            limit,
            live: 0,
            paused: None,
            told: None,
            held: false,
            halted: false,
            slowed: false,
            unproven: false,
            behind: false,
            closed: false,
        }
    }

    /// Whether a connection may be accepted now.
    pub(super) fn is_open(&self) -> bool {
        let kept_out = self.closed || self.held || self.halted || self.slowed || self.unproven || self.behind;
        !kept_out && self.paused.is_none() && self.live < self.limit
    }

    /// Whether it will never be again.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Another number of sessions that there can be. Those that there are go on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Sessions that there can be.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Sessions that are not over.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// A session began.
    pub(super) fn begin(&mut self) {
        self.live += 1;
    }

    /// A session is over.
    pub(super) fn end(&mut self) {
        self.live -= 1;
    }

    /// No connection is accepted any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The front door keeps the service from accepting.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// The front door does so no longer.
    pub(super) fn release(&mut self) {
        self.held = false;
    }

    /// An operator has the service accept nobody.
    pub(super) fn halt(&mut self) {
        self.halted = true;
    }

    /// An operator has it accept again.
    pub(super) fn go_on(&mut self) {
        self.halted = false;
    }

    /// Whether an operator keeps it from accepting.
    pub(super) fn is_halted(&self) -> bool {
        self.halted
    }

    /// Nobody is accepted before the sandbox was made once and looked at.
    pub(super) fn await_proof(&mut self) {
        self.unproven = true;
    }

    /// That was done.
    pub(super) fn proven(&mut self) {
        self.unproven = false;
    }

    /// Whether that is still to be done.
    pub(super) fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// So many sessions wait for the launcher now.
    pub(super) fn wait(&mut self, sessions: usize) {
        self.behind = sessions >= BEHIND || self.behind && sessions > CAUGHT_UP;
    }

    /// The service accepts nobody until its rate allows it.
    pub(super) fn slow_down(&mut self) {
        self.slowed = true;
    }

    /// Its rate allows it.
    pub(super) fn hurry(&mut self) {
        self.slowed = false;
    }

    /// Pauses, and returns until when.
    pub(super) fn pause(&mut self, now: Instant) -> (Instant, Tell) {
        self.pause_for(now, PAUSE)
    }

    /// Pauses for this long.
    pub(super) fn pause_for(&mut self, now: Instant, pause: Duration) -> (Instant, Tell) {
        let until = now + pause;
        self.paused = Some(until);
        let tell = match self.told {
            Some(told) if now.saturating_duration_since(told) < QUIET => Tell::No,
            Some(_) | None => Tell::Now,
        };
        if tell == Tell::Now {
            self.told = Some(now);
        }
        (until, tell)
    }

    /// When the pause ends, if there is one.
    pub(super) fn paused(&self) -> Option<Instant> {
        self.paused
    }

    /// The pause is over.
    pub(super) fn resume(&mut self) {
        self.paused = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_service_accepts_nobody_until_a_session_ends() {
        let mut admission = Admission::new(2);
        admission.begin();
        assert!(admission.is_open());
        admission.begin();
        assert!(!admission.is_open());
        admission.end();
        assert!(admission.is_open());
        admission.hold();
        assert!(!admission.is_open());
        admission.release();
        assert!(admission.is_open());
        admission.halt();
        admission.resume();
        assert!(!admission.is_open());
        admission.go_on();
        assert!(admission.is_open());
        admission.close();
        assert!(!admission.is_open());
    }

    #[test]
    fn nobody_is_accepted_while_the_launcher_is_behind() {
        let mut admission = Admission::new(usize::MAX);
        let open = [0, 63, 64, 63, 33, 32, 63].map(|waiting| {
            admission.wait(waiting);
            admission.is_open()
        });
        assert_eq!(open, [true, true, false, false, false, true, true]);
    }

    #[test]
    fn a_trouble_that_goes_on_is_told_once_a_minute() {
        let mut admission = Admission::new(2);
        let start = Instant::now();
        let told: Vec<Tell> = [0, 1, 59, 60, 61].map(|s| admission.pause(start + Duration::from_secs(s)).1).to_vec();
        assert_eq!(told, [Tell::Now, Tell::No, Tell::No, Tell::Now, Tell::No]);
        assert!(!admission.is_open());
        admission.resume();
        assert!(admission.is_open());
    }

    #[test]
    fn only_trouble_that_lasts_pauses() {
        let table = [
            (Errno::EMFILE, false),
            (Errno::ENOMEM, false),
            (Errno::EBADF, false),
            (Errno::EINVAL, false),
            (Errno::ECONNABORTED, true),
            (Errno::EAGAIN, true),
        ];
        for (errno, gone) in table {
            assert_eq!(is_gone(errno), gone, "{errno}");
        }
    }
}
