// SPDX-License-Identifier: Apache-2.0
//! What a service manager hears of us, see sd_notify(3): that we are ready, read everything anew or stop, how we stand,
//! that the loop turns, and the listeners that it is to keep for the spawnbox after this one. What it does not take now
//! is sent again later: nothing here waits, and nothing else depends on whether somebody hears it.

use super::inherited::kept_name;
use super::supervisor::{Phase, Supervisor};
use super::watch::Timer;
use crate::policy::printable;
use crate::sys::errno;
use nix::errno::Errno;
use nix::unistd::Pid;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    sendmsg_addr, socket_with,
};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// How often how we stand is said at most, and how long nothing is sent after something was not taken.
const PACE: Duration = Duration::from_secs(1);
/// How often more time is asked for while a limited drain lasts, and how much: one that hangs is not waited for.
const EXTEND_EVERY: Duration = Duration::from_secs(5);
const EXTEND_BY: Duration = Duration::from_secs(30);
/// No watchdog is told more often.
const FASTEST: Duration = Duration::from_millis(10);
/// The longest sentence, in bytes.
const LONGEST: usize = 1000;

/// A service manager, and what it has heard.
#[derive(Debug)]
pub struct Systemd {
    socket: OwnedFd,
    to: SocketAddrUnix,
    /// How often it wants to hear that the loop turns.
    watchdog: Option<Duration>,
    /// How many listeners it keeps.
    room: usize,
    /// What was sent last was not taken: nothing is sent before this.
    quiet: Option<Instant>,
    ready: bool,
    stopping: bool,
    /// Microseconds of the monotonic clock: a reload began then, of which it has not heard.
    reload: Option<u64>,
    sentence: String,
    /// The names of what it keeps.
    stored: BTreeSet<String>,
    /// When the sentence was made last.
    looked: Option<Instant>,
    /// Something may have happened since.
    stirred: bool,
    alive: Option<Instant>,
    extended: Option<Instant>,
    timer: Option<Instant>,
}

impl Systemd {
    /// The one that the environment names, if it does.
    pub fn find() -> Option<Systemd> {
        Systemd::named(|name| std::env::var_os(name), std::process::id())
    }

    fn named(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> Option<Systemd> {
        let name = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let to = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddrUnix::new_abstract_name(rest),
            [b'/', ..] => SocketAddrUnix::new(name.as_os_str()),
            _ => Err(rustix::io::Errno::AFNOSUPPORT),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let made = to.and_then(|to| Ok((to, socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?)));
        let (to, socket) = made
            .inspect_err(|error| {
                let why = crate::host::errno_text(errno(*error));
                tracing::warn!("cannot tell the service manager at {} how we stand: {why}", name.to_string_lossy());
            })
            .ok()?;
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(own));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| *usec > 0 && is_ours);
        Some(Systemd {
            socket,
            to,
            watchdog: watchdog.map(|usec| (Duration::from_micros(usec) / 2).max(FASTEST)),
            room: number("FDSTORE").and_then(|room| usize::try_from(room).ok()).unwrap_or_default(),
            quiet: None,
            ready: false,
            stopping: false,
            reload: None,
            sentence: String::new(),
            stored: BTreeSet::new(),
            looked: None,
            stirred: true,
            alive: None,
            extended: None,
            timer: None,
        })
    }

    /// Whether it keeps this listener.
    fn keeps(&self, name: Option<String>) -> bool {
        name.is_some_and(|name| self.stored.contains(&name))
    }

    /// From here on another process is the one that it watches, and hears.
    pub(super) fn tell_successor(&self, pid: Pid) -> Result<(), Errno> {
        self.send(&format!("MAINPID={pid}"), None)
    }

    /// Tells what it does not know yet, and says when there may be more.
    fn turn(&mut self, supervisor: &Supervisor, now: Instant) -> Option<Instant> {
        if self.quiet.is_none_or(|until| until <= now) {
            self.quiet = match self.tell(supervisor, now) {
                Ok(()) => None,
                Err(_) => Some(now + PACE),
            };
        }
        let sentence = self.stirred.then(|| self.looked.map_or(now, |looked| looked + PACE));
        let alive = self.watchdog.map(|every| self.alive.map_or(now, |alive| alive + every));
        let extended = self.extended.map(|extended| extended + EXTEND_EVERY);
        let next = [self.quiet, sentence, alive, extended].into_iter().flatten().min()?;
        Some(next.max(self.quiet.unwrap_or(now)))
    }

    fn tell(&mut self, supervisor: &Supervisor, now: Instant) -> Result<(), Errno> {
        if self.watchdog.is_some_and(|every| self.alive.is_none_or(|alive| alive + every <= now)) {
            self.send("WATCHDOG=1", None)?;
            self.alive = Some(now);
        }
        self.tell_reload()?;
        let is_due = self.stirred && self.looked.is_none_or(|looked| looked + PACE <= now);
        match supervisor.phase {
            Phase::Serving => {
                let is_news = !self.ready && supervisor.is_ready();
                if is_due || is_news {
                    self.store(supervisor)?;
                }
                if is_news {
                    self.say("READY=1\n", supervisor, now)?;
                    self.ready = true;
                }
            }
            Phase::Leaving | Phase::Draining | Phase::Stopping | Phase::GivenUp => {
                if !self.stopping {
                    self.say("STOPPING=1\n", supervisor, now)?;
                    self.stopping = true;
                }
                // Without a limit of ours the service manager's own holds.
                if (supervisor.drain_limit.is_some() || supervisor.phase == Phase::Leaving)
                    && self.extended.is_none_or(|extended| extended + EXTEND_EVERY <= now)
                {
                    self.send(&format!("EXTEND_TIMEOUT_USEC={}", EXTEND_BY.as_micros()), None)?;
                    self.extended = Some(now);
                }
            }
        }
        if is_due {
            self.say("", supervisor, now)?;
        }
        Ok(())
    }

    fn tell_reload(&mut self) -> Result<(), Errno> {
        if let Some(began) = self.reload {
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={began}\nSTATUS=reading the policies"), None)?;
            (self.reload, self.ready, self.looked, self.stirred) = (None, false, None, true);
        }
        Ok(())
    }

    /// Says how we stand, where that is news or something else is.
    fn say(&mut self, news: &str, supervisor: &Supervisor, now: Instant) -> Result<(), Errno> {
        let mut sentence = printable(&supervisor.sentence());
        sentence.truncate((0..=LONGEST.min(sentence.len())).rfind(|at| sentence.is_char_boundary(*at)).unwrap_or(0));
        if !news.is_empty() || sentence != self.sentence {
            self.send(&format!("{news}STATUS={sentence}"), None)?;
            self.sentence = sentence;
        }
        (self.looked, self.stirred) = (Some(now), false);
        Ok(())
    }

    /// Has every listener of ours kept, and nothing else.
    fn store(&mut self, supervisor: &Supervisor) -> Result<(), Errno> {
        if self.room == 0 {
            return Ok(());
        }
        let wanted = supervisor.kept();
        for name in self.stored.clone().iter().filter(|name| !wanted.contains_key(*name)) {
            self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None)?;
            self.stored.remove(name);
        }
        for (name, listener) in wanted {
            if self.stored.len() < self.room && !self.stored.contains(&name) {
                self.send(&format!("FDSTORE=1\nFDNAME={name}"), listener)?;
                self.stored.insert(name);
            }
        }
        Ok(())
    }

    fn send(&self, text: &str, listener: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        if listener.is_some() {
            control.push(SendAncillaryMessage::ScmRights(listener.as_slice()));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg_addr(&self.socket, &self.to, &[IoSlice::new(text.as_bytes())], &mut control, flags)
            .map(drop)
            .map_err(errno)
    }
}

impl Supervisor {
    /// Tells this service manager how we stand from here on.
    pub fn report_to(&mut self, systemd: Option<Systemd>) {
        self.systemd = systemd;
        // Where it keeps nothing, they are from the program before.
        if let Some(systemd) = self.systemd.as_mut().filter(|systemd| systemd.room > 0) {
            systemd.stored = self.inherited.kept().map(str::to_string).collect();
        }
    }

    /// What is served is about to change.
    pub(super) fn report_reload(&mut self) {
        if let Some(systemd) = &mut self.systemd {
            let now = clock_gettime(ClockId::Monotonic);
            let micros = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
            systemd.reload = Some(micros);
            // What is not taken is said again at the end of the turn, before it hears that we are ready.
            let _ = systemd.tell_reload();
        }
    }

    /// Another process does, from here on.
    pub(super) fn report_no_longer(&mut self) {
        if let Some(systemd) = self.systemd.take() {
            self.watch.cancel(Timer::Systemd, systemd.timer);
        }
    }

    /// Tells the service manager what it does not know yet: at the end of each turn. Until this process is the one that
    /// it watches, it hears nothing of it.
    pub(super) fn report(&mut self, stirred: Stirred) {
        if self.predecessor.is_some() {
            return;
        }
        let Some(mut systemd) = self.systemd.take() else { return };
        systemd.stirred |= stirred == Stirred::Yes;
        let next = systemd.turn(self, Instant::now());
        if next != systemd.timer {
            self.watch.cancel(Timer::Systemd, systemd.timer);
            if let Some(at) = next {
                self.watch.set(Timer::Systemd, None, at);
            }
            systemd.timer = next;
        }
        self.systemd = Some(systemd);
    }

    /// The moment has come that was set for it.
    pub(super) fn report_is_due(&mut self) {
        if let Some(systemd) = &mut self.systemd {
            systemd.timer = None;
        }
    }

    /// The listeners of ours that are to outlive us, by their names. What waits for its service to be known is kept
    /// already.
    fn kept(&self) -> BTreeMap<String, Option<BorrowedFd<'_>>> {
        let mut kept: BTreeMap<_, _> = self.inherited.kept().map(|name| (name.to_string(), None)).collect();
        for service in self.services.iter() {
            for listener in service.listeners.iter().filter(|it| !self.inherited.is_passed(&service.plan.service, it)) {
                let name = kept_name(&service.plan.service, listener.as_fd());
                kept.extend(name.map(|name| (name, Some(listener.as_fd()))));
            }
        }
        kept
    }

    /// Closes a service's listeners for good, but not the names in the file system of those that are kept for the next.
    pub(super) fn leave_kept(&mut self, number: usize) {
        let Some(systemd) = &self.systemd else { return };
        let Some(service) = self.services.get_mut(number) else { return };
        for listener in service.take_listeners(&self.watch) {
            if systemd.keeps(kept_name(&service.plan.service, listener.as_fd())) {
                drop(OwnedFd::from(listener));
            }
        }
    }
}

/// Whether something may have changed how we stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stirred {
    Yes,
    No,
}
