// SPDX-License-Identifier: Apache-2.0
//! As whom the command runs: request before policy, then the caller itself or `nobody`.
//! Never root, never group 0, never the mail system's owner, whoever asks.

use super::files::Sight;
use super::model::{Access, Identity, Ids, Namespace, Off};
use super::refuse::{BadCommand, BadIdentity, Refusal, Slip};
use super::request::{Front, Request};
use crate::host::facts::{Account, Facts, IdRange};
use crate::policy::model::User;
use crate::policy::{Origin, Policy, Sourced};
use std::collections::BTreeSet;

/// The account for those who name none and may not stay who they are.
const NOBODY: &str = "nobody";

/// The identity, with the places where user and group were written.
pub(super) struct Chosen {
    pub(super) identity: Identity,
    pub(super) user: Origin,
    pub(super) group: Origin,
}

/// Chooses and checks. Names are looked up first and judged after, in the order of spawn(8).
pub(super) fn resolve(request: &Request, policy: &Policy, facts: &Facts) -> Result<Chosen, Refusal> {
    let own = policy.command.user.as_ref();
    if let Some(Sourced { value: User::Range(range), origin }) = own {
        return each(*range, origin, request, policy, facts);
    }
    let named = own.and_then(|user| match &user.value {
        User::Account(name) => Some((name, &user.origin)),
        User::Range(_) => None,
    });
    let user = request.user.as_ref().map(|user| (&user.value, &user.origin)).or(named);
    let (account, user_origin) = match user {
        Some((name, origin)) => (look_up(name, origin, request, facts)?, origin.clone()),
        None => (unnamed(request, facts)?, Origin::Default),
    };
    // A group belongs to the user it was written with: `user=` of master.cf does not take a policy's group.
    let group = if request.user.is_some() { request.group.as_ref() } else { policy.command.group.as_ref() };
    let (gid, group_origin) = match group {
        Some(group) => (look_up_group(group, request, facts)?, group.origin.clone()),
        None => (account.gid, user_origin.clone()),
    };
    has_command(request, policy)?;
    judge(&account.name, (account.uid, gid), request, facts).map_err(|reason| {
        Refusal::new(reason.clone(), if reason.is_about_the_group() { &group_origin } else { &user_origin })
    })?;
    let identity = Identity { name: account.name, ids: Ids::One { uid: account.uid, gid }, change: !facts.rootless() };
    Ok(Chosen { identity, user: user_origin, group: group_origin })
}

/// Each session as somebody else. Whoever names a user as well has written two things that undo each other: neither is
/// what the other one means.
fn each(range: IdRange, origin: &Origin, request: &Request, policy: &Policy, facts: &Facts) -> Result<Chosen, Refusal> {
    if request.user.is_some() {
        return Err(Refusal::new(BadIdentity::RangeAndUser, origin));
    }
    let written = policy.command.group.as_ref();
    let gid = written.map(|group| look_up_group(group, request, facts)).transpose()?;
    has_command(request, policy)?;
    judge_range(range, request, facts).map_err(|reason| Refusal::new(reason, origin))?;
    let group_origin = written.map_or(origin, |group| &group.origin);
    // A group of its own is the number of the user, of which everything is known now.
    gid.map_or(Ok(()), |gid| judge_group(gid, request)).map_err(|reason| Refusal::new(reason, group_origin))?;
    let identity = Identity { name: range.to_string(), ids: Ids::Each { range, gid }, change: true };
    Ok(Chosen { identity, user: origin.clone(), group: group_origin.clone() })
}

fn has_command(request: &Request, policy: &Policy) -> Result<(), Refusal> {
    match request.argv.is_some() || policy.command.argv.is_some() {
        true => Ok(()),
        false => Err(Refusal::new(BadCommand::Missing, &Origin::Default)),
    }
}

/// No one is named: an ordinary user stays itself, root's commands are nobody's; under master the entry must say.
fn unnamed(request: &Request, facts: &Facts) -> Result<Account, Refusal> {
    let none = || Refusal::new(BadIdentity::NotNamed, &Origin::Default);
    match request.front {
        Front::Master => Err(none()),
        Front::Listen | Front::Run if facts.rootless() => Ok(caller(facts)),
        Front::Listen | Front::Run => facts.accounts.users.get(NOBODY).cloned().flatten().ok_or_else(none),
    }
}

fn caller(facts: &Facts) -> Account {
    let known = facts.accounts.users.values().flatten().find(|account| account.uid == facts.uid);
    let name = known.map_or_else(|| facts.uid.to_string(), |account| account.name.clone());
    Account { name, uid: facts.uid, gid: facts.gid }
}

fn look_up(name: &String, origin: &Origin, request: &Request, facts: &Facts) -> Result<Account, Refusal> {
    let unknown = || Refusal::new(BadIdentity::UnknownUser { name: name.clone() }, origin);
    if request.user.is_some() && number_under_master(name, request.front) {
        return Err(unknown());
    }
    facts.accounts.users.get(name).cloned().flatten().ok_or_else(unknown)
}

fn look_up_group(group: &Sourced<String>, request: &Request, facts: &Facts) -> Result<u32, Refusal> {
    let unknown = || Refusal::new(BadIdentity::UnknownGroup { name: group.value.clone() }, &group.origin);
    if request.group.is_some() && number_under_master(&group.value, request.front) {
        return Err(unknown());
    }
    facts.accounts.groups.get(&group.value).copied().flatten().ok_or_else(unknown)
}

/// spawn(8) takes names only: a number in master.cf is an unknown name there, and so it is here.
fn number_under_master(name: &str, front: Front) -> bool {
    front == Front::Master && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn judge(name: &str, (uid, gid): (u32, u32), request: &Request, facts: &Facts) -> Result<(), BadIdentity> {
    let name = name.to_string();
    if uid == 0 {
        return Err(BadIdentity::Root { name });
    }
    if request.mail_owner.is_some_and(|(owner, _)| uid == owner) {
        return Err(BadIdentity::MailOwner { name });
    }
    if let Err(reason @ (BadIdentity::RootGroup | BadIdentity::MailOwnerGroup { .. })) = judge_group(gid, request) {
        return Err(reason);
    }
    if uid == u32::MAX {
        Err(BadIdentity::UserMinusOne)
    } else if gid == u32::MAX {
        Err(BadIdentity::GroupMinusOne)
    } else if facts.rootless() && uid != facts.uid {
        Err(BadIdentity::OtherUser { name, uid, own: facts.uid })
    } else if facts.rootless() && gid != facts.gid {
        Err(BadIdentity::OtherGroup { gid, own: facts.gid })
    } else {
        Ok(())
    }
}

fn judge_group(gid: u32, request: &Request) -> Result<(), BadIdentity> {
    match gid {
        0 => Err(BadIdentity::RootGroup),
        gid if request.mail_owner.is_some_and(|(_, owner)| gid == owner) => Err(BadIdentity::MailOwnerGroup { gid }),
        u32::MAX => Err(BadIdentity::GroupMinusOne),
        _ => Ok(()),
    }
}

/// Ids that mean somebody, or nobody at all: no session may have them.
const RESERVED: [(u32, &str); 4] =
    [(0, "root"), (65534, "nobody"), (65535, "no user to a 16-bit system call"), (u32::MAX, "no user to the kernel")];

fn judge_range(range: IdRange, request: &Request, facts: &Facts) -> Result<(), BadIdentity> {
    let taken = |ids, whose: &str| Err(BadIdentity::RangeTaken { range, ids, whose: whose.to_string() });
    if let Some((id, whose)) = RESERVED.into_iter().find(|(id, _)| range.contains(*id)) {
        return taken(IdRange::only(id), whose);
    }
    let owner = request.mail_owner.into_iter().flat_map(|(uid, gid)| [uid, gid]).find(|id| range.contains(*id));
    if let Some(owner) = owner {
        return taken(IdRange::only(owner), "the mail system's owner");
    }
    if let Some(occupied) = facts.accounts.occupied.iter().find(|occupied| range.overlaps(occupied.ids)) {
        return taken(occupied.ids, &occupied.whose);
    }
    // newuidmap(1) could map such ids for an ordinary user, but only inside a user namespace that the user owns, and
    // with it the right to act as any of them: one session's command would have to be kept from that by other means.
    match facts.rootless() {
        true => Err(BadIdentity::RangeRootless { own: facts.uid }),
        false => Ok(()),
    }
}

/// What would let two sessions that have one id after another meet.
pub(super) fn check_range(
    chosen: &Chosen,
    namespaces: &BTreeSet<Namespace>,
    sight: &Sight,
    off: &mut Vec<Off>,
) -> Result<(), Refusal> {
    let Ids::Each { .. } = chosen.identity.ids else { return Ok(()) };
    let needs = [
        // System V objects and POSIX queues outlive their session there.
        (Namespace::Ipc, "\"ipc\" in isolation.namespaces"),
        // A user's keyring outlives it, and so do what the kernel counts for a user.
        (Namespace::User, "\"user\" in isolation.namespaces"),
    ];
    for (namespace, needs) in needs {
        if !namespaces.contains(&namespace) {
            return Err(Refusal::new(Slip::Needs { key: "a range in command.user", needs }, &chosen.user));
        }
    }
    let left = "what a session writes there stays, and belongs to whichever session has its id next";
    match sight.root.binds() {
        None => off.push(Off::new("files left behind", format!("the root is the host's: {left}"))),
        Some(binds) => {
            let writable = binds.iter().filter(|bind| bind.access == Access::Write);
            off.extend(writable.map(|bind| Off::new("files left behind", format!("{}: {left}", bind.path.display()))));
        }
    }
    Ok(())
}
