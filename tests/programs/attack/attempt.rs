// SPDX-License-Identifier: Apache-2.0
//! One attempt, made in a child, and what came of it.

use crate::world::World;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How long an attempt may take, but for those that fill something: less than its judge waits for it, and far more than
/// a busy machine needs.
const SECONDS: u32 = 15;
const SECONDS_TO_FILL: u32 = 240;

/// An attack that can be tried from inside.
pub(crate) struct Attempt {
    /// `group: what`, as the table of attacks has it.
    pub(crate) name: &'static str,
    pub(crate) when: When,
    pub(crate) make: fn(&World) -> Verdict,
}

/// Which connection an attempt is made on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// One that others are made on too.
    Together,
    /// One of its own: it needs its client's help, or destroys the connection.
    Alone,
    /// One of its own, and it takes as much of something as it gets.
    Filling,
}

impl When {
    /// As `attack list` says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            When::Together => "together",
            When::Alone => "alone",
            When::Filling => "filling",
        }
    }
}

/// What came of an attempt.
pub(crate) enum Verdict {
    /// The attack worked.
    Open(String),
    Blocked(String),
    /// It cannot be tried here, for this reason.
    Absent(&'static str),
    /// This program is wrong.
    Broken(String),
}

pub(crate) const fn together(name: &'static str, make: fn(&World) -> Verdict) -> Attempt {
    Attempt { name, when: When::Together, make }
}

pub(crate) const fn alone(name: &'static str, make: fn(&World) -> Verdict) -> Attempt {
    Attempt { name, when: When::Alone, make }
}

pub(crate) const fn filling(name: &'static str, make: fn(&World) -> Verdict) -> Attempt {
    Attempt { name, when: When::Filling, make }
}

/// Open where it is so.
pub(crate) fn found(so: bool, what: impl fmt::Display) -> Verdict {
    if so { Verdict::Open(what.to_string()) } else { Verdict::Blocked(what.to_string()) }
}

impl<T> From<Result<T, Errno>> for Verdict {
    fn from(result: Result<T, Errno>) -> Self {
        match result {
            Ok(_) => Verdict::Open("it worked".to_string()),
            Err(errno) => refused(errno),
        }
    }
}

impl<T> From<io::Result<T>> for Verdict {
    fn from(result: io::Result<T>) -> Self {
        match result {
            Ok(_) => Verdict::Open("it worked".to_string()),
            Err(error) => match error.raw_os_error() {
                Some(raw) => refused(Errno::from_raw(raw)),
                None => Verdict::Blocked(error.to_string()),
            },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Open(why) => write!(f, "open | {why}"),
            Verdict::Blocked(why) => write!(f, "blocked | {why}"),
            Verdict::Absent(why) => write!(f, "n/a | {why}"),
            Verdict::Broken(why) => write!(f, "broken | {why}"),
        }
    }
}

/// What the kernel says to an attempt that did not work. That an address or an argument is wrong is no defence: see
/// [`served`] and [`denied`] for what may be asked wrongly, and where that is the answer of one.
fn refused(errno: Errno) -> Verdict {
    match errno {
        Errno::EFAULT | Errno::EINVAL => Verdict::Broken(format!("{errno:?}")),
        _ => Verdict::Blocked(format!("{errno:?}")),
    }
}

/// The kernel has looked at what was asked, by this answer: nothing came of it only because of the way it was asked.
pub(crate) fn served(result: Result<i64, Errno>, answers: &[Errno]) -> Verdict {
    match result {
        Err(errno) if answers.contains(&errno) => found(true, format!("{errno:?} is the kernel's answer")),
        other => other.into(),
    }
}

/// EINVAL is how the kernel keeps this out, or says that it has no such thing.
pub(crate) fn denied(result: Result<i64, Errno>, why: &'static str) -> Verdict {
    match result {
        Err(Errno::EINVAL) => found(false, format!("EINVAL: {why}")),
        other => other.into(),
    }
}

/// Makes an attempt in a child and waits for it.
pub(crate) fn run(attempt: &Attempt, world: &World) -> String {
    let (read, write) = io::pipe().expect("a pipe");
    // SAFETY: this program has one thread.
    match unsafe { fork() }.expect("a sandbox leaves one child") {
        ForkResult::Child => {
            drop(read);
            make(attempt, world, write)
        }
        ForkResult::Parent { child } => {
            drop(write);
            let status = wait(child);
            told(status, read)
        }
    }
}

fn wait(child: Pid) -> WaitStatus {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            other => return other.expect("the child is ours"),
        }
    }
}

fn make(attempt: &Attempt, world: &World, mut answer: io::PipeWriter) -> ! {
    let seconds = if attempt.when == When::Filling { SECONDS_TO_FILL } else { SECONDS };
    alarm::set(seconds * world.patience());
    std::panic::set_hook(Box::new(|_| {}));
    let verdict = catch_unwind(AssertUnwindSafe(|| (attempt.make)(world))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Verdict::Broken(text.unwrap_or_default().replace('\n', " "))
    });
    let _ = io::Write::write_all(&mut answer, verdict.to_string().as_bytes());
    // SAFETY: ends this process, and runs nothing of what its parent has registered.
    unsafe { libc::_exit(0) }
}

/// The child's answer, or what its death says. What it has started may still hold the pipe open, so nothing is awaited.
fn told(status: WaitStatus, read: io::PipeReader) -> String {
    match status {
        WaitStatus::Exited(_, 0) => {
            let mut bytes = [0; 2048];
            let length = nix::unistd::read(&read, &mut bytes).expect("the answer is in the pipe");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        }
        // A defence answers. What took longer than the alarm allows may have been on its way to success.
        WaitStatus::Signaled(_, Signal::SIGALRM, _) => Verdict::Broken("it took too long".into()).to_string(),
        WaitStatus::Signaled(_, signal, _) => Verdict::Blocked(format!("killed by {signal}")).to_string(),
        other => Verdict::Broken(format!("the child ended with {other:?}")).to_string(),
    }
}
