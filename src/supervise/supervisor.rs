// SPDX-License-Identifier: Apache-2.0
//! The loop: descriptors and moments become events, `turn` says what to do, `act` does it.
//! One thread for all services and sessions; nothing here waits for one of them.

use super::audit::Audit;
use super::client::Client;
use super::door::{Advice, Door};
use super::farewell::Farewells;
use super::files::OpenFiles;
use super::inherited::Inherited;
use super::listener::Listener;
use super::pass::Passing;
use super::proxy::Heralds;
use super::rights::Rights;
use super::service::Service;
use super::services::Services;
use super::session::{Offer, Session};
use super::slices;
use super::stderr::{Pace, Voice};
use super::stop::Stopping;
use super::strays::Strays;
use super::systemd::{Stirred, Systemd};
use super::turn::Event;
use super::twin::Which;
use super::upgrade::{self, Predecessor, Upgrade};
use super::visits::Visits;
use super::watch::{Timer, Token, Watch};
use crate::host::{errno_text, facts};
use crate::plan::model::Ends;
use crate::plan::{Capabilities, Plan, UNTOLD};
use crate::sandbox::{HostError, Slice, confine};
use crate::sys::signal::{Disposition, set_disposition};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What SIGTERM and SIGINT do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// The first one drains, the second one ends every session.
    Drain,
    /// The same; SIGHUP asks the door what is to be served from here on, and SIGUSR2 has another program take over.
    Serve,
    /// Every session is ended.
    Stop,
    /// What they do to any program: it dies, and the sessions with it. master(8) expects that.
    Die,
}

/// What the loop is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It accepts.
    Serving,
    /// It accepts, and says that it is not ready: who sends clients here is to see that before they find nobody.
    Leaving,
    /// It waits for the sessions that there are.
    Draining,
    /// It ends them.
    Stopping,
    /// It has waited long enough.
    GivenUp,
}

impl Phase {
    pub(super) fn accepts(self) -> bool {
        match self {
            Phase::Serving | Phase::Leaving => true,
            Phase::Draining | Phase::Stopping | Phase::GivenUp => false,
        }
    }
}

/// All services and sessions of this process.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) watch: Watch,
    pub(super) services: Services,
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) events: VecDeque<(u64, Event)>,
    pub(super) passing: Passing,
    pub(super) heralds: Heralds,
    pub(super) farewells: Farewells,
    pub(super) visits: Visits,
    /// Services that are not served, and why.
    pub(super) refused: BTreeMap<String, String>,
    pub(super) slice: Option<Slice>,
    pub(super) files: OpenFiles,
    /// Sockets that were open before, and that no service has.
    pub(super) inherited: Inherited,
    pub(super) rights: Rights,
    pub(super) strays: Strays,
    pub(super) strays_at: Option<Instant>,
    pub(super) phase: Phase,
    pub(super) signals: Option<SignalFd>,
    pub(super) idle_at: Option<Instant>,
    pub(super) next: u64,
    /// When the standard error of sessions is looked at.
    pub(super) pace: Pace,
    /// What the kernel tells of Landlock's denials.
    pub(super) audit: Audit,
    /// Who hears how we stand.
    pub(super) systemd: Option<Systemd>,
    /// How long it waits for sessions after the first signal.
    pub(super) drain_limit: Option<Duration>,
    /// How long it accepts after it was told to end.
    pub(super) drain_delay: Option<Duration>,
    /// Until when it does, once it drains.
    pub(super) drain_until: Option<Instant>,
    /// Which sessions are told to end, once all are to.
    pub(super) stopping: Stopping,
    /// Since when there is one.
    pub(super) began: Instant,
    /// What is executed to take this process's place.
    pub(super) program: PathBuf,
    /// The process that is about to do so.
    pub(super) upgrade: Option<Upgrade>,
    /// The one whose place this process is about to take.
    pub(super) predecessor: Option<Predecessor>,
    /// This process is to end as soon as a copy of it can go on with the sessions.
    pub(super) leaving: bool,
}

impl Supervisor {
    /// A supervisor without services; this process has these rights from here on and no others. Signals are blocked
    /// where it takes them itself, so that launchers and reapers do not die of a terminal's SIGINT; sessions get an
    /// empty mask.
    pub fn new(on_signal: OnSignal, place: &facts::Cgroup, rights: Capabilities) -> Result<Supervisor, HostError> {
        let failed = |errno| HostError::new("set up the event loop", errno);
        // Before the first launcher: one that is made later has no others either.
        confine(rights)?;
        // Ignored, it would make the kernel reap children before we have their status.
        set_disposition(libc::SIGCHLD, Disposition::Default).map_err(failed)?;
        let watch = Watch::new().map_err(failed)?;
        let signals = match on_signal {
            OnSignal::Drain | OnSignal::Stop => Some(take_signals(&[]).map_err(failed)?),
            OnSignal::Serve => Some(take_signals(&[Signal::SIGHUP, Signal::SIGUSR2]).map_err(failed)?),
            OnSignal::Die => None,
        };
        if let Some(signals) = &signals {
            watch.add(signals, Token::Signals).map_err(failed)?;
        }
        let phase = match on_signal {
            OnSignal::Drain | OnSignal::Serve | OnSignal::Die => Phase::Serving,
            OnSignal::Stop => Phase::Draining,
        };
        Ok(Supervisor {
            watch,
            services: Services::default(),
            sessions: BTreeMap::new(),
            events: VecDeque::new(),
            passing: Passing::default(),
            heralds: Heralds::default(),
            farewells: Farewells::default(),
            visits: Visits::default(),
            refused: BTreeMap::new(),
            slice: slices::shared(place)?,
            files: OpenFiles::raise(on_signal != OnSignal::Die)?,
            inherited: Inherited::default(),
            rights: Rights::Own,
            strays: Strays::default(),
            strays_at: None,
            phase,
            signals,
            idle_at: None,
            next: 1,
            pace: Pace::new(Instant::now()),
            audit: Audit::default(),
            systemd: None,
            drain_limit: None,
            drain_delay: None,
            drain_until: None,
            stopping: Stopping::default(),
            began: Instant::now(),
            program: upgrade::program(),
            upgrade: None,
            predecessor: None,
            leaving: false,
        })
    }

    /// Adds a service: makes its launcher, proves that it can make a sandbox, and listens for as many sessions at
    /// once as the plan says. Returns its number. A service that cannot be added leaves the others as they are.
    pub fn add(&mut self, plan: Plan, listeners: Vec<Listener>) -> Result<usize, HostError> {
        if let Some(off) = plan.off.iter().find(|off| off.layer == UNTOLD) {
            tracing::warn!("{}: {}: {}", plan.service, off.layer, off.why);
        }
        let own = self.slice.as_mut().map(|slice| slices::of_service(slice, &plan)).transpose()?.flatten();
        let number = self.services.number();
        let limit = plan.concurrency;
        let with = (own, self.slice.as_ref(), &self.files);
        let mut service = Service::start(number, plan, (listeners, limit), with)?;
        let watched = |errno| HostError::new("watch the service's descriptors", errno);
        if let Some(launcher) = &service.launcher {
            self.watch.add(launcher, Token::Launcher(number)).map_err(watched)?;
        }
        service.set_listening(&self.watch).map_err(watched)?;
        self.audit.listen(&service.plan, self.rights, &self.watch)?;
        self.services.insert(service);
        self.share_files();
        self.expect_spares(number);
        Ok(number)
    }

    /// Takes these where a service is to listen at their places.
    pub fn inherit(&mut self, sockets: Inherited) {
        self.inherited = sockets;
    }

    /// Closes what a spawnbox before this one has listened on and no service has taken.
    pub fn forget_kept(&mut self) {
        self.inherited.forget_kept(&BTreeSet::new());
    }

    /// Waits no longer than this for sessions after the first signal, and ends them then.
    pub fn limit_drain(&mut self, limit: Option<Duration>) {
        self.drain_limit = limit;
    }

    /// Accepts for so long after the first signal, and only then drains.
    pub fn delay_drain(&mut self, delay: Option<Duration>) {
        self.drain_delay = delay;
    }

    /// Begins a session with these descriptors as its connection: one, or three.
    pub fn begin(&mut self, service: usize, connection: Vec<OwnedFd>, client: Client) {
        let Some(home) = self.services.get_mut(service) else { return };
        let now = Instant::now();
        self.rights.whole(|| home.renew(&mut self.watch, &self.files, now));
        home.admission.begin();
        self.watch.cancel(Timer::Idle, self.idle_at.take());
        let offer = Offer { connection, client, began: now };
        if let Some(offer) = self.offer_to_spare(service, offer) {
            self.begin_session(service, offer);
        }
        self.expect_spares(service);
    }

    /// Begins a session that is made for this client, who has its place already.
    pub(super) fn begin_session(&mut self, service: usize, offer: Offer) {
        let (id, now) = (self.next, Instant::now());
        self.next += 1;
        let Some(home) = self.services.get_mut(service) else { return };
        let (session, event) = self.rights.whole(|| {
            let slice = home.slice.as_ref().or(self.slice.as_ref());
            Session::new((id, service), &home.plan, (slice, home.users.as_mut()), offer)
        });
        match event {
            Some(event) => {
                self.events.push_back((id, event));
                // What one session could not have, the next one would hardly get.
                home.pause(&mut self.watch, now);
            }
            None => home.wait_for(id, &mut self.watch, now),
        }
        session.set_limits(&mut self.watch);
        self.sessions.insert(id, session);
        match self.phase {
            Phase::Serving | Phase::Leaving | Phase::Draining => {}
            // Its client came before all were told to end.
            Phase::Stopping => self.stop_more(),
            Phase::GivenUp => self.events.push_back((id, Event::Stop)),
        }
        self.ask(service);
    }

    /// Serves until the door, a signal, or the lack of listeners says that it is enough.
    pub fn run(mut self, door: &mut dyn Door) -> Result<(), HostError> {
        let failed = |errno| HostError::new("wait for events", errno);
        if let Some(fd) = door.watched() {
            self.watch.add(fd, Token::Door).map_err(failed)?;
        }
        if self.services.iter().all(|service| service.listeners.is_empty()) {
            self.drain();
        }
        let advice = door.opens();
        self.heed(advice);
        self.settle(door);
        self.set_idle(door);
        self.report(Stirred::Yes);
        while !self.is_over() {
            if let Err(error) = self.answer_predecessor() {
                self.leave()?;
                return Err(error);
            }
            door.turns();
            let mut stirred = Stirred::No;
            for token in self.watch.wait(Instant::now()).map_err(failed)? {
                stirred = Stirred::Yes;
                self.ready(token, door);
                self.settle(door);
            }
            while let Some((_, timer)) = self.watch.due(Instant::now()) {
                if timer != Timer::Systemd {
                    stirred = Stirred::Yes;
                }
                self.due(timer, door);
                self.settle(door);
            }
            self.set_idle(door);
            self.leave_to_a_copy();
            self.report(stirred);
        }
        self.leave()
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Serving | Phase::Leaving => false,
            Phase::Draining | Phase::Stopping => {
                self.sessions.is_empty() && self.passing.is_empty() && self.heralds.is_empty()
            }
            Phase::GivenUp => true,
        }
    }

    fn leave(mut self) -> Result<(), HostError> {
        self.hear_the_last_of_audit();
        for service in self.services.iter_mut() {
            service.lose_launcher(&self.watch);
        }
        if !self.sessions.is_empty() {
            let doing = format!("end {} of the sessions", self.sessions.len());
            return Err(HostError { doing, why: "they were killed and do not die".into() });
        }
        // Every session is over and told of: a directory that stays takes nothing back. The next start sweeps it.
        let own = self.services.iter_mut().filter_map(|service| service.slice.take());
        for slice in own.chain(self.slice.take()) {
            if let Err(error) = self.rights.whole(|| slice.remove()) {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }

    fn ready(&mut self, token: Token, door: &mut dyn Door) {
        match token {
            Token::Signals => self.take_signal(door),
            Token::Door => {
                let advice = door.ready();
                if let (Advice::Drain | Advice::Leave, Some(fd)) = (advice, door.watched()) {
                    self.watch.remove(fd);
                }
                self.heed(advice);
            }
            Token::Launcher(service) => self.hear_launcher(service, Which::First),
            Token::Twin(service) => self.hear_launcher(service, Which::Twin),
            Token::Coming(service) => self.hear_coming(service),
            Token::Listener(service, listener) => self.accept(service, listener, door),
            Token::Passer(id) => self.hear_passer(id, door),
            Token::Header(id) => self.hear_header(id, door),
            Token::Farewell(id) => self.hear_farewell(id),
            Token::Desk(number) => self.receive_visitors(number),
            Token::Upgrade => self.hear_upgrade(),
            // A pipe that is written to says nothing but that nobody reads it.
            Token::Predecessor => self.have_place(),
            Token::Audit => self.hear_audit(),
            Token::Visit(id) => self.attend(id),
            Token::Cord(id) => {
                self.hear_session(id, door);
                self.listen_on(id);
            }
            Token::Stderr(id) => self.hear_stderr(id),
            Token::First(id) => {
                // What came up the cord came before the death.
                self.hear_session(id, door);
                let died = self.sessions.get_mut(&id).and_then(|session| session.reap(&self.watch));
                self.events.extend(died.map(|event| (id, event)));
            }
        }
    }

    fn hear_session(&mut self, id: u64, door: &mut dyn Door) {
        if let Some(session) = self.sessions.get_mut(&id) {
            let plan = self.services.get(session.service).map(|service| &service.plan);
            if let Some(listener) = plan.and_then(|plan| session.take_listener(plan)) {
                door.traced(listener);
            }
            self.events.extend(session.hear(&self.watch).into_iter().map(|event| (id, event)));
            if let Some(service) = self.services.get_mut(session.service) {
                service.counts.denied += session.denials.take_counted();
                let mut voice = Voice { service: &service.plan.service, session: id, rate: &mut service.words };
                session.denials.tell(&service.plan, &mut voice, Instant::now());
                session.relay.tell(&voice);
            }
        }
    }

    /// Watches a session's cord for more, but where the session ends with its command and that has ended: what may come
    /// yet is heard with the death of its first process, which comes next, and to hear that the cord is closed would be
    /// one more turn of this loop for every session.
    fn listen_on(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let ends = self.services.get(session.service).is_some_and(|service| service.rules.ends == Ends::Command);
        if ends && self.events.iter().any(|event| matches!(event, (of, Event::Status(_)) if *of == id)) {
            return;
        }
        if let Err(errno) = session.listen_on(&self.watch) {
            tracing::error!("cannot watch session {id}: {}; ending it", errno_text(errno));
            self.events.push_back((id, Event::Stop));
        }
    }

    fn due(&mut self, timer: Timer, door: &mut dyn Door) {
        let now = Instant::now();
        match timer {
            Timer::Limit(id) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.limit = None;
                    self.events.push_back((id, Event::TimeLimit));
                }
            }
            Timer::Idleness(id) => {
                let Some(session) = self.sessions.get_mut(&id) else { return };
                let event = session.look_for_idleness(&mut self.watch, now);
                self.events.extend(event.map(|event| (id, event)));
            }
            Timer::Alarm(id) => {
                // What came up the cord before now came in time, however late it is heard.
                self.hear_session(id, door);
                self.settle(door);
                let Some(session) = self.sessions.get_mut(&id) else { return };
                if session.alarm.take_if(|at| *at <= now).is_none() {
                    return;
                }
                // Its death may have been missed: where the kernel had no room to watch it.
                let died = session.reap(&self.watch);
                self.events.push_back((id, died.unwrap_or(Event::Alarm)));
            }
            Timer::Stderr(id) => self.resume_stderr(id),
            Timer::Launcher(number) => {
                let Some(service) = self.services.get_mut(number) else { return };
                let waits = service.silent(&mut self.watch, now);
                self.events.extend(waits.map(|id| (id, Event::LauncherSilent)));
            }
            Timer::Twin(number) => self.twin_is_due(number, now),
            Timer::Resume(number) => {
                let Some(service) = self.services.get_mut(number) else { return };
                service.admission.resume();
                self.rights.whole(|| service.repair(&mut self.watch, &self.files, now));
                self.ask(number);
                self.set_listening(number);
                self.expect_spares(number);
            }
            Timer::Spares(number) => self.keep_spares(number, now),
            Timer::Idle => {
                self.idle_at = None;
                self.drain();
            }
            Timer::Passer(id) => self.lose_passer(id, door),
            Timer::Header(id) => self.lose_header(id, door),
            Timer::Farewell(id) => self.end_farewell(id),
            Timer::Desk(number) => self.reopen_desk(number),
            Timer::Visit(id) => self.end_visit(id),
            Timer::Rate(number) => {
                let Some(service) = self.services.get_mut(number) else { return };
                service.admission.hurry();
                self.set_listening(number);
            }
            Timer::Systemd => self.report_is_due(),
            Timer::Strays => self.look_for_strays(now),
            Timer::Upgrade => self.upgrade_is_due(),
            Timer::Leave => {
                if self.phase == Phase::Leaving {
                    self.drain_as_told();
                }
            }
            Timer::Drain => {
                if self.phase == Phase::Draining {
                    tracing::warn!(
                        "draining took too long: ending the sessions that are left: {}",
                        self.sessions.len()
                    );
                    self.stop();
                }
            }
            Timer::Patience => self.phase = Phase::GivenUp,
        }
    }
}

/// Takes SIGTERM, SIGINT and these as events from here on.
fn take_signals(more: &[Signal]) -> Result<SignalFd, Errno> {
    let mut signals: SigSet = more.iter().copied().collect();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}
