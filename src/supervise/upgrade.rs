// SPDX-License-Identifier: Apache-2.0
//! Another program takes this one's place while clients come: the file of the program was replaced, and SIGUSR2 says
//! so. It is started with copies of the listening sockets and accepts nobody before it has proven its sandboxes, which
//! it says by one byte. From then on both accept from the same queues, until this one has closed its own, and it ends
//! with its sessions. A program that ends without that byte changes nothing, and neither does one that ends before this
//! one has left: until then names in the file system are this one's, and so is the word to a service manager.
//!
//! An exec in place would keep the process id, and with it what a service manager knows; it would also leave nobody to
//! go on where the new program fails, and nobody who knows the sessions.

use super::admit::Admission;
use super::listener::Listener;
use super::session::{is_dead, open};
use super::supervisor::{Phase, Supervisor};
use super::watch::{Timer, Token};
use crate::host::{HostError, errno_text};
use crate::sys::clone::{self, Side};
use crate::sys::process;
use crate::sys::{errno, inherit, signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The variable that says that behind the sockets is a descriptor to which the next program says that it serves; its
/// value is the number of this one's next session.
const READY: &str = "SPAWNBOX_READY";
/// The number of the first listening socket, see sd_listen_fds(3).
const FIRST: RawFd = 3;
/// The variable that says whose keep-alive a service manager expects, see sd_watchdog_enabled(3).
const WATCHDOG: &str = "WATCHDOG_PID";
/// How long the next program may take. With many services it makes many sandboxes first.
const PATIENCE: Duration = Duration::from_secs(300);
/// When a service manager is told again that did not take it.
const AGAIN: Duration = Duration::from_secs(1);
/// For how long, until the next program has this one's place without that.
const TELLING: Duration = Duration::from_secs(60);
/// Between the sessions of two programs, so that the number of one is never that of another: more than begin while the
/// next program starts.
const APART: u64 = 1_000_000;
/// What this one is told by a byte: that the next one serves, or that it could not be executed, and then why.
const SERVES: u8 = b'1';
const NOT_EXECUTED: u8 = b'0';

/// The next program, until this one has left its place.
#[derive(Debug)]
pub(super) struct Upgrade {
    pid: Pid,
    /// Who of its children has the pipe too says nothing of its own end.
    process: OwnedFd,
    ready: OwnedFd,
    at: Instant,
    serves: bool,
    /// Until when a service manager is told that has not taken it.
    telling: Option<Instant>,
}

impl Upgrade {
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }
}

/// The program before this one, until it has left its place.
#[derive(Debug)]
pub struct Predecessor {
    /// Nobody reads it any more once that has left.
    ready: OwnedFd,
    /// It was told that this one serves.
    told: bool,
    /// The number that its next session had.
    next: u64,
}

impl Predecessor {
    /// The one that has started this program, if that is how it was started. Once, before anything is opened but what
    /// [`super::Inherited::take`] takes.
    pub fn take() -> Result<Option<Predecessor>, HostError> {
        let failed = |why: String| HostError { doing: "answer the program before this one".into(), why };
        let variable = |name: &str| std::env::var(name).ok();
        let Some(next) = variable(READY) else { return Ok(None) };
        // Those of another process, which has passed its environment on.
        if variable("LISTEN_PID") != Some(std::process::id().to_string()) {
            return Ok(None);
        }
        let next = next.parse().map_err(|_| failed(format!("{READY} is no number")))?;
        let count = variable("LISTEN_FDS").and_then(|text| text.parse().ok());
        let number = count.and_then(|count: RawFd| count.checked_add(FIRST).filter(|number| *number >= FIRST));
        let number = number.ok_or_else(|| failed("LISTEN_FDS is no number".into()))?;
        let ready = inherit::adopt(number).map_err(|errno| failed(errno_text(errno)))?;
        Ok(Some(Predecessor { ready, told: false, next }))
    }
}

impl Supervisor {
    /// Starts the next program, where none is starting already.
    pub(super) fn begin_upgrade(&mut self) {
        match (self.phase, &self.upgrade, &self.predecessor) {
            (Phase::Serving, None, None) => {}
            (Phase::Serving, Some(Upgrade { pid, .. }), _) => {
                return tracing::warn!("process {pid} is about to take this one's place already");
            }
            (Phase::Serving, None, Some(_)) => {
                return tracing::warn!("this program does not serve yet: no other one is started");
            }
            (Phase::Leaving | Phase::Draining | Phase::Stopping | Phase::GivenUp, _, _) => {
                return tracing::warn!("this program is about to end: no other one is started");
            }
        }
        match self.start_next() {
            Ok(upgrade) => {
                tracing::info!("started {} as process {}", self.program.display(), upgrade.pid);
                self.watch.set(Timer::Upgrade, None, upgrade.at);
                self.upgrade = Some(upgrade);
            }
            Err(error) => {
                tracing::error!("{error}; this one goes on");
                self.expect_strays();
            }
        }
    }

    fn start_next(&self) -> Result<Upgrade, HostError> {
        let doing = || format!("start {}", self.program.display());
        let failed = |errno| HostError::new(doing(), errno);
        if std::process::id() == 1 {
            let why = "a container ends with its first process, which this one is: start another container".into();
            return Err(HostError { doing: doing(), why });
        }
        let sockets = self.handed()?;
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(failed)?;
        self.watch.add(&ours, Token::Upgrade).map_err(failed)?;
        match clone::fork().map_err(failed)? {
            Side::Child => {
                // The log may have had one of the numbers that the sockets have now: it is the parent who tells.
                let (why, ready) = self.become_next(&sockets, &theirs);
                let _ = rustix::io::write(ready, &[NOT_EXECUTED, u8::try_from(why as i32).unwrap_or_default()]);
                process::exit(1)
            }
            Side::Parent(pid) => {
                let held = open(pid).and_then(|process| self.watch.add(&process, Token::Upgrade).map(|()| process));
                let process = held.inspect_err(|_| {
                    // Nobody has reaped it yet, so the number is its own.
                    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
                });
                let (process, at) = (process.map_err(failed)?, Instant::now() + PATIENCE);
                Ok(Upgrade { pid, process, ready: ours, at, serves: false, telling: None })
            }
        }
    }

    /// Every socket on which somebody may wait, with its name for the next program.
    fn handed(&self) -> Result<Vec<(String, BorrowedFd<'_>)>, HostError> {
        let mut sockets = self.inherited.left();
        sockets.extend(self.visits.listeners());
        for service in self.services.iter() {
            let name = &service.plan.service;
            for listener in &service.listeners {
                let named = self.inherited.name(name, listener).ok_or_else(|| HostError {
                    doing: "pass the sockets to the next program".into(),
                    why: format!("the name of the service `{name}` is too long, or has a colon"),
                })?;
                sockets.push((named, listener.as_fd()));
            }
        }
        Ok(sockets)
    }

    /// In the process that was made for it: puts the sockets where the program looks for them, and executes it. Comes
    /// back only with the reason why that failed, and with the pipe, which may have another number by then.
    fn become_next<'a>(&self, sockets: &[(String, BorrowedFd<'_>)], ready: &'a OwnedFd) -> (Errno, BorrowedFd<'a>) {
        match self.place(sockets, ready) {
            Ok(last) => {
                let own = std::process::id().to_string();
                let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
                let mut command = Command::new(&self.program);
                command.args(std::env::args_os().skip(1)).env(READY, self.next.to_string());
                command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
                command.env("LISTEN_PID", &own);
                if std::env::var_os(WATCHDOG).is_some() {
                    command.env(WATCHDOG, &own);
                }
                (Errno::from_raw(command.exec().raw_os_error().unwrap_or(libc::EIO)), process::fixed(last))
            }
            Err(errno) => (errno, ready.as_fd()),
        }
    }

    /// Behind the sockets comes the pipe, which has this number.
    fn place(&self, sockets: &[(String, BorrowedFd<'_>)], ready: &OwnedFd) -> Result<RawFd, Errno> {
        let last = FIRST + RawFd::try_from(sockets.len()).map_err(|_| Errno::EMFILE)?;
        // First above all of these numbers, or one would take another's place.
        let all = sockets.iter().map(|(_, socket)| *socket).chain([ready.as_fd()]);
        let above = all.map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, last + 1).map_err(errno));
        let above = above.collect::<Result<Vec<OwnedFd>, _>>()?;
        for (number, fd) in (FIRST..).zip(&above) {
            process::duplicate_stdio(fd.as_raw_fd(), number)?;
        }
        rustix::process::setrlimit(rustix::process::Resource::Nofile, self.files.before()).map_err(errno)?;
        signal::set_mask(0)?;
        Ok(last)
    }

    /// Hears that the next program serves, or that it has ended.
    pub(super) fn hear_upgrade(&mut self) {
        let Some(upgrade) = &mut self.upgrade else { return };
        if upgrade.serves {
            self.has_lost_next();
            return;
        }
        // Before the pipe, which may have more in it by the end.
        let dead = is_dead(&upgrade.process);
        let mut said = [0; 2];
        match rustix::io::read(&upgrade.ready, &mut said) {
            Ok(1..) if said[0] == SERVES => {
                upgrade.serves = true;
                self.watch.remove(&upgrade.ready);
                self.hand_over();
            }
            // It has left the pipe to somebody.
            Err(rustix::io::Errno::AGAIN) if dead => {
                if let Some(Upgrade { pid, .. }) = self.end_upgrade() {
                    tracing::error!("process {pid} ended before it served; this one goes on");
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok(count) => {
                let why = errno_text(Errno::from_raw(said[1].into()));
                let Some(Upgrade { pid, .. }) = self.end_upgrade() else { return };
                match count {
                    2 => tracing::error!("cannot execute {}: {why}; this one goes on", self.program.display()),
                    _ => tracing::error!("process {pid} ended before it served; this one goes on"),
                }
            }
            Err(error) => {
                let why = errno_text(errno(error));
                self.give_up_upgrade(&format!("it cannot be heard: {why}; this one goes on"));
            }
        }
    }

    /// The moment has come that was set for it.
    pub(super) fn upgrade_is_due(&mut self) {
        match &self.upgrade {
            Some(upgrade) if upgrade.serves => self.hand_over(),
            Some(_) => self.give_up_upgrade("it takes too long; this one goes on"),
            None => {}
        }
    }

    /// The next program is not to serve, or this one is to end.
    pub(super) fn give_up_upgrade(&mut self, why: &str) {
        match self.end_upgrade() {
            Some(Upgrade { pid, process, .. }) if is_dead(&process) => {
                tracing::error!("process {pid} has ended already: {why}");
            }
            // It has clients already.
            Some(Upgrade { pid, serves: true, .. }) => {
                tracing::warn!("the service manager was not told of process {pid}: {why}");
                self.leave_place_to(pid);
            }
            Some(Upgrade { pid, process, serves: false, .. }) => {
                let _ = rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL);
                tracing::error!("process {pid} is killed before it serves: {why}");
            }
            None => {}
        }
    }

    /// Leaves everything to the next program but the sessions that there are.
    fn hand_over(&mut self) {
        if self.has_lost_next() {
            return;
        }
        let Some(Upgrade { pid, at, telling, .. }) = &mut self.upgrade else { return };
        let pid = *pid;
        // Before anything else: a service manager takes the end of the process that it knows for the end of the
        // service.
        if let Some(systemd) = &self.systemd
            && let Err(errno) = systemd.tell_successor(pid)
        {
            let (now, why) = (Instant::now(), errno_text(errno));
            let until = *telling.get_or_insert_with(|| {
                tracing::warn!("cannot tell the service manager that process {pid} serves: {why}; trying again");
                now + TELLING
            });
            if now < until {
                let again = now + AGAIN;
                self.watch.set(Timer::Upgrade, Some(*at), again);
                *at = again;
                return;
            }
            tracing::warn!("the service manager was not told of process {pid}: {why}; it serves all the same");
        }
        self.end_upgrade();
        self.leave_place_to(pid);
        self.drain();
    }

    /// What is in the file system is the next program's, and it is who answers for the service.
    fn leave_place_to(&mut self, pid: Pid) {
        self.report_no_longer();
        for service in self.services.iter_mut() {
            service.listeners.iter_mut().for_each(Listener::leave_name);
        }
        self.leave_desks();
        tracing::info!(
            "process {pid} serves in this one's place, which ends with its sessions: {}",
            self.what_is_left()
        );
    }

    /// Whether the next program is dead, though it has served: then this one goes on.
    fn has_lost_next(&mut self) -> bool {
        let lost = self.upgrade.as_ref().is_some_and(|upgrade| is_dead(&upgrade.process));
        if lost && let Some(Upgrade { pid, .. }) = self.end_upgrade() {
            tracing::error!("process {pid} has ended before it had this one's place; this one goes on");
        }
        lost
    }

    fn end_upgrade(&mut self) -> Option<Upgrade> {
        let upgrade = self.upgrade.take()?;
        self.watch.remove(&upgrade.ready);
        self.watch.remove(&upgrade.process);
        self.watch.cancel(Timer::Upgrade, Some(upgrade.at));
        // Where it has ended, it is reaped as a stray.
        self.expect_strays();
        Some(upgrade)
    }

    /// Takes the place of the program before, as soon as every service is proven; accepts nobody until then.
    pub fn take_place_of(&mut self, predecessor: Option<Predecessor>) {
        if let Some(Predecessor { next, .. }) = predecessor {
            // Whoever has seen a number there and orders its end here, by the same socket, ends nobody else. It is the
            // second round number above, since the first may be near.
            self.next = (next / APART + 2).saturating_mul(APART).saturating_add(1);
            self.each_admission(Admission::hold);
        }
        self.predecessor = predecessor;
    }

    /// Says to the program before this one that it can go, once it can. An error where it must stay: then this one
    /// ends, and leaves everything as it was.
    pub(super) fn answer_predecessor(&mut self) -> Result<(), HostError> {
        // One that is to end serves nobody: the other goes on.
        if !self.is_before_its_place() || self.phase != Phase::Serving {
            return Ok(());
        }
        let failed = self.services.iter().find_map(|it| Some((&it.plan.service, it.retry.why()?)));
        if let Some((service, why)) = failed {
            return Err(stays(format!("{service}: {why}")));
        }
        if self.services.iter().any(|service| service.admission.is_unproven()) {
            return Ok(());
        }
        let Some(predecessor) = &mut self.predecessor else { return Ok(()) };
        // First: it may leave as soon as it is told.
        let failed = |errno| HostError::new("watch for the end of the program before", errno);
        self.watch.add(&predecessor.ready, Token::Predecessor).map_err(failed)?;
        predecessor.told = true;
        let told = rustix::io::write(&predecessor.ready, &[SERVES]);
        self.each_admission(Admission::release);
        match told {
            Ok(_) => tracing::info!("serving in the place of the program before"),
            // It is gone: nobody else serves.
            Err(_) => {
                tracing::warn!("the program before this one has ended meanwhile; serving in its place");
                self.have_place();
            }
        }
        Ok(())
    }

    /// Whether the program before this one is alone in serving.
    pub(super) fn is_before_its_place(&self) -> bool {
        self.predecessor.as_ref().is_some_and(|predecessor| !predecessor.told)
    }

    /// The program before this one has left its place, or is dead: what has a name in the file system is this one's,
    /// and what is kept and nobody wants goes.
    pub(super) fn have_place(&mut self) {
        let Some(Predecessor { ready, .. }) = self.predecessor.take() else { return };
        self.watch.remove(&ready);
        for service in self.services.iter_mut() {
            service.listeners.iter_mut().for_each(Listener::own_name);
        }
        self.own_desks();
        self.inherited.own();
        self.forget_kept();
    }
}

/// Why the program before this one goes on.
pub fn stays(why: String) -> HostError {
    HostError { doing: "take the place of the program before".into(), why }
}

/// The program as it was started, so that what stands there later is executed; where it was found without a path, the
/// file that it was.
pub(super) fn program() -> PathBuf {
    let named = std::env::args_os().next().filter(|word| word.as_bytes().contains(&b'/')).map(PathBuf::from);
    named.or_else(|| std::env::current_exe().ok()).unwrap_or_default()
}
