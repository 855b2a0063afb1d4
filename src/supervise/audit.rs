// SPDX-License-Identifier: Apache-2.0
//! What Landlock denies, where a policy has the kernel's audit log tell of it (`isolation.landlock-audit`): each record
//! finds the session whose first process made the domain, and becomes a line of the log. That log is the host's:
//! records of foreign domains are passed over. The kernel tells of a denial a moment later, perhaps after its session;
//! so who has ended is remembered for a while. Whatever comes too much is counted, and lost records cost only lines.

use super::quiet::Quiet;
use super::stderr::{Rate, Voice, quoted};
use super::supervisor::Supervisor;
use super::watch::Token;
use crate::host::audit::{Access, AuditLog, Object, Record, Taken};
use crate::host::{HostError, errno_text};
use crate::plan::blocked::blocked;
use crate::plan::{Plan, calls};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Messages that one look takes: what is left is ready at the next one.
const LOOK: usize = 256;
/// Domains whose maker is not known yet, and how many of their denials are kept. The record that names him comes right
/// behind the first denial; who is never named is a stranger, whose domain was named before we listened.
const STRANGERS: usize = 64;
const KEPT: usize = 8;
/// How many sessions are remembered after their end, and for how long.
const ENDED: usize = 1024;
const AFTERWARDS: Duration = Duration::from_secs(10);
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

/// What is known of sessions and domains. Pure.
#[derive(Debug, Default)]
struct Heard {
    sessions: BTreeMap<u64, Known>,
    /// Whose first process has this number. Numbers are used again: the newest session has it.
    makers: BTreeMap<i32, u64>,
    /// Whose domain it is.
    domains: BTreeMap<u64, u64>,
    strangers: VecDeque<Stranger>,
    /// Sessions that are over, the oldest first.
    ended: VecDeque<(Instant, u64)>,
}

/// A session that is heard of.
#[derive(Debug)]
struct Known {
    service: usize,
    pid: i32,
    uid: Option<u32>,
    /// Its domain, once it has denied something. The processes of the session make others, which are not told of.
    domain: Option<u64>,
    lines: Rate,
    /// Records that came, and those of them that had no line.
    came: u64,
    left_out: u64,
}

#[derive(Debug)]
struct Stranger {
    domain: u64,
    denied: Vec<Access>,
    more: u64,
}

/// What is to be said of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    /// This was denied to it.
    Denied(u64, Access),
    /// So many had no line, and nothing more comes.
    LeftOut(usize, u64, u64),
}

impl Heard {
    /// The first process of a session is there.
    fn begin(&mut self, (service, session): (usize, u64), (pid, uid): (i32, Option<u32>), now: Instant) {
        let lines = Rate::of_denials(now);
        let known = Known { service, pid, uid, domain: None, lines, came: 0, left_out: 0 };
        self.sessions.insert(session, known);
        self.makers.insert(pid, session);
    }

    /// It is over, but records of it may come yet.
    fn end(&mut self, session: u64, now: Instant) -> Vec<News> {
        if self.sessions.contains_key(&session) {
            self.ended.push_back((now, session));
        }
        let mut news = Vec::new();
        while let Some((at, session)) = self.ended.front().copied()
            && (self.ended.len() > ENDED || now.saturating_duration_since(at) > AFTERWARDS)
        {
            self.ended.pop_front();
            news.extend(self.forget(session, 0));
        }
        news
    }

    /// Nothing more comes of it. What had no line: of those that came, and, where the kernel says how many there were,
    /// of all. A request may have two records.
    fn forget(&mut self, session: u64, denials: u64) -> Option<News> {
        let known = self.sessions.remove(&session)?;
        if self.makers.get(&known.pid) == Some(&session) {
            self.makers.remove(&known.pid);
        }
        known.domain.map(|domain| self.domains.remove(&domain));
        let count = known.left_out + denials.saturating_sub(known.came);
        (count > 0).then_some(News::LeftOut(known.service, session, count))
    }

    fn take(&mut self, record: Record) -> Vec<News> {
        match record {
            Record::Denied { domain, access } => match self.domains.get(&domain).copied() {
                Some(session) => vec![News::Denied(session, access)],
                None => {
                    self.wait(domain, access);
                    Vec::new()
                }
            },
            Record::Made { domain, pid, uid } => self.own(domain, (pid, uid)),
            Record::Gone { domain, denials } => {
                self.strangers.retain(|stranger| stranger.domain != domain);
                let session = self.domains.get(&domain).copied();
                session.and_then(|session| self.forget(session, denials)).into_iter().collect()
            }
        }
    }

    fn wait(&mut self, domain: u64, access: Access) {
        match self.strangers.iter_mut().find(|stranger| stranger.domain == domain) {
            Some(stranger) if stranger.denied.len() < KEPT => stranger.denied.push(access),
            Some(stranger) => stranger.more += 1,
            None => {
                if self.strangers.len() == STRANGERS {
                    self.strangers.pop_front();
                }
                self.strangers.push_back(Stranger { domain, denied: vec![access], more: 0 });
            }
        }
    }

    /// A domain's maker is known: what has waited for that is his, or a stranger's.
    fn own(&mut self, domain: u64, (pid, uid): (i32, u32)) -> Vec<News> {
        let waited = self.strangers.iter().position(|stranger| stranger.domain == domain);
        let waited = waited.and_then(|place| self.strangers.remove(place));
        let is_his = |known: &&mut Known| known.domain.is_none() && known.uid.is_none_or(|his| his == uid);
        let Some(session) = self.makers.get(&pid).copied() else { return Vec::new() };
        let Some(known) = self.sessions.get_mut(&session).filter(is_his) else { return Vec::new() };
        known.domain = Some(domain);
        self.domains.insert(domain, session);
        let Some(waited) = waited else { return Vec::new() };
        known.came += waited.more;
        known.left_out += waited.more;
        waited.denied.into_iter().map(|access| News::Denied(session, access)).collect()
    }
}

impl Supervisor {
    /// Listens, where this plan asks for it and nobody does yet. The self-test has tried it.
    pub(super) fn listen_to_audit(&mut self, number: usize) -> Result<(), HostError> {
        let wanted = self.services.get(number).is_some_and(|service| service.plan.is_audited());
        if !wanted || self.audit.log.is_some() {
            return Ok(());
        }
        let failed = |errno| HostError::new("listen to the kernel's audit log", errno);
        let log = self.rights.whole(AuditLog::open).map_err(failed)?;
        self.watch.add(&log, Token::Audit).map_err(failed)?;
        self.audit.log = Some(log);
        Ok(())
    }

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
        let Some(session) = self.sessions.get(&id) else { return };
        if self.services.get(session.service).is_some_and(|service| service.plan.is_audited()) {
            let (whose, who) = ((session.service, id), (pid.as_raw(), session.runs_as()));
            self.audit.heard.begin(whose, who, Instant::now());
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
        let news = left.into_iter().filter_map(|session| self.audit.heard.forget(session, 0)).collect();
        self.tell_audit(news);
    }

    /// Takes what the kernel tells.
    pub(super) fn hear_audit(&mut self) {
        for _ in 0..LOOK {
            let Some(log) = &self.audit.log else { return };
            match log.take() {
                Ok(Taken::Record(record)) => {
                    let news = self.audit.heard.take(record);
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
    heard.begin((0, 1), (7, None), now);
    for message in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(record) = crate::host::audit::read(message) else { continue };
        if let Record::Denied { access, .. } = &record {
            crate::fuzz::assert_one_line(&about(access));
        }
        for news in heard.take(record) {
            let (News::Denied(session, _) | News::LeftOut(_, session, _)) = news;
            assert_eq!(session, 1);
        }
        assert!(heard.strangers.len() <= STRANGERS && heard.domains.len() <= heard.sessions.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(path: &str) -> Access {
        Access { blockers: "fs.read_file".to_string(), object: Object::Path(path.as_bytes().to_vec()) }
    }

    fn denied(domain: u64, path: &str) -> Record {
        Record::Denied { domain, access: access(path) }
    }

    fn made(domain: u64, pid: i32, uid: u32) -> Record {
        Record::Made { domain, pid, uid }
    }

    #[test]
    fn a_denial_finds_its_session_by_who_made_the_domain() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        heard.begin((0, 1), (40, Some(99)), now);
        heard.begin((0, 2), (41, Some(99)), now);
        assert_eq!(heard.take(denied(5, "/a")), []);
        assert_eq!(heard.take(denied(6, "/b")), []);
        assert_eq!(heard.take(made(6, 41, 99)), [News::Denied(2, access("/b"))]);
        assert_eq!(heard.take(made(5, 40, 99)), [News::Denied(1, access("/a"))]);
        assert_eq!(heard.take(denied(5, "/c")), [News::Denied(1, access("/c"))]);
        // Another one that the same process made, and one of another user.
        assert_eq!(
            [heard.take(denied(7, "/d")), heard.take(made(7, 40, 99)), heard.take(denied(7, "/d"))].concat(),
            []
        );
        heard.begin((0, 3), (42, Some(99)), now);
        assert_eq!([heard.take(denied(8, "/d")), heard.take(made(8, 42, 0))].concat(), []);
    }

    #[test]
    fn records_of_strangers_take_no_more_than_their_place() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        heard.begin((0, 1), (40, None), now);
        for domain in 0..100_000 {
            heard.take(denied(domain % 1000, "/x"));
        }
        (0..1000).for_each(|_| drop(heard.take(denied(5000, "/own"))));
        assert_eq!((heard.strangers.len(), heard.domains.len()), (STRANGERS, 0));
        assert_eq!(heard.take(made(5000, 40, 0)).len(), KEPT);
        assert_eq!(heard.forget(1, 0), Some(News::LeftOut(0, 1, 1000 - KEPT as u64)));
    }

    #[test]
    fn what_is_told_after_the_end_is_still_the_sessions_and_what_was_lost_is_counted() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        heard.begin((0, 1), (40, None), now);
        assert_eq!(heard.end(1, now), []);
        heard.take(denied(5, "/a"));
        assert_eq!(heard.take(made(5, 40, 0)), [News::Denied(1, access("/a"))]);
        // Records that came are counted where their lines are written.
        assert_eq!(heard.take(Record::Gone { domain: 5, denials: 9 }), [News::LeftOut(0, 1, 9)]);
        assert!(heard.sessions.is_empty() && heard.domains.is_empty() && heard.makers.is_empty());
    }

    #[test]
    fn who_is_over_is_forgotten_and_his_number_is_another_sessions() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        heard.begin((0, 2), (40, None), now);
        heard.end(2, now);
        heard.begin((0, 3), (40, None), now);
        heard.begin((0, 4), (41, None), now);
        heard.end(4, now + Duration::from_secs(1));
        assert_eq!(heard.end(5, now + Duration::from_secs(12)), []);
        assert_eq!(heard.sessions.keys().copied().collect::<Vec<_>>(), [3]);
        assert_eq!(heard.makers, BTreeMap::from([(40, 3)]));
        for session in 10..5000 {
            heard.begin((0, session), (session as i32, None), now);
            heard.end(session, now);
        }
        assert_eq!((heard.ended.len(), heard.sessions.len()), (ENDED, ENDED + 1));
    }

    #[test]
    fn what_a_command_chose_stays_in_its_quotes() {
        let object = Object::Path(b"/x\" outcome=exited\n\x1b\xff".to_vec());
        let line = about(&Access { blockers: "fs.read_file".to_string(), object });
        assert_eq!(line, r#"blockers=fs.read_file path="/x\" outcome=exited\x0a\x1b\xff""#);
    }
}
