// SPDX-License-Identifier: Apache-2.0
//! Which session a record of the audit log is of: a session is known by its first process, a domain by the one that
//! made it, and either may be heard of first. Pure, and bounded whatever comes.

use crate::host::audit::{Access, Record};
use crate::supervise::stderr::Rate;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Domains that are no session's, and how many of their denials are kept. The record that names their maker comes right
/// behind the first denial; who is never named made his before we listened.
const STRANGERS: usize = 64;
const KEPT: usize = 8;
/// How many sessions are remembered after their end, and for how long; so long too who made a domain that is
/// no session's.
const ENDED: usize = 1024;
const AFTERWARDS: Duration = Duration::from_secs(10);

/// What is known of sessions and domains.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) sessions: BTreeMap<u64, Known>,
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
pub(super) struct Known {
    pub(super) service: usize,
    pid: i32,
    uid: Option<u32>,
    /// Its domain, once it has denied something. The processes of the session make others, which are not told of.
    domain: Option<u64>,
    /// How much it has denied in all, once the kernel says so, which is when it is gone.
    denials: Option<u64>,
    pub(super) lines: Rate,
    /// Records that came, and those of them that had no line.
    pub(super) came: u64,
    pub(super) left_out: u64,
}

/// A domain that is no session's, or not yet: the supervisor may hear of a session's first process after what that was
/// denied, and after its end.
#[derive(Debug)]
struct Stranger {
    domain: u64,
    maker: Option<Maker>,
    denied: Vec<Access>,
    more: u64,
    denials: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Maker {
    pid: i32,
    uid: u32,
    named: Instant,
}

impl Maker {
    /// Numbers are used again, but not so soon.
    fn is(&self, (pid, uid): (i32, Option<u32>), now: Instant) -> bool {
        self.pid == pid
            && uid.is_none_or(|his| his == self.uid)
            && now.saturating_duration_since(self.named) <= AFTERWARDS
    }
}

/// What is to be said of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// This was denied to it.
    Denied(u64, Access),
    /// So many had no line, and nothing more comes.
    LeftOut(usize, u64, u64),
}

impl Heard {
    /// The first process of a session is there. What was heard of its domain before is its own.
    pub(super) fn begin(
        &mut self,
        (service, session): (usize, u64),
        (pid, uid): (i32, Option<u32>),
        now: Instant,
    ) -> Vec<News> {
        let lines = Rate::of_denials(now);
        let known = Known { service, pid, uid, domain: None, denials: None, lines, came: 0, left_out: 0 };
        self.sessions.insert(session, known);
        self.makers.insert(pid, session);
        let is_his = |stranger: &&Stranger| stranger.maker.is_some_and(|maker| maker.is((pid, uid), now));
        // The newest: the others are of whoever had the number before.
        let made = self.strangers.iter().rev().find(is_his);
        let made = made.and_then(|stranger| Some((stranger.domain, stranger.maker?.uid)));
        made.map(|(domain, uid)| self.own(domain, (pid, uid), now)).unwrap_or_default()
    }

    /// It is over, but records of it may come yet.
    pub(super) fn end(&mut self, session: u64, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        match self.sessions.get(&session).map(|known| known.denials) {
            Some(Some(_)) => news.extend(self.forget(session)),
            Some(None) => self.ended.push_back((now, session)),
            None => {}
        }
        while let Some((at, session)) = self.ended.front().copied()
            && (self.ended.len() > ENDED || now.saturating_duration_since(at) > AFTERWARDS)
        {
            self.ended.pop_front();
            news.extend(self.forget(session));
        }
        news
    }

    /// Nothing more comes of it. What had no line: of those that came, and, where the kernel says how many there were,
    /// of all. A request may have two records.
    pub(super) fn forget(&mut self, session: u64) -> Option<News> {
        let known = self.sessions.remove(&session)?;
        if self.makers.get(&known.pid) == Some(&session) {
            self.makers.remove(&known.pid);
        }
        known.domain.map(|domain| self.domains.remove(&domain));
        let count = known.left_out + known.denials.unwrap_or(0).saturating_sub(known.came);
        (count > 0).then_some(News::LeftOut(known.service, session, count))
    }

    pub(super) fn take(&mut self, record: Record, now: Instant) -> Vec<News> {
        match record {
            Record::Denied { domain, access } => match self.domains.get(&domain).copied() {
                Some(session) => vec![News::Denied(session, access)],
                None => {
                    let stranger = self.stranger(domain);
                    match stranger.denied.len() < KEPT {
                        true => stranger.denied.push(access),
                        false => stranger.more += 1,
                    }
                    Vec::new()
                }
            },
            Record::Made { domain, pid, uid } => self.own(domain, (pid, uid), now),
            Record::Gone { domain, denials } => match self.domains.get(&domain).copied() {
                Some(session) => {
                    self.sessions.get_mut(&session).map(|known| known.denials.replace(denials));
                    self.forget(session).into_iter().collect()
                }
                None => {
                    // Who made it is told once, and was told then.
                    self.strangers.retain(|stranger| stranger.domain != domain || stranger.maker.is_some());
                    if let Some(stranger) = self.strangers.iter_mut().find(|stranger| stranger.domain == domain) {
                        stranger.denials = Some(denials);
                    }
                    Vec::new()
                }
            },
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_bounded(&self) -> bool {
        self.strangers.len() <= STRANGERS
            && self.strangers.iter().all(|stranger| stranger.denied.len() <= KEPT)
            && self.domains.len() <= self.sessions.len()
    }

    /// What is known of a domain that is no session's; the oldest makes room.
    fn stranger(&mut self, domain: u64) -> &mut Stranger {
        let place = self.strangers.iter().position(|stranger| stranger.domain == domain).unwrap_or_else(|| {
            if self.strangers.len() == STRANGERS {
                self.strangers.pop_front();
            }
            self.strangers.push_back(Stranger { domain, maker: None, denied: Vec::new(), more: 0, denials: None });
            self.strangers.len() - 1
        });
        &mut self.strangers[place]
    }

    /// A domain's maker is known: what has waited for that is his. Where he is no session's first process, he may yet
    /// be one.
    fn own(&mut self, domain: u64, (pid, uid): (i32, u32), now: Instant) -> Vec<News> {
        let is_his = |known: &&mut Known| known.domain.is_none() && known.uid.is_none_or(|his| his == uid);
        let session = self.makers.get(&pid).copied();
        let known = session.and_then(|session| Some((session, self.sessions.get_mut(&session).filter(is_his)?)));
        let Some((session, known)) = known else {
            self.stranger(domain).maker = Some(Maker { pid, uid, named: now });
            return Vec::new();
        };
        known.domain = Some(domain);
        self.domains.insert(domain, session);
        let waited = self.strangers.iter().position(|stranger| stranger.domain == domain);
        let Some(waited) = waited.and_then(|place| self.strangers.remove(place)) else { return Vec::new() };
        known.denials = waited.denials;
        known.came += waited.more;
        known.left_out += waited.more;
        waited.denied.into_iter().map(|access| News::Denied(session, access)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::audit::Object;

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
        assert_eq!(heard.begin((0, 1), (40, Some(99)), now), []);
        assert_eq!(heard.begin((0, 2), (41, Some(99)), now), []);
        assert_eq!(heard.take(denied(5, "/a"), now), []);
        assert_eq!(heard.take(denied(6, "/b"), now), []);
        assert_eq!(heard.take(made(6, 41, 99), now), [News::Denied(2, access("/b"))]);
        assert_eq!(heard.take(made(5, 40, 99), now), [News::Denied(1, access("/a"))]);
        assert_eq!(heard.take(denied(5, "/c"), now), [News::Denied(1, access("/c"))]);
        // Another one that the same process made, and one of another user.
        assert_eq!(
            [heard.take(denied(7, "/d"), now), heard.take(made(7, 40, 99), now), heard.take(denied(7, "/d"), now)]
                .concat(),
            []
        );
        assert_eq!(heard.begin((0, 3), (42, Some(99)), now), []);
        assert_eq!([heard.take(denied(8, "/d"), now), heard.take(made(8, 42, 0), now)].concat(), []);
    }

    #[test]
    fn what_is_heard_before_its_session_is_the_sessions() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        let (soon, late) = (now + AFTERWARDS, now + AFTERWARDS + Duration::from_secs(1));
        for (domain, pid) in [(5, 40), (6, 41), (7, 42), (8, 43)] {
            assert_eq!([heard.take(denied(domain, "/a"), now), heard.take(made(domain, pid, 99), now)].concat(), []);
        }
        assert_eq!(heard.take(denied(5, "/b"), now), []);
        assert_eq!(
            heard.begin((0, 1), (40, Some(99)), soon),
            [News::Denied(1, access("/a")), News::Denied(1, access("/b"))]
        );
        assert_eq!(heard.take(denied(5, "/c"), now), [News::Denied(1, access("/c"))]);
        // Another user's, and one of too long ago.
        assert_eq!(heard.begin((0, 2), (41, Some(98)), soon), []);
        assert_eq!(heard.begin((0, 3), (42, Some(99)), late), []);
        // Its end was heard of too.
        assert_eq!(heard.take(Record::Gone { domain: 8, denials: 9 }, now), []);
        assert_eq!(heard.begin((0, 4), (43, Some(99)), soon), [News::Denied(4, access("/a"))]);
        assert_eq!(heard.end(4, soon), [News::LeftOut(0, 4, 9)]);
        assert_eq!((heard.sessions.len(), heard.domains.len(), heard.ended.len()), (3, 1, 0));
    }

    #[test]
    fn of_two_that_had_its_number_the_newer_is_the_sessions() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        for (domain, path) in [(5, "/old"), (6, "/new")] {
            assert_eq!([heard.take(denied(domain, path), now), heard.take(made(domain, 40, 99), now)].concat(), []);
        }
        assert_eq!(heard.begin((0, 1), (40, None), now), [News::Denied(1, access("/new"))]);
        assert_eq!(heard.take(denied(5, "/old"), now), []);
    }

    #[test]
    fn records_of_strangers_take_no_more_than_their_place() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        assert_eq!(heard.begin((0, 1), (40, None), now), []);
        for domain in 0..100_000 {
            heard.take(denied(domain % 1000, "/x"), now);
            heard.take(made(domain % 2000, 1, 0), now);
        }
        (0..1000).for_each(|_| drop(heard.take(denied(5000, "/own"), now)));
        assert_eq!((heard.strangers.len(), heard.domains.len()), (STRANGERS, 0));
        assert_eq!(heard.take(made(5000, 40, 0), now).len(), KEPT);
        assert_eq!(heard.forget(1), Some(News::LeftOut(0, 1, 1000 - KEPT as u64)));
    }

    #[test]
    fn what_is_told_after_the_end_is_still_the_sessions_and_what_was_lost_is_counted() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        assert_eq!(heard.begin((0, 1), (40, None), now), []);
        assert_eq!(heard.end(1, now), []);
        heard.take(denied(5, "/a"), now);
        assert_eq!(heard.take(made(5, 40, 0), now), [News::Denied(1, access("/a"))]);
        // Records that came are counted where their lines are written.
        assert_eq!(heard.take(Record::Gone { domain: 5, denials: 9 }, now), [News::LeftOut(0, 1, 9)]);
        assert!(heard.sessions.is_empty() && heard.domains.is_empty() && heard.makers.is_empty());
    }

    #[test]
    fn who_is_over_is_forgotten_and_his_number_is_another_sessions() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        assert_eq!(heard.begin((0, 2), (40, None), now), []);
        heard.end(2, now);
        assert_eq!(heard.begin((0, 3), (40, None), now), []);
        assert_eq!(heard.begin((0, 4), (41, None), now), []);
        heard.end(4, now + Duration::from_secs(1));
        assert_eq!(heard.end(5, now + Duration::from_secs(12)), []);
        assert_eq!(heard.sessions.keys().copied().collect::<Vec<_>>(), [3]);
        assert_eq!(heard.makers, BTreeMap::from([(40, 3)]));
        for session in 10..5000 {
            assert_eq!(heard.begin((0, session), (session as i32, None), now), []);
            heard.end(session, now);
        }
        assert_eq!((heard.ended.len(), heard.sessions.len()), (ENDED, ENDED + 1));
    }
}
