// SPDX-License-Identifier: Apache-2.0
//! User ids that sessions have to themselves: each is claimed on this host before its session and let go after it.
//! Knows files and locks only; never a policy, never a process.
//!
//! A claim is a locked file named by the id, where everybody looks who gives such ids away: systemd's directory for the
//! ids that systemd gives away itself (its dynamic users lock and name them so, see systemd's src/core/dynamic-user.c),
//! a directory of ours for all others. The lock is the kernel's: it ends with its holder, even by SIGKILL, so that no
//! claim has to be swept; and it is no wider than one id, so that supervisors share a range without knowing each other.
//! The sessions of a supervisor that is killed outlive its claims by the milliseconds that they take to die.
//! The files stay. To remove one would be to race with whoever has just opened it.

use super::HostError;
use crate::host::facts::IdRange;
use crate::sys::errno;
use nix::errno::Errno;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat};
use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::os::fd::OwnedFd;

/// What systemd gives to its dynamic users, and where it claims them.
const SYSTEMDS: IdRange = IdRange { first: 61184, last: 65519 };
const SYSTEMDS_PLACE: [&str; 2] = ["/run/systemd", "/run/systemd/dynamic-uid"];
/// Where all other ids are claimed.
const OUR_PLACE: [&str; 2] = ["/run/spawnbox", "/run/spawnbox/users"];

/// How often a file is opened again that somebody has removed since.
const ATTEMPTS: u32 = 10;

/// The ids of one service.
#[derive(Debug)]
pub struct Users {
    range: IdRange,
    /// What is looked at next. The round is as long as the range, so an id comes back as late as it can.
    next: u32,
    /// Ours: no lock needs to be tried for these.
    taken: BTreeSet<u32>,
    /// For whoever comes next.
    reserved: Option<Claim>,
    systemds: Option<OwnedFd>,
    ours: Option<OwnedFd>,
}

/// An id that is a session's own. It is held until [`Users::release`], or until this process ends.
#[derive(Debug)]
pub struct Claim {
    uid: u32,
    lock: OwnedFd,
}

impl Claim {
    /// The id.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl Users {
    /// Opens, and where need be makes, the places in which ids of this range are claimed.
    /// The round begins at an arbitrary id: a successor of this process begins elsewhere, so that it hardly gives
    /// away what the last sessions of a supervisor that was killed are dying with.
    pub fn of(range: IdRange) -> Result<Users, HostError> {
        let outside = range.first < SYSTEMDS.first || range.last > SYSTEMDS.last;
        let inside = range.overlaps(SYSTEMDS);
        // The one source of random numbers that the standard library has.
        let offset = RandomState::new().build_hasher().finish() % range.count();
        Ok(Users {
            range,
            next: range.first.saturating_add(u32::try_from(offset).unwrap_or(0)),
            taken: BTreeSet::new(),
            reserved: None,
            systemds: inside.then(|| open(SYSTEMDS_PLACE)).transpose()?,
            ours: outside.then(|| open(OUR_PLACE)).transpose()?,
        })
    }

    /// Sees to it that the next claim succeeds.
    pub fn reserve(&mut self) -> Result<(), HostError> {
        if self.reserved.is_none() {
            self.reserved = Some(self.claim()?);
        }
        Ok(())
    }

    /// Lets go of what was reserved and is not needed.
    pub fn let_go(&mut self) {
        if let Some(claim) = self.reserved.take() {
            self.release(claim);
        }
    }

    /// Claims an id that nobody has.
    pub fn claim(&mut self) -> Result<Claim, HostError> {
        if let Some(claim) = self.reserved.take() {
            return Ok(claim);
        }
        for _ in 0..self.range.count() {
            let uid = self.next;
            self.next = if uid == self.range.last { self.range.first } else { uid + 1 };
            if self.taken.contains(&uid) {
                continue;
            }
            if let Some(lock) = self.lock(uid)? {
                self.taken.insert(uid);
                return Ok(Claim { uid, lock });
            }
        }
        let why = "every one is in use, by sessions of this service or of others on this host".to_string();
        Err(HostError { doing: format!("claim a user id from {}", self.range), why })
    }

    /// Lets an id go, once nothing of its session is left.
    pub fn release(&mut self, claim: Claim) {
        self.taken.remove(&claim.uid);
        drop(claim.lock);
    }

    /// The locked file of an id, `None` if somebody else has it.
    fn lock(&self, uid: u32) -> Result<Option<OwnedFd>, HostError> {
        let (place, [_, path]) = match SYSTEMDS.contains(uid) {
            true => (&self.systemds, SYSTEMDS_PLACE),
            false => (&self.ours, OUR_PLACE),
        };
        let failed = |errno| HostError::new(format!("claim user id {uid} in {path}"), errno);
        let Some(place) = place else { return Err(failed(Errno::EBADF)) };
        for _ in 0..ATTEMPTS {
            let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(place, uid.to_string(), flags, Mode::from_raw_mode(0o600))
                .map_err(|error| failed(errno(error)))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(failed(errno(error))),
            }
            // systemd removes the file of an id that it lets go: then this lock holds off nobody.
            if fstat(&file).map_err(|error| failed(errno(error)))?.st_nlink > 0 {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }
}

/// A directory that is root's alone to write in: whoever could remove a file there could have an id given away twice.
fn open([parent, path]: [&str; 2]) -> Result<OwnedFd, HostError> {
    for directory in [parent, path] {
        match mkdirat(CWD, directory, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(HostError::new(format!("make {directory}, to claim user ids in"), errno(error))),
        }
    }
    let failed = |error| HostError::new(format!("open {path}, to claim user ids in"), errno(error));
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
    let found = fstat(&opened).map_err(failed)?;
    if found.st_uid != 0 || found.st_mode & 0o022 != 0 {
        let why = "it must belong to root, and no one else may write in it".to_string();
        return Err(HostError { doing: format!("use {path} to claim user ids in"), why });
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(range: IdRange) -> Option<Users> {
        let root = nix::unistd::geteuid().is_root();
        crate::host::met("root", root).then(|| Users::of(range).unwrap())
    }

    #[test]
    fn an_id_is_given_once_until_it_is_released() {
        // Some of these are systemd's and some are not. Nobody else of these tests has them.
        let range = IdRange { first: 61182, last: 61185 };
        let (Some(mut first), Some(mut second)) = (users(range), users(range)) else { return };
        let mut claims: Vec<Claim> = (0..4).map(|turn| [&mut first, &mut second][turn % 2].claim().unwrap()).collect();
        let given: BTreeSet<u32> = claims.iter().map(Claim::uid).collect();
        assert_eq!(given, (61182..=61185).collect());
        let why = first.claim().unwrap_err().to_string();
        assert!(why.starts_with("cannot claim a user id from 61182-61185: every one is in use"), "{why}");
        let last = claims.pop().unwrap();
        let uid = last.uid();
        second.release(last);
        assert_eq!(first.claim().unwrap().uid(), uid);
    }

    #[test]
    fn an_id_comes_back_as_late_as_it_can() {
        let Some(mut users) = users(IdRange { first: 61176, last: 61179 }) else { return };
        let given: BTreeSet<u32> = (0..4)
            .map(|_| {
                let claim = users.claim().unwrap();
                let uid = claim.uid();
                users.release(claim);
                uid
            })
            .collect();
        assert_eq!(given.len(), 4);
    }

    #[test]
    fn what_is_reserved_is_claimed_next_or_let_go() {
        let range = IdRange { first: 61164, last: 61164 };
        let (Some(mut first), Some(mut second)) = (users(range), users(range)) else { return };
        first.reserve().unwrap();
        first.reserve().unwrap();
        assert!(second.reserve().is_err());
        let claim = first.claim().unwrap();
        assert!(first.reserve().is_err());
        first.release(claim);
        first.reserve().unwrap();
        first.let_go();
        assert!(second.reserve().is_ok());
    }

    #[test]
    fn a_claim_ends_with_its_holder() {
        let range = IdRange { first: 61170, last: 61170 };
        let (Some(mut first), Some(mut second)) = (users(range), users(range)) else { return };
        let claim = first.claim().unwrap();
        assert!(second.claim().is_err());
        drop((claim, first));
        assert_eq!(second.claim().unwrap().uid(), 61170);
    }
}
