// SPDX-License-Identifier: Apache-2.0
//! How sessions come to be: accept, ask the launcher, hear its answer; and what becomes of them if it is gone.

use super::admit::Tell;
use super::client::Client;
use super::connection as lock;
use super::door::{Door, NotAccepted};
use super::gate::Turned;
use super::listener::Arrival;
use super::renewal::Renewal;
use super::stderr::Voice;
use super::strays::Strays;
use super::supervisor::Supervisor;
use super::trial;
use super::turn::Event;
use super::twin::{Known, Which};
use super::upgrade::Upgrade;
use super::watch::{Output, Timer};
use crate::host::{HostError, errno_text};
use crate::plan::Step;
use crate::sandbox::{Reply, SetupError};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

impl Supervisor {
    /// Accepts one client of a service, if its limit allows. Who comes next is looked for with everything else that is
    /// ready: to look at once would be a call more wherever nobody does, and they are the most.
    pub(super) fn accept(&mut self, number: usize, index: usize, door: &mut dyn Door) {
        self.accept_one(number, index, door);
        if let Some(users) = self.services.get_mut(number).and_then(|service| service.users.as_mut()) {
            users.let_go();
        }
        self.set_listening(number);
    }

    fn accept_one(&mut self, number: usize, index: usize, door: &mut dyn Door) {
        let Some(service) = self.services.get_mut(number) else { return };
        // Before the client is accepted: as long as there is no id for it, it waits as at any other limit.
        // A spare has its own.
        if service.spares.is_empty() && !service.has_user(self.rights, &mut self.watch) {
            return;
        }
        if !service.may_accept(&mut self.watch, Instant::now()) {
            return;
        }
        let Some(listener) = service.listeners.get(index).filter(|_| service.admission.is_open()) else { return };
        match listener.accept() {
            Ok(Some(Arrival::Client(connection, client))) => self.arrived(number, connection, client, door),
            Ok(Some(Arrival::Passer(passer))) => self.expect_client(number, passer, door),
            Ok(Some(Arrival::Nobody(errno))) => {
                let why = NotAccepted::Locked(HostError::new("ask who the client is", errno));
                self.not_accepted(number, &why, door);
            }
            Ok(None) => {}
            Err(errno) => self.not_accepted(number, &NotAccepted::Errno(errno), door),
        }
    }

    /// A client is there.
    pub(super) fn arrived(&mut self, number: usize, connection: OwnedFd, client: Client, door: &mut dyn Door) {
        let shut = match client {
            Client::Unix { .. } => lock::shut(connection.as_fd()),
            Client::Tcp(_) | Client::Proxied { .. } | Client::Given => Ok(()),
        };
        if let Err(why) = shut {
            return self.not_accepted(number, &NotAccepted::Locked(why), door);
        }
        let Some(service) = self.services.get(number) else { return };
        match service.gate.expects_header(&client) {
            Ok(false) => self.let_in(number, connection, client, door),
            Ok(true) => self.expect_header(number, connection, client, door),
            Err(turned) => self.turn_away(number, connection, &client, turned, door),
        }
    }

    /// It is known who the client is.
    pub(super) fn let_in(&mut self, number: usize, connection: OwnedFd, client: Client, door: &mut dyn Door) {
        let Some(service) = self.services.get_mut(number) else { return };
        if let Err(turned) = service.gate.enter(&client, Instant::now()) {
            return self.turn_away(number, connection, &client, turned, door);
        }
        service.counts.accepted += 1;
        let advice = door.accepted(number, service.admission.live() + 1);
        self.begin(number, vec![connection], client);
        self.heed(advice);
    }

    /// A client is not let in.
    pub(super) fn turn_away(
        &mut self,
        number: usize,
        connection: OwnedFd,
        client: &Client,
        turned: Turned,
        door: &mut dyn Door,
    ) {
        let Some(service) = self.services.get_mut(number) else { return };
        service.counts.turned_away(turned);
        if let Some(line) = service.gate.told(client, turned, Instant::now()) {
            tracing::warn!("{}: {line}", service.plan.service);
        }
        let busy = match turned {
            Turned::TooMany(_) => service.plan.clients.busy.clone(),
            // There is nothing to be said to whoever is meant to be kept out.
            Turned::Denied | Turned::Untrusted | Turned::Header(_) => String::new(),
        };
        let live = service.admission.live();
        let advice = door.not_accepted(&service.plan.service, live, &NotAccepted::TurnedAway, Tell::No);
        self.heed(advice);
        if !busy.is_empty() {
            self.say_farewell(connection, client, &busy);
        }
    }

    /// Tells the door why nobody was accepted; pauses the service where that is not the client's fault.
    pub(super) fn not_accepted(&mut self, number: usize, why: &NotAccepted, door: &mut dyn Door) {
        let Some(service) = self.services.get_mut(number) else { return };
        service.counts.not_accepted(why);
        let tell = match why {
            NotAccepted::Errno(_) => service.pause(&mut self.watch, Instant::now()),
            NotAccepted::Passed(_) | NotAccepted::Locked(_) => Tell::Now,
            NotAccepted::TurnedAway => Tell::No,
        };
        let advice = door.not_accepted(&service.plan.service, service.admission.live(), why, tell);
        self.heed(advice);
    }

    /// Has a service's listeners watched if it is open, and not if it is not.
    pub(super) fn set_listening(&mut self, number: usize) {
        let Some(service) = self.services.get_mut(number) else { return };
        if let Err(errno) = service.set_listening(&self.watch) {
            let tell = service.pause(&mut self.watch, Instant::now());
            let name = &service.plan.service;
            match tell {
                Tell::Now => {
                    tracing::error!("{name}: cannot watch its listeners: {}; trying again", errno_text(errno));
                }
                Tell::No => {}
            }
        }
    }

    /// Asks a service's launchers for every session that waits to be asked for.
    pub(super) fn ask(&mut self, number: usize) {
        let Some(service) = self.services.get_mut(number) else { return };
        if service.hands_over() {
            return;
        }
        let now = Instant::now();
        while let (Some((which, launcher)), Some(id)) = (service.next_launcher(now), service.queue.front().copied()) {
            let waiting = self.sessions.get_mut(&id).filter(|session| session.is_queued());
            match waiting.map(|session| session.ask(launcher)) {
                Some(Ok(())) => {
                    service.asked(which, id, now);
                    self.events.push_back((id, Event::Asked));
                }
                Some(Err(Errno::EAGAIN)) => {
                    // The other one has answers to give, or it would take a request; the next is asked for then.
                    if which == Which::First {
                        service.set_output(&self.watch, Output::Wanted);
                    }
                    return;
                }
                Some(Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN)) => {
                    return self.lose_launcher(number, which);
                }
                // Too many descriptors in flight, or no memory: this one is lost, the launcher is not.
                Some(Err(errno)) => {
                    service.queue.pop_front();
                    let error = SetupError { step: Step::Clone, index: 0, errno };
                    self.events.push_back((id, Event::Failed(error)));
                }
                // It was over before it was asked for.
                None => drop(service.queue.pop_front()),
            }
        }
        service.set_output(&self.watch, Output::Unwanted);
        service.expect_twin(&mut self.watch, now);
    }

    /// Takes what one of a service's launchers has answered, then asks for more.
    pub(super) fn hear_launcher(&mut self, number: usize, which: Which) {
        loop {
            let Some(service) = self.services.get_mut(number) else { return };
            let Some(launcher) = service.launcher_mut(which) else { return };
            match launcher.reply() {
                Ok(None) => break,
                Ok(Some(Reply::Launched { session, pid, pidfd })) => {
                    let asked = service.answered(which, session, Instant::now());
                    self.launched(session, asked, (pid, pidfd));
                }
                Ok(Some(Reply::OutOfReach { session, pid })) => {
                    service.answered(which, session, Instant::now());
                    let error = SetupError { step: Step::Clone, index: 0, errno: Errno::EMFILE };
                    self.events.push_back((session, Event::Failed(error)));
                    self.kill_unheld(pid);
                }
                Ok(Some(Reply::Failed { session, error })) => {
                    service.answered(which, session, Instant::now());
                    self.events.push_back((session, Event::Failed(error)));
                }
                Ok(Some(Reply::Moved { pid })) => {
                    if let Some(former) = launcher.moved(pid) {
                        self.strays.leave(former);
                        self.expect_strays();
                    }
                    continue;
                }
                Ok(Some(Reply::Closed)) => return self.lose_launcher(number, which),
                Err(errno) => {
                    crate::log::panic(format_args!("a launcher's answer makes no sense: {}", errno_text(errno)));
                    return self.lose_launcher(number, which);
                }
            }
            // It says nothing unasked; its end is an event of its own.
            if self.services.get(number).is_none_or(|service| !service.owes(which)) {
                break;
            }
        }
        self.go_on(number);
    }

    /// Asks a service's launchers, or the next one in their place, for more.
    fn go_on(&mut self, number: usize) {
        let now = Instant::now();
        let renewal = self.services.get_mut(number).map(|service| service.take_over(&mut self.watch, now));
        self.renewed(number, renewal.unwrap_or(Renewal::Kept));
        self.ask(number);
        self.set_listening(number);
    }

    /// Takes what a service's next launcher has to say.
    pub(super) fn hear_coming(&mut self, number: usize) {
        // Nobody waits before the first service is proven, nor while the program before this one serves.
        let alone = self.is_before_its_place() || self.services.iter().all(|it| it.admission.is_unproven());
        let patience = if alone { trial::AT_THE_START } else { trial::AMONG_CLIENTS };
        let Some(service) = self.services.get_mut(number) else { return };
        let with = (self.slice.as_ref(), &mut self.audit, self.rights);
        let renewal = service.hear_coming(&mut self.watch, with, patience, Instant::now());
        self.renewed(number, renewal);
    }

    fn renewed(&mut self, number: usize, renewal: Renewal) {
        match renewal {
            Renewal::Kept => {}
            Renewal::Impossible(error) => self.give_up_successor(number, &error),
            Renewal::Replaced => {
                // They show what the launcher showed that made them.
                self.discard_spares(number);
                self.expect_spares(number);
                self.expect_strays();
                self.succeed(number);
                self.ask(number);
                self.set_listening(number);
            }
        }
    }

    /// The first process of a session is there.
    fn launched(&mut self, id: u64, asked: bool, (pid, pidfd): (Pid, OwnedFd)) {
        let live = self.sessions.len();
        let waiting = self.sessions.get_mut(&id).filter(|session| asked && session.awaits_launcher());
        let Some(session) = waiting else {
            crate::log::panic(format_args!("process {pid} was made for session {id}, which does not wait for it"));
            // Its cord is cut or never was ours; it is reaped as a stray.
            let kill = || rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            if let Err(error) = self.rights.whole(kill) {
                tracing::error!("cannot kill process {pid}: {error}");
            }
            return self.expect_strays();
        };
        let took = session.launched(pid, pidfd);
        if let (Some(took), Some(service)) = (took, self.services.get_mut(session.service)) {
            service.counts.setup.observe(took);
        }
        self.events.push_back((id, Event::Launched));
        let plan = self.services.get(session.service).map(|service| &service.plan);
        if plan.is_some_and(|plan| self.files.are_few_for(plan, live)) {
            session.rely_on_cord();
        }
        if let Err(errno) = session.watch(&self.watch) {
            tracing::error!("cannot watch session {id}: {}; ending it", errno_text(errno));
            self.events.push_back((id, Event::Stop));
        }
        self.expect_audit(id, pid);
    }

    /// Takes what a session's command says on its standard error.
    pub(super) fn hear_stderr(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(service) = self.services.get_mut(session.service) else { return };
        let mut voice = Voice { service: &service.plan.service, session: id, rate: &mut service.words };
        session.hear_stderr((&mut self.watch, &mut self.pace), &mut voice, Instant::now());
    }

    /// Looks at it again, after a pause.
    pub(super) fn resume_stderr(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Err(errno) = session.resume_stderr(&self.watch) {
            tracing::error!("cannot watch session {id}: {}; ending it", errno_text(errno));
            self.events.push_back((id, Event::Stop));
        }
    }

    /// Kills a process that was made for a session and has no pidfd. It is our own child and not reaped, so the number
    /// is its own.
    fn kill_unheld(&mut self, pid: Pid) {
        let kill = || nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        if let Err(errno) = self.rights.whole(kill) {
            tracing::error!("cannot kill process {pid}: {}", errno_text(errno));
        }
        self.expect_strays();
    }

    /// A service's launcher is gone, or has to go: whoever waited for it has waited in vain, all others go on.
    pub(super) fn lose_launcher(&mut self, number: usize, which: Which) {
        let Some(service) = self.services.get_mut(number) else { return };
        let (lost, then) = match service.lose_one(&self.watch, which, Instant::now()) {
            // Nobody has been asked to wait for it.
            Some((_, Known::No)) => return self.expect_strays(),
            Some((lost, Known::Yes)) => (lost, "another one goes on"),
            None => (service.lose_launcher(&self.watch), "making a new one"),
        };
        let name = &service.plan.service;
        let clients = |id: &&u64| self.sessions.get(id).is_some_and(|session| session.client.is_some());
        // Each session that is lost has a line of its own.
        if let Some(untold) = service.gone.tell(Instant::now()) {
            let with = match lost.iter().filter(clients).count() {
                0 => String::new(),
                1 => ", and a session that waited for it".to_string(),
                count => format!(", and {count} sessions that waited for it"),
            };
            tracing::warn!("{name}: the launcher is gone{with}; {then}{untold}");
        }
        self.events.extend(lost.into_iter().map(|id| (id, Event::LauncherGone)));
        if service.launcher.is_none() {
            // After a pause, so that a launcher which dies at once does not keep us busy.
            service.pause(&mut self.watch, Instant::now());
            self.discard_spares(number);
        }
        self.go_on(number);
        self.expect_strays();
    }

    pub(super) fn expect_strays(&mut self) {
        let at = Instant::now() + self.strays.expect();
        // Who comes more often than that does not put it off.
        let at = self.strays_at.map_or(at, |set| set.min(at));
        self.watch.set(Timer::Strays, self.strays_at.replace(at), at);
    }

    /// Reaps children that nobody told us of. Not while a launcher owes an answer: it may have made a child that is in
    /// nobody's books yet and dead already, whose status its session would miss.
    pub(super) fn look_for_strays(&mut self, now: Instant) {
        self.strays.reap_former();
        let pause = match self.services.iter().any(|service| service.waits()) {
            true => Some(Strays::POSTPONED),
            false => {
                let sessions = self.sessions.values().filter_map(|session| session.pid());
                let launchers = self.services.iter().flat_map(|service| service.launcher_pids());
                let next = self.upgrade.iter().map(Upgrade::pid);
                self.strays.look(&sessions.chain(launchers).chain(next).collect())
            }
        };
        self.strays_at = pause.map(|pause| now + pause);
        if let Some(at) = self.strays_at {
            self.watch.set(Timer::Strays, None, at);
        }
    }
}
