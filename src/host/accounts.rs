// SPDX-License-Identifier: Apache-2.0
//! Users and groups by the names that a policy or a request uses. Judges none of them.

use super::facts::{Account, Accounts, Names};
use super::{HostError, ranges};
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User};

/// `(gid_t)-1`, which the kernel takes for "no group": what a user without an account has.
const NO_GROUP: u32 = u32::MAX;

/// Looks every name up; an unknown one is a fact, not an error. An error is a data base that does not answer.
pub fn look_up(names: &Names) -> Result<Accounts, HostError> {
    let mut accounts = Accounts { occupied: ranges::occupied(&names.ranges)?, ..Accounts::default() };
    for name in &names.users {
        let account = user(name).map_err(|errno| HostError::new(format!("look up user {name}"), errno))?;
        accounts.users.insert(name.clone(), account);
    }
    for name in &names.groups {
        let gid = group(name).map_err(|errno| HostError::new(format!("look up group {name}"), errno))?;
        accounts.groups.insert(name.clone(), gid);
    }
    Ok(accounts)
}

/// A name that consists of digits may be an account's all the same, so the name comes first.
fn user(name: &str) -> Result<Option<Account>, Errno> {
    let known = |user: User| Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() };
    if let Some(user) = User::from_name(name)? {
        return Ok(Some(known(user)));
    }
    let Some(uid) = number(name) else { return Ok(None) };
    let unknown = || Account { name: uid.to_string(), uid, gid: NO_GROUP };
    Ok(Some(User::from_uid(Uid::from_raw(uid))?.map_or_else(unknown, known)))
}

fn group(name: &str) -> Result<Option<u32>, Errno> {
    let known = Group::from_name(name)?.map(|group| group.gid);
    Ok(known.or_else(|| number(name).map(Gid::from_raw)).map(Gid::as_raw))
}

/// Digits only: `parse` alone would take a sign.
fn number(name: &str) -> Option<u32> {
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let account = |name: &str, uid, gid| Some(Account { name: name.into(), uid, gid });
        let cases = [
            ("no-such-user", None),
            ("", None),
            ("+7", None),
            ("-1", None),
            ("4294967296", None),
            ("4294967295", account("4294967295", u32::MAX, NO_GROUP)),
            ("3999999999", account("3999999999", 3_999_999_999, NO_GROUP)),
            ("root", account("root", 0, 0)),
            ("0", account("root", 0, 0)),
        ];
        let users = cases.clone().map(|(name, _)| name.to_string()).to_vec();
        let found = look_up(&Names { users, ..Names::default() }).unwrap();
        assert_eq!(found.users, cases.map(|(name, account)| (name.to_string(), account)).into());
    }

    #[test]
    fn groups_by_name_and_number() {
        let cases = [("no-such-group", None), ("x1", None), ("root", Some(0)), ("3999999999", Some(3_999_999_999))];
        let groups = cases.map(|(name, _)| name.to_string()).to_vec();
        let found = look_up(&Names { groups, ..Names::default() }).unwrap();
        assert_eq!(found.groups, cases.map(|(name, gid)| (name.to_string(), gid)).into());
    }
}
