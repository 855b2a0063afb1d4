// SPDX-License-Identifier: Apache-2.0
//! What Landlock denies, where a policy has the kernel's audit log tell of it (`isolation.landlock-audit`): each record
//! finds the session whose first process made the domain, and becomes a line of the log. That log is the host's:
//! records of foreign domains are passed over. The kernel tells of a denial a moment later, perhaps after its session;
//! so who has ended is remembered for a while. Whatever comes too much is counted, and lost records cost only lines.

mod heard;

use super::quiet::Quiet;
use super::rights::Rights;
use super::stderr::{Voice, quoted};
use super::supervisor::Supervisor;
use super::watch::{Token, Watch};
use crate::host::audit::{Access, AuditLog, Object, Taken};
use crate::host::{HostError, errno_text};
use crate::plan::blocked::blocked;
use crate::plan::{Plan, calls};
use heard::{Heard, Known, News};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// Messages that one look takes: what is left is ready at the next one.
const LOOK: usize = 256;
/// How long is waited for the last records, in all and for each.
const LAST: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_millis(100);

/// Who listens, and for whom.
#[derive(Debug, Default)]
pub(super) struct Audit {
    log: Option<AuditLog>,
    heard: Heard,
    lost: Quiet,
}

impl Audit {
    /// Listens, where this plan asks for it and nobody does yet. The self-test has tried it.
    pub(super) fn listen(&mut self, plan: &Plan, rights: Rights, watch: &Watch) -> Result<(), HostError> {
        if !plan.is_audited() || self.log.is_some() {
            return Ok(());
        }
        let failed = |errno| HostError::new("listen to the kernel's audit log", errno);
        let log = rights.whole(AuditLog::open).map_err(failed)?;
        watch.add(&log, Token::Audit).map_err(failed)?;
        self.log = Some(log);
        Ok(())
    }
}

impl Supervisor {
    /// Listens no longer, where no service asks for it any more.
    pub(super) fn stop_listening_to_audit(&mut self) {
        if self.services.iter().any(|service| service.plan.is_audited()) {
            return;
        }
        if let Some(log) = self.audit.log.take() {
            self.watch.remove(&log);
            self.audit.heard = Heard::default();
        }
    }

    /// The first process of a session is there: it makes the domain.
    pub(super) fn expect_audit(&mut self, id: u64, pid: Pid) {
        let Some(session) = self.sessions.get(&id).filter(|_| self.audit.log.is_some()) else { return };
        if self.services.get(session.service).is_some_and(|service| service.plan.is_audited()) {
            let (whose, who) = ((session.service, id), (pid.as_raw(), session.runs_as()));
            let news = self.audit.heard.begin(whose, who, Instant::now());
            self.tell_audit(news);
        }
    }

    /// A session is over.
    pub(super) fn end_audit(&mut self, id: u64) {
        if self.audit.log.is_some() {
            self.hear_audit();
            let news = self.audit.heard.end(id, Instant::now());
            self.tell_audit(news);
        }
    }

    /// Before this process ends: waits for what the kernel has yet to tell of sessions that are over, until it says
    /// that their domains are gone, or nothing for a moment.
    pub(super) fn hear_the_last_of_audit(&mut self) {
        let until = Instant::now() + LAST;
        while let Some(log) = &self.audit.log
            && !self.audit.heard.sessions.is_empty()
            && Instant::now() < until
            && log.await_more(SILENCE) == Ok(true)
        {
            self.hear_audit();
        }
        let left: Vec<u64> = self.audit.heard.sessions.keys().copied().collect();
        let news = left.into_iter().filter_map(|session| self.audit.heard.forget(session)).collect();
        self.tell_audit(news);
    }

    /// Takes what the kernel tells.
    pub(super) fn hear_audit(&mut self) {
        for _ in 0..LOOK {
            let Some(log) = &self.audit.log else { return };
            match log.take() {
                Ok(Taken::Record(record)) => {
                    let news = self.audit.heard.take(record, Instant::now());
                    self.tell_audit(news);
                }
                Ok(Taken::Other) => {}
                Ok(Taken::Nothing) => return,
                Err(Errno::ENOBUFS) => {
                    if let Some(untold) = self.audit.lost.tell(Instant::now()) {
                        tracing::warn!(
                            "records of the audit log were lost: some of what Landlock denies has no line{untold}"
                        );
                    }
                }
                Err(errno) => {
                    // Read again when there is more: nobody is served less for that.
                    if let Some(untold) = self.audit.lost.tell(Instant::now()) {
                        tracing::warn!("cannot read the audit log: {}{untold}", errno_text(errno));
                    }
                    return;
                }
            }
        }
    }

    fn tell_audit(&mut self, all: Vec<News>) {
        let now = Instant::now();
        for news in all {
            match news {
                News::Denied(session, access) => {
                    let Some(known) = self.audit.heard.sessions.get_mut(&session) else { continue };
                    let Some(service) = self.services.get_mut(known.service) else { continue };
                    service.counts.denied += 1;
                    let mut voice = Voice { service: &service.plan.service, session, rate: &mut service.words };
                    known.tell(&service.plan, &access, &mut voice, now);
                }
                News::LeftOut(number, session, count) => {
                    let Some(service) = self.services.get_mut(number) else { continue };
                    let voice = Voice { service: &service.plan.service, session, rate: &mut service.words };
                    tracing::warn!("{voice} denials-left-out={count}");
                }
            }
        }
    }
}

impl Known {
    fn tell(&mut self, plan: &Plan, access: &Access, voice: &mut Voice<'_>, now: Instant) {
        self.came += 1;
        if !(self.lines.take(now) && voice.rate.take(now)) {
            self.left_out += 1;
            return;
        }
        match std::mem::take(&mut self.left_out) {
            0 => {}
            count => tracing::warn!("{voice} denials-left-out={count}"),
        }
        let (end, missing) = blocked(plan, access);
        tracing::warn!("{voice} denied {}: {end}; {}", about(access), calls::said(&missing));
    }
}

/// Which rights were lacking, and to what.
fn about(access: &Access) -> String {
    let object = match &access.object {
        Object::Path(path) => format!(" path={}", quoted(path)),
        Object::Port { address: Some(address), port } => format!(" address={address} port={port}"),
        Object::Port { address: None, port } => format!(" port={port}"),
        Object::Process { pid, name } => format!(" process={pid} name={}", quoted(name)),
        Object::Untold => String::new(),
    };
    format!("blockers={}{object}", access.blockers)
}

/// For tests and fuzzers: whatever comes as a message is nothing, or one clean line; and what it does to what is known
/// is bounded.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    let now = Instant::now();
    let mut heard = Heard::default();
    assert!(heard.begin((0, 1), (7, None), now).is_empty());
    for message in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(record) = crate::host::audit::read(message) else { continue };
        if let crate::host::audit::Record::Denied { access, .. } = &record {
            crate::fuzz::assert_one_line(&about(access));
        }
        for news in heard.take(record, now) {
            let (News::Denied(session, _) | News::LeftOut(_, session, _)) = news;
            assert_eq!(session, 1);
        }
        assert!(heard.is_bounded());
    }
    for news in heard.begin((0, 2), (8, None), now) {
        assert!(matches!(news, News::Denied(2, _)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_chose_stays_in_its_quotes() {
        let object = Object::Path(b"/x\" outcome=exited\n\x1b\xff".to_vec());
        let line = about(&Access { blockers: "fs.read_file".to_string(), object });
        assert_eq!(line, r#"blockers=fs.read_file path="/x\" outcome=exited\x0a\x1b\xff""#);
    }
}
