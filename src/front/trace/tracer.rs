// SPDX-License-Identifier: Apache-2.0
//! Hears the calls of every session until the supervisor has ended, passes signals on to it, and has its exit status.

use super::judge::{Manner, judge, place};
use super::tally::Tally;
use super::{door, space};
use crate::front::run::UNABLE;
use crate::host::HostError;
use crate::observe::{About, Event, Found, Heard, Hearer, Using, become_user, become_yourself};
use crate::plan::Plan;
use crate::plan::place::Place;
use crate::sys::socket;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What hears.
pub(super) struct Tracer<'a> {
    plan: &'a Plan,
    manner: Manner,
    supervisor: Pid,
    /// From where listeners come.
    socket: OwnedFd,
    /// As whom we look at the host.
    ids: Option<(u32, u32)>,
    signals: SignalFd,
    hearers: Vec<Hearer>,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(
        (plan, manner): (&'a Plan, Manner),
        supervisor: Pid,
        socket: OwnedFd,
        ids: Option<(u32, u32)>,
    ) -> Result<Tracer<'a>, HostError> {
        let failed = |errno| HostError::new("wait for signals", errno);
        let mut set = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().for_each(|one| set.add(one));
        set.thread_block().map_err(failed)?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
        become_user(ids)?;
        Ok(Tracer { plan, manner, supervisor, socket, ids, signals, hearers: Vec::new() })
    }

    /// Until the supervisor has ended; its exit status.
    pub(super) fn run(mut self, tally: &mut Tally) -> Result<u8, HostError> {
        while self.turn(tally)? {}
        become_yourself(self.ids)?;
        loop {
            match waitpid(self.supervisor, None) {
                Ok(WaitStatus::Exited(_, status)) => return Ok(u8::try_from(status).unwrap_or(UNABLE)),
                Ok(_) => {
                    let why = "it was killed, and its sandbox with it".to_string();
                    return Err(HostError { doing: "hear the supervisor to its end".into(), why });
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(HostError::new("wait for the supervisor", errno)),
            }
        }
    }

    /// Whether there is more to come.
    fn turn(&mut self, tally: &mut Tally) -> Result<bool, HostError> {
        let own = [self.socket.as_fd(), self.signals.as_fd()];
        let all = own.into_iter().chain(self.hearers.iter().map(AsFd::as_fd));
        let mut entries: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut entries, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(HostError::new("wait for the command", errno)),
        }
        let ready: Vec<PollFlags> = entries.iter().map(|entry| entry.revents().unwrap_or(PollFlags::empty())).collect();
        if !ready[1].is_empty() {
            self.pass_signals()?;
        }
        let mut silent = Vec::new();
        for (index, flags) in ready.iter().skip(2).enumerate() {
            let heard = match flags.contains(PollFlags::POLLIN) {
                true => self.hear(index, tally),
                false if flags.is_empty() => Heard::Nothing,
                false => Heard::Silence,
            };
            if heard == Heard::Silence {
                silent.push(index);
            }
        }
        for index in silent.into_iter().rev() {
            self.hearers.remove(index);
        }
        Ok(ready[0].is_empty() || self.take_listener())
    }

    /// False at the end of the supervisor.
    fn take_listener(&mut self) -> bool {
        let mut message = [0; 8];
        match socket::receive_descriptors(self.socket.as_fd(), &mut message) {
            Ok((0, _)) => false,
            Ok((_, [Some(listener), ..])) if message.starts_with(door::LISTENER) => {
                self.hearers.push(Hearer::new(listener));
                true
            }
            Ok(_) | Err(Errno::EINTR | Errno::EAGAIN) => true,
            Err(_) => false,
        }
    }

    fn hear(&self, index: usize, tally: &mut Tally) -> Heard {
        let plan = self.plan;
        self.hearers[index].hear_and_answer(&mut |event| {
            let root = format!("/proc/{}/root", event.thread);
            let inside = |path: &Path| std::fs::symlink_metadata(Path::new(&root).join(path)).is_ok();
            let first = first(plan, event);
            let (answer, denials) = judge(plan, self.manner, first.as_ref().unwrap_or(event), &inside);
            tally.heard();
            let full = space::full(plan, event.thread);
            denials.into_iter().chain(full).for_each(|denial| tally.denied(denial, &event.program));
            answer
        })
    }

    fn pass_signals(&self) -> Result<(), HostError> {
        let signals: Vec<i32> = std::iter::from_fn(|| self.signals.read_signal().ok().flatten())
            .map(|signal| signal.ssi_signo as i32)
            .collect();
        become_yourself(self.ids)?;
        for signal in signals {
            let signal = match signal {
                libc::SIGINT => Signal::SIGINT,
                _ => Signal::SIGTERM,
            };
            // Its socket says that it has ended.
            let _ = kill(self.supervisor, signal);
        }
        become_user(self.ids)
    }
}

/// The call that starts the command is made by a process of ours, into which nobody looks: what it is about is in the
/// plan.
fn first(plan: &Plan, event: &Event) -> Option<Event> {
    if event.about != [About::Unread] || i64::from(event.call) != libc::SYS_execve {
        return None;
    }
    let directory = path_of(&plan.command.directory);
    let about = plan.command.programs.iter().find_map(|program| {
        let written = directory.join(path_of(program));
        let real = std::fs::canonicalize(&written).ok()?;
        // In a file system of its own it is another one.
        let private = matches!(place(plan, &written), Place::Scratch(..));
        (!private).then_some(About::Path { written, using: Using::Execute, found: Found::File { real } })
    });
    Some(Event { about: about.into_iter().collect(), ..event.clone() })
}

/// A path that was made for the kernel, as a path again.
fn path_of(text: &std::ffi::CStr) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes()))
}
