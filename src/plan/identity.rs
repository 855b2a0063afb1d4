// SPDX-License-Identifier: Apache-2.0
//! As whom the command runs: request before policy, then the caller itself or `nobody`.
//! Never root, never group 0, never the mail system's owner, whoever asks.

use super::model::Identity;
use super::refuse::{BadCommand, BadIdentity, Refusal};
use super::request::{Front, Request};
use crate::host::facts::{Account, Facts};
use crate::policy::{Origin, Policy, Sourced};

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
    let user = request.user.as_ref().or(policy.command.user.as_ref());
    let (account, user_origin) = match user {
        Some(user) => (look_up(user, request, facts)?, user.origin.clone()),
        None => (unnamed(request, facts)?, Origin::Default),
    };
    // A group belongs to the user it was written with: `user=` of master.cf does not take a policy's group.
    let group = if request.user.is_some() { request.group.as_ref() } else { policy.command.group.as_ref() };
    let (gid, group_origin) = match group {
        Some(group) => (look_up_group(group, request, facts)?, group.origin.clone()),
        None => (account.gid, user_origin.clone()),
    };
    if request.argv.is_none() && policy.command.argv.is_none() {
        return Err(Refusal::new(BadCommand::Missing, &Origin::Default));
    }
    let identity = Identity { name: account.name, uid: account.uid, gid, change: !facts.rootless() };
    judge(&identity, request, facts).map_err(|reason| {
        let group_only = matches!(
            reason,
            BadIdentity::RootGroup
                | BadIdentity::MailOwnerGroup { .. }
                | BadIdentity::GroupMinusOne
                | BadIdentity::OtherGroup { .. }
        );
        Refusal::new(reason, if group_only { &group_origin } else { &user_origin })
    })?;
    Ok(Chosen { identity, user: user_origin, group: group_origin })
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

fn look_up(user: &Sourced<String>, request: &Request, facts: &Facts) -> Result<Account, Refusal> {
    let unknown = || Refusal::new(BadIdentity::UnknownUser { name: user.value.clone() }, &user.origin);
    if request.user.is_some() && number_under_master(&user.value, request.front) {
        return Err(unknown());
    }
    facts.accounts.users.get(&user.value).cloned().flatten().ok_or_else(unknown)
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

fn judge(identity: &Identity, request: &Request, facts: &Facts) -> Result<(), BadIdentity> {
    let Identity { name, uid, gid, .. } = identity;
    let (name, uid, gid) = (name.clone(), *uid, *gid);
    let owner = request.mail_owner;
    if uid == 0 {
        Err(BadIdentity::Root { name })
    } else if owner.is_some_and(|(owner, _)| uid == owner) {
        Err(BadIdentity::MailOwner { name })
    } else if gid == 0 {
        Err(BadIdentity::RootGroup)
    } else if owner.is_some_and(|(_, owner)| gid == owner) {
        Err(BadIdentity::MailOwnerGroup { gid })
    } else if uid == u32::MAX {
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
