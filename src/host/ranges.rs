// SPDX-License-Identifier: Apache-2.0
//! Who has ids in a range that should be nobody's: users, groups, and the subordinate ids of subuid(5) and subgid(5).
//! Looks and judges nothing.

use super::HostError;
use super::facts::{IdRange, Occupied};
use crate::sys::accounts;
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User};
use std::io::ErrorKind;
use std::path::Path;

/// Where systemd says who has an id of its dynamic users now: a link `direct:ID` to the name. See `make_uid_symlinks`
/// in systemd's src/core/dynamic-user.c.
const DYNAMIC: &str = "/run/systemd/dynamic-uid";

/// Everybody who has ids in one of `ranges`, sorted.
///
/// Accounts are listed, which costs one look however wide the range is; a directory service that lists none of its own
/// is asked for the ends only, since asking it for each id could take minutes.
pub(super) fn occupied(ranges: &[IdRange]) -> Result<Vec<Occupied>, HostError> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = accounts();
    for range in ranges {
        found.extend(ends(*range)?);
    }
    for (path, what) in [("/etc/subuid", "subordinate user ids"), ("/etc/subgid", "subordinate group ids")] {
        found.extend(subordinate(&read(path)?, what));
    }
    found.retain(|occupied| ranges.iter().any(|range| range.overlaps(occupied.ids)));
    found.sort();
    found.dedup();
    Ok(found)
}

fn accounts() -> Vec<Occupied> {
    let stays = |(name, id): &(String, u32)| !comes_and_goes(Path::new(DYNAMIC), name, *id);
    let users = accounts::users().into_iter().filter(stays).map(|(name, id)| account("user", &name, id));
    users.chain(accounts::groups().into_iter().filter(stays).map(|(name, id)| account("group", &name, id))).collect()
}

/// Whether an account is a dynamic user or its group, which nss-systemd lists for as long as it has its id. That is
/// nobody's for good: it is claimed by systemd in the way of a session, by a lock that is asked for each session.
fn comes_and_goes(claims: &Path, name: &str, id: u32) -> bool {
    std::fs::read_link(claims.join(format!("direct:{id}"))).is_ok_and(|text| text.as_os_str() == name)
}

fn account(sort: &str, name: &str, id: u32) -> Occupied {
    Occupied { ids: IdRange::only(id), whose: format!("{sort} {name}") }
}

fn ends(range: IdRange) -> Result<Vec<Occupied>, HostError> {
    let mut found = Vec::new();
    for id in [range.first, range.last] {
        let failed = |errno| HostError::new(format!("look up user and group id {id}"), errno);
        let user = User::from_uid(Uid::from_raw(id)).map_err(failed)?;
        let group = Group::from_gid(Gid::from_raw(id)).map_err(failed)?;
        let named = [user.map(|user| ("user", user.name)), group.map(|group| ("group", group.name))];
        let stays = |(_, name): &(&str, String)| !comes_and_goes(Path::new(DYNAMIC), name, id);
        found.extend(named.into_iter().flatten().filter(stays).map(|(sort, name)| account(sort, &name, id)));
    }
    Ok(found)
}

fn read(path: &str) -> Result<String, HostError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO));
            Err(HostError::new(format!("read {path}"), errno))
        }
    }
}

/// The lines `owner:first:count` of subuid(5). What is none is nobody's, as for newuidmap(1).
pub(super) fn subordinate(text: &str, what: &str) -> Vec<Occupied> {
    let line = |line: &str| {
        let mut fields = line.split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let first: u32 = first.parse().ok()?;
        let more = count.trim_end().parse::<u32>().ok()?.checked_sub(1)?;
        let ids = IdRange { first, last: first.saturating_add(more) };
        Some(Occupied { ids, whose: format!("{what} of {owner}") })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_in_a_range_are_found() {
        let found = occupied(&[IdRange { first: 0, last: 4 }]).unwrap();
        for whose in ["user root", "group root"] {
            let expected = Occupied { ids: IdRange::only(0), whose: whose.into() };
            assert!(found.contains(&expected), "{found:?}");
        }
        assert!(found.iter().all(|occupied| occupied.ids.first <= 4), "{found:?}");
        assert_eq!(occupied(&[]).unwrap(), []);
    }

    #[test]
    fn a_dynamic_user_of_systemd_takes_no_id_for_good() {
        let claims = std::env::temp_dir().join(format!("spawnbox-claims-{}", std::process::id()));
        std::fs::create_dir(&claims).unwrap();
        std::os::unix::fs::symlink("timer", claims.join("direct:61234")).unwrap();
        let found =
            [("timer", 61234), ("timer", 61235), ("anna", 61234)].map(|(name, id)| comes_and_goes(&claims, name, id));
        std::fs::remove_dir_all(&claims).unwrap();
        assert_eq!(found, [true, false, false]);
    }

    #[test]
    fn subordinate_ids_are_those_of_the_lines_that_are_whole() {
        let text = "anna:100000:65536\nbroken\nbroken:1\nnone:5:0\n1000:4294967290:65536\n";
        let found: Vec<String> = subordinate(text, "subordinate user ids")
            .into_iter()
            .map(|occupied| format!("{}: {}", occupied.ids, occupied.whose))
            .collect();
        let expected =
            ["100000-165535: subordinate user ids of anna", "4294967290-4294967295: subordinate user ids of 1000"];
        assert_eq!(found, expected);
    }
}
